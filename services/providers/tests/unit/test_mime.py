"""Emails as bytes: whatever a service writes is read back as it was written, and adds no header."""

import email
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notify_common.enums import KeyType
from notify_providers.clients.mime import email_bytes
from notify_providers.domain.message import EmailContent, Message

ID = "7d1a6b1e-3c40-4a3f-9d51-0f1b0a1c2d3e"
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
}
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))


def read(**values: str) -> tuple[bytes, EmailMessage]:
    """Return an email with some values, as bytes and read back."""
    fields = {
        "to_address": "someone@example.com",
        "from_name": "Service",
        "from_address": "service@example.com",
        "subject": "Subject",
        "plain_body": "plain",
        "html_body": "<p>html</p>",
    }
    content = EmailContent(**fields | values)
    message = Message(ID, ID, KeyType.NORMAL, content, 1, False, 0.0, "", "")
    raw = email_bytes(message, content)
    return raw, email.message_from_bytes(raw, policy=default)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_no_text_of_a_service_adds_a_header_or_a_long_line(subject: str, name: str, body: str) -> None:
    raw, got = read(subject=subject, from_name=name, plain_body=body)
    assert set(got.keys()) == HEADERS
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(("length", "there"), [(100, True), (800, True), (801, False), (100_000, False)])
def test_an_unsubscribe_url_is_whole_or_not_there(length: int, there: bool) -> None:
    url = "https://example.com/".ljust(length, "x")
    raw, got = read(unsubscribe_url=url)
    assert (got["List-Unsubscribe"] == f"<{url}>") is there
    assert (b"List-Unsubscribe: <" + url.encode() + b">\r\n" in raw) is there
    assert ("List-Unsubscribe-Post" in got) is there
