"""The edge: its configuration is valid, and what passes it and what does not."""

import base64
import os
from pathlib import Path

import pytest
import requests
from notify_common.ids import new_id
from notify_local import edge, envoy
from notify_local.backing import ChildProcess, free_ports, wait_until
from notify_local.stack import TEMPLATE_PREVIEW_TOKEN
from notify_testing import pdfs
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House

GATEWAYS = ("gateway-public", "gateway-internal")


def test_a_request_passes(house: House) -> None:
    assert house.stack.port != house.stack.gateway_port
    sent = requests.post(
        f"{house.stack.base_url}/v2/notifications/sms",
        json={
            "template_id": house.seeded.templates["sms"],
            "phone_number": "07400123456",
            "personalisation": {"name": "Amala", "date": "today"},
        },
        headers=house.headers(),
        timeout=WAIT_SECONDS,
    )
    assert sent.status_code == 201
    uri = sent.json()["uri"]
    assert uri.startswith(f"{house.stack.base_url}/v2/notifications/")
    assert requests.get(uri, headers=house.headers(), timeout=WAIT_SECONDS).status_code == 200


def test_metrics_stay_inside(house: House) -> None:
    assert (
        requests.get(f"http://127.0.0.1:{house.stack.gateway_port}/metrics", timeout=WAIT_SECONDS).status_code
        == 200
    )
    hidden, absent = (
        requests.get(f"{house.stack.base_url}{path}", timeout=WAIT_SECONDS) for path in ("/metrics", "/none")
    )
    assert (hidden.status_code, hidden.json()) == (absent.status_code, absent.json())
    assert hidden.status_code == 404


def test_each_path_is_served_by_its_face(house: House) -> None:
    """One address on one machine; the faces themselves have no path in common but status and metrics."""
    faces = {"public": house.stack.gateway_port, "internal": house.stack.internal_gateway_port}
    paths = {
        "public": ("/v2/templates", "/openapi.json", "/docs"),
        "internal": ("/service", "/user", "/console/"),
    }
    for face, other in (("public", "internal"), ("internal", "public")):
        for path in paths[face]:
            at_edge, inside, elsewhere = (
                requests.get(f"{url}{path}", timeout=WAIT_SECONDS).status_code
                for url in (
                    house.stack.base_url,
                    f"http://127.0.0.1:{faces[face]}",
                    f"http://127.0.0.1:{faces[other]}",
                )
            )
            assert at_edge == inside != 404, path
            assert elsewhere == 404, path


def test_production_s_edge_has_no_internal_paths(house: House, tmp_path: Path) -> None:
    [port] = free_ports(1)
    config = edge.write_config(tmp_path / "edge.yaml", port, [house.stack.gateway_port])
    served = ChildProcess("edge", envoy.command(config), tmp_path / "edge.log", os.environ)
    served.start()
    try:
        assert wait_until(lambda: answers(port), WAIT_SECONDS)
        url = f"http://127.0.0.1:{port}"
        for path in ("/service", "/console/", "/precompiled/sanitise"):
            absent = requests.post(f"{url}{path}", timeout=WAIT_SECONDS)
            assert (absent.status_code, absent.json()["message"][:17]) == (404, "The requested URL"), path
        assert requests.get(f"{url}/v2/templates", timeout=WAIT_SECONDS).status_code == 401
    finally:
        served.stop()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/_status", timeout=WAIT_SECONDS).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("path", ["/metrics", "/v2/notifications"])
def test_what_the_edge_answers_itself_has_the_headers_of_every_answer(house: House, path: str) -> None:
    of_the_gateway = set(requests.get(f"{house.stack.base_url}/none", timeout=WAIT_SECONDS).headers)
    too_long = {"X-Long": "x" * 40_000} if path != "/metrics" else {}
    answer = requests.get(f"{house.stack.base_url}{path}", headers=too_long, timeout=WAIT_SECONDS)
    assert answer.status_code == (431 if too_long else 404)
    assert answer.json()["result"] == "error"
    assert answer.json()["message"]
    # A request that could not be read has no ids yet.
    assert of_the_gateway - set(answer.headers) <= {"server", "x-b3-traceid", "x-b3-spanid"}


