"""The template preview service, and letters as the admin web app shows them (internal-api.md §6, C4)."""

import base64
import io
import json
import time
from typing import Any

import pypdfium2
import pytest
from flask.testing import FlaskClient
from notify.letters.v1.letter_pb2 import PrecompiledPdf
from notify_common.ids import new_id
from notify_testing import pdfs
from PIL import Image

from .conftest import ADMIN_SECRET, bearer, make_token
from .neighbours import Neighbours

TOKEN = {"Authorization": "Token one-of-two"}
TEMPLATE = {
    "service": new_id(),
    "subject": "Your bins",
    "content": "Dear ((name))",
    "letter_languages": "english",
    "letter_welsh_subject": None,
    "letter_welsh_content": None,
    "letter_attachment": None,
}
BODY = {"letter_contact_block": None, "template": TEMPLATE, "values": None, "filename": None}
ALL = (
    "/preview.pdf",
    "/preview.png",
    "/get-page-count",
    "/precompiled-preview.png",
    "/precompiled/overlay.png",
    "/precompiled/overlay.pdf",
    "/precompiled/sanitise",
    "/letter_attachment_preview.png",
)
WRONG = pdfs.letter(pdfs.address() + pdfs.bar(2, 150, 8, 8))


def is_png(content: bytes) -> bool:
    return Image.open(io.BytesIO(content)).size[0] == 1000


@pytest.mark.parametrize("path", ALL)
def test_no_route_is_open(internal_client: FlaskClient, path: str) -> None:
    # the same app's other token
    other = bearer(make_token("notify-admin", ADMIN_SECRET))
    for header in ({}, other, {"Authorization": "Bearer one-of-two"}):
        assert internal_client.post(path, headers=header, data=b"{}").status_code == 401
    wrong = (
        {"Authorization": "Token other"},
        {"Authorization": "Token one"},
        {"Authorization": "Token another one-of-two"},
        {"Authorization": "Token"},
    )
    for header in wrong:
        assert internal_client.post(path, headers=header, data=b"{}").status_code == 403


def test_without_tokens_nothing_is_served(client: FlaskClient) -> None:
    assert {client.post(path, headers=TOKEN).status_code for path in ALL} == {404}


def test_a_template_is_shown(internal_client: FlaskClient) -> None:
    pdf = internal_client.post(
        "/preview.pdf", json={**BODY, "date": "2026-07-31T23:30:00+00:00"}, headers=TOKEN
    )
    assert (pdf.status_code, pdf.mimetype) == (200, "application/pdf")
    text = str(pypdfium2.PdfDocument(pdf.data)[0].get_textpage().get_text_range())
    assert "Your bins" in text
    assert "((name))" in text
    assert "1 August 2026" in text
    png = internal_client.post("/preview.png?page=1", json={**BODY, "values": {"name": "Ann"}}, headers=TOKEN)
    assert (png.status_code, png.mimetype) == (200, "image/png")
    assert is_png(png.data)
    past = internal_client.post("/preview.png?page=2", json=BODY, headers=TOKEN)
    assert past.status_code == 404


def test_pages_are_counted(internal_client: FlaskClient) -> None:
    welsh = {"letter_welsh_subject": "Pwnc", "letter_welsh_content": "Annwyl"}
    body = {**BODY, "template": {**TEMPLATE, **welsh, "content": "one\n\n***\n\ntwo"}}
    answer = internal_client.post("/get-page-count", json=body, headers=TOKEN)
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"count": 3, "welsh_page_count": 1, "attachment_page_count": 0},
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({**BODY, "template": "x"}, 400),
        ({**BODY, "template": {**TEMPLATE, "content": 7}}, 400),
        ({**BODY, "values": ["x"]}, 400),
        ({**BODY, "date": "yesterday"}, 400),
        ({**BODY, "template": {**TEMPLATE, "content": "x" * 200_000}}, 400),
        ({**BODY, "template": {**TEMPLATE, "content": "x" * 5_000_000}}, 413),
        ({**BODY, "template": {**TEMPLATE, "letter_attachment": {"id": new_id()}}}, 404),
        ({**BODY, "template": {**TEMPLATE, "letter_attachment": {"id": "x"}}}, 404),
    ],
)
def test_bodies_that_are_no_letter(internal_client: FlaskClient, body: Any, status: int) -> None:
    answer = internal_client.post("/get-page-count", json=body, headers=TOKEN)
    assert answer.status_code == status, answer.data
    assert "xxx" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "9" * 30, "²"])
def test_pages_that_are_no_number(internal_client: FlaskClient, page: str) -> None:
    answer = internal_client.post("/preview.png", query_string={"page": page}, json=BODY, headers=TOKEN)
    assert answer.status_code == 400
    assert answer.get_json()["message"] == {"page": ["Not a valid integer."]}


def test_a_page_of_a_pdf_is_shown(internal_client: FlaskClient) -> None:
    encoded = base64.b64encode(WRONG)
    plain = internal_client.post("/precompiled-preview.png?hide_notify=true", data=encoded, headers=TOKEN)
    assert (plain.status_code, plain.mimetype) == (200, "image/png")
    assert is_png(plain.data)
    marked = internal_client.post("/precompiled/overlay.png?page_number=1", data=WRONG, headers=TOKEN)
    third = internal_client.post("/precompiled/overlay.png?page_number=3", data=WRONG, headers=TOKEN)
    attached = internal_client.post(
        "/precompiled/overlay.png?page_number=1&is_an_attachment=true", data=WRONG, headers=TOKEN
    )
    assert len({plain.data, marked.data, third.data}) == 3
    assert attached.data == third.data
    pdf = internal_client.post("/precompiled/overlay.pdf", data=WRONG, headers=TOKEN)
    assert (pdf.status_code, pdf.mimetype, pdf.data[:5]) == (200, "application/pdf", b"%PDF-")


