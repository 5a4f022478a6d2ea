"""What stands around a call keeps its order (design.md §2.8): errors, context, telemetry, authz, deadline."""

import contextlib
from collections.abc import Callable

import pytest
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common import current
from notify_common.errors import NotifyError
from notify_testing.requests import GET_USER
from notify_testing.rpc import InProcessServer

Serve = Callable[..., InProcessServer]
LogLines = Callable[[], list[dict[str, object]]]

ALLOWED = {"notify.admin.v1.UsersService": ["gateway-internal"]}
TRIES = 200


def served(log_lines: LogLines) -> list[dict[str, object]]:
    return [line for line in log_lines() if line["event"] == "call served"]


def test_a_refused_caller_is_logged_under_its_own_request(serve_users: Serve, log_lines: LogLines) -> None:
    server = serve_users(allowed_callers=ALLOWED)
    with current.bind(request_id="the-request"), pytest.raises(NotifyError) as caught:
        UsersServiceStub(server.channel("letters")).GetUser(GET_USER)
    server.server.stop(5)
    assert caught.value.reason == "CALLER_NOT_ALLOWED"
    assert [(line["request_id"], line["code"], line["caller"]) for line in served(log_lines)] == [
        ("the-request", "PERMISSION_DENIED", "letters")
    ]


def test_a_stranger_is_refused_as_such_however_little_time_is_left(
    serve_users: Serve, log_lines: LogLines
) -> None:
    server = serve_users(allowed_callers=ALLOWED)
    stub = UsersServiceStub(server.channel("letters"))
    for _ in range(TRIES):  # on a busy machine a call may end before it arrives
        with contextlib.suppress(NotifyError):
            stub.GetUser(GET_USER, timeout=0.09)
        if served(log_lines):
            break
    assert {line["code"] for line in served(log_lines)} == {"PERMISSION_DENIED"}


def test_a_friend_with_too_little_time_is_logged_too(serve_users: Serve, log_lines: LogLines) -> None:
    calls: list[object] = []
    server = serve_users(lambda request, context: calls.append(request), allowed_callers=ALLOWED)
    stub = UsersServiceStub(server.channel())
    for _ in range(TRIES):
        with contextlib.suppress(NotifyError):
            stub.GetUser(GET_USER, timeout=0.09)
        if served(log_lines):
            break
    assert {line["code"] for line in served(log_lines)} == {"DEADLINE_EXCEEDED"}
    assert calls == []
