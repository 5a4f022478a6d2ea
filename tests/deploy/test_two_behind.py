"""Two servers behind the edge, or behind a sidecar, one of which dies under load and comes back."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import requests
from notify.admin.v1 import users_service_pb2
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common.ids import new_id
from notify_common.rpc.channel import Channels
from notify_common.settings import ServiceSettings
from notify_local import edge, envoy, sidecar
from notify_local.backing import ChildProcess, free_ports
from notify_testing.certs import ensure_certificates
from notify_testing.folders import passable_folder
from notify_testing.waiting import WAIT_SECONDS, until

from tests.harness.one_of_two import CALLERS, Two, die_under_load, healthy


@pytest.fixture
def folder() -> Iterator[Path]:
    with passable_folder("notify-two-") as made:  # short enough for sockets
        yield made


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def running(config: Path, exits: ExitStack) -> None:
    """Run Envoy until the test is over."""
    process = ChildProcess("envoy", envoy.command(config), config.with_suffix(".log"), {})
    process.start()
    exits.callback(process.stop)


def test_a_gateway_that_dies_is_left_out_and_comes_back(folder: Path, exits: ExitStack) -> None:
    port, watch, *ports = free_ports(4)
    two = Two("http", ports, folder)
    exits.callback(two.stop)
    running(edge.write_config(folder / "edge.yaml", port, ports, watch_port=watch), exits)
    until(lambda: answers(watch))
    numbers = itertools.count()
    # Nobody outside decides about repeating.
    headers = {"X-Envoy-Retry-On": "5xx,reset", "X-Envoy-Max-Retries": "5"}

    def ask() -> str | None:
        number = next(numbers)
        reads = number % 2 == 0
        url = f"http://127.0.0.1:{port}/v2/notifications/{'read-' if reads else 'sent-'}{number}"
        answer = requests.request("GET" if reads else "POST", url, headers=headers, timeout=WAIT_SECONDS)
        assert answer.ok or (answer.status_code == 503 and not reads)
        return answer.text if answer.ok else None

    # What was sent and under way can't be repeated: nobody knows whether it was taken.
    assert die_under_load(two, ask, lambda: healthy(watch, "gateway")) <= CALLERS
    busy = requests.post(
        f"http://127.0.0.1:{port}/v2/notifications/busy-1", headers=headers, timeout=WAIT_SECONDS
    )
    assert (busy.status_code, two.taken()["busy-1"]) == (503, 1)
    assert [id for id, times in two.taken().items() if times > 1 and id.startswith("sent-")] == []


def answers(watch_port: int) -> bool:
    """Tell whether Envoy is ready."""
    try:
        return requests.get(f"http://127.0.0.1:{watch_port}/ready", timeout=WAIT_SECONDS).ok
    except requests.ConnectionError:
        return False


def test_a_server_that_dies_is_left_out_by_the_sidecar_and_comes_back(folder: Path, exits: ExitStack) -> None:
    watch, *ports = free_ports(3)
    files = ensure_certificates(folder / "certs", ["admin", "gateway-internal"])["gateway-internal"]
    two = Two("grpc", ports, folder)
    exits.callback(two.stop)
    running(sidecar.write_config(folder, files, {"admin": ports}, watch), exits)
    target = f"unix:{sidecar.socket(folder, 'admin')}"
    # Without the service's own repetitions, so that what the sidecar repeats is seen.
    channel = exits.enter_context(grpc.insecure_channel(target, options=(("grpc.enable_retries", 0),)))
    stub = UsersServiceStub(channel)
    callers = set()

    def ask() -> str | None:
        try:
            request = users_service_pb2.GetUserRequest(user_id=new_id())
            user = stub.GetUser(request, timeout=WAIT_SECONDS, wait_for_ready=True).user
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return None
        callers.add(user.email_address)
        return str(user.name)

    until(lambda: answers(watch))
    lost = die_under_load(two, ask, lambda: healthy(watch, "admin"))
    assert lost <= CALLERS
    assert {id: times for id, times in two.taken().items() if times > 1} == {}
    assert callers == {"gateway-internal"}
    settings = ServiceSettings(
        tls_ca_file=files.ca, tls_cert_file=files.cert, tls_key_file=files.key, sidecar=True
    )
    channels = Channels(settings)
    exits.callback(channels.close)
    mine = UsersServiceStub(channels.get("admin", target))
    assert mine.GetUser(users_service_pb2.GetUserRequest(user_id=new_id())).user.name in two.names
