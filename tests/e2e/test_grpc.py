"""What a person with grpcurl meets: the operator is let in, everybody else is not."""

import json
import subprocess
import sysconfig
from pathlib import Path

import grpc
import psycopg2
import pytest
import trustme
from notify.admin.v1 import services_service_pb2, services_service_pb2_grpc
from notify_testing.certs import CertificateFiles, ensure_certificates
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House

SERVICES = {
    "admin": {
        "ServicesService",
        "TemplatesService",
        "ApiKeysService",
        "ApiKeyVerificationService",
        "UsersService",
        "ConfigFeedService",
    },
    "notifications": {"NotificationsService"},
    "letters": {"LettersService", "PrintRunsService"},
    "providers": {"DispatchService", "ReceiptsService", "ProviderSettingsService", "SandboxService"},
}
GRPCURL = str(Path(sysconfig.get_path("scripts")) / "grpcurl")


def grpcurl(
    house: House, context: str, *arguments: str, name: str | None = "operator", data: str = "{}"
) -> tuple[int, str]:
    """Run grpcurl with the certificate of `name` (None: without TLS); return exit status and all output."""
    how = ["-plaintext", "-connect-timeout", "1"]  # it would try again and again
    if name is not None:
        files = house.stack.certificates[name]
        how = ["-cacert", str(files.ca), "-cert", str(files.cert), "-key", str(files.key)]
    done = subprocess.run(
        [GRPCURL, "-max-time", "5", *how, "-d", data, house.stack.first_address(context), *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("context", SERVICES)
def test_reflection_and_health_answer_the_operator(house: House, context: str) -> None:
    status, listed = grpcurl(house, context, "list")
    names = {f"notify.{context}.v1.{name}" for name in SERVICES[context]}
    assert status == 0, listed
    assert names <= set(listed.split())
    for name in names:
        status, described = grpcurl(house, context, "describe", name)
        assert (status, described.startswith(f"{name} is a service:")) == (0, True), described
    for service in ("", *names):
        data = json.dumps({"service": service})
        status, health = grpcurl(house, context, "grpc.health.v1.Health/Check", data=data)
        assert (status, json.loads(health)) == (0, {"status": "SERVING"})


@pytest.mark.parametrize("context", SERVICES)
def test_plaintext_is_refused(house: House, context: str) -> None:
    status, output = grpcurl(house, context, "list", name=None)
    assert status != 0
    assert "notify." not in output


def status_with(house: House, files: CertificateFiles) -> grpc.StatusCode:
    """Return how admin refuses the one with this certificate."""
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.key.read_bytes(), files.cert.read_bytes()
    )
    with grpc.secure_channel(house.stack.first_address("admin"), credentials) as channel:
        stub = services_service_pb2_grpc.ServicesServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListServices(services_service_pb2.ListServicesRequest(), timeout=WAIT_SECONDS)
    code: grpc.StatusCode = raised.value.code()
    return code


def test_a_service_that_is_not_on_the_list_is_refused(house: House) -> None:
    status, output = grpcurl(house, "admin", "list", name="letters")
    assert status != 0
    assert "notify.admin" not in output
    assert status_with(house, house.stack.certificates["letters"]) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("face", "call"),
    [
        ("gateway-public", "ApiKeysService/CreateApiKey"),
        ("gateway-public", "UsersService/GetUser"),
        ("gateway-public", "UsersService/ListUsers"),
        ("gateway-public", "SignInService/SetPassword"),
        ("gateway-internal", "ApiKeyVerificationService/ListVerificationKeys"),
    ],
)
def test_neither_face_of_the_gateway_has_what_is_the_other_s(house: House, face: str, call: str) -> None:
    status, output = grpcurl(house, "admin", f"notify.admin.v1.{call}", name=face, data="{}")
    assert status != 0
    assert "PermissionDenied" in output, output


def test_an_unknown_name_of_the_right_authority_is_refused(house: House) -> None:
    certificate = ensure_certificates(house.stack.folder / "certs", ["stranger"])["stranger"]
    assert status_with(house, certificate) == grpc.StatusCode.PERMISSION_DENIED


def test_a_certificate_of_another_authority_is_refused(house: House) -> None:
    stranger = trustme.CA().issue_cert("operator")
    credentials = grpc.ssl_channel_credentials(
        house.stack.certificates["operator"].ca.read_bytes(),
        stranger.private_key_pem.bytes(),
        stranger.cert_chain_pems[0].bytes(),
    )
    with grpc.secure_channel(house.stack.first_address("admin"), credentials) as channel:
        stub = services_service_pb2_grpc.ServicesServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListServices(services_service_pb2.ListServicesRequest(), timeout=WAIT_SECONDS)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def test_malformed_requests_are_told_every_violation(house: House) -> None:
    data = '{"caller": {"serviceId": "nobody"}, "requestId": "1"}'
    status, output = grpcurl(
        house, "notifications", "notify.notifications.v1.NotificationsService/SendSms", data=data
    )
    assert status != 0
    assert "InvalidArgument" in output
    for field in ("request_id", "caller.service_id", "caller.key_type", "template_id"):
        assert field in output, output


def test_no_role_reaches_another_context_s_database(house: House) -> None:
    for context, url in house.stack.app_urls.items():
        for other in house.stack.app_urls:
            if other == context:
                continue
            with pytest.raises(psycopg2.OperationalError, match="permission denied"):
                psycopg2.connect(url.replace(f"/notify_{context}?", f"/notify_{other}?"))
