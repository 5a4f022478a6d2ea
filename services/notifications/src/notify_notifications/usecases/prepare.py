"""Checking and dressing a message before limits and database see it: rules alone (public-api.md §2.1).

What checks and dresses takes a service and a template that were looked up before, and does nothing but
compute; the order of the checks decides which error a client sees where several things are wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import ClassVar, Final

from notify_common.enums import Channel, KeyType, Postage
from notify_common.errors import NotifyError
from notify_common.records import record
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_content.emails import EmailMessage
from notify_content.letters import LetterContent
from notify_content.placeholders import Personalisation
from notify_content.sms import SmsMessage, SmsTemplate

from notify_notifications.clients.snapshots import CURRENT
from notify_notifications.domain.files import AttachedFile, NewFile
from notify_notifications.domain.notification import State
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.record import Origin
from notify_notifications.domain.sanitising import SanitisedField
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template

_ANY_CHANNEL: Final = ""
"""Value of the fact `channel` of MESSAGE_TOO_LONG where no channel's own limit was passed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends, as the gateway verified it."""

    service_id: str
    api_key_id: str | None
    """None for a member, and for the platform itself."""
    key_type: KeyType
    created_by_id: str | None = None
    """The member of the service who sends in the admin web app; None for an API key."""


@record(kw_only=True)
class SendCommand:
    """What a request to send says, whatever the channel."""

    channel: ClassVar[Channel]

    request_id: str
    """Becomes the notification's id."""
    caller: Caller
    template_id: str
    personalisation: Pairs = field(repr=False)
    has_file: bool
    """Whether a value of the personalisation is a file."""
    reference: str | None = field(repr=False)
    idempotency_key: str = field(repr=False)
    """The client's; empty for none."""
    content_hash: bytes
    """Equal for two requests that ask for the same."""
    is_repeat: bool
    """Whether this may not be the first time that the request is made."""
    origin: Origin
    """Request id and trace that follow the message."""
    batch_id: str | None = None
    """The batch or job that it came in, whose one token stands for all of its messages."""
    row_number: int | None = None
    """Of a job's rows, from 0; None for all others."""
    template_version: int = CURRENT
    """The version that is sent; 0 for the newest."""
    deadline: float | None = None
    """Reading of `clock.monotonic()` after which nobody waits for the answer; None for never."""
    send_at: datetime | None = None
    """When it is to be sent; None for at once."""
    deliver_by: datetime | None = None
    """After which no provider gets it; None for never."""
    max_cost_micropounds: int | None = None
    """The most that it may cost; None for any amount."""

    @property
    def may_be_simulated(self) -> bool:
        """Return whether a recipient for tests gets nothing: of what a person sends it gets everything."""
        return self.caller.created_by_id is None and self.row_number is None


@record(kw_only=True)
class SmsCommand(SendCommand):
    """A text message to accept."""

    channel = Channel.SMS

    phone_number: str = field(repr=False)
    sms_sender_id: str
    """Empty for the default."""


@record(kw_only=True)
class EmailCommand(SendCommand):
    """An email to accept."""

    channel = Channel.EMAIL

    email_address: str = field(repr=False)
    email_reply_to_id: str
    """Empty for the default, if there is one."""
    reply_to_address: str = field(repr=False, default="")
    """In place of one of the service's: only the platform itself says so."""
    one_click_unsubscribe_url: str = field(repr=False)
    """Empty for none."""
    sanitise_content_for: tuple[str, ...] = field(repr=False)
    files: tuple[NewFile, ...] = field(repr=False, default=())
    """What its placeholders link to."""
    contents: Iterator[bytes] = field(repr=False, default=iter(()))
    """The files' bytes, one after the other, read once their turn among the checks has come."""


@record(kw_only=True)
class LetterCommand(SendCommand):
    """A letter to accept."""

    channel = Channel.LETTER

    recipient: str = field(default="", repr=False)
    """As the admin web app names whom a member writes to; else empty."""


@record(kw_only=True)
class PrecompiledLetterCommand(SendCommand):
    """A letter that came as a PDF, to accept; its personalisation is empty."""

    channel = Channel.LETTER

    postage: Postage | None
    """None for the template's."""
    recipient_address: str = field(repr=False)
    """As it was read from the PDF of a letter that a member uploaded, lines separated by line feeds."""


@record()
class AcceptedSms:
    """The accepted text message, or what would have been accepted for a simulated number."""

    notification_id: str
    body: str = field(repr=False)
    """Without the service's prefix."""
    from_number: str
    template_version: int

    @property
    def size_bytes(self) -> int:
        """Size of its texts."""
        return len(self.body.encode())


@record()
class AcceptedEmail:
    """The accepted email, or what would have been accepted for a simulated address."""

    notification_id: str
    subject: str = field(repr=False)
    body: str = field(repr=False)
    from_address: str
    template_version: int
    sanitised_fields: list[SanitisedField] = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Size of its texts."""
        texts = (self.subject, self.body, *(text for one in self.sanitised_fields for text in one))
        return sum(len(text.encode()) for text in texts)


@record()
class AcceptedLetter:
    """The accepted letter."""

    notification_id: str
    subject: str = field(repr=False)
    """HTML-escaped."""
    body: str = field(repr=False)
    template_version: int

    @property
    def size_bytes(self) -> int:
        """Size of its texts."""
        return len(self.subject.encode()) + len(self.body.encode())


@record()
class AcceptedPrecompiledLetter:
    """The accepted letter that came as a PDF."""

    notification_id: str
    postage: Postage
    """Until the address in the PDF asks for another."""

    size_bytes: ClassVar[int] = 0
    """Size of its texts."""


@record()
class AcceptedRow:
    """A job's row whose message failed."""

    notification_id: str

    size_bytes: ClassVar[int] = 0
    """Size of its texts."""


