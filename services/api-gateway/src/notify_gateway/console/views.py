"""What the pages of the inbox show, made of protos: plain values for templates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.letters.v1.letter_pb2 import Letter
from notify.notifications.v1.notification_pb2 import Notification
from notify.providers.v1.dispatch_pb2 import Attempt, Dispatch
from notify.providers.v1.dispatch_service_pb2 import GetDispatchResponse
from notify.providers.v1.sandbox_service_pb2 import SandboxMessage
from notify_common import clock
from notify_common.rpc import enums
from notify_content import phone
from notify_content.sms import SmsMessage, SmsTemplate

_TEXT: Final = SmsTemplate("((body))")
_KINDS: Final = {"sms": "Text message", "email": "Email", "letter": "Letter"}
CHANNELS: Final = {"": "All channels", "sms": "Text messages", "email": "Emails", "letter": "Letters"}
"""Value of the filter -> its words."""
OUTCOMES: Final = {
    "": "All outcomes",
    "delivered": "Delivered",
    "temporary-failure": "Temporary failure",
    "permanent-failure": "Permanent failure",
    "technical-failure": "Technical failure",
    "pending": "Pending",
    "none": "No receipt yet",
}
"""Value of the filter -> its words."""
_TONES: Final = {"delivered": "good", "pending": "open", "": "open"}
_KEY_TYPES: Final = {"normal": "live", "team": "team and guest list", "test": "test"}
_OUTCOMES: Final = {
    Attempt.OUTCOME_UNSPECIFIED: "under way",
    Attempt.OUTCOME_ACCEPTED: "accepted",
    Attempt.OUTCOME_RETRYABLE: "failed, another attempt follows",
    Attempt.OUTCOME_REFUSED: "refused",
    Attempt.OUTCOME_UNKNOWN: "outcome unknown",
}
_MOVING: Final = frozenset(
    {Notification.STATE_CREATED, Notification.STATE_SENDING, Notification.STATE_PENDING}
)


@dataclass(frozen=True)
class Line:
    """A message in the list."""

    id: str
    channel: str
    """`sms`, `email` or `letter`."""
    kind: str
    """The channel as people read it."""
    recipient: str
    """The address or number; of letters the first line of the address."""
    summary: str
    time: datetime
    clock: str
    """The time of day, with its zone."""
    copies: int
    outcome: str
    """The outcome as people read it."""
    tone: str
    """`good`, `bad` or `open`."""


@dataclass(frozen=True)
class Day:
    """The messages of one UTC day, newest first."""

    name: str
    date: date
    lines: list[Line]


@dataclass(frozen=True)
class Fact:
    """A name and what stands for it, such as `From` and a phone number."""

    name: str
    text: str


@dataclass(frozen=True)
class Message:
    """One message with its content; the parts of other channels are None or empty."""

    line: Line
    title: str
    facts: list[Fact]
    text: str = ""
    """Text messages: the body. Emails: the plain text part."""
    address_lines: list[str] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    """Letters: numbers of the pages that can be shown."""


@dataclass(frozen=True)
class Step:
    """One step of a message's way."""

    title: str
    detail: str
    time: datetime | None
    clock: str
    """The time of day, with the date where it is not the day of acceptance."""
    after: str
    """Time since it was accepted, such as `+0.42 s`; empty for the first step."""
    state: str
    """`done`, `failed` or `waiting`."""


@dataclass(frozen=True)
class Timeline:
    """The way of a message so far."""

    status: str
    """The notification's state for people, or empty where it is not known."""
    tone: str
    """`good`, `bad` or `open`."""
    moving: bool
    """Whether more is to come."""
    steps: list[Step]


def choice(options: Mapping[str, str], wanted: str) -> str:
    """Return the wanted value of a filter if there is one of this name, else the one for all."""
    return wanted if wanted in options else ""


def phone_number(recipient: str) -> str:
    """Return a recipient of texts as people write it: `07900 900123`, `+1 415 555 0123`."""
    try:
        return phone.parse(f"+{recipient}", allow_international=True, allow_uk_landline=True).human_readable
    except phone.InvalidPhoneNumber:
        return recipient


def lines(messages: Iterable[SandboxMessage]) -> list[Line]:
    """Return messages as the list shows them."""
    return list(map(_line, messages))


def by_day(messages: Iterable[SandboxMessage]) -> list[Day]:
    """Group messages, newest first, by the UTC day on which the sandbox took them."""
    today = clock.now().date()
    lines = map(_line, messages)
    return [
        Day(_day_name(day, today), day, list(group))
        for day, group in groupby(lines, key=lambda line: line.time.date())
    ]


