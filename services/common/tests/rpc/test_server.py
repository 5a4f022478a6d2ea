"""A server's life: health, reflection, telling it to stop (design.md §2.8, §4.3)."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common.boot import BootError
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_common.rpc.channel import Channels
from notify_common.rpc.health import LIVENESS
from notify_common.rpc.server import OpsServer
from notify_testing.requests import GET_USER, any_id
from notify_testing.rpc import InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS, until

Serve = Callable[..., InProcessServer]

USERS = "notify.admin.v1.UsersService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class TestHealth:
    def test_follows_the_checks(self, serve_users: Serve) -> None:
        healthy = True
        server = serve_users(checks={"database": lambda: healthy}, check_interval=0.1)
        stub: Any = HealthStub(server.channel("operator", server.ops_target))

        def status(service: str = "") -> Any:
            return stub.Check(health_pb2.HealthCheckRequest(service=service)).status

        until(lambda: bool(status() == status(USERS) == SERVING))
        healthy = False
        until(lambda: bool(status() == status(USERS) == NOT_SERVING))
        healthy = True
        until(lambda: bool(status() == SERVING))

    def test_a_check_that_raises_has_failed_and_its_text_is_not_logged(
        self, serve_users: Serve, log_lines: Callable[[], list[dict[str, Any]]]
    ) -> None:
        def check() -> bool:
            raise OSError("no route to postgres://u:hunter2@db")

        server = serve_users(checks={"database": check})
        stub: Any = HealthStub(server.channel("operator", server.ops_target))
        assert stub.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
        assert "hunter2" not in repr(log_lines())
        assert ["database"] in [line.get("check") for line in log_lines()]

    def test_a_check_that_hangs_turns_it_red(self, serve_users: Serve) -> None:
        hang, release = threading.Event(), threading.Event()

        def check() -> bool:
            if hang.is_set():
                release.wait(WAIT_SECONDS)
            return True

        server = serve_users(checks={"database": check}, check_interval=0.05)
        stub: Any = HealthStub(server.channel("operator", server.ops_target))
        until(lambda: bool(stub.Check(health_pb2.HealthCheckRequest()).status == SERVING))
        hang.set()
        until(lambda: bool(stub.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING))
        release.set()

    def test_answers_while_every_thread_of_the_service_is_busy(self, serve_users: Serve) -> None:
        entered, release = threading.Event(), threading.Event()

        def get_user(request: object, context: object) -> pb.GetUserResponse:
            entered.set()
            release.wait(WAIT_SECONDS)
            return pb.GetUserResponse()

        server = serve_users(get_user, grpc_threads=1, grpc_max_concurrent=1)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(UsersServiceStub(server.channel()).GetUser, GET_USER)
            assert entered.wait(WAIT_SECONDS)
            stub: Any = HealthStub(server.channel("operator", server.ops_target))
            assert stub.Check(health_pb2.HealthCheckRequest()).status == SERVING
            release.set()
            held.result()

    def test_knows_only_its_own_services(self, serve_users: Serve) -> None:
        server = serve_users()
        stub: Any = HealthStub(server.channel("operator", server.ops_target))
        with pytest.raises(NotifyError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="notify.letters.v1.LettersService"))
        assert caught.value.code is Code.NOT_FOUND

    def test_has_no_watch(self, serve_users: Serve) -> None:
        server = serve_users()
        stub: Any = HealthStub(server.channel("operator", server.ops_target))
        with pytest.raises(NotifyError) as caught:
            next(stub.Watch(health_pb2.HealthCheckRequest()))
        assert caught.value.reason == "UNIMPLEMENTED"

    def test_of_a_worker_has_a_server_of_its_own(self, tmp_path: Path) -> None:
        server = OpsServer("notifications", tls_settings("notifications"), {"queue": lambda: True})
        port = server.start()
        channels = Channels(tls_settings("operator"))
        stub: Any = HealthStub(channels.get("notifications", f"127.0.0.1:{port}"))
        assert stub.Check(health_pb2.HealthCheckRequest()).status == SERVING
        channels.close()
        server.stop()

    def test_in_plain_text_has_health_and_nothing_else(self, tmp_path: Path) -> None:
        plain = f"unix:{tmp_path}/health"
        settings = tls_settings("notifications", health_listen=plain, reflection_enabled=True)
        server = OpsServer("notifications", settings, {"queue": lambda: True})
        server.start()
        with grpc.insecure_channel(plain) as channel:
            health: Any = HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest()).status == SERVING
            reflection: Any = ServerReflectionStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                list(reflection.ServerReflectionInfo(iter([ServerReflectionRequest(list_services="")])))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        server.stop()

    def test_a_process_that_is_not_ready_lives(self, serve_users: Serve) -> None:
        server = serve_users(checks={"database": lambda: False})
        stub: Any = HealthStub(server.channel("operator", server.ops_target))
        assert stub.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING
        assert stub.Check(health_pb2.HealthCheckRequest(service=LIVENESS)).status == SERVING


@pytest.fixture
def grpcurl() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    program = Path(sys.executable).with_name("grpcurl")
    if not program.exists():
        pytest.skip("no grpcurl beside this Python")

    def run(port: int, *arguments: str, caller: str = "operator", data: str = "") -> Any:
        files = tls_settings(caller)
        options = ["-cacert", str(files.tls_ca_file), "-cert", str(files.tls_cert_file)]
        options += ["-key", str(files.tls_key_file), *(["-d", data] if data else [])]
        return subprocess.run(
            [program, *options, f"localhost:{port}", *arguments],
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    return run


Grpcurl = Callable[..., "subprocess.CompletedProcess[str]"]


class TestGrpcurl:
    def test_lists_describes_and_calls_at_one_address(self, serve_users: Serve, grpcurl: Grpcurl) -> None:
        server = serve_users(reflection_enabled=True, grpc_listen="127.0.0.1:0")
        port = server.bound.grpc
        listed = grpcurl(port, "list")
        assert USERS in listed.stdout.split()
        assert "GetUserRequest" in grpcurl(port, "describe", USERS).stdout
        called = grpcurl(port, f"{USERS}/GetUser", data='{"user_id": "7c4c62fa-cc97-5ef8-89ee-c100c6ca6327"}')
        assert json.loads(called.stdout) == {}
        healthy = grpcurl(port, "grpc.health.v1.Health/Check")
        assert json.loads(healthy.stdout) == {"status": "SERVING"}

    def test_works_at_the_ops_address_for_health(self, serve_users: Serve, grpcurl: Grpcurl) -> None:
        server = serve_users(reflection_enabled=True, ops_listen="127.0.0.1:0")
        assert USERS in grpcurl(server.bound.ops, "list").stdout.split()
        healthy = grpcurl(server.bound.ops, "grpc.health.v1.Health/Check", data=f'{{"service": "{USERS}"}}')
        assert json.loads(healthy.stdout) == {"status": "SERVING"}

    def test_answers_an_observer(self, serve_users: Serve, grpcurl: Grpcurl) -> None:
        server = serve_users(reflection_enabled=True, grpc_listen="127.0.0.1:0")
        assert USERS in grpcurl(server.bound.grpc, "list", caller="observer").stdout.split()

    def test_is_for_no_service(self, serve_users: Serve, grpcurl: Grpcurl) -> None:
        server = serve_users(reflection_enabled=True, grpc_listen="127.0.0.1:0")
        refused = grpcurl(server.bound.grpc, "list", caller="gateway-internal")
        assert refused.returncode != 0
        assert "may not call" in refused.stderr
        assert USERS not in refused.stdout

    def test_finds_nothing_while_reflection_is_off(self, serve_users: Serve, grpcurl: Grpcurl) -> None:
        server = serve_users(grpc_listen="127.0.0.1:0")
        refused = grpcurl(server.bound.grpc, "list")
        assert refused.returncode != 0
        assert "does not support the reflection API" in refused.stderr


def test_a_taken_port_is_one_clear_sentence(serve_users: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BootError, match=f"{address} can't be listened on.*grpc_listen"):
            serve_users(grpc_listen=address)
        with pytest.raises(BootError, match=f"{address} can't be listened on.*ops_listen"):
            serve_users(ops_listen=address)


PROGRAM = """
import sys, threading, time
from notify.admin.v1 import users_service_pb2 as pb, users_service_pb2_grpc as stubs
from notify_common import signals
from notify_common.rpc.server import Registration, Server
from notify_common.settings import ServiceSettings
from notify_testing.requests import any_id

