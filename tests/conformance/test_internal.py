"""The contract of the admin web app's routes: each recorded case, against the real servicers of admin."""

import json
import re
from types import ModuleType
from typing import Any

import pytest

from .conftest import HERE

LACKING = re.compile(
    r"internal/(billing/(complaints(-count.*)?|data-for-dvla-.*)|jobs/report-.*|one_off/send-limit.*"
    r"|platform/(find|provider)-.*|statistics/returned-letters.*)"
)
"""Cases of what is not served; one that begins to pass fails until it is taken out."""

NEEDS = {"inbound_number"}
"""What a case may need that is not there."""


def cases() -> list[Any]:
    """Return the cases as parameters."""
    made = []
    for file in sorted((HERE / "cases" / "internal").glob("*.json")):
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            lacking = pytest.mark.xfail(bool(LACKING.fullmatch(case["id"])), strict=True, reason="not served")
            if NEEDS.isdisjoint(case.get("needs", [])):
                made.append(pytest.param(case, id=case["id"].removeprefix("internal/"), marks=lacking))
    return made


@pytest.mark.parametrize("case", cases())
def test_answers_as_recorded(runner: ModuleType, client: Any, variables: Any, case: Any) -> None:
    differences = runner.run_case(client, runner.Matcher(), variables, case)
    assert differences == []
