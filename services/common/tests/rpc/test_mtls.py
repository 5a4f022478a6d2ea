"""Who gets in: certificates of the authority whose name is on the allow-list (design.md D12)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub, add_UsersServiceServicer_to_server
from notify_common.boot import BootError
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_common.rpc.channel import Channels
from notify_common.rpc.server import Registration, Server
from notify_common.rpc.tls import channel_credentials
from notify_common.settings import ServiceSettings
from notify_testing.certs import ensure_certificates
from notify_testing.requests import GET_USER
from notify_testing.rpc import InProcessServer, tls_settings
from prometheus_client import REGISTRY

Serve = Callable[..., InProcessServer]
USERS = "notify.admin.v1.UsersService"


@pytest.fixture
def calls() -> list[object]:
    """Provide the requests that reached the method."""
    return []


@pytest.fixture
def server(serve_users: Serve, calls: list[object]) -> InProcessServer:
    def get_user(request: pb.GetUserRequest, context: object) -> pb.GetUserResponse:
        calls.append(request)
        return pb.GetUserResponse()

    return serve_users(get_user, allowed_callers={USERS: ["gateway-internal"]}, grpc_listen="127.0.0.1:0")


@pytest.fixture
def target(server: InProcessServer) -> str:
    assert server.bound.grpc is not None
    return f"dns:///127.0.0.1:{server.bound.grpc}"


def call(channel: grpc.Channel) -> grpc.StatusCode:
    """Call without our client side and return the code."""
    with channel:
        try:
            UsersServiceStub(channel).GetUser(GET_USER, timeout=3)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def secure(target: str, **credentials: bytes) -> grpc.Channel:
    return grpc.secure_channel(
        target,
        grpc.ssl_channel_credentials(**credentials),
        options=[("grpc.ssl_target_name_override", "admin")],
    )


def test_a_name_on_the_allow_list_gets_in(server: InProcessServer, target: str, calls: list[object]) -> None:
    UsersServiceStub(server.channel("gateway-internal", target)).GetUser(GET_USER)
    assert len(calls) == 1


def test_plaintext_is_refused(target: str, calls: list[object]) -> None:
    assert call(grpc.insecure_channel(target)) is grpc.StatusCode.UNAVAILABLE
    assert calls == []


def test_no_certificate_is_refused(target: str, calls: list[object]) -> None:
    authority = tls_settings("gateway-internal").tls_ca_file.read_bytes()
    assert call(secure(target, root_certificates=authority)) is grpc.StatusCode.UNAVAILABLE
    assert calls == []


def test_a_certificate_of_another_authority_is_refused(
    target: str, calls: list[object], tmp_path: Path
) -> None:
    rogue = ensure_certificates(tmp_path, ["gateway-internal"])["gateway-internal"]
    channel = secure(
        target,
        root_certificates=tls_settings("gateway-internal").tls_ca_file.read_bytes(),
        private_key=rogue.key.read_bytes(),
        certificate_chain=rogue.cert.read_bytes(),
    )
    assert call(channel) is grpc.StatusCode.UNAVAILABLE
    assert calls == []


def test_the_right_authority_with_another_name_is_refused(
    server: InProcessServer, target: str, calls: list[object]
) -> None:
    with pytest.raises(NotifyError) as caught:
        UsersServiceStub(server.channel("letters", target)).GetUser(GET_USER)
    assert caught.value.reason == "CALLER_NOT_ALLOWED"
    assert caught.value.code is Code.PERMISSION_DENIED
    assert calls == []


def test_a_common_name_is_no_name(server: InProcessServer, target: str, calls: list[object]) -> None:
    files = tls_settings("letters")
    authority = trustme.CA.from_pem(
        files.tls_ca_file.read_bytes(), (files.tls_ca_file.parent / "ca.key").read_bytes()
    )
    leaf = authority.issue_cert("letters", common_name="gateway-internal")
    channel = secure(
        target,
        root_certificates=files.tls_ca_file.read_bytes(),
        private_key=leaf.private_key_pem.bytes(),
        certificate_chain=leaf.cert_chain_pems[0].bytes(),
    )
    assert call(channel) is grpc.StatusCode.PERMISSION_DENIED
    assert calls == []


def test_a_service_without_a_list_is_closed_to_everyone(serve_users: Serve) -> None:
    server = serve_users(allowed_callers={})
    for caller in ("gateway-internal", "operator"):
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(server.channel(caller)).GetUser(GET_USER)
        assert caught.value.reason == "CALLER_NOT_ALLOWED"


def test_a_client_refuses_a_server_with_another_name(server: InProcessServer, target: str) -> None:
    channels = Channels(tls_settings("gateway-internal"))
    with pytest.raises(NotifyError) as caught:
        # Whoever listens there shows the certificate of admin, and letters was called.
        channels.get("letters", target).unary_unary("/grpc.health.v1.Health/Check")(b"")
    channels.close()
    assert caught.value.reason == "UNAVAILABLE"


def test_health_answers_any_certificate_of_the_authority(server: InProcessServer, target: str) -> None:
    stub: Any = HealthStub(server.channel("letters", target))
    assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


def test_an_allow_list_with_a_service_that_nobody_serves_refuses_to_boot() -> None:
    settings = tls_settings("admin", allowed_callers={"notify.admin.v1.UserService": ["gateway-internal"]})
    registration = Registration(add_UsersServiceServicer_to_server, object(), USERS)
    with pytest.raises(BootError, match=r"notify\.admin\.v1\.UserService"):
        Server("admin", settings, [registration], {})


def test_a_renewed_certificate_is_taken_without_a_restart(
    serve_users: Serve, tmp_path: Path, calls: list[object]
) -> None:
    first = ensure_certificates(tmp_path / "first", ["admin", "gateway-internal"])
    second = ensure_certificates(tmp_path / "second", ["admin", "gateway-internal"])
    live = tmp_path / "live"
    live.mkdir()

    def install(files: Any) -> None:
        for name, path in (("ca", files.ca), ("cert", files.cert), ("key", files.key)):
            (live / f"{name}.new").write_bytes(path.read_bytes())
            (live / f"{name}.new").replace(live / name)

    def reached(files: Any) -> bool:
        settings = ServiceSettings(tls_ca_file=files.ca, tls_cert_file=files.cert, tls_key_file=files.key)
        channels = Channels(settings)
        try:
            UsersServiceStub(channels.get("admin", renewed.target)).GetUser(GET_USER)
        except NotifyError:
            return False
        finally:
            channels.close()
        return True

    install(first["admin"])
    renewed = serve_users(tls_ca_file=live / "ca", tls_cert_file=live / "cert", tls_key_file=live / "key")
    assert reached(first["gateway-internal"])
    assert not reached(second["gateway-internal"])
    install(second["admin"])
    assert reached(second["gateway-internal"])
    assert not reached(first["gateway-internal"])


def test_a_client_s_renewed_certificate_is_taken_without_a_restart(
    serve_users: Serve, tmp_path: Path, calls: list[object]
) -> None:
    server = serve_users(allowed_callers={USERS: ["gateway-internal"]})
    live = tmp_path / "live"
    live.mkdir()

    def install(name: str, *kinds: str) -> None:
        for kind in kinds:
            (live / f"{kind}.new").write_bytes(getattr(tls_settings(name), f"tls_{kind}_file").read_bytes())
            (live / f"{kind}.new").replace(live / kind)

    def outcome() -> str:
        try:
            stub.GetUser(GET_USER)
        except NotifyError as error:
            return error.reason
        return "OK"

    install("letters", "ca", "cert", "key")
    settings = ServiceSettings(
        tls_ca_file=live / "ca", tls_cert_file=live / "cert", tls_key_file=live / "key"
    )
    channels = Channels(settings, look_seconds=0)
    stub = UsersServiceStub(channels.get("admin", server.target))
    assert [outcome(), outcome()] == ["CALLER_NOT_ALLOWED"] * 2
    install("gateway-internal", "cert")
    assert outcome() == "CALLER_NOT_ALLOWED"
    install("gateway-internal", "key")  # until now certificate and key did not fit one another
    assert [outcome(), outcome()] == ["CALLER_NOT_ALLOWED", "OK"]
    (live / "key").unlink()
    assert outcome() == "OK"
    channels.close()


def test_certificates_are_kept_and_keys_are_private(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, ["admin"])["admin"]
    before = files.cert.read_bytes()
    again = ensure_certificates(tmp_path, ["admin", "letters"])
    assert again["admin"].cert.read_bytes() == before
    assert again["letters"].cert.exists()
    for key in (files.key, tmp_path / "ca.key"):
        assert key.stat().st_mode & 0o077 == 0


def test_a_process_tells_when_its_certificate_ends(tmp_path: Path) -> None:
    def told() -> float | None:
        return REGISTRY.get_sample_value("notify_certificate_expiry_timestamp_seconds", {"name": "brief"})

    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(str(files["ca"]))

    def issue(ends: datetime) -> None:
        leaf = authority.issue_cert("brief", not_after=ends)
        leaf.private_key_pem.write_to_path(str(files["key"]))
        leaf.cert_chain_pems[0].write_to_path(str(files["cert"]))

    ends = datetime(2040, 1, 1, tzinfo=UTC)
    issue(ends)
    settings = ServiceSettings(
        tls_ca_file=files["ca"], tls_cert_file=files["cert"], tls_key_file=files["key"]
    )
    channel_credentials(settings)
    assert told() == ends.timestamp()
    issue(ends + timedelta(days=90))
    channel_credentials(settings)
    assert told() == (ends + timedelta(days=90)).timestamp()
