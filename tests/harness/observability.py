"""Rules and dashboards of `deploy/observability`, and the metrics and labels that their queries ask for."""

import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "observability"
RUNBOOKS: Final = Path(__file__).parents[2] / "docs" / "operations.md"

SCRAPED: Final = frozenset({"job", "instance"})
"""Labels that the scrape sets (scrape.yaml), on every metric."""
_VARIABLE: Final = re.compile(r'="\$\w+"')
_LABEL_VALUES: Final = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and where it stands."""

    place: str
    expression: str


@dataclass(frozen=True, slots=True)
class Matched:
    """A selector of an expression: the metric, the labels that it compares, and those that it wants equal."""

    metric: str
    labels: Set[str]
    equal: Mapping[str, str]


def rules(kind: str) -> list[dict[str, Any]]:
    """Return all rules of a kind: `alert` or `record`."""
    files = (FOLDER / "recording.yaml", FOLDER / "alerts.yaml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def queries() -> Iterator[Query]:
    """Return every expression of rules and dashboards, variables filled in."""
    for kind in ("record", "alert"):
        for rule in rules(kind):
            yield Query(rule[kind], rule["expr"])
    for file in sorted((FOLDER / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for variable in board["templating"]["list"]:
            if found := _LABEL_VALUES.fullmatch(variable["query"]):
                asked = f"count by ({found['label']}) ({found['selector']})"
                yield Query(f"{file.name} ${variable['name']}", asked)
        for panel in board["panels"]:
            for target in panel["targets"]:
                expression = _VARIABLE.sub('=~".+"', target["expr"])
                yield Query(f"{file.name} {panel['title']}", expression)


def selectors(expression: str) -> list[Matched]:
    """Return the selectors of an expression. Raises ValueError where it is no PromQL."""
    return [
        Matched(
            node.name or "",
            {matcher.name for matcher in node.matchers.matchers},
            {
                matcher.name: matcher.value
                for matcher in node.matchers.matchers
                if matcher.op == promql.MatchOp.Equal
            },
        )
        for node in _nodes(promql.parse(expression))
        if isinstance(node, promql.VectorSelector)
    ]


def grouped_by(expression: str) -> list[tuple[Set[str], Set[str]]]:
    """Return of each aggregation the labels that it groups by and the metrics beneath it."""
    return [
        (
            set(node.modifier.labels),
            {one.name or "" for one in _nodes(node.expr) if isinstance(one, promql.VectorSelector)},
        )
        for node in _nodes(promql.parse(expression))
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None
    ]


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "vs", "param"):
        if isinstance(inner := getattr(node, name, None), promql.Expr):
            yield from _nodes(inner)
    for argument in getattr(node, "args", None) or ():
        yield from _nodes(argument)
