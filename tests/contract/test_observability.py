"""Rules, dashboards and runbooks agree; what they ask of metrics is checked by the whole-house tests."""

import os
import re
import shutil
import subprocess
from collections import defaultdict

import pytest
import yaml
from notify_common import logging

from tests.harness.observability import FOLDER, RUNBOOKS, queries, rules, selectors

FIELDS = RUNBOOKS.with_name("observability.md")
_LINK = re.compile(r"\[[^\]]+\]\(#(?P<anchor>[^)]+)\)")
_NAME = re.compile(r"`(?P<name>[^`]+)`")


def table_rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    part = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("|")]
    assert rows, heading
    return rows[2:]


def anchors(page: str) -> list[str]:
    """Return the anchors of the headings of a page, as its readers link to them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_query_is_promql() -> None:
    asked = list(queries())
    assert len(asked) > 50
    for query in asked:
        assert selectors(query.expression), query.place


def test_each_alert_has_its_runbook_and_each_runbook_s_alerts_exist() -> None:
    page = RUNBOOKS.read_text()
    listed: defaultdict[str, set[str]] = defaultdict(set)
    for section, alerts, *_ in table_rows(page, "Alerts"):
        link = _LINK.search(section)
        assert link, section
        listed[link["anchor"]] |= {found["name"] for found in _NAME.finditer(alerts)}
    declared: defaultdict[str, set[str]] = defaultdict(set)
    for rule in rules("alert"):
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert path == "docs/operations.md"
        declared[anchor].add(rule["alert"])
    assert listed == declared
    headings = anchors(page)
    assert set(listed) <= set(headings)
    assert len(headings) == len(set(headings))


def test_each_alert_says_what_it_is_and_how_urgent() -> None:
    names = [rule["alert"] for rule in rules("alert")]
    assert len(names) == len(set(names))
    for rule in rules("alert"):
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_each_alert_is_set_off_by_a_test() -> None:
    (case,) = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    quiet, loud = case["promql_expr_test"]
    assert "exp_samples" not in quiet
    fired = {_NAME_OF.search(one["labels"])["name"] for one in loud["exp_samples"]}  # type: ignore[index] # each has one
    assert fired == {rule["alert"] for rule in rules("alert")}


_NAME_OF = re.compile(r'alertname="(?P<name>\w+)"')


def test_alerts_go_off_when_they_should_and_not_before() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "NOTIFY_REQUIRE_PROMTOOL" not in os.environ
        pytest.skip("promtool is not here; Debian has it in its package prometheus")
    tried = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yaml"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_each_field_of_the_log_is_documented_and_no_other() -> None:
    page = FIELDS.read_text()
    documented = {
        found["name"]
        for heading in ("Fields of every line", "Fields of some lines")
        for fields, *_ in table_rows(page, heading)
        for found in _NAME.finditer(fields)
    }
    assert documented == logging.FIXED | logging.KEYS | {f"…{ending}" for ending in logging.ENDINGS}
