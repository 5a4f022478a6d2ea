"""HTTP calls to servers that somebody else names: which addresses are connected to, and what is read."""

import socket
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest
from notify_common import clock
from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_testing import receiver as behaviours
from notify_testing.receiver import Receiver
from notify_testing.waiting import WAIT_SECONDS

FORBIDDEN = HttpAnswer(0, b"", "address_forbidden", request_was_sent=False)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def call(
    receiver: Receiver, url: str, may_connect: Callable[[str], bool] | None, times: int = 1
) -> list[HttpAnswer]:
    caller = HttpCaller(1, 5.0, ca_file=str(receiver.ca_file), may_connect=may_connect)
    answers: SimpleQueue[HttpAnswer] = SimpleQueue()
    received = []
    for _ in range(times):
        request = HttpRequest(url, {}, b"{}", clock.monotonic() + 60, wants_body=False)
        caller.call(request, answers.put)
        received.append(answers.get(timeout=WAIT_SECONDS))
    caller.close()
    return received


def test_the_address_that_is_asked_about_is_the_one_connected_to(receiver: Receiver) -> None:
    asked: list[str] = []

    def allow(address: str) -> bool:
        asked.append(address)
        return True

    answers = call(receiver, receiver.url("/kept", "localhost"), allow, times=2)
    assert [answer.status for answer in answers] == [204, 204]
    assert set(asked) <= {"127.0.0.1", "::1"}
    assert asked.count("127.0.0.1") == 1  # the connection was kept open


def test_what_may_not_be_connected_to_is_not(receiver: Receiver) -> None:
    for host in ("localhost", "127.0.0.1", "2130706433", "0x7f.1"):
        assert call(receiver, receiver.url("/secret", host), lambda _: False) == [FORBIDDEN]
    assert receiver.of("/secret") == []


def test_no_proxy_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert call(receiver, receiver.url("/proxied"), lambda _: True)[0].status == 204


def test_a_server_that_nobody_vouches_for_is_told_nothing(receiver: Receiver) -> None:
    caller = HttpCaller(1, 5.0)
    answers: SimpleQueue[HttpAnswer] = SimpleQueue()
    caller.call(HttpRequest(receiver.url("/tls"), {}, b"{}", clock.monotonic() + 60), answers.put)
    assert answers.get(timeout=WAIT_SECONDS).failure == "unreachable"
    caller.close()
    assert receiver.of("/tls") == []


def test_a_body_that_nobody_wants_is_read_no_further_than_it_fits(receiver: Receiver) -> None:
    receiver.script("/huge", behaviours.HUGE)
    assert call(receiver, receiver.url("/huge"), None) == [HttpAnswer(200, b"")]


def test_half_an_answer_is_none_and_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.script("/half", behaviours.RESET)
    (half,) = call(receiver, receiver.url("/half"), None)
    assert (half.status, half.failure) == (0, "connection_lost")
    receiver.location = receiver.url("/elsewhere")
    receiver.script("/moved", 307)
    assert call(receiver, receiver.url("/moved"), None)[0].status == 307
    receiver.location = ""
    assert receiver.of("/elsewhere") == []


class HangsUp:
    """A server that answers the first request of each connection and then closes it, without a word."""

    def __init__(self) -> None:
        self.requests = 0
        self.hung_up: SimpleQueue[None] = SimpleQueue()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._server.accept()
            with connection:
                if connection.recv(65536):
                    self.requests += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            self.hung_up.put(None)


def test_nothing_is_written_to_a_connection_that_was_closed() -> None:
    server = HangsUp()
    caller = HttpCaller(4, 5.0)
    answers: SimpleQueue[HttpAnswer] = SimpleQueue()
    for _ in range(8):
        caller.call(HttpRequest(server.url, {}, b"{}", clock.monotonic() + 60), answers.put)
        assert answers.get(timeout=WAIT_SECONDS).status == 200
        server.hung_up.get(timeout=WAIT_SECONDS)
    caller.close()
    assert server.requests == 8
