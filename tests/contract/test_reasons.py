"""Reasons: one table, every one of it raised somewhere, every one of it answered by the gateway."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_common.errors import NotifyError
from notify_common.reasons import REASONS
from notify_gateway.errors import READING, TABLE, Choice, Row, Rows, entries_of, row_of

from .conftest import ROOT, Rpc

SOURCES = sorted(path for path in (ROOT / "services").glob("*/src/**/*.py"))
CAPITALS = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")

# Enum values and codes that proto comments also write in capitals.
NOT_REASONS = {"INVALID_ARGUMENT"}


def reasons_named_in(path: Path) -> Iterator[str]:
    """Yield the literal first arguments of NotifyError in a file, conditional ones included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and (getattr(node.func, "id", None) or getattr(node.func, "attr", None)) == "NotifyError"
            and node.args
        ):
            for part in ast.walk(node.args[0]):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def test_every_reason_in_code_is_in_the_table() -> None:
    named = {reason: path for path in SOURCES for reason in reasons_named_in(path)}
    assert len(named) > 20, "no sources were found"
    assert {reason: str(path) for reason, path in named.items() if reason not in REASONS} == {}


def test_every_reason_in_the_table_is_in_code() -> None:
    # Also as plain text: rules return reasons as data, which a use case then raises.
    table = ROOT / "services/common/src/notify_common/reasons.py"
    answers = ROOT / "services/api-gateway/src/notify_gateway/errors.py"
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path not in (table, answers))
    assert [reason for reason in REASONS if f'"{reason}"' not in code] == []


def rows_of(reason: str, rows: Rows = TABLE) -> list[Row]:
    """Return every row that answers a reason."""
    row = rows[reason]
    return [*row.rows.values(), row.otherwise] if isinstance(row, Choice) else [row]


def facts_named_in(reason: str) -> set[str]:
    """Return the facts that the gateway's rows of a reason use."""
    row = TABLE[reason]
    names = {row.fact} if isinstance(row, Choice) else set()
    for one in rows_of(reason):
        names |= {name for _, name, _, _ in string.Formatter().parse(one.sentence) if name}
        names |= set(one.shown)
    return names


def test_the_gateway_answers_every_reason_and_no_other() -> None:
    assert set(TABLE) == set(REASONS)
    assert set(READING) <= set(REASONS)
    for reason in TABLE:
        for row in rows_of(reason):
            assert 400 <= row.status < 600, reason
            assert row.error, reason
            assert row.sentence, reason


@pytest.mark.parametrize("reason", REASONS)
def test_sentences_are_made_of_the_facts_that_come_with_the_reason(reason: str) -> None:
    assert facts_named_in(reason) == set(REASONS[reason].facts)
    error = NotifyError(reason, "no", metadata=dict.fromkeys(REASONS[reason].facts, "42"))
    [entry] = entries_of(error, row_of(error))
    assert entry["message"] != "no"
    assert "{" not in entry["message"]


def test_sentences_stand_in_the_table_alone() -> None:
    # Providers of messages are answered in the terms of their own protocols, which their modules hold.
    # Short ones, such as "Not found", are words that other things are called by too.
    said = {row.sentence for reason in TABLE for row in rows_of(reason)}
    fixed = {part for text in said for part, *_ in string.Formatter().parse(text) if len(part) > 30}
    answers = ROOT / "services/api-gateway/src/notify_gateway/errors.py"
    twice = {
        part: path.name
        for path in SOURCES
        if path != answers and not {"notify_admin", "notify_content", "notify_providers"} & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for part in fixed
        if part in node.value
    }
    assert twice == {}


def test_faults_of_ours_are_not_blamed_on_the_client() -> None:
    for reason in ("INTERNAL", "UNIMPLEMENTED", "CALLER_NOT_ALLOWED", "UNAVAILABLE", "OVERLOADED"):
        assert all(row.status >= 500 for row in rows_of(reason)), reason


def test_every_reason_that_a_proto_promises_is_in_the_table(rpcs: list[Rpc]) -> None:
    promised = {word: rpc.path for rpc in rpcs for word in CAPITALS.findall(rpc.comment)}
    assert promised
    enum_values = set()
    for path in (ROOT / "protos/notify").rglob("*.proto"):
        enum_values |= set(re.findall(r"^\s*([A-Z0-9_]+) = \d+;", path.read_text(), re.MULTILINE))
    unknown = {
        word: path
        for word, path in promised.items()
        if word not in REASONS and word not in enum_values | NOT_REASONS
    }
    assert unknown == {}
