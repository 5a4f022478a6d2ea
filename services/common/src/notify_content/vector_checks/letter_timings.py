"""`letter_timings.json`: printing, delivery and cancelling of letters."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from notify_content import letter_timings

INPUT_FIELDS: Final = frozenset({"operation"})


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _timings(case_input: dict[str, Any]) -> dict[str, Any]:
    upload_time, now = (datetime.fromisoformat(case_input[name]) for name in ("upload_time", "now"))
    timings = letter_timings.timings(upload_time, case_input["postage"])
    return {
        "printed_by": _text(timings.printed_by),
        "is_printed": timings.is_printed(now),
        "earliest_delivery": _text(timings.earliest_delivery),
        "latest_delivery": _text(timings.latest_delivery),
    }


def _can_be_cancelled(case_input: dict[str, Any]) -> dict[str, Any]:
    created_at, now = (datetime.fromisoformat(case_input[name]) for name in ("created_at", "now"))
    return {"can_be_cancelled": letter_timings.can_be_cancelled(case_input["status"], created_at, now)}


def _working_day(case_input: dict[str, Any]) -> dict[str, Any]:
    day = date.fromisoformat(case_input["date"])
    return {
        "printing": letter_timings.is_printing_day(day),
        "first_class_delivery": letter_timings.is_delivery_day(day, "first"),
        "other_delivery": letter_timings.is_delivery_day(day, "second"),
    }


_OPERATIONS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "timings": _timings,
    "can_be_cancelled": _can_be_cancelled,
    "working_day": _working_day,
}


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    return _OPERATIONS[case_input["operation"]](case_input)
