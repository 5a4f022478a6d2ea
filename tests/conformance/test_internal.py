"""The contract of the admin web app's routes: each recorded case, against the real servicers of admin."""

import json
from types import ModuleType
from typing import Any

import pytest

from .conftest import HERE

LACKING = {
    "internal/billing/complaints",
    "internal/billing/complaints-count",
    "internal/billing/complaints-count-bad",
    "internal/billing/data-for-dvla-billing-report",
    "internal/billing/data-for-dvla-billing-report-order",
    "internal/billing/data-for-dvla-billing-report-years",
    "internal/jobs/report-bad-channel",
    "internal/jobs/report-create",
    "internal/jobs/report-extra",
    "internal/jobs/report-get",
    "internal/jobs/report-no-user-id",
    "internal/jobs/report-null-channel",
    "internal/one_off/send-limit",
    "internal/one_off/send-limit-international",
    "internal/one_off/send-limit-two",
    "internal/platform/find-bad",
    "internal/platform/find-email-branding",
    "internal/platform/find-folder",
    "internal/platform/find-letter-branding",
    "internal/platform/find-notification",
    "internal/platform/find-organisation",
    "internal/platform/find-provider",
    "internal/platform/find-service",
    "internal/platform/find-sms-sender",
    "internal/platform/find-unknown",
    "internal/platform/find-user",
    "internal/platform/provider-unknown",
    "internal/platform/provider-update-bad",
    "internal/platform/provider-update-forbidden",
    "internal/platform/provider-versions",
    "internal/statistics/returned-letters",
    "internal/statistics/returned-letters-date",
}
"""Cases of what is not served; one that begins to pass fails until it is taken off this list."""

NEEDS = {"inbound_number"}
"""What a case may need that is not there."""


def cases() -> list[Any]:
    """Return the cases as parameters."""
    made = []
    for file in sorted((HERE / "cases" / "internal").glob("*.json")):
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            marks = [pytest.mark.xfail(strict=True, reason="not served")] if case["id"] in LACKING else []
            if NEEDS.isdisjoint(case.get("needs", [])):
                made.append(pytest.param(case, id=case["id"].removeprefix("internal/"), marks=marks))
    return made


@pytest.mark.parametrize("case", cases())
def test_answers_as_recorded(runner: ModuleType, client: Any, variables: Any, case: Any) -> None:
    differences = runner.run_case(client, runner.Matcher(), variables, case)
    assert differences == []