def message(found: SandboxMessage, letter: Letter | None) -> Message:
    """Return a message for its page; `letter` is None where it is no letter or is unknown."""
    line = _line(found)
    dispatch = found.dispatch
    match dispatch.WhichOneof("content"):
        case "sms":
            rendered = _TEXT.render({"body": dispatch.sms.body})
            facts = [
                Fact("To", line.recipient),
                Fact("From", phone_number(dispatch.sms.sender)),
                Fact("Length", _length(rendered)),
            ]
            if dispatch.sms.international:
                facts.append(Fact("Destination", "international"))
            return Message(line, f"Text to {line.recipient}", facts + _common(found), dispatch.sms.body)
        case "email":
            email = dispatch.email
            facts = [
                Fact("To", email.to_address),
                Fact("From", f"{email.from_name} <{email.from_address}>"),
                *([Fact("Reply to", email.reply_to_address)] if email.reply_to_address else []),
                *([Fact("Unsubscribe", email.unsubscribe_url)] if email.unsubscribe_url else []),
            ]
            return Message(line, email.subject, facts + _common(found), email.plain_body)
        case "print":
            printed = dispatch.print
            sheets = f"{printed.sheet_count} sheet{'s' if printed.sheet_count != 1 else ''}"
            facts = [
                Fact("Postage", enums.to_text(Postage, printed.postage).replace("-", " ")),
                Fact("Paper", sheets),
                Fact("Printer’s reference", printed.reference),
            ]
            pages = list(range(1, letter.page_count + 1)) if letter is not None else []
            return Message(
                line,
                f"Letter to {printed.address_lines[0] if printed.address_lines else found.recipient}",
                facts + _common(found),
                address_lines=list(printed.address_lines),
                pages=pages,
            )
    return Message(line, found.summary, _common(found))


def timeline(notification: Notification | None, dispatch: GetDispatchResponse | None) -> Timeline:
    """Return accepted → handed over → attempts → receipts, as far as the services know them."""
    steps: list[Step] = []
    start = _time(notification.create_time) if notification is not None else None

    def add(title: str, detail: str, moment: datetime | None, state: str = "done") -> None:
        after = f"+{_elapsed(moment - start)}" if moment is not None and start is not None and steps else ""
        steps.append(Step(title, detail, moment, _clock(moment, start), after, state))

    if notification is not None and start is not None:
        add("Accepted", f"{start:%A} {start.day} {start:%B %Y}", start)
        if notification.HasField("hand_over_time"):
            add("Handed over", "to the next service", _time(notification.hand_over_time))
        elif dispatch is not None:
            add("Handed over", "to the next service", _time(dispatch.dispatch.create_time))
        elif notification.state in _MOVING:
            add("Handed over", "waiting", None, "waiting")
    for attempt in dispatch.attempts if dispatch is not None else ():
        moment = _time(attempt.end_time if attempt.HasField("end_time") else attempt.start_time)
        detail = f"{attempt.provider}: {_OUTCOMES[attempt.outcome]}"
        if attempt.reason:
            detail += f" ({attempt.reason})"
        if attempt.HasField("end_time"):
            detail += f", took {_elapsed(moment - _time(attempt.start_time))}"
        good = attempt.outcome in (Attempt.OUTCOME_ACCEPTED, Attempt.OUTCOME_UNSPECIFIED)
        add(f"Attempt {attempt.number}", detail, moment, "done" if good else "failed")
    for receipt in dispatch.receipts if dispatch is not None else ():
        add("Receipt", f"{receipt.provider}: {receipt.status}", _time(receipt.receive_time))
    if notification is None:
        return Timeline("", "open", False, steps)
    moving = notification.state in _MOVING
    if moving and steps[-1].state != "waiting":
        if dispatch is not None and dispatch.dispatch.state == Dispatch.STATE_IN_DOUBT:
            add("In doubt", "a person decides", None, "waiting")
        else:
            add("Receipt", "waiting", None, "waiting")
    good = notification.state in (Notification.STATE_DELIVERED, Notification.STATE_SENT)
    name = enums.to_text(Notification.State, notification.state).replace("-", " ")
    return Timeline(name, "open" if moving else "good" if good else "bad", moving, steps)


def _line(found: SandboxMessage) -> Line:
    channel = enums.to_text(Channel, found.channel)
    recipient = found.recipient
    if found.channel == Channel.CHANNEL_LETTER:
        # A letter's summary has the whole address; its first line is the name.
        recipient = recipient.partition(", ")[0]
    elif found.channel == Channel.CHANNEL_SMS:
        recipient = phone_number(recipient)
    moment = _time(found.receive_time)
    return Line(
        id=found.id,
        channel=channel,
        kind=_KINDS[channel],
        recipient=recipient,
        summary=found.summary,
        time=moment,
        clock=f"{moment:%H:%M:%S} UTC",
        copies=found.copy_count,
        outcome=OUTCOMES.get(found.outcome or "none", found.outcome).lower(),
        tone=_TONES.get(found.outcome, "bad"),
    )


def _common(found: SandboxMessage) -> list[Fact]:
    facts = [
        Fact("Key", _KEY_TYPES.get(_key_type(found.dispatch.key_type), "unknown")),
        Fact("Message", found.id),
        Fact("Service", found.service_id),
    ]
    if found.dispatch.origin_request_id:
        facts.append(Fact("Request", found.dispatch.origin_request_id))
    return facts


def _key_type(value: int) -> str:
    return enums.to_text(KeyType, value) if enums.is_specified(KeyType, value) else ""


def _length(rendered: SmsMessage) -> str:
    parts = rendered.fragment_count
    characters = rendered.character_count
    return (
        f"{characters} character{'s' if characters != 1 else ''} in {parts} part{'s' if parts != 1 else ''}"
    )


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC)


def _clock(moment: datetime | None, start: datetime | None) -> str:
    if moment is None:
        return ""
    text = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} UTC"
    return text if start is not None and moment.date() == start.date() else f"{moment.day} {moment:%b} {text}"


def _day_name(day: date, today: date) -> str:
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%A} {day.day} {day:%B %Y}"


def _elapsed(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
