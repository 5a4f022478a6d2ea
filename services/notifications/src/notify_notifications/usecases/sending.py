"""What accepting a message has in common for the three channels (public-api.md §2.1)."""

from dataclasses import dataclass, field

from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_common.tracing import current_traceparent
from notify_content.placeholders import Personalisation

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.hand_over import Destination, lane_of
from notify_notifications.domain.notification import Channel, KeyType
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.store.acceptance import (
    AcceptanceStore,
    Earlier,
    HandOver,
    NewNotification,
    personalisation_json,
)
from notify_notifications.usecases.limits import Quota


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, as the gateway verified it."""

    service_id: str
    api_key_id: str
    key_type: KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a request to send says, whatever the channel."""

    request_id: str
    """Becomes the notification's id."""
    sender: Sender
    template_id: str
    personalisation: Pairs = field(repr=False)
    has_file: bool
    """Whether a value of the personalisation is a file."""
    reference: str | None = field(repr=False)
    idempotency_key: str = field(repr=False)
    """The client's; empty for none."""
    content_hash: bytes
    """Equal for two requests that ask for the same."""
    is_retry: bool
    """Whether the caller's channel says that it sent this request before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the columns of a notification hold besides the command, by default as for an email."""

    template_version: int
    recipient: str
    normalised_recipient: str
    sender: str
    personalisation: Pairs = field(repr=False)
    unsubscribe_url: str = ""
    international: bool = False
    phone_prefix: str = ""
    rate_multiplier: int = 0
    postage: str | None = None


class Acceptance:
    """The shared steps; made once a process."""

    def __init__(self, snapshots: Snapshots, store: AcceptanceStore) -> None:
        self._snapshots = snapshots
        self._store = store

    def service(self, service_id: str) -> Service:
        """The service that sends. Raises NotifyError SERVICE_NOT_FOUND, for an archived one too."""
        service = self._snapshots.service(service_id)
        if service is None or not service.active:
            raise NotifyError("SERVICE_NOT_FOUND")
        return service

    def template(self, service: Service, template_id: str, channel: Channel) -> Template:
        """The current version of the template, if the service may send it on this channel.

        Raises:
            NotifyError: CHANNEL_NOT_ALLOWED, TEMPLATE_NOT_FOUND, TEMPLATE_WRONG_CHANNEL, TEMPLATE_ARCHIVED.
        """
        if channel not in service.permissions:
            raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": channel})
        template = self._snapshots.template(service.id, template_id)
        if template is None or template.hidden:
            raise NotifyError("TEMPLATE_NOT_FOUND")
        if template.channel is not channel:
            facts = {"template_channel": template.channel, "channel": channel}
            raise NotifyError("TEMPLATE_WRONG_CHANNEL", metadata=facts)
        if template.archived:
            raise NotifyError("TEMPLATE_ARCHIVED")
        return template

    def store(self, command: Command, channel: Channel, details: Details, quota: Quota) -> Earlier | None:
        """Store the message and count it: idempotent by request id and by idempotency key.

        Returns None once it is stored, or what the same request stored before.

        Raises:
            NotifyError: REQUEST_ID_REUSED, the id or key was used before with other content.
        """
        new = NewNotification(
            id=command.request_id,
            service_id=command.sender.service_id,
            api_key_id=command.sender.api_key_id,
            key_type=command.sender.key_type,
            channel=channel,
            template_id=command.template_id,
            template_version=details.template_version,
            reference=command.reference,
            recipient=details.recipient,
            normalised_recipient=details.normalised_recipient,
            sender=details.sender,
            personalisation=personalisation_json(details.personalisation),
            unsubscribe_url=details.unsubscribe_url,
            content_hash=command.content_hash,
            create_time=clock.now(),
            international=details.international,
            phone_prefix=details.phone_prefix,
            rate_multiplier=details.rate_multiplier,
            postage=details.postage,
        )
        destination = Destination.LETTERS if channel is Channel.LETTER else Destination.PROVIDERS
        hand_over = HandOver(
            destination, current.request_id.get(), current_traceparent(), lane_of(command.sender.service_id)
        )
        earlier = self._store.accept(new, hand_over, quota.day, quota.counters, command.idempotency_key)
        if earlier is None:
            quota.keep()
            return None
        return _same(command, earlier)

    def repeated(self, command: Command, refusal: NotifyError) -> tuple[Earlier, Template]:
        """What the same request stored before, with the template version it used; `refusal` again if nothing.

        A repeat may meet a limit that its own first try filled, or a template archived since; it gets the
        first answer all the same. Only requests that say that they may be repeats cost a look.
        """
        if not (command.is_retry or command.idempotency_key) or refusal.reason == "RATE_LIMITED":
            raise refusal
        earlier = self._store.find_earlier(
            command.request_id, command.sender.service_id, command.idempotency_key
        )
        if earlier is None or earlier.content_hash != command.content_hash:
            raise refusal
        return earlier, self.version(command, earlier)

    def version(self, command: Command, earlier: Earlier) -> Template:
        """The template version that an earlier request was accepted with."""
        template = self._snapshots.template(
            command.sender.service_id, command.template_id, earlier.template_version
        )
        if template is None:
            raise NotifyError("TEMPLATE_NOT_FOUND")
        return template


def values_for(template: Template, pairs: Pairs) -> Personalisation:
    """The personalisation for rendering `template`. Raises NotifyError MISSING_PERSONALISATION."""
    values = Personalisation(dict(pairs))
    missing = template.wording.missing(values)
    if missing:
        raise missing_personalisation(missing)
    check_length(template, values)
    return values


def check_length(template: Template, values: Personalisation) -> None:
    """Raises NotifyError MESSAGE_TOO_LONG for a message that no answer could hold, before it is made.

    A template may repeat a large value any number of times; only counting keeps memory bounded then.
    """
    _refuse_above_limit(template.wording.length(values))


def check_size(*texts: str) -> None:
    """Raises NotifyError MESSAGE_TOO_LONG if `texts` are more than an answer, now or on reading, can hold."""
    _refuse_above_limit(sum(len(text.encode()) for text in texts))


def _refuse_above_limit(size: int) -> None:
    if size > LARGEST_CONTENT_BYTES:
        raise too_long("", LARGEST_CONTENT_BYTES, size)


def too_long(channel: str, limit: int, size: int) -> NotifyError:
    """The error for a message over its channel's limit, or with `channel` empty, over that of every one."""
    facts = {"channel": channel, "limit": str(limit), "size": str(size)}
    return NotifyError("MESSAGE_TOO_LONG", metadata=facts)


def check_no_file(command: Command) -> None:
    """Raises NotifyError FILE_NOT_ALLOWED for what holds a file."""
    if command.has_file:
        raise NotifyError("FILE_NOT_ALLOWED")


def missing_personalisation(names: list[str]) -> NotifyError:
    """The error that names placeholders without a value, in order."""
    return NotifyError("MISSING_PERSONALISATION", metadata={"names": ", ".join(names)})


def _same(command: Command, earlier: Earlier) -> Earlier:
    if earlier.content_hash != command.content_hash:
        raise NotifyError("REQUEST_ID_REUSED")
    return earlier