def test_a_body_over_the_limit_is_refused_in_the_words_of_the_api(house: House) -> None:
    sentence = "Request body is too large. It cannot be larger than 10485760 bytes."
    for port in (house.stack.port, house.stack.gateway_port):
        answer = requests.post(
            f"http://127.0.0.1:{port}/v2/notifications/sms",
            data=b"x" * 11_000_000,
            headers=house.headers(),
            timeout=WAIT_SECONDS,
        )
        assert (answer.status_code, answer.json()) == (
            413,
            {"status_code": 413, "errors": [{"error": "BadRequestError", "message": sentence}]},
        )


def test_without_the_gateway_the_answer_is_503_in_the_words_of_the_api(house: House) -> None:
    sentence = "The service is busy, try again later"
    gateways = [copy for name in GATEWAYS for copy in house.stack.copies_of(name)]
    for name in gateways:
        house.stack.kill(name)
    try:
        answer = requests.get(
            f"{house.stack.base_url}/v2/notifications", headers=house.headers(), timeout=WAIT_SECONDS
        )
        page = requests.get(f"{house.stack.base_url}/console/", timeout=WAIT_SECONDS)
    finally:
        house.stack.restart(*gateways)
    assert (answer.status_code, answer.json()) == (
        503,
        {"status_code": 503, "errors": [{"error": "ServiceUnavailableError", "message": sentence}]},
    )
    assert (page.status_code, page.json()) == (503, {"result": "error", "message": sentence})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/notifications/letter", 401),
        ("POST", "/v2/nothing", 404),
        ("PUT", "/v2/notifications", 405),
    ],
)
def test_a_refusal_that_needs_no_body_passes(house: House, method: str, path: str, status: int) -> None:
    for _ in range(3):
        answer = requests.request(
            method, f"{house.stack.base_url}{path}", data=b" " * 9_000_000, timeout=WAIT_SECONDS
        )
        assert answer.status_code == status


def test_the_admin_web_app_reaches_the_template_preview_service(house: House) -> None:
    header = {"Authorization": f"Token {TEMPLATE_PREVIEW_TOKEN}"}
    template = {"subject": "Your bins", "content": "Dear ((name))\n\n***\n\nGoodbye"}
    body = {"letter_contact_block": None, "template": template, "values": None, "filename": None}
    for path in ("/get-page-count", "/preview.png?page=2", "/preview.pdf"):
        answer = requests.post(
            f"{house.stack.base_url}{path}", json=body, headers=header, timeout=WAIT_SECONDS
        )
        assert answer.status_code == 200, path
        assert (
            requests.post(f"{house.stack.base_url}{path}", json=body, timeout=WAIT_SECONDS).status_code == 401
        )
    # beyond what small bodies may have
    pdf = pdfs.letter(pdfs.address() + b"%" + b"x" * 200_000 + b"\n")
    shown = {
        "/precompiled/overlay.png": pdf,
        "/precompiled/overlay.pdf": pdf,
        "/precompiled-preview.png": base64.b64encode(pdf),
        "/precompiled/sanitise": pdf,
    }
    for path, content in shown.items():
        answer = requests.post(
            f"{house.stack.base_url}{path}", data=content, headers=header, timeout=WAIT_SECONDS
        )
        assert answer.status_code == 200, path
    answer = requests.post(
        f"{house.stack.base_url}/letter_attachment_preview.png",
        json={"letter_attachment_id": new_id(), "service_id": new_id()},
        headers=header,
        timeout=WAIT_SECONDS,
    )
    assert (answer.status_code, answer.json()["message"]) == (404, "No result found")