Accepted = AcceptedSms | AcceptedEmail | AcceptedLetter | AcceptedPrecompiledLetter | AcceptedRow


@record(kw_only=True)
class Details:
    """What the columns of a notification hold besides the command, by default as for an email."""

    template_version: int
    recipient: str = field(repr=False)
    normalised_recipient: str = field(repr=False)
    sender: str
    personalisation: Pairs = field(repr=False)
    unsubscribe_url: str = field(repr=False, default="")
    international: bool = False
    phone_prefix: str = ""
    rate_multiplier: int = 0
    fragment_count: int | None = None
    postage: Postage | None = None
    state: State = State.CREATED


@record(slots=False)
class Filled:
    """A template filled in for one message: what is answered, shown and priced of it is rendered once."""

    template: Template
    values: Personalisation = field(repr=False)
    message: SmsMessage | EmailMessage | LetterContent = field(repr=False)
    """Of texts without the service's name."""
    prefix: str | None = None
    """Texts: the service's name where it stands in front of them."""

    @cached_property
    def handed_over(self) -> SmsMessage:
        """Of texts: what is handed over, the service's name included."""
        assert isinstance(self.message, SmsMessage)  # noqa: S101 - of a text
        assert isinstance(self.template.wording, SmsTemplate)  # noqa: S101 - of a text
        return self.template.wording.render(self.values, self.prefix) if self.prefix else self.message


@record(kw_only=True)
class Prepared:
    """What the rules say of a message."""

    accepted: Accepted | None = None
    """The answer, once limits and database agree; None for what is refused."""
    details: Details | None = None
    """What to store; None for what is refused or only simulated."""
    refusal: NotifyError | None = None
    """Why it is refused, unless a limit that was passed is the reason that comes first."""
    international: bool = False
    """Whether the limit of texts to other countries comes before the refusal, or counts for what is
    stored.
    """
    attached: tuple[AttachedFile, ...] = ()
    """Files of its template, whose links it has."""
    filled: Filled | None = None
    """Its wording; None of a letter that comes as a PDF, and of what is refused, unless for its length."""


def usable(service: Service, template: Template | None, channel: Channel) -> Template:
    """Return the template, if the service may send it on this channel.

    Raises:
        NotifyError: CHANNEL_NOT_ALLOWED, TEMPLATE_NOT_FOUND, TEMPLATE_WRONG_CHANNEL, TEMPLATE_ARCHIVED.
    """
    if channel not in service.permissions:
        raise NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": channel})
    if template is None or template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    if template.channel is not channel:
        facts = {"template_channel": template.channel, "channel": channel}
        raise NotifyError("TEMPLATE_WRONG_CHANNEL", metadata=facts)
    if template.archived:
        raise NotifyError("TEMPLATE_ARCHIVED")
    return template


def values_for(template: Template, pairs: Pairs) -> Personalisation:
    """Return the personalisation for rendering `template`. Raises NotifyError MISSING_PERSONALISATION."""
    values = Personalisation(dict(pairs))
    missing = template.wording.missing(values)
    if missing:
        raise missing_personalisation(missing)
    check_length(template, values)
    return values


def check_length(template: Template, values: Personalisation) -> None:
    """Raise NotifyError MESSAGE_TOO_LONG for a message that no answer could hold, before it is made.

    A template may repeat a large value any number of times; only counting keeps memory bounded then.
    """
    _refuse_above_limit(template.wording.length(values))


def check_size(*texts: str) -> None:
    """Raise NotifyError MESSAGE_TOO_LONG if `texts` are more than an answer, now or on reading, can hold."""
    _refuse_above_limit(sum(len(text.encode()) for text in texts))


def too_long_in_all(size: int) -> NotifyError:
    """Return the error for what does not fit into one message between services, `size` in bytes."""
    return too_long(_ANY_CHANNEL, LARGEST_CONTENT_BYTES, size)


def too_long(channel: str, limit: int, size: int) -> NotifyError:
    """Return the error for a message of more than `limit` characters (texts) or bytes."""
    return NotifyError(
        "MESSAGE_TOO_LONG", metadata={"channel": channel, "limit": str(limit), "size": str(size)}
    )


def check_member(service: Service, caller: Caller) -> None:
    """Raise NotifyError NOT_A_MEMBER for a user who is no member of the service (internal-api.md §4.11)."""
    user_id = caller.created_by_id
    if user_id is not None and user_id not in service.member_ids:
        raise NotifyError("NOT_A_MEMBER", metadata={"user": user_id, "service_name": service.name})


def check_no_file(command: SendCommand) -> None:
    """Raise NotifyError FILE_NOT_ALLOWED for what holds a file."""
    if command.has_file:
        raise NotifyError("FILE_NOT_ALLOWED")


def missing_personalisation(names: list[str]) -> NotifyError:
    """Return the error that names placeholders without a value, in order."""
    return NotifyError("MISSING_PERSONALISATION", metadata={"names": ", ".join(names)})


def sender_not_found(field: str, sender_id: str, service_id: str) -> NotifyError:
    """Return the error for a text sender or reply-to address that the service does not have."""
    facts = {"field": field, "sender_id": sender_id, "service_id": service_id}
    return NotifyError("SENDER_NOT_FOUND", metadata=facts)


def recipient_invalid(stage: str, field: str, problem: str) -> NotifyError:
    """Return the error for a recipient that nobody (`schema`) or not this service (`service`) may send to."""
    return NotifyError("RECIPIENT_INVALID", metadata={"stage": stage, "field": field, "problem": problem})


def _refuse_above_limit(size: int) -> None:
    if size > LARGEST_CONTENT_BYTES:
        raise too_long_in_all(size)
