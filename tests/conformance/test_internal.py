"""The contract of the admin web app's routes: each recorded case, against the real servicers of admin."""

import json
from types import ModuleType
from typing import Any

import pytest

from .conftest import HERE

pytestmark = pytest.mark.xdist_group("conformance")

FILES = ("senders", "api_keys", "guest_list", "callbacks", "data_retention", "folders", "auth")
LACKING = {
    "internal/senders/reply-verify",
    "internal/senders/reply-verify-visible",
    "internal/senders/reply-verify-existing",
    "internal/senders/protected-check",
    "internal/senders/protected-missing",
    "internal/api_keys/create-empty-name",
    "internal/callbacks/create-no-type",
    "internal/auth/public-style-sms-rate",
    "internal/auth/public-style-returned",
    "internal/auth/public-style-old",
}
"""Cases of what is not served; one that begins to pass fails until it is taken off this list."""


def cases() -> list[Any]:
    """The cases of FILES as parameters."""
    made = []
    for name in FILES:
        text = (HERE / "cases" / "internal" / f"{name}.json").read_text(encoding="utf-8")
        for case in json.loads(text)["cases"]:
            marks = [pytest.mark.xfail(strict=True, reason="not served")] if case["id"] in LACKING else []
            if "inbound_number" not in case.get("needs", []):
                made.append(pytest.param(case, id=case["id"].removeprefix("internal/"), marks=marks))
    return made


@pytest.mark.parametrize("case", cases())
def test_answers_as_recorded(runner: ModuleType, client: Any, variables: Any, case: Any) -> None:
    differences = runner.run_case(client, runner.Matcher(), variables, case)
    assert differences == []
