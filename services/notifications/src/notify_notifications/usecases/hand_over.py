"""Handing accepted messages to the next context (design.md §3.5 steps 6 and 7).

The outbox is the queue. A row is claimed, its message made ready and handed over, and only after the next
context said OK is the row deleted. A process that dies in between hands the message over again, which that
context knows by the message's id and ignores.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import grpc
import sqlalchemy as sa
from google.protobuf.message import Message
from notify_common import clock, current
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import EmailTemplate
from notify_content.placeholders import Personalisation
from notify_content.postal_address import PostalAddress
from notify_content.sms import SmsTemplate
from sqlalchemy import Row

from notify_notifications.clients.letters import LettersClient
from notify_notifications.clients.providers import ProvidersClient
from notify_notifications.clients.snapshots import CURRENT, Snapshots, TemplateKey
from notify_notifications.domain.notification import Event, Happening
from notify_notifications.domain.personalisation import address_values
from notify_notifications.domain.record import Notification, Origin
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.store.notifications import HandedOver, by_ids, mark_handed_over
from notify_notifications.store.tables import outbox_queue
from notify_notifications.usecases.record_events import record_events
from notify_notifications.usecases.sending import LETTERS, PROVIDERS

MOST_ROWS: Final = 500
"""Most messages that are claimed, and handed over, at once."""

MOST_BYTES: Final = 3 * 1024 * 1024
"""Size up to which messages are handed over together; gRPC takes 4 MiB at once."""

# Each may be almost as large as a message on the wire.
_ROWS_READ_AT_ONCE: Final = 25
HEARTBEAT_SECONDS: Final = 5.0
_REFERENCE_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_REFERENCE_LENGTH: Final = 16

# The other side is away or busy: every message would fail, none is at fault.
_OUTAGES: Final = frozenset(
    {"UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED", "CANCELLED", "CALLER_NOT_ALLOWED"}
)
# One message may be at fault for all that travelled with it.
_BLAMED_ON_A_MESSAGE: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL})

_BRANDING: Final = EmailBranding()
"""How every email is dressed: the GOV.UK banner, no brand of the service's own."""

_log = get_logger()


class Undeliverable(Exception):
    """This message can never be handed over; it ends as a technical failure."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message made ready."""

    row: Row[Any]
    message: Message
    size_bytes: int
    handed_over: HandedOver


class Relay:
    """Hands over what waits in the outbox for one destination.

    Args:
        destination: PROVIDERS or LETTERS.
        prepare: makes a notification ready. What it raises concerns that message
            alone, unless it is an outage.
        send: hands messages over, all or none, each once per id.
    """

    def __init__(
        self,
        destination: str,
        prepare: Callable[[Notification, Origin], tuple[Message, HandedOver]],
        send: Callable[[Sequence[Any]], None],
    ) -> None:
        self._destination = destination
        self._prepare = prepare
        self._send = send

    def step(self, uow: UnitOfWork) -> int:
        """Claim up to 500 rows and hand their messages over; returns how many were claimed.

        Idempotent by notification id. A message that fails backs off alone. However long a batch takes, its
        rows stay leased.

        Raises:
            NotifyError: the other side, or admin, is away or fails in a way that no message can be blamed
                for; rows not handed over yet are due again at once, their attempts not counted.
        """
        with uow.begin() as conn:
            rows = outbox_queue.claim(conn, MOST_ROWS, destination=self._destination)
        waiting = {row.notification_id: row for row in rows}
        try:
            for parcels in self._parcels(uow, waiting):
                self._hand_over(uow, parcels)
                for parcel in parcels:
                    waiting.pop(parcel.row.notification_id)
        except NotifyError:
            left = list(waiting.values())
            with uow.begin() as conn:
                uncounted = {"attempt": [row.attempt - 1 for row in left]}
                outbox_queue.set(conn, left, each=uncounted, due_at=sa.func.now())
            raise
        return len(rows)

    def _parcels(self, uow: UnitOfWork, waiting: Mapping[UUID, Row[Any]]) -> Iterator[list[Parcel]]:
        """Messages made ready, as many at a time as travel together.

        `waiting` holds the rows to begin with; those that were dealt with may be taken out meanwhile.
        """
        batch: list[Parcel] = []
        size = 0
        rows = list(waiting.values())
        beaten = clock.monotonic()
        for start in range(0, len(rows), _ROWS_READ_AT_ONCE):
            some = rows[start : start + _ROWS_READ_AT_ONCE]
            with uow.autocommit() as conn:
                found = by_ids(conn, [str(row.notification_id) for row in some])
            for row in some:
                if clock.monotonic() - beaten > HEARTBEAT_SECONDS:
                    with uow.begin() as conn:
                        outbox_queue.heartbeat(conn, list(waiting.values()))
                    beaten = clock.monotonic()
                parcel = self._parcel(uow, row, found.get(str(row.notification_id)))
                if parcel is None:
                    continue
                if batch and size + parcel.size_bytes > MOST_BYTES:
                    yield batch
                    batch, size = [], 0
                batch.append(parcel)
                size += parcel.size_bytes
        if batch:
            yield batch

    def _parcel(self, uow: UnitOfWork, row: Row[Any], notification: Notification | None) -> Parcel | None:
        """One message made ready, or None if that failed, which is then recorded."""
        try:
            if notification is None:
                raise Undeliverable("the notification is gone")
            message, handed_over = self._prepare(
                notification, Origin(row.request_id or "", row.traceparent or "")
            )
            size = message.ByteSize()
            if size > LARGEST_CONTENT_BYTES:
                raise Undeliverable("the message is too large to be handed over")
        except Undeliverable as error:
            self._give_up(uow, row, str(error))
        except NotifyError as error:
            if error.reason in _OUTAGES:
                raise
            self._back_off(uow, [row], error)
        except Exception as error:  # whatever a message provokes, the others go on
            self._back_off(uow, [row], error)
        else:
            return Parcel(row, message, size, handed_over)
        return None

    def _hand_over(self, uow: UnitOfWork, parcels: Sequence[Parcel]) -> None:
        """Hand over together; where one is at fault, the halves apart, so that in the end it fails alone."""
        try:
            self._send([parcel.message for parcel in parcels])
        except NotifyError as error:
            if error.reason in _OUTAGES or error.code not in _BLAMED_ON_A_MESSAGE:
                raise
            if len(parcels) == 1:
                self._back_off(uow, [parcels[0].row], error)
                return
            middle = len(parcels) // 2
            self._hand_over(uow, parcels[:middle])
            self._hand_over(uow, parcels[middle:])
            return
        with uow.begin() as conn:
            mark_handed_over(conn, [parcel.handed_over for parcel in parcels])
            outbox_queue.finish(conn, [parcel.row for parcel in parcels])

    def _back_off(self, uow: UnitOfWork, rows: Sequence[Row[Any]], error: Exception) -> None:
        reason = error.reason if isinstance(error, NotifyError) else type(error).__name__
        for row in rows:
            with current.bind(request_id=row.request_id, traceparent=row.traceparent):
                _log.error(
                    "message not handed over",
                    notification_id=str(row.notification_id),
                    attempt=row.attempt,
                    **describe_exception(error),
                )
        with uow.begin() as conn:
            outbox_queue.fail(conn, rows, reason)

    def _give_up(self, uow: UnitOfWork, row: Row[Any], reason: str) -> None:
        with current.bind(request_id=row.request_id, traceparent=row.traceparent):
            _log.warning("message given up", notification_id=str(row.notification_id), reason=reason)
        failed = Event(str(row.notification_id), Happening.TECHNICAL_FAILURE, clock.now())
        with uow.begin() as conn:
            if outbox_queue.finish(conn, [row]):
                record_events(conn, [failed])


