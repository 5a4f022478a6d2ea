"""Handing accepted messages to the next context (design.md §3.5 steps 6 and 7).

The outbox is the queue. A row is claimed, its message made ready and handed over, and only after the next
context said OK is the row deleted. A process that dies in between hands the message over again, which that
context knows by the message's id and ignores.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from notify.letters.v1 import letter_pb2
from notify_common import clock, current
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from notify_common.reasons import Code
from notify_common.records import record
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import EmailMessage, EmailTemplate
from notify_content.placeholders import Personalisation
from notify_content.postal_address import PostalAddress
from notify_content.sms import SmsTemplate

from notify_notifications.clients.letters import LettersClient
from notify_notifications.clients.providers import ProvidersClient
from notify_notifications.clients.snapshots import CURRENT, Snapshots, TemplateKey
from notify_notifications.domain.hand_over import Destination, portions
from notify_notifications.domain.notification import Event, Happening, State
from notify_notifications.domain.personalisation import address_values
from notify_notifications.domain.record import Origin, Outgoing
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.domain.unsubscribe import UnsubscribeLinks
from notify_notifications.store import outbox
from notify_notifications.store.notifications import HandedOver, outgoing, small_outgoing, stored_sizes
from notify_notifications.store.outbox import Waiting
from notify_notifications.usecases.callbacks import record_and_tell
from notify_notifications.usecases.record_hand_over import record_hand_over
from notify_notifications.usecases.unsubscribe import unsubscribable

MOST_BYTES: Final = 3 * 1024 * 1024
"""Size up to which messages are handed over together; gRPC takes 4 MiB at once."""

_BYTES_READ_AT_ONCE: Final = 32 * 1024
"""Size, as it is stored, up to which messages that are not small are read together: PostgreSQL compresses
what clients wrote, to a ninetieth at best. One may be almost as large as a message on the wire, and is then
read alone.
"""
HEARTBEAT_SECONDS: Final = 5.0
CLAIM_SECONDS: Final = 0.25
"""How long the messages of one claim should take: an urgent one that comes meanwhile waits for them."""
LEAST_ROWS: Final = 25
"""Messages that are claimed at once however long they take."""
_REFERENCE_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_REFERENCE_LENGTH: Final = 16

# The other side is away or busy: every message would fail, none is at fault.
_OUTAGES: Final = frozenset(
    {"UNAVAILABLE", "OVERLOADED", "DEADLINE_EXCEEDED", "CANCELLED", "CALLER_NOT_ALLOWED"}
)
# One message may be at fault for all that travelled with it.
_BLAMED_ON_A_MESSAGE: Final = frozenset({Code.INVALID_ARGUMENT, Code.INTERNAL})

_log = get_logger()


class Undeliverable(Exception):
    """This message can never be handed over."""

    def __init__(self, reason: str, ends_as: Happening = Happening.TECHNICAL_FAILURE) -> None:
        """Take the `reason` for the log, and what becomes of the message."""
        super().__init__(reason)
        self.ends_as = ends_as


@record()
class Parcel:
    """A message made ready."""

    waiting: Waiting
    message: Message
    size_bytes: int
    noted: HandedOver | None
    """What is noted once it is handed over; None for nothing."""


class MessageRelay:
    """Hands over what waits in the outbox for one destination.

    Args:
        destination: the context that takes them.
        prepare: makes a notification ready, and says what is noted of it then. What it raises concerns that
            message alone, unless it is an outage.
        send: hands messages over, all or none, each once per id.
        record: applies what became of a message, and tells its service of it.
    """

    def __init__(
        self,
        destination: Destination,
        prepare: Callable[[Outgoing, Origin], tuple[Message, HandedOver | None]],
        send: Callable[[Sequence[Any]], None],
        record: Callable[[Tx, Sequence[Event]], None],
    ) -> None:
        self._destination = destination
        self._record = record
        self._prepare = prepare
        self._send = send
        self._at_once = outbox.MOST_ROWS

    def step(self, uow: UnitOfWork) -> int:
        """Claim rows and hand their messages over, 500 or what there is; return how many were claimed.

        As many are claimed at once as are handed over in a quarter of a second.

        Idempotent by notification id. A message that fails backs off alone. However long a batch takes, its
        rows stay leased.

        Raises:
            NotifyError: the other side, or admin, is away or fails in a way that no message can be blamed
                for; rows not handed over yet are due again at once, their attempts not counted.
        """
        total = 0
        while total < outbox.MOST_ROWS:
            limit = self._at_once
            started = clock.monotonic()
            count = self._hand_over_some(uow, limit)
            total += count
            if count < limit:
                break
            self._at_once = rows_at_once(count, clock.monotonic() - started)
        return total

    def _hand_over_some(self, uow: UnitOfWork, limit: int) -> int:
        """Claim up to `limit` rows and hand their messages over; return how many were claimed."""
        with uow.begin() as conn:
            claimed = outbox.claim(conn, self._destination, limit)
        if not claimed:
            return 0
        waiting = {message.notification_id: message for message in claimed}
        try:
            for parcels in self._parcels(uow, waiting):
                self._hand_over(uow, parcels)
                for parcel in parcels:
                    waiting.pop(parcel.waiting.notification_id)
        except NotifyError:
            with uow.begin() as conn:
                outbox.give_back(conn, list(waiting.values()))
            raise
        return len(claimed)

    def _parcels(self, uow: UnitOfWork, waiting: Mapping[str, Waiting]) -> Iterator[list[Parcel]]:
        """Yield messages made ready, as many at a time as travel together.

        `waiting` holds all of them to begin with; those that were dealt with may be taken out meanwhile. What
        is of a faster lane travels first and does not wait for the rest to be made ready.
        """
        batch: list[Parcel] = []
        size = 0
        claimed = list(waiting.values())
        beaten = clock.monotonic()
        with uow.autocommit() as conn:
            found = small_outgoing(conn, list(waiting))
            others = [id for id in waiting if id not in found]
            stored = stored_sizes(conn, others) if others else {}
        sizes = [stored.get(id, 0) for id in waiting]
        for portion in portions(sizes, len(sizes) or 1, _BYTES_READ_AT_ONCE):
            some = claimed[portion]
            if large := [one.notification_id for one in some if one.notification_id in stored]:
                with uow.autocommit() as conn:
                    found |= outgoing(conn, large)
            for one in some:
                if clock.monotonic() - beaten > HEARTBEAT_SECONDS:
                    with uow.begin() as conn:
                        outbox.keep(conn, list(waiting.values()))
                    beaten = clock.monotonic()
                parcel = self._parcel(uow, one, found.pop(one.notification_id, None))
                if parcel is None:
                    continue
                slower = batch and one.origin.lane is not batch[-1].waiting.origin.lane
                if slower or (batch and size + parcel.size_bytes > MOST_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append(parcel)
                size += parcel.size_bytes
        if batch:
            yield batch

    def _parcel(self, uow: UnitOfWork, waiting: Waiting, notification: Outgoing | None) -> Parcel | None:
        """Return one message made ready, or None if that failed, which is then recorded."""
        try:
            if notification is None:
                raise Undeliverable("the notification is gone")
            if notification.state is State.CANCELLED:
                raise Undeliverable("it is cancelled", Happening.CANCELLED)
            if notification.deliver_by is not None and notification.deliver_by <= clock.now():
                raise Undeliverable("its time is over", Happening.EXPIRED)
            message, noted = self._prepare(notification, waiting.origin)
            size = message.ByteSize()
            if size > LARGEST_CONTENT_BYTES:
                raise Undeliverable("the message is too large to be handed over")
        except Undeliverable as error:
            self._give_up(uow, waiting, error)
        except NotifyError as error:
            if error.reason in _OUTAGES:
                raise
            self._back_off(uow, waiting, error)
        except Exception as error:  # whatever a message provokes, the others go on
            self._back_off(uow, waiting, error)
        else:
            return Parcel(waiting, message, size, noted)
        return None

    def _hand_over(self, uow: UnitOfWork, parcels: Sequence[Parcel]) -> None:
        """Hand over together; where one is at fault, the halves apart, so that in the end it fails alone."""
        try:
            self._send([parcel.message for parcel in parcels])
        except NotifyError as error:
            if error.reason in _OUTAGES or error.code not in _BLAMED_ON_A_MESSAGE:
                raise
            if len(parcels) == 1:
                self._back_off(uow, parcels[0].waiting, error)
                return
            middle = len(parcels) // 2
            self._hand_over(uow, parcels[:middle])
            self._hand_over(uow, parcels[middle:])
            return
        noted = [parcel.noted for parcel in parcels if parcel.noted is not None]
        with uow.begin() if noted else uow.autocommit() as conn:
            if noted:
                record_hand_over(conn, noted)
            outbox.remove(conn, [parcel.waiting for parcel in parcels])

    def _back_off(self, uow: UnitOfWork, waiting: Waiting, error: Exception) -> None:
        reason = error.reason if isinstance(error, NotifyError) else type(error).__name__
        with _of(waiting):
            _log.error(
                "message not handed over",
                notification_id=waiting.notification_id,
                attempt=waiting.attempt,
                **describe_exception(error),
            )
        with uow.begin() as conn:
            outbox.back_off(conn, [waiting], reason)

    def _give_up(self, uow: UnitOfWork, waiting: Waiting, why: Undeliverable) -> None:
        ended = Event(waiting.notification_id, why.ends_as, clock.now())
        with _of(waiting):
            _log.warning("message given up", notification_id=waiting.notification_id, reason=str(why))
            with uow.begin() as conn:
                if outbox.remove(conn, [waiting]):
                    self._record(conn, [ended])


def rows_at_once(rows: int, seconds: float, most: int = outbox.MOST_ROWS) -> int:
    """Return how many rows to take at once, where the last ones took so many seconds; at most `most`."""
    fitting = most if seconds <= 0 else int(rows * CLAIM_SECONDS / seconds)
    return min(most, max(LEAST_ROWS, fitting))


def _of(waiting: Waiting) -> AbstractContextManager[None]:
    """Log lines within belong to the request that the message came with."""
    origin = waiting.origin
    return current.bind(request_id=origin.request_id or None, traceparent=origin.traceparent or None)


class MessagePreparer:
    """Makes texts and emails ready for providers."""

    def __init__(
        self, snapshots: Snapshots, links: UnsubscribeLinks, email_domain: str, branding: EmailBranding
    ) -> None:
        """Take the `branding` of emails of services without one of their own."""
        self._snapshots = snapshots
        self._links = links
        self._email_domain = email_domain
        self._branding = branding

    def prepare(self, notification: Outgoing, origin: Origin) -> tuple[Message, HandedOver | None]:
        """Return the message as providers take it, and its fragments where they are not those that it was
        accepted with: the service may be called otherwise by now.

        Raises Undeliverable if its service was archived meanwhile.
        """
        service = self._snapshots.service(notification.service_id)
        if service is None or not service.active:
            raise Undeliverable("the service is archived")
        template = _template(self._snapshots, notification)
        values = Personalisation(dict(notification.personalisation))
        days = service.retention_days(notification.channel)
        match template.wording:
            case SmsTemplate() as sms:
                message = sms.render(values, service.sms_prefix)
                dispatch = ProvidersClient.sms(notification, origin, message.content, days)
                fragments = message.fragment_count
                same = fragments == notification.fragment_count
                return dispatch, None if same else HandedOver(notification.id, fragments)
            case EmailTemplate() as email:
                links = self._unsubscribe_links(notification, template)
                rendered = email.render(values, links.page)
                return self._email(service, notification, origin, rendered, links), None
            case _:
                raise Undeliverable("a letter is not handed to providers")

    def _email(
        self,
        service: Service,
        notification: Outgoing,
        origin: Origin,
        message: EmailMessage,
        links: "_Links",
    ) -> Message:
        return ProvidersClient.email(
            notification,
            origin,
            from_name=service.email_from_name,
            from_address=f"{service.email_local_part}@{self._email_domain}",
            subject=message.subject,
            plain_body=message.plain_text,
            html_body=render_page(message, self._branding),
            unsubscribe_url=links.one_click,
            retention_days=service.retention_days(notification.channel),
        )

    def _unsubscribe_links(self, notification: Outgoing, template: Template) -> "_Links":
        """Return the links of an email; for mail programs that of the client is used where it gave one
        (public-api.md §7.1).
        """
        email = unsubscribable(notification, template)
        if email is None:
            return _Links(notification.unsubscribe_url, None)
        token = self._links.token(email)
        one_click = notification.unsubscribe_url or self._links.one_click(email, token)
        return _Links(one_click, self._links.page(email, token))


class _Links(NamedTuple):
    """Addresses by which a recipient gets no more such emails."""

    one_click: str
    """For mail programs; empty for none."""
    page: str | None
    """For people, at the end of the email; None for none."""


class LetterPreparer:
    """Makes letters ready for the letters context."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def prepare(self, notification: Outgoing, origin: Origin) -> tuple[Message, HandedOver]:
        """Return the letter as the letters context takes it.

        Raises Undeliverable for one that came as a PDF if its service was archived meanwhile.
        """
        if notification.state is State.PENDING_VIRUS_CHECK:
            return self._precompiled(notification, origin), HandedOver(notification.id, None)
        address = PostalAddress.from_personalisation(address_values(notification.personalisation))
        letter = LettersClient.letter(
            notification, origin, address.normalised_lines, print_reference(notification.id)
        )
        return letter, HandedOver(notification.id, None)

    def _precompiled(self, notification: Outgoing, origin: Origin) -> Message:
        service = self._snapshots.service(notification.service_id)
        if service is None or not service.active:
            raise Undeliverable("the service is archived")
        reference = print_reference(notification.id)
        abroad = "international_letters" in service.permissions
        uploaded = notification.created_by_id is not None
        pdf = letter_pb2.PrecompiledPdf(allow_international=abroad, uploaded=uploaded)
        return LettersClient.letter(notification, origin, (), reference, pdf)


