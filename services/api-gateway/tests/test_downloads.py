"""Pages of files that emails link to (public-api.md §2.5)."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from notify.notifications.v1.files_service_pb2 import DownloadFileResponse, EmailFile
from notify_common.errors import NotifyError

from .neighbours import Neighbours, timestamp

SERVICE, FILE, KEY = UUID(int=1), UUID(int=2), bytes(range(32))
NAME = 'Zoë "x"; a=b\r\nSet-Cookie: 1.pdf'


def short(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


LINK = f"/d/{short(SERVICE.bytes)}/{short(FILE.bytes)}?key={short(KEY)}"


@pytest.fixture
def file(neighbours: Neighbours) -> EmailFile:
    files = neighbours.files
    files.shown = EmailFile(
        service_name="Pigeons <b>",
        contact_link="https://example.gov.uk/help",
        name=NAME,
        size_bytes=123_456,
        expire_time=timestamp(datetime(2030, 2, 3, tzinfo=UTC)),
        asks_for_email_address=True,
    )
    files.address = "reader@example.com"
    files.content = DownloadFileResponse(name=NAME, media_type="application/pdf", content=b"%PDF")
    return files.shown


def test_the_page_shows_the_file_and_hands_out_nothing(
    client: FlaskClient, neighbours: Neighbours, file: EmailFile
) -> None:
    page = client.get(LINK)
    assert page.status_code == 200
    assert "Pigeons &lt;b&gt; sent you a file" in page.text
    assert "121 KB" in page.text
    assert "3 February 2030" in page.text
    assert 'type="email"' in page.text
    assert 'href="https://example.gov.uk/help"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert (page.headers["X-Robots-Tag"], "Access-Control-Allow-Origin" in page.headers) == (
        "noindex, nofollow",
        False,
    )
    [asked] = neighbours.recorder.requests("GetFile")
    assert (asked.service_id, asked.file_id, asked.key) == (str(SERVICE), str(FILE), KEY)
    assert neighbours.recorder.requests("DownloadFile") == []


def test_the_button_downloads_for_whoever_knows_the_address(client: FlaskClient, file: EmailFile) -> None:
    answer = client.post(LINK, data={"email_address": " reader@example.com "})
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"%PDF", "application/pdf")
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith(
        "attachment; filename=\"Zo_ _x__ a_b__Set-Cookie_ 1.pdf\"; filename*=UTF-8''Zo%C3%AB"
    )
    assert "\n" not in disposition
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert (answer.headers["Cache-Control"], answer.headers["X-Robots-Tag"]) == (
        "no-store",
        "noindex, nofollow",
    )


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        ("other@example.com", 403, "This is not the email address the file was sent to"),
        ("", 400, "Enter your email address"),
        ("\0 ", 400, "Enter your email address"),
    ],
)
def test_other_addresses(client: FlaskClient, file: EmailFile, typed: str, status: int, words: str) -> None:
    page = client.post(LINK, data={"email_address": typed})
    assert (page.status_code, "<title>Error: You have a file" in page.text) == (status, True)
    assert words in page.text
    assert 'aria-invalid="true"' in page.text


def test_a_file_open_to_all_asks_for_no_address(
    client: FlaskClient, neighbours: Neighbours, file: EmailFile
) -> None:
    file.asks_for_email_address = False
    neighbours.files.address = ""
    assert 'type="email"' not in client.get(LINK).text
    assert client.post(LINK).data == b"%PDF"


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [
        ("LINK_INVALID", 404, "This link does not work"),
        ("LINK_EXPIRED", 410, "no longer available"),
        ("UNAVAILABLE", 503, "Follow the link again"),
    ],
)
def test_links_that_lead_nowhere(
    client: FlaskClient, neighbours: Neighbours, file: EmailFile, reason: str, status: int, words: str
) -> None:
    neighbours.recorder.failures["GetFile"] = NotifyError(reason)
    for page in (client.get(LINK), client.post(LINK)):
        assert (page.status_code, words in page.text) == (status, True)


def test_too_many_tries(client: FlaskClient, neighbours: Neighbours, file: EmailFile) -> None:
    wait = timedelta(minutes=5)
    neighbours.recorder.failures["DownloadFile"] = NotifyError("TOO_MANY_TRIES", retry_after=wait)
    page = client.post(LINK, data={"email_address": "a@example.com"})
    assert (page.status_code, page.headers["Retry-After"]) == (429, "300")


@pytest.mark.parametrize(
    "link",
    [
        f"/d/{short(SERVICE.bytes)}/{short(FILE.bytes)}",
        f"/d/{short(SERVICE.bytes)}/{short(FILE.bytes)}?key=",
        f"/d/{short(SERVICE.bytes)}/{short(FILE.bytes)}?key={short(KEY[:16])}",
        f"/d/{short(SERVICE.bytes)}/x?key={short(KEY)}",
        f"/d/é/{short(FILE.bytes)}?key={short(KEY)}",
        f"/d/..%2f/{short(FILE.bytes)}?key=%00",
    ],
)
def test_what_is_no_link_asks_nobody(
    client: FlaskClient, neighbours: Neighbours, file: EmailFile, link: str
) -> None:
    answers: list[Any] = [client.get(link), client.post(link, data={"email_address": "a@example.com"})]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert neighbours.recorder.requests("GetFile") == []


def test_the_key_is_in_no_log(
    client: FlaskClient, file: EmailFile, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get(LINK)
    client.post(LINK, data={"email_address": "reader@example.com"})
    logged = "".join(capsys.readouterr())
    assert short(KEY) not in logged
    assert "reader@" not in logged
