"""HTTP calls to providers: every way that one can end, and none is made twice."""

import socket
from queue import SimpleQueue

import pytest
from notify_common import clock
from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_testing.waiting import WAIT_SECONDS

from . import fake_mmg
from .fake_mmg import FakeMmg

BODY = b'{"MSISDN": "1", "cid": "id"}'


def call(url: str, *, timeout: float = 5.0, times: int = 1, late: bool = False) -> list[HttpAnswer]:
    """Make calls one after the other over one connection."""
    caller = HttpCaller(1, timeout)
    answers: SimpleQueue[HttpAnswer] = SimpleQueue()
    received = []
    for _ in range(times):
        start_before = clock.monotonic() + (-1 if late else 60)
        caller.call(HttpRequest(url, {"Content-Type": "application/json"}, BODY, start_before), answers.put)
        received.append(answers.get(timeout=WAIT_SECONDS))
    caller.close()
    return received


def test_an_answer_has_its_status_and_body(mmg: FakeMmg) -> None:
    mmg.script("1", fake_mmg.OK, fake_mmg.BAD_REQUEST, fake_mmg.ERROR)
    answers = call(mmg.url, times=3)
    assert [(a.status, a.failure) for a in answers] == [(200, ""), (400, ""), (500, "")]
    assert answers[0].body == b'{"Reference":"1"}'


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        (fake_mmg.RESET, "connection_lost"),
        (fake_mmg.CLOSE, "connection_lost"),
        (fake_mmg.HUGE, "too_large"),
    ],
)
def test_a_broken_answer_is_no_answer(mmg: FakeMmg, behaviour: str, failure: str) -> None:
    mmg.script("1", behaviour)
    assert call(mmg.url) == [HttpAnswer(0, b"", failure)]
    assert len(mmg.messages) == 1


def test_a_request_on_a_kept_open_connection_that_breaks_is_not_made_again(mmg: FakeMmg) -> None:
    mmg.script("1", fake_mmg.OK, fake_mmg.CLOSE, fake_mmg.OK)
    answers = call(mmg.url, times=3)
    assert [a.failure for a in answers] == ["", "connection_lost", ""]
    assert len(mmg.messages) == 3


def test_a_call_without_an_answer_ends_in_time(mmg: FakeMmg) -> None:
    mmg.script("1", fake_mmg.HANG)
    assert call(mmg.url, timeout=0.3) == [HttpAnswer(0, b"", "timeout")]


def test_a_closed_port_is_told_apart_from_a_lost_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert call(f"http://127.0.0.1:{port}/") == [HttpAnswer(0, b"", "unreachable", request_was_sent=False)]


def test_a_call_that_would_begin_too_late_is_not_made(mmg: FakeMmg) -> None:
    assert call(mmg.url, late=True) == [HttpAnswer(0, b"", "not_started", request_was_sent=False)]
    assert mmg.messages == []


def test_a_request_that_can_t_be_made_ends_alone(mmg: FakeMmg) -> None:
    caller = HttpCaller(1, 5.0)
    answers: SimpleQueue[HttpAnswer] = SimpleQueue()
    for authorization in ("Basic \u20ac", "Basic key"):
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        caller.call(HttpRequest(mmg.url, headers, BODY, clock.monotonic() + 60), answers.put)
    assert answers.get(timeout=WAIT_SECONDS) == HttpAnswer(0, b"", "unreachable", request_was_sent=False)
    assert answers.get(timeout=WAIT_SECONDS).status == 200
    caller.close()
    assert mmg.authorizations == ["Basic key"]
