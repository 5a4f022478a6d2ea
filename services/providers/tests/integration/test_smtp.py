"""SMTP against a real server: what it gets, over which connections, and each way that a call can end."""

import asyncio
import email
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from notify_common.enums import KeyType
from notify_providers.clients.smtp import SmtpSettings
from notify_providers.domain.message import EmailContent
from notify_testing.rpc import certificates
from pydantic import ValidationError

from .configured import provider_settings
from .conftest import World
from .messages import new

PLAIN, HTML = "Hällo\n.\n..dot\n" + "x" * 1_200, "<p>Hällo</p>\n.\n" + "y" * 1_200


class AnyPort(Controller):
    """A server on whichever port is free."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd annotates no such method


class MailServer:
    """Takes emails for everybody, or answers as it is told for a recipient."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.replies: dict[str, str] = {}
        """Reply to RCPT, or with `data ` in front to the data, by recipient; `drop` cuts the connection,
        `half` within a reply."""
        files = certificates()["providers"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert, files.key)
        self._controller = AnyPort(
            self,
            hostname="127.0.0.1",
            port=0,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
            enable_SMTPUTF8=False,
        )
        self._controller.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._controller.port)

    def with_settings(self, **values: object) -> dict[str, object]:
        """Return settings that make workers use it for emails, and nothing else."""
        given: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "ca_file": certificates()["providers"].ca,
            "username": "user",
            "password": "secret",
            "connections": 1,
            **values,
        }
        smtp = SmtpSettings.model_validate(given)
        return {"providers": provider_settings(smtp=smtp), "sandbox_live_messages": False}

    def close(self) -> None:
        """End it."""
        self._controller.stop()

    @property
    def mails(self) -> list[EmailMessage]:
        """What it took."""
        return [email.message_from_bytes(e.original_content or b"", policy=default) for e in self.envelopes]

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"secret")
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """See aiosmtpd."""
        reply = self.replies.get(address, "250 OK")
        if not reply.startswith(("data ", "250")):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """See aiosmtpd."""
        self.envelopes.append(envelope)
        self.sessions.append(session)
        reply = self.replies.get(envelope.rcpt_tos[0], "250 OK").removeprefix("data ")
        assert isinstance(server.transport, asyncio.Transport)
        if reply == "drop":
            server.transport.abort()
        elif reply == "half":
            server.transport.write(b"250-O")
            server.transport.close()
        return reply


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """Provide a real SMTP server with STARTTLS and log-in."""
    server = MailServer()
    yield server
    server.close()


def mail(to: str = "zoe@bücher.example", **values: str) -> Any:
    """Return an email to take over."""
    content = EmailContent(
        to_address=to,
        from_name='Sérvice "one", two',
        from_address="service@example.com",
        subject="Sübject\r\nBcc: evil@example.com",
        plain_body=PLAIN,
        html_body=HTML,
        reply_to_address="reply@example.com",
        unsubscribe_url="https://example.com/u?a=1",
        **values,
    )
    return new(content, KeyType.NORMAL)


def test_an_email_arrives_as_it_was_written(world: World, mail_server: MailServer) -> None:
    message = mail()
    world.take_over(message)
    world.workers(world.parts(**mail_server.with_settings())).settle()
    assert world.kinds(message.id) == ["sent"]
    [envelope], [got] = mail_server.envelopes, mail_server.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("service@example.com", ["zoe@xn--bcher-kva.example"])
    assert got["From"].addresses[0].display_name == 'Sérvice "one", two'
    assert got["From"].addresses[0].addr_spec == "service@example.com"
    assert [a.addr_spec for a in got["To"].addresses] == ["zoe@xn--bcher-kva.example"]
    assert got["Reply-To"] == "reply@example.com"
    assert got["Subject"] == "Sübject Bcc: evil@example.com"
    assert got["Bcc"] is None
    assert got["Message-ID"] == f"<{message.id}@example.com>"
    assert got["List-Unsubscribe"] == "<https://example.com/u?a=1>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert got.get_content_type() == "multipart/alternative"
    plain, html = got.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert plain.get_content().replace("\r\n", "\n").rstrip("\n") == PLAIN
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == HTML
    assert (envelope.original_content or b"").isascii()
    assert all(len(line) <= 998 for line in (envelope.original_content or b"").split(b"\r\n"))


def test_a_connection_is_used_again_and_renewed_in_time(world: World, mail_server: MailServer) -> None:
    world.take_over(*[mail() for _ in range(6)])
    world.workers(world.parts(**mail_server.with_settings(messages_per_connection=3))).settle()
    assert world.states() == {"sent": 6}
    assert len({id(session) for session in mail_server.sessions}) == 2
    assert all(session.ssl for session in mail_server.sessions)


def test_each_reply_has_its_outcome(world: World, mail_server: MailServer) -> None:
    replies = {
        "450 busy": ("retryable", "smtp_450"),
        "550 nobody": ("refused", "smtp_550"),
        "data 250 OK": ("accepted", ""),
        "data 299 as you wish": ("accepted", ""),
        "data 451 busy": ("retryable", "smtp_451"),
        "data 554 spam": ("refused", "smtp_554"),
        "data 354 go on": ("unknown", "bad_answer"),
        "data <html>": ("unknown", "bad_answer"),
        "data drop": ("unknown", "connection_lost"),
        "data half": ("unknown", "connection_lost"),
    }
    mails = {reply: mail(f"someone{place}@example.com") for place, reply in enumerate(replies)}
    mail_server.replies |= {one.content.to_address: reply for reply, one in mails.items()}
    workers = world.workers(world.parts(**mail_server.with_settings(), retry_interval_seconds=300))
    for one in mails.values():
        world.take_over(one)
        workers.settle()  # each uses the connection that the last one left, or a new one
    assert {reply: world.attempts(one.id) for reply, one in mails.items()} == {
        reply: [first] for reply, first in replies.items()
    }
    assert world.states() == {"queued": 2, "failed": 2, "sent": 2, "in-doubt": 4}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"password": "wrong"}, "credentials_refused"),
        ({"ca_file": None}, "unreachable"),
        ({"security": "tls"}, "unreachable"),
        ({"security": "none", "username": None, "password": None}, "smtp_530"),
    ],
)
def test_without_trust_nothing_is_sent(
    world: World, mail_server: MailServer, settings: dict[str, object], reason: str
) -> None:
    message = mail()
    world.take_over(message)
    parts = world.parts(
        **mail_server.with_settings(**settings), retry_interval_seconds=300, provider_timeout_seconds=2
    )
    world.workers(parts).settle()
    assert world.attempts(message.id) == [("retryable", reason)]
    assert mail_server.envelopes == []


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("nobody", "address_invalid"),
        ("a@b\r\nRCPT TO:<evil@example.com>", "address_invalid"),
        ("a b@example.com", "address_invalid"),
        ("a@" + "x" * 70 + ".example", "address_invalid"),
        ("zoë@example.com", "needs_smtputf8"),
    ],
)
def test_an_address_that_can_not_be_written_to_is_refused(
    world: World, mail_server: MailServer, to: str, reason: str
) -> None:
    message = mail(to)
    world.take_over(message)
    world.workers(world.parts(**mail_server.with_settings())).settle()
    assert world.attempts(message.id) == [("refused", reason)]
    assert mail_server.envelopes == []


@pytest.mark.parametrize(
    "values",
    [
        {"host": "mail.example.com", "security": "none"},
        {"host": "mail.example.com", "username": "u"},
        {"host": "mail.example.com", "port": 0},
    ],
)
def test_settings_that_do_not_fit_together(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SmtpSettings.model_validate(values)
