"""Every call has a deadline, none longer than its caller's (design.md §2.7)."""

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.rpc import service_config
from notify_common.rpc.interceptors.base import Method
from notify_common.rpc.interceptors.deadline import DeadlineInterceptor
from notify_common.rpc.options import channel_options
from notify_common.rpc.tls import channel_credentials
from notify_testing.requests import GET_USER
from notify_testing.rpc import InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]


class Told:
    """A method that keeps what it was told of its time."""

    def __init__(self) -> None:
        self.left: list[float | None] = []
        self.on_the_wire: list[float] = []

    def __call__(self, request: object, servicer_context: grpc.ServicerContext) -> pb.GetUserResponse:
        self.left.append(current.time_left())
        self.on_the_wire.append(servicer_context.time_remaining() or 0.0)
        return pb.GetUserResponse()


def test_a_server_takes_off_the_way_back(serve_users: Serve) -> None:
    told = Told()
    UsersServiceStub(serve_users(told).channel()).GetUser(GET_USER, timeout=1.5)
    [left], [remaining] = told.left, told.on_the_wire
    assert left is not None
    # `remaining` was read later than `left` was computed, so the difference is at most the 20 ms.
    assert remaining - 0.0201 <= left < 1.48


def test_a_call_without_a_deadline_gets_the_method_s_own(serve_users: Serve) -> None:
    told = Told()
    server = serve_users(told)
    credentials = channel_credentials(tls_settings("gateway-internal"))
    with grpc.secure_channel(server.target, credentials, options=channel_options("admin")) as channel:
        UsersServiceStub(channel).GetUser(GET_USER)
    [left], [remaining] = told.left, told.on_the_wire
    assert remaining > 1e18  # what gRPC says for "none"
    assert left is not None
    assert 0 < left < service_config.timeout("/notify.admin.v1.UsersService/GetUser")


@pytest.mark.parametrize("left", [0.0999, 0.0, -1.0])
def test_a_call_with_too_little_time_left_is_refused(left: float) -> None:
    with pytest.raises(NotifyError) as caught:
        enter_with(left)
    assert caught.value.reason == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("left", [None, 9.2e18])
def test_no_deadline_is_never_taken_for_a_long_one(left: float | None) -> None:
    enter_with(left)
    limit = current.time_left()
    assert limit is not None
    assert limit < 2.0


def enter_with(left: float | None) -> None:
    class Caller:
        def time_remaining(self) -> float | None:
            return left

    method = Method("/notify.admin.v1.UsersService/GetUser", "notify.admin.v1.UsersService", "GetUser")
    caller: Any = Caller()
    with current.bind():
        try:
            DeadlineInterceptor().around(method)(caller)
        finally:
            deadline = current.deadline.get()
    current.deadline.set(deadline)


@pytest.fixture(autouse=True)
def no_deadline() -> Any:
    """Leave no deadline behind for the next test on this thread."""
    yield
    current.deadline.set(None)


def test_a_call_gets_the_timeout_of_its_method(serve_users: Serve) -> None:
    told = Told()
    UsersServiceStub(serve_users(told).channel()).GetUser(GET_USER)
    own = service_config.timeout("/notify.admin.v1.UsersService/GetUser")
    assert own / 2 < told.on_the_wire[0] < own + 0.1


def test_a_call_gets_what_is_left_to_its_caller(serve_users: Serve) -> None:
    told = Told()
    stub = UsersServiceStub(serve_users(told).channel())
    stub.GetUser(GET_USER)  # connects, so that the short budget below is for the call alone
    with current.bind(timeout=0.7):
        stub.GetUser(GET_USER)
    assert 0.1 < told.on_the_wire[1] < 0.75


def test_a_call_may_be_made_shorter_but_never_longer(serve_users: Serve) -> None:
    told = Told()
    stub = UsersServiceStub(serve_users(told).channel())
    stub.GetUser(GET_USER, timeout=600)
    stub.GetUser(GET_USER, timeout=0.9)
    assert told.on_the_wire[0] < 2.1
    assert told.on_the_wire[1] < 0.95


def test_a_caller_whose_time_is_up_calls_nobody(serve_users: Serve) -> None:
    told = Told()
    stub = UsersServiceStub(serve_users(told).channel())
    with pytest.raises(NotifyError) as caught, current.bind(timeout=0):
        stub.GetUser(GET_USER)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert told.left == []


def test_a_call_is_not_ended_before_its_time(serve_users: Serve) -> None:
    ended = threading.Event()

    def never(request: object, servicer_context: grpc.ServicerContext) -> pb.GetUserResponse:
        ended.wait(WAIT_SECONDS)
        return pb.GetUserResponse()

    stub = UsersServiceStub(serve_users(never).channel())
    started = clock.monotonic()
    with pytest.raises(NotifyError) as caught:
        stub.GetUser(GET_USER)
    spent = clock.monotonic() - started
    ended.set()
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    assert spent > 1.9


def test_a_method_without_a_line_in_a_service_config_can_not_be_called(serve_users: Serve) -> None:
    channel = serve_users().channel()
    with pytest.raises(LookupError, match="Nonsense"):
        channel.unary_unary("/notify.admin.v1.UsersService/Nonsense")
    with pytest.raises(LookupError, match="elsewhere"):
        channel.unary_unary("/elsewhere.Service/Method")