def print_reference(notification_id: str) -> str:
    """Return the 16 characters under which the printer knows a letter: always the same ones."""
    number = int.from_bytes(hashlib.sha256(notification_id.encode()).digest())
    characters = []
    for _ in range(_REFERENCE_LENGTH):
        number, index = divmod(number, len(_REFERENCE_LETTERS))
        characters.append(_REFERENCE_LETTERS[index])
    return "".join(characters)


def message_relay(
    snapshots: Snapshots,
    client: ProvidersClient,
    links: UnsubscribeLinks,
    email_domain: str,
    branding: EmailBranding,
) -> MessageRelay:
    """Return the relay of texts and emails."""
    preparer = MessagePreparer(snapshots, links, email_domain, branding)
    record = partial(record_and_tell, snapshots)
    return MessageRelay(Destination.PROVIDERS, preparer.prepare, client.batch_dispatch, record)


def letter_relay(snapshots: Snapshots, client: LettersClient) -> MessageRelay:
    """Return the relay of letters."""
    record = partial(record_and_tell, snapshots)
    return MessageRelay(Destination.LETTERS, LetterPreparer(snapshots).prepare, client.batch_create, record)


def _template(snapshots: Snapshots, notification: Outgoing) -> Template:
    key = TemplateKey(notification.service_id, notification.template_id, notification.template_version)
    assert key.version != CURRENT  # noqa: S101 - a stored version is a number from 1
    template = snapshots.template(*key)
    if template is None:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    return template
