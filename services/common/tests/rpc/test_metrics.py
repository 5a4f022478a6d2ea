"""Rate, errors and duration of every method, served over HTTP (design.md §2.8)."""

import urllib.request
from collections.abc import Callable, Iterator

import pytest
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common.errors import NotifyError
from notify_common.metrics import serve_metrics
from notify_testing.requests import CREATE_USER, GET_USER, any_id
from notify_testing.rpc import InProcessServer
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]


@pytest.fixture
def scrape() -> Iterator[Callable[[], dict[str, float]]]:
    """Return a function that reads all samples as Prometheus does."""
    server = serve_metrics("127.0.0.1:0")

    def samples() -> dict[str, float]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{server.port}/metrics", timeout=WAIT_SECONDS
        ) as answer:
            lines = answer.read().decode().splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")
        }

    yield samples
    server.close()


def sample(name: str, code: str | None = None) -> str:
    labels = 'grpc_method="GetUser",grpc_service="notify.admin.v1.UsersService"'
    return f'{name}{{grpc_code="{code}",{labels}}}' if code else f"{name}{{{labels}}}"


def test_both_ends_count_and_time_each_call_by_its_outcome(
    serve_users: Serve, scrape: Callable[[], dict[str, float]]
) -> None:
    def get_user(request: pb.GetUserRequest, context: object) -> pb.GetUserResponse:
        if request.user_id == any_id("bug"):
            raise RuntimeError
        if request.user_id == any_id("missing"):
            raise NotifyError("USER_NOT_FOUND")
        return pb.GetUserResponse()

    samples = [
        sample(f"grpc_{side}_handled_total", code)
        for side in ("server", "client")
        for code in ("OK", "NOT_FOUND", "INTERNAL")
    ] + [sample("grpc_server_handling_seconds_count"), sample("grpc_client_handling_seconds_count")]
    before = scrape()
    server = serve_users(get_user)
    stub = UsersServiceStub(server.channel())
    for user_id in ("a", "b", "missing", "bug"):
        try:
            stub.GetUser(pb.GetUserRequest(user_id=any_id(user_id)))
        except NotifyError:
            continue
    server.server.stop(5)
    after = scrape()
    assert [after[name] - before.get(name, 0.0) for name in samples] == [2, 1, 1, 2, 1, 1, 4, 4]
    assert after["grpc_server_in_flight"] == after["grpc_client_in_flight"] == 0
    waits = "grpc_server_pool_wait_seconds_count"
    # the pools of other servers in this process count as well
    assert after[waits] - before.get(waits, 0.0) >= 4


def test_of_good_reads_a_sample_is_logged_and_of_everything_else_each(
    serve_users: Serve, log_lines: Callable[[], list[dict[str, object]]]
) -> None:
    def get_user(request: pb.GetUserRequest, context: object) -> pb.GetUserResponse:
        if request.user_id == any_id("missing"):
            raise NotifyError("USER_NOT_FOUND")
        return pb.GetUserResponse()

    def create_user(request: object, context: object) -> pb.CreateUserResponse:
        return pb.CreateUserResponse()

    server = serve_users(get_user, create_user, access_log_sample=10)
    stub = UsersServiceStub(server.channel())
    for _ in range(20):
        stub.GetUser(GET_USER)
    for _ in range(3):
        stub.CreateUser(CREATE_USER)
    for _ in range(2):
        with pytest.raises(NotifyError):
            stub.GetUser(pb.GetUserRequest(user_id=any_id("missing")))
    server.server.stop(5)
    served = [line for line in log_lines() if line["event"] == "call served"]
    assert [(str(line["method"]).rpartition("/")[2], line["code"]) for line in served] == [
        ("GetUser", "OK"),
        ("GetUser", "OK"),
        ("CreateUser", "OK"),
        ("CreateUser", "OK"),
        ("CreateUser", "OK"),
        ("GetUser", "NOT_FOUND"),
        ("GetUser", "NOT_FOUND"),
    ]
    assert served[-1]["reason"] == "USER_NOT_FOUND"
    assert served[-1]["caller"] == "gateway-internal"
