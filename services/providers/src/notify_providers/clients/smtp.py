"""Any SMTP server: an open way for emails (RFC 5321, RFC 3207)."""

import smtplib
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Final, Literal, Self

from notify_common import clock
from notify_common.enums import Channel
from notify_common.settings import ReadableFile
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import Adapter, ProviderSettings, Report, Tools
from notify_providers.clients.mime import BadAddress, email_bytes, wire_address
from notify_providers.domain.dispatch import NOT_STARTED, CallResult, Outcome
from notify_providers.domain.message import EmailContent, Message

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_Verdict = tuple[Outcome, str]


class SmtpSettings(ProviderSettings):
    """What an SMTP server needs: `NOTIFY_PROVIDERS_SMTP_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_SMTP_")

    host: str | None = None
    """The server; it is used once this is set."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted: after STARTTLS, from the beginning, or, on this machine alone, not."""
    ca_file: ReadableFile | None = None
    """The authority (PEM) of the server's certificate; without it, those that the system knows."""
    username: str | None = None
    """Who sends; without it nobody logs in."""
    password: SecretStr | None = None
    connections: Annotated[int, Field(ge=1, le=64)] = 8
    """Connections that a worker keeps open at once."""
    messages_per_connection: Annotated[int, Field(ge=1, le=100_000)] = 100
    """After so many a connection is made anew: servers put an end to those that never end."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("smtp_username and smtp_password should be set together")
        if self.security == "none" and self.host not in (None, *_LOOPBACK):
            raise ValueError("smtp_security should only be none for a server on this machine")
        return self


class Smtp(Adapter[SmtpSettings]):
    """An SMTP server. It takes a message as often as it is given one, and reports nothing."""

    name = "smtp"
    channel = Channel.EMAIL
    settings = SmtpSettings
    unknown_outcome_wait = 0
    times_calls = False

    def client(self, settings: SmtpSettings, tools: Tools) -> "SmtpClient | None":
        """See Adapter."""
        return None if settings.host is None else SmtpClient(settings, settings.host, tools.call_seconds)


class SmtpClient:
    """Hands emails to an SMTP server over a few connections that are kept open, one thread each."""

    def __init__(self, settings: SmtpSettings, host: str, call_seconds: float) -> None:
        """Take `call_seconds`, which bound each wait of a call for the server."""
        self._settings = settings
        self._host = host
        self._seconds = call_seconds
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="smtp")
        self._open: set[smtplib.SMTP] = set()

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """See ProviderClient. It returns before the calls end."""
        for message in messages:
            self._threads.submit(self._hand_over, message, report)

    def close(self) -> None:
        """See ProviderClient."""
        self._threads.shutdown()
        for connection in self._open:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()

    def _hand_over(self, message: Message, report: Report) -> None:
        try:
            outcome, reason = self._try(message)
        except Exception:
            # Whatever it was, somebody waits to hear of the message, which may be on its way.
            self._forget()
            report(CallResult(message.id, message.attempt, Outcome.UNKNOWN, "failed"))
            raise
        report(CallResult(message.id, message.attempt, outcome, reason))

    def _try(self, message: Message) -> _Verdict:
        content = message.content
        if not isinstance(content, EmailContent):
            raise TypeError("SMTP takes emails only")
        if clock.monotonic() > message.start_before:
            return Outcome.RETRYABLE, NOT_STARTED
        try:
            sender, recipient = wire_address(content.from_address), wire_address(content.to_address)
            body = email_bytes(message, content)
        except BadAddress:
            return Outcome.REFUSED, "address_invalid"
        try:
            connection = self._connection()
        except smtplib.SMTPAuthenticationError:
            return Outcome.RETRYABLE, "credentials_refused"
        except (smtplib.SMTPException, OSError):
            return Outcome.RETRYABLE, "unreachable"
        # Before the end of its data a server has taken nothing (RFC 5321 §4.2.5).
        try:
            refused = self._envelope(connection, sender, recipient)
        except (smtplib.SMTPException, OSError):
            self._forget()
            return Outcome.RETRYABLE, "unreachable"
        if refused is not None:
            self._reset(connection)
            return refused
        try:
            code, _ = connection.data(body)
        except smtplib.SMTPDataError as error:  # it did not want to see the data
            self._reset(connection)
            return _said(error.smtp_code)
        except (smtplib.SMTPException, OSError):
            self._forget()
            return Outcome.UNKNOWN, "connection_lost"
        self._own.left -= 1
        if self._own.left <= 0:
            self._forget()
        return _taken(code)

    def _envelope(self, connection: smtplib.SMTP, sender: str, recipient: str) -> _Verdict | None:
        """Name sender and recipient; return the verdict if the server takes either not."""
        options = []
        if not (sender + recipient).isascii():
            if not connection.has_extn("smtputf8"):
                return Outcome.REFUSED, "needs_smtputf8"
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        code, _ = connection.mail(sender, options)
        if code != 250:
            # It is about us, not about the message: whoever mends that wants it sent.
            return Outcome.RETRYABLE, f"smtp_{code}"
        code, _ = connection.rcpt(recipient)
        return None if code in (250, 251) else _said(code)

    def _connection(self) -> smtplib.SMTP:
        """Return this thread's connection: the one that it has, if that still answers, or a new one."""
        known: smtplib.SMTP | None = getattr(self._own, "connection", None)
        if known is not None:
            with suppress(smtplib.SMTPException, OSError):
                if known.noop()[0] == 250:
                    return known
            self._forget()
        settings = self._settings
        if settings.security == "tls":
            new: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, settings.port, timeout=self._seconds, context=self._tls
            )
        else:
            new = smtplib.SMTP(self._host, settings.port, timeout=self._seconds)
        try:
            if settings.security == "starttls":
                new.starttls(context=self._tls)
            new.ehlo_or_helo_if_needed()
            if settings.username and settings.password:
                new.login(settings.username, settings.password.get_secret_value())
        except BaseException:
            new.close()
            raise
        self._own.connection, self._own.left = new, settings.messages_per_connection
        self._open.add(new)
        return new

    def _reset(self, connection: smtplib.SMTP) -> None:
        try:
            connection.rset()
        except (smtplib.SMTPException, OSError):
            self._forget()

    def _forget(self) -> None:
        connection: smtplib.SMTP | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            self._open.discard(connection)
            connection.close()


def _taken(code: int) -> _Verdict:
    """Return the verdict of the reply to the data: by its first digit (RFC 5321 §4.2.1); a reply that is none
    does not say whether the server has the message.
    """
    if 200 <= code < 300:
        return Outcome.ACCEPTED, ""
    return _said(code) if 400 <= code < 600 else (Outcome.UNKNOWN, "bad_answer")


def _said(code: int) -> _Verdict:
    """Return the verdict of a reply that is no yes: 5xx is for good (RFC 5321 §4.2.1)."""
    return (Outcome.REFUSED if 500 <= code < 600 else Outcome.RETRYABLE), f"smtp_{code}"
