"""Logs: fixed keys, one line each, never a payload (design.md §2.8)."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common import clock, current
from notify_common.errors import FieldViolation, invalid_field
from notify_common.logging import describe_exception, get_logger

LogLines = Callable[[], list[dict[str, Any]]]


def test_a_line_begins_with_its_fixed_keys(log_lines: LogLines) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with clock.set_for_tests(moment), current.bind(request_id="the-request", traceparent=trace):
        get_logger().info("something happened", service_id="s", batch_count=3)
    [line] = log_lines()
    assert list(line.items()) == [
        ("ts", "2026-03-04T05:06:07.890Z"),
        ("level", "info"),
        ("event", "something happened"),
        ("service", "under-test"),
        ("request_id", "the-request"),
        ("trace_id", "a" * 32),
        ("service_id", "s"),
        ("batch_count", 3),
    ]


def test_lines_of_a_request_name_what_it_is_about_and_those_of_the_next_do_not(log_lines: LogLines) -> None:
    with current.bind():
        current.note(service_id="s")
        current.note(notification_id="n", recipient="07700900123")
        get_logger().info("of the request")
        with current.bind():
            get_logger().info("of another within it")
        get_logger().info("of the request again", service_id="its own")
    get_logger().info("of none")
    inside, within, again, after = log_lines()
    assert (inside["service_id"], inside["notification_id"]) == ("s", "n")
    assert inside["dropped"] == ["recipient"]
    assert (again["service_id"], again["notification_id"]) == ("its own", "n")
    assert not {"service_id", "notification_id"} & (within.keys() | after.keys())


def test_other_keys_are_dropped_and_named(log_lines: LogLines) -> None:
    get_logger().info("sent", recipient="07700900123", personalisation={"name": "Ann"}, notification_id="n")
    [line] = log_lines()
    assert line["dropped"] == ["personalisation", "recipient"]
    assert line["notification_id"] == "n"
    assert "07700900123" not in repr(line)
    assert "Ann" not in repr(line)


def test_payloads_do_not_hide_in_allowed_keys(log_lines: LogLines) -> None:
    get_logger().info("x", reason={"body": "Dear Ann"}, message="m" * 5000, queues=["q"] * 1000)
    [line] = log_lines()
    assert line["reason"] == "<dict>"
    assert len(line["message"]) < 400
    assert len(line["queues"]) < 100


@given(st.text(), st.text())
def test_any_text_stays_on_its_line(event: str, reason: str) -> None:
    import io
    import json

    from notify_common.logging import configure_logging

    stream = io.BytesIO()
    configure_logging("under-test", "debug", stream)
    get_logger().info(event, reason=reason)
    [line] = stream.getvalue().split(b"\n")[:-1]
    json.loads(line)


def test_levels_below_the_chosen_one_are_left_out(log_lines: LogLines) -> None:
    import io

    from notify_common.logging import configure_logging

    stream = io.BytesIO()
    configure_logging("under-test", "warning", stream)
    get_logger().info("quiet")
    get_logger().warning("loud")
    assert b"quiet" not in stream.getvalue()
    assert b"loud" in stream.getvalue()


def test_an_exception_is_told_by_type_and_place_alone() -> None:
    class DatabaseFault(Exception):
        pgcode = "23505"

    try:
        try:
            raise DatabaseFault("DETAIL: Key (recipient)=(07700900123) already exists")
        except DatabaseFault as fault:
            raise RuntimeError("while storing 07700900123") from fault
    except RuntimeError as error:
        described = describe_exception(error)
    assert str(described["error_type"]).startswith("builtins.RuntimeError < ")
    assert described["sqlstate"] == "23505"
    assert "07700900123" not in repr(described)


def test_an_error_of_ours_is_told_by_its_reason_and_fields(log_lines: LogLines) -> None:
    error = invalid_field(FieldViolation("email.subject", "is required"))
    get_logger().error("refused", **describe_exception(error))
    [line] = log_lines()
    assert (line["reason"], line["violations"]) == ("INVALID_FIELD", ["email.subject is required"])
    assert "dropped" not in line


def test_libraries_are_logged_without_what_they_were_given(log_lines: LogLines) -> None:
    library = logging.getLogger("some.library")
    library.info("below the level of libraries")
    library.warning("retrying %s in %d seconds", "https://u:hunter2@host", 3)
    try:
        raise ValueError("hunter2")
    except ValueError:
        library.exception("task %s failed", "hunter2")
    warning, failure = log_lines()
    assert (warning["level"], warning["logger"]) == ("warning", "some.library")
    assert warning["message"] == "retrying %s in %d seconds"
    assert failure["error_type"] == "builtins.ValueError"
    assert "hunter2" not in repr(log_lines())


@pytest.mark.parametrize("value", [object(), datetime(2026, 1, 1, tzinfo=UTC), 1.5, True, None, (1, 2)])
def test_any_value_can_be_given(log_lines: LogLines, value: object) -> None:
    get_logger().info("x", state=value)
    assert len(log_lines()) == 1