class MessagePreparer:
    """Makes texts and emails ready for providers."""

    def __init__(self, snapshots: Snapshots, email_domain: str) -> None:
        self._snapshots = snapshots
        self._email_domain = email_domain

    def prepare(self, notification: Notification, origin: Origin) -> tuple[Message, HandedOver]:
        """The message as providers take it. Raises Undeliverable if its service was archived meanwhile."""
        service = self._snapshots.service(notification.service_id)
        if service is None or not service.active:
            raise Undeliverable("the service is archived")
        template = _template(self._snapshots, notification)
        values = Personalisation(dict(notification.personalisation))
        match template.wording:
            case SmsTemplate() as sms:
                message = sms.render(values, service.name if service.prefix_sms else None)
                dispatch = ProvidersClient.sms(notification, origin, message.content)
                return dispatch, HandedOver(notification.id, message.fragment_count)
            case EmailTemplate() as email:
                return self._email(service, notification, origin, email, values)
            case _:
                raise Undeliverable("a letter is not handed to providers")

    def _email(
        self,
        service: Service,
        notification: Notification,
        origin: Origin,
        template: EmailTemplate,
        values: Personalisation,
    ) -> tuple[Message, HandedOver]:
        message = template.render(values)
        dispatch = ProvidersClient.email(
            notification,
            origin,
            from_name=service.email_from_name,
            from_address=f"{service.email_local_part}@{self._email_domain}",
            subject=message.subject,
            plain_body=message.plain_text,
            html_body=render_page(message, _BRANDING),
        )
        return dispatch, HandedOver(notification.id, None)


class LetterPreparer:
    """Makes letters ready for the letters context."""

    def prepare(self, notification: Notification, origin: Origin) -> tuple[Message, HandedOver]:
        """The letter as the letters context takes it."""
        address = PostalAddress.from_personalisation(address_values(notification.personalisation))
        letter = LettersClient.letter(
            notification, origin, address.normalised_lines, print_reference(notification.id)
        )
        return letter, HandedOver(notification.id, None)


def print_reference(notification_id: str) -> str:
    """The 16 characters under which the printer knows a letter: always the same for one notification."""
    number = int.from_bytes(hashlib.sha256(notification_id.encode()).digest())
    characters = []
    for _ in range(_REFERENCE_LENGTH):
        number, index = divmod(number, len(_REFERENCE_LETTERS))
        characters.append(_REFERENCE_LETTERS[index])
    return "".join(characters)


def message_relay(snapshots: Snapshots, client: ProvidersClient, email_domain: str) -> Relay:
    """The relay of texts and emails."""
    return Relay(PROVIDERS, MessagePreparer(snapshots, email_domain).prepare, client.batch_dispatch)


def letter_relay(client: LettersClient) -> Relay:
    """The relay of letters."""
    return Relay(LETTERS, LetterPreparer().prepare, client.batch_create)


def _template(snapshots: Snapshots, notification: Notification) -> Template:
    key = TemplateKey(notification.service_id, notification.template_id, notification.template_version)
    assert key.version != CURRENT  # noqa: S101 - a stored version is a number from 1
    template = snapshots.template(*key)
    if template is None:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    return template
