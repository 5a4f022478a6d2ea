"""Router, headers, status, metrics, receipts, error table and settings."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from notify.providers.v1 import receipts_service_pb2
from notify_common.errors import NotifyError
from notify_gateway.app import create_app
from notify_gateway.settings import Face, GatewaySettings
from notify_local import envoy
from notify_local.edge import DOCUMENT_PATHS, INTERNAL_PATHS
from notify_testing.folders import passable_folder
from pydantic import SecretStr, ValidationError

from .conftest import Tenant
from .described import DescribedClient
from .neighbours import Neighbours

NOT_FOUND = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
SOME_ID = "f33517ff-2a88-4f6e-b855-c550268ce08a"
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Type,Authorization",
    "Access-Control-Allow-Methods": "GET,PUT,POST,DELETE",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "Cache-Control": "no-store, no-cache, private, must-revalidate",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/notifications/"),
        ("GET", "/v2/nothing"),
        ("POST", "/v2/messages"),
        ("GET", "/v2//notifications"),
        ("GET", "/service/x"),
        ("GET", "/static/x.css"),
    ],
)
def test_unknown_paths(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.get_json()) == (404, {"result": "error", "message": NOT_FOUND})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v2/notifications", {"GET", "HEAD", "OPTIONS"}),
        ("POST", f"/v2/template/{SOME_ID}", {"GET", "HEAD", "OPTIONS"}),
        ("GET", f"/v2/template/{SOME_ID}/preview", {"POST", "OPTIONS"}),
        ("POST", f"/v2/notifications/{SOME_ID}/pdf", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_wrong_methods(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    response = client.open(path, method=method)
    message = "The method is not allowed for the requested URL."
    assert (response.status_code, response.get_json()) == (405, {"result": "error", "message": message})
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_headers_of_every_answer(client: FlaskClient, tenant: Tenant) -> None:
    answers = [
        client.get("/_status"),
        client.get("/nothing"),
        client.put("/v2/notifications"),
        client.get("/v2/notifications"),
        client.get(f"/v2/notifications/{uuid4()}", headers=tenant.headers()),
        client.get("/v2/templates", headers=tenant.headers()),
        client.options("/v2/templates", headers=tenant.headers()),
    ]
    for response in answers:
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        assert re.fullmatch("[0-9a-f]{32}", response.headers["X-B3-TraceId"])
        assert re.fullmatch("self-[0-9a-f]{16}", response.headers["X-B3-SpanId"])
        assert response.mimetype in ("application/json", "text/html")


def test_trace_headers_are_echoed(client: FlaskClient) -> None:
    asked = {"X-Amz-Cf-Id": "cf", "X-Amzn-Trace-Id": "amzn", "X-B3-SpanId": "span"}
    assert client.get("/_status", headers=asked).headers["X-B3-TraceId"] == "cf"
    assert client.get("/_status", headers=asked).headers["X-B3-SpanId"] == "span"
    response = client.get("/_status", headers=asked | {"X-B3-TraceId": "mine"})
    assert response.headers["X-B3-TraceId"] == "mine"
    del asked["X-Amz-Cf-Id"]
    assert client.get("/_status", headers=asked).headers["X-B3-TraceId"] == "amzn"


def test_head(client: FlaskClient, tenant: Tenant) -> None:
    response = client.head("/v2/templates", headers=tenant.headers())
    assert (response.status_code, response.data) == (200, b"")
    assert client.head(f"/v2/notifications/{uuid4()}", headers=tenant.headers()).status_code == 404


def test_status(client: FlaskClient) -> None:
    for response in (client.get("/_status"), client.post("/_status")):
        assert response.get_json()["status"] == "ok"
        assert set(response.get_json()) == {
            "status",
            "git_commit",
            "build_time",
            "db_version",
            "db_bulk_version",
        }
    for response in (client.get("/_status?simple=1"), client.post("/_status?simple=1")):
        assert response.get_json() == {"status": "ok"}


def test_a_gateway_whose_sidecar_is_away_says_so(settings: GatewaySettings) -> None:
    with passable_folder("notify-sidecar-") as folder:
        where = str(folder / "admin.sock")
        names = ("admin_target", "notifications_target", "letters_target", "providers_target")
        app = create_app(
            settings.model_copy(update={"sidecar": True, **dict.fromkeys(names, f"unix:{where}")})
        )
        app.test_client_class = DescribedClient
        client = app.test_client()

        def said() -> tuple[int, str]:
            answer = client.get("/_status?simple=1")
            return answer.status_code, answer.get_json()["status"]

        try:
            assert said() == (503, "unavailable")
            with socket.socket(socket.AF_UNIX) as sidecar:
                sidecar.bind(where)
                sidecar.listen()
                assert said() == (503, "unavailable")  # channels that gave up a while ago still wait
                os.utime(where, (time.time() - 60,) * 2)
                assert said() == (200, "ok")
            assert said() == (503, "unavailable")
        finally:
            app.extensions["close"]()


def test_how_many_are_live_is_told_to_everybody(internal_client: FlaskClient) -> None:
    response = internal_client.get("/_status/live-service-and-organisation-counts")
    assert response.status_code == 200
    assert response.get_json().keys() == {"organisations", "services"}
    assert internal_client.get("/events").status_code == 405


def test_metrics(client: FlaskClient) -> None:
    client.get("/_status")
    response = client.get("/metrics")
    assert response.mimetype == "text/plain"
    assert 'http_requests_total{method="GET",route="/_status",status="200"}' in response.get_data(
        as_text=True
    )


@pytest.fixture
def guarded(settings: GatewaySettings) -> Iterator[FlaskClient]:
    app = create_app(settings.model_copy(update={"metrics_token": SecretStr("sesame")}))
    yield app.test_client()
    app.extensions["close"]()


def test_metrics_behind_a_token(guarded: FlaskClient) -> None:
    response = guarded.get("/metrics")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert response.get_json()["message"] == "Unauthorized: authentication token must be provided"
    response = guarded.get("/metrics", headers={"Authorization": "Bearer é"})
    assert response.status_code == 403
    assert response.get_json()["message"] == "Forbidden: invalid authentication token provided"
    assert guarded.get("/metrics", headers={"Authorization": "Bearer sesame"}).status_code == 200


def test_urls_follow_the_host_and_trusted_proxies(
    settings: GatewaySettings, tenant: Tenant, client: FlaskClient
) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    response = client.get("/v2/notifications", headers=tenant.headers() | forwarded | {"Host": "api.example"})
    assert response.get_json()["links"]["current"] == "http://api.example/v2/notifications"
    behind = create_app(settings.model_copy(update={"trusted_proxy_count": 1}))
    forwarded["X-Forwarded-Host"] = "api.example"
    response = behind.test_client().get("/v2/notifications", headers=tenant.headers() | forwarded)
    assert response.get_json()["links"]["current"] == "https://api.example/v2/notifications"
    behind.extensions["close"]()


RECEIPT = {"CID": str(uuid4()), "status": "3", "substatus": "5"}


def test_receipts_are_passed_on_untouched(client: FlaskClient, neighbours: Neighbours) -> None:
    body = b'{ "CID": "x", "status": 0, "MSISDN": "447700900855" \xff'
    response = client.post(
        "/notifications/sms/mmg?token=a%20b",
        data=body,
        content_type="text/plain",
        headers={
            "Authorization": "Basic eDp5",
            "X-Any-Signature": "s",
            "Cookie": "c",
            "X-Forwarded-For": "192.0.2.1",
        },
    )
    assert (response.status_code, response.data) == (200, b'{"result":"success"}')
    [asked] = neighbours.recorder.requests("RecordReceipt")
    assert (asked.provider, asked.body, asked.content_type) == ("mmg", body, "text/plain")
    assert dict(asked.headers) == {"authorization": "Basic eDp5", "x-any-signature": "s"}
    assert (asked.query, asked.client_address) == ("token=a%20b", "127.0.0.1")


def test_the_answer_to_a_receipt_is_the_providers_service_s(
    client: FlaskClient, neighbours: Neighbours
) -> None:
    neighbours.providers.callback_answer = receipts_service_pb2.RecordReceiptResponse(
        http_status=401,
        http_content_type="application/json",
        http_body=b'{"message": "RECEIVED", "result": "error"}',
        http_headers={"WWW-Authenticate": "Bearer"},
    )
    response = client.post("/notifications/receipts/pigeon", data=b"")
    assert (response.status_code, response.content_type) == (401, "application/json")
    assert response.data == neighbours.providers.callback_answer.http_body
    assert response.headers["WWW-Authenticate"] == "Bearer"
    [asked] = neighbours.recorder.requests("RecordReceipt")
    assert (asked.provider, asked.body) == ("pigeon", b"")
    neighbours.providers.callback_answer = receipts_service_pb2.RecordReceiptResponse(http_status=204)
    response = client.post("/notifications/receipts/pigeon")
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers


def test_the_address_of_a_receipt_is_the_one_that_trusted_proxies_name(
    settings: GatewaySettings, neighbours: Neighbours
) -> None:
    behind = create_app(settings.model_copy(update={"trusted_proxy_count": 2}))
    client = behind.test_client()
    for forwarded in ("192.0.2.66, 192.0.2.1, 10.0.0.1", "10.0.0.1"):
        client.post("/notifications/sms/mmg", json=RECEIPT, headers={"X-Forwarded-For": forwarded})
    asked = neighbours.recorder.requests("RecordReceipt")
    assert [request.client_address for request in asked] == ["192.0.2.1", ""]
    behind.extensions["close"]()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/notifications/sms/mmg", {"X-Long": "x" * 9_000}, 431),
        ("/notifications/sms/mmg", {f"X-{n}": "x" for n in range(40)}, 431),
        (f"/notifications/sms/mmg?{'x' * 9_000}", {}, 414),
    ],
)
def test_receipts_with_too_much_around_them(
    client: FlaskClient, neighbours: Neighbours, path: str, headers: dict[str, str], status: int
) -> None:
    response = client.post(path, json=RECEIPT, headers=headers)
    assert (response.status_code, response.get_json()["result"]) == (status, "error")
    assert not neighbours.recorder.requests("RecordReceipt")


def test_receipts_that_are_too_long(client: FlaskClient) -> None:
    response = client.post("/notifications/sms/mmg", json=RECEIPT | {"x": "x" * 65_536})
    assert response.status_code == 413
    assert (
        response.get_json()["message"] == "Request body is too large. It cannot be larger than 65536 bytes."
    )


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("/notifications/sms/receive/mmg", "mmg"),
        ("/notifications/sms/receive/firetext", "firetext"),
        ("/notifications/inbound/pigeon", "pigeon"),
    ],
)
def test_texts_that_people_send_are_passed_on(
    client: FlaskClient, neighbours: Neighbours, path: str, provider: str
) -> None:
    response = client.post(path, data=b"\xff", content_type="x/y", headers={"Authorization": "Basic eDp5"})
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})
    [asked] = neighbours.recorder.requests("RecordInboundSms")
    assert (asked.provider, asked.body, asked.content_type) == (provider, b"\xff", "x/y")
    assert dict(asked.headers) == {"authorization": "Basic eDp5"}
    assert not neighbours.recorder.requests("RecordReceipt")


def test_receipts_of_nobody(client: FlaskClient, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["RecordReceipt"] = NotifyError("PROVIDER_NOT_FOUND")
    response = client.post("/notifications/receipts/pigeon", json=RECEIPT)
    assert (response.status_code, response.get_json()["result"]) == (404, "error")


def test_receipts_while_providers_is_away_are_sent_again(client: FlaskClient, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["RecordReceipt"] = NotifyError("UNAVAILABLE")
    response = client.post("/notifications/sms/mmg", json=RECEIPT)
    assert (response.status_code, response.get_json()["result"]) == (503, "error")
    assert "Retry-After" in response.headers


def test_faults_of_our_own_leak_nothing(app: Flask, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyError("secret 07700 900123")

    monkeypatch.setattr("notify_gateway.public.templates._list", fail)
    monkeypatch.setattr("notify_gateway.callbacks.door._headers", fail)
    client = app.test_client()
    response = client.get("/v2/templates", headers=tenant.headers())
    assert response.get_json() == {
        "errors": [{"error": "KeyError", "message": "Internal server error"}],
        "status_code": 500,
    }
    response = client.post("/notifications/sms/mmg", json={})
    assert response.get_json() == {"result": "error", "message": "Internal server error"}
    assert response.status_code == 500


def test_the_console_is_for_local_and_staging_alone(internal_settings: GatewaySettings) -> None:
    values = internal_settings.model_dump() | {"environment": "production"}
    with pytest.raises(ValidationError, match="local and staging only"):
        GatewaySettings(**values)
    assert not GatewaySettings(**values | {"console_enabled": False}).console_enabled


def test_the_console_is_not_there_unless_switched_on(internal_settings: GatewaySettings) -> None:
    without = create_app(internal_settings.model_copy(update={"console_enabled": False}))
    assert without.test_client().get("/console/").status_code == 404
    without.extensions["close"]()
    assert GatewaySettings.model_fields["console_enabled"].default is False


def paths(app: Flask) -> set[str]:
    return {re.sub(r"<[^>]+>", "1", rule.rule) for rule in app.url_map.iter_rules()}


COMMON = {"/", "/_status", "/metrics"}
"""What both faces serve."""


def test_the_edge_leads_every_path_to_its_face_but_metrics(app: Flask, internal_app: Flask) -> None:
    edge = yaml.safe_load((envoy.FOLDER / "edge.yaml").read_text())
    manager = edge["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    absent = manager["route_config"]["virtual_hosts"][0]["routes"][0]
    assert absent["direct_response"]["status"] == 404
    outside = absent["match"]["headers"][0]["string_match"]["safe_regex"]["regex"]
    inside = f"{INTERNAL_PATHS}|{DOCUMENT_PATHS}"
    for regex, face in ((outside, paths(app)), (inside, paths(internal_app) - {"/_status"})):
        listed = re.compile(regex)
        assert {path for path in face if not listed.fullmatch(path)} == {"/metrics"}
        other = (paths(app) | paths(internal_app)) - face - COMMON
        assert other
        assert not any(map(listed.fullmatch, other))


def test_the_faces_share_status_and_metrics_alone(app: Flask, internal_app: Flask) -> None:
    assert paths(app) & paths(internal_app) == COMMON
    assert {"/v2/notifications/sms", "/notifications/sms/mmg", "/openapi.json"} <= paths(app)
    assert {"/service/1/api-key", "/user/1", "/preview.png", "/console/"} <= paths(internal_app)


@pytest.mark.parametrize(
    ("face", "values", "sentence"),
    [
        ("public", {"admin_client_secrets": "x"}, "admin_client_secrets is a setting of the internal face"),
        ("public", {"template_preview_tokens": "x"}, "template_preview_tokens is a setting of the internal"),
        ("public", {"console_enabled": True}, "console_enabled is a setting of the internal face"),
        ("internal", {}, "serves nothing without admin_client_secrets"),
        ("both", {}, "Input should be 'public' or 'internal'"),
    ],
)
def test_a_setting_of_the_other_face_is_refused(
    settings: GatewaySettings, face: str, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        GatewaySettings(**settings.model_dump() | {"face": face} | values)
    assert GatewaySettings.model_fields["face"].default is Face.PUBLIC


def test_bad_settings_are_one_sentence_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_GATEWAY_MAX_BODY_BYTES", "none")
    monkeypatch.setenv("NOTIFY_GATEWAY_TLS_CA_FILE", str(tmp_path / "missing"))
    with pytest.raises(SystemExit) as raised:
        create_app()
    assert raised.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert "settings: NOTIFY_GATEWAY_ADMIN_TARGET is required but not set" in lines
    assert any(line.startswith("settings: NOTIFY_GATEWAY_MAX_BODY_BYTES: ") for line in lines)