@pytest.mark.parametrize(
    "path", ["/precompiled-preview.png", "/precompiled/overlay.png", "/precompiled/overlay.pdf"]
)
@pytest.mark.parametrize("content", [b"", b"no PDF", b"\xff\xfe", base64.b64encode(b"%PDF-1.7 junk")])
def test_what_can_be_no_pdf(internal_client: FlaskClient, path: str, content: bytes) -> None:
    answer = internal_client.post(path, data=content, headers=TOKEN)
    assert (answer.status_code, answer.get_json()["message"]) == (400, "unable-to-read-the-file")


def test_a_pdf_that_is_too_large(internal_client: FlaskClient) -> None:
    for path in ("/precompiled/overlay.png", "/precompiled/sanitise"):
        answer = internal_client.post(path, data=bytes(5_000_000), headers=TOKEN)
        assert answer.status_code == 413
    encoded = base64.b64encode(bytes(4_200_000))
    assert internal_client.post("/precompiled-preview.png", data=encoded, headers=TOKEN).status_code == 413


def test_a_pdf_is_sanitised(internal_client: FlaskClient) -> None:
    path = f"/precompiled/sanitise?upload_id={new_id()}"
    answer = internal_client.post(path, data=pdfs.letter(), headers=TOKEN)
    said = answer.get_json()
    assert answer.status_code == 200
    assert base64.b64decode(said.pop("file")).startswith(b"%PDF-")
    address = "Ms Example\n1 High Street\nEX1 1EX"
    assert said == {
        "page_count": 1,
        "recipient_address": address,
        "message": None,
        "invalid_pages": None,
    }
    refused = internal_client.post(path, data=WRONG, headers=TOKEN)
    assert (refused.status_code, refused.get_json()) == (
        400,
        {
            "page_count": 1,
            "recipient_address": None,
            "message": "content-outside-printable-area",
            "invalid_pages": [1],
            "file": None,
        },
    )
    abroad = pdfs.letter(pdfs.address("Ms Example", "1 Rue", "France"))
    messages = [
        internal_client.post(
            f"{path}&allow_international_letters={allowed}", data=abroad, headers=TOKEN
        ).get_json()
        for allowed in ("false", "true")
    ]
    assert [one["message"] for one in messages] == ["cant-send-international-letters", None]
    for content, message in ((b"", "no-encoded-string"), (b"junk", "unable-to-read-the-file")):
        answer = internal_client.post(path, data=content, headers=TOKEN)
        assert (answer.status_code, answer.get_json()["message"]) == (400, message)


def test_an_attachment_that_there_is_not(internal_client: FlaskClient) -> None:
    body = {"letter_attachment_id": new_id().upper(), "service_id": new_id()}
    answer = internal_client.post("/letter_attachment_preview.png?page=1", json=body, headers=TOKEN)
    assert answer.status_code == 404
    bad = internal_client.post(
        "/letter_attachment_preview.png", json={**body, "service_id": "x"}, headers=TOKEN
    )
    assert bad.status_code == 400


def admin_header() -> dict[str, str]:
    return bearer(make_token("notify-admin", ADMIN_SECRET, iat=int(time.time())))


def look(client: FlaskClient, letter_id: str, file_type: str, page: str = "") -> Any:
    path = f"/service/{TEMPLATE['service']}/template/preview/{letter_id}/{file_type}"
    return client.get(path, query_string={"page": page} if page else {}, headers=admin_header())


def test_a_sent_letter_is_shown(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    letter_id = new_id()
    neighbours.letters.pages[letter_id] = [b"first", b"second"]
    neighbours.letters.pdfs[letter_id] = pdfs.letter()
    for file_type, page, content in (
        ("png", "", b"first"),
        ("png", "2", b"second"),
        ("pdf", "", pdfs.letter()),
    ):
        answer = look(internal_client, letter_id, file_type, page)
        assert answer.status_code == 200
        assert answer.get_json() == {"content": base64.b64encode(content).decode(), "metadata": {}}
    assert not neighbours.recorder.requests("GetPageImage")[0].mark_zones
    assert look(internal_client, letter_id, "png", "3").status_code == 404
    assert look(internal_client, new_id(), "png").status_code == 404
    bad = look(internal_client, letter_id, "gif")
    assert (bad.status_code, bad.get_json()["message"]) == (
        400,
        {"content": ["file_type must be pdf or png"]},
    )


def test_a_letter_that_failed_is_shown_with_what_is_wrong(
    internal_client: FlaskClient, neighbours: Neighbours
) -> None:
    letter_id = new_id()
    neighbours.letters.pages[letter_id] = [b"marked"]
    neighbours.letters.pdfs[letter_id] = WRONG
    neighbours.letters.facts[letter_id] = {
        "precompiled": PrecompiledPdf(),
        "failure": "content-outside-printable-area",
        "failure_pages": [1],
    }
    png = look(internal_client, letter_id, "png").get_json()
    assert png["metadata"] == {
        "page_count": "1",
        "validation_status": "failed",
        "message": "content-outside-printable-area",
        "invalid_pages": json.dumps([1]),
    }
    assert neighbours.recorder.requests("GetPageImage")[-1].mark_zones
    pdf = look(internal_client, letter_id, "pdf").get_json()
    marked = base64.b64decode(pdf["content"])
    assert marked != WRONG
    assert marked.startswith(b"%PDF-")