class Users(stubs.UsersServiceServicer):
    def GetUser(self, request, context):
        if request.user_id == any_id("slow"):
            print("slow call entered", flush=True)
            sys.stdin.readline()
        return pb.GetUserResponse()

stop = signals.install()
settings = ServiceSettings(allowed_callers={"notify.admin.v1.UsersService": ["gateway-internal"]})
server = Server(
    "admin", settings,
    [Registration(stubs.add_UsersServiceServicer_to_server, Users(), "notify.admin.v1.UsersService")], {},
)
server.start()
print("ready", flush=True)
server.run_until(stop)
print("ended", flush=True)
"""


class TestBeingToldToStop:
    @pytest.fixture
    def process(self, tmp_path: Path) -> "Iterator[subprocess.Popen[str]]":
        files = tls_settings("admin")
        environment = os.environ | {
            "TLS_CA_FILE": str(files.tls_ca_file),
            "TLS_CERT_FILE": str(files.tls_cert_file),
            "TLS_KEY_FILE": str(files.tls_key_file),
            "GRPC_LISTEN": f"unix:{tmp_path}/grpc",
            "OPS_LISTEN": f"unix:{tmp_path}/ops",
            "DRAIN_SECONDS": "1",
        }
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert child.stdout is not None
        self.read_until(child, "ready")
        yield child
        child.kill()
        child.wait()

    @staticmethod
    def read_until(child: "subprocess.Popen[str]", word: str) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == word:
                return
        raise AssertionError(f"the process ended before it said {word}")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_says_so_serves_on_lets_calls_end_and_leaves(
        self, process: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
    ) -> None:
        channels = Channels(tls_settings("gateway-internal"))
        users = UsersServiceStub(channels.get("admin", f"unix:{tmp_path}/grpc"))
        health: Any = HealthStub(channels.get("admin", f"unix:{tmp_path}/ops"))
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(users.GetUser, pb.GetUserRequest(user_id=any_id("slow")))
            self.read_until(process, "slow call entered")
            process.send_signal(number)
            until(lambda: bool(health.Check(health_pb2.HealthCheckRequest()).status == NOT_SERVING))
            # It has left the balancer's list, but whoever did not notice yet is still served.
            users.GetUser(pb.GetUserRequest(user_id=any_id("late")))
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert held.result(timeout=WAIT_SECONDS) == pb.GetUserResponse()
        self.read_until(process, "ended")
        assert process.wait(WAIT_SECONDS) == 0
        with pytest.raises(NotifyError) as caught:
            users.GetUser(GET_USER)
        assert caught.value.reason == "UNAVAILABLE"
        channels.close()

    def test_a_client_finds_a_restarted_server_again(self, tmp_path: Path, serve_users: Serve) -> None:
        listen = f"unix:{tmp_path}/grpc"
        channels = Channels(tls_settings("gateway-internal"))
        stub = UsersServiceStub(channels.get("admin", listen))
        first = serve_users(grpc_listen=listen)
        stub.GetUser(GET_USER)
        first.server.stop()
        with pytest.raises(NotifyError):
            stub.GetUser(GET_USER)
        serve_users(grpc_listen=listen)

        def reached() -> bool:
            try:
                stub.GetUser(GET_USER)
            except NotifyError:
                return False
            return True

        until(reached)
        channels.close()
