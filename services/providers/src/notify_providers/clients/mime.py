"""Emails as the bytes that go on the wire."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Final

from notify_common import clock

from notify_providers.domain.message import EmailContent, Message

# Bodies in ASCII, since a server may take no other, and lines so long that no URL in a header is cut up.
_ASCII: Final = SMTP.clone(cte_type="7bit", max_line_length=900)
_UTF8: Final = SMTPUTF8.clone(cte_type="7bit", max_line_length=900)
_LONGEST_URL: Final = 800


class BadAddress(ValueError):
    """An address that no email can be sent from or to."""


def email_bytes(message: Message, content: EmailContent) -> bytes:
    """Return an email as RFC 5322 has it, with our id in its Message-ID, the same at every try.

    An unsubscribe URL of more than 800 characters, which no header holds, is left out of them.

    Raises:
        BadAddress: an address can't be written in a header.
    """
    sender, recipient = wire_address(content.from_address), wire_address(content.to_address)
    reply_to = wire_address(content.reply_to_address) if content.reply_to_address else ""
    policy = _ASCII if (sender + recipient + reply_to).isascii() else _UTF8
    mail = EmailMessage(policy=policy)
    mail["From"] = _in_header(sender, _one_line(content.from_name))
    mail["To"] = _in_header(recipient)
    if reply_to:
        mail["Reply-To"] = _in_header(reply_to)
    mail["Subject"] = _one_line(content.subject)
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    if content.unsubscribe_url and len(content.unsubscribe_url) <= _LONGEST_URL:
        # RFC 8058: a mail program may unsubscribe with one request
        mail["List-Unsubscribe"] = f"<{_one_line(content.unsubscribe_url)}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(content.plain_body)
    mail.add_alternative(content.html_body, subtype="html")
    return mail.as_bytes()


def wire_address(address: str) -> str:
    """Return an address with its domain as the wire has it (IDNA).

    Raises:
        BadAddress: it is none.
    """
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or not address.isprintable() or " " in address:
        raise BadAddress
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError as error:
        raise BadAddress from error


def _in_header(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


def _one_line(text: str) -> str:
    return " ".join(text.split())
