"""The life of a notification: states that only move forward (public-api.md §4.2, pipeline.md §2.1)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from notify_common.enums import Channel, KeyType, Postage
from notify_common.records import record

from notify_notifications.domain.destinations import promises_receipts


class State(StrEnum):
    """Where a notification stands, in the words that clients see and the database stores."""

    PENDING_VIRUS_CHECK = "pending-virus-check"
    CREATED = "created"
    SENDING = "sending"
    SENT = "sent"
    PENDING = "pending"
    DELIVERED = "delivered"
    PERMANENT_FAILURE = "permanent-failure"
    TEMPORARY_FAILURE = "temporary-failure"
    TECHNICAL_FAILURE = "technical-failure"
    CANCELLED = "cancelled"
    VALIDATION_FAILED = "validation-failed"
    VIRUS_SCAN_FAILED = "virus-scan-failed"
    RETURNED_LETTER = "returned-letter"
    EXPIRED = "expired"


_RANKS: Final = {
    State.PENDING_VIRUS_CHECK: 0,
    State.CREATED: 1,
    State.SENDING: 2,
    State.SENT: 2,
    State.PENDING: 3,
    State.RETURNED_LETTER: 5,
}
FINAL_RANK: Final = 4


def rank(state: State) -> int:
    """Return how far along a state is; a notification's rank never falls, and from FINAL_RANK on its state is
    final, except that the post may bring a letter back whatever its state is (pipeline.md §4.11).
    """
    return _RANKS.get(state, FINAL_RANK)


class Happening(StrEnum):
    """What a later context reports of a message."""

    SENT = "sent"
    PENDING = "pending"
    DELIVERED = "delivered"
    TEMPORARY_FAILURE = "temporary-failure"
    PERMANENT_FAILURE = "permanent-failure"
    TECHNICAL_FAILURE = "technical-failure"
    EXPIRED = "expired"
    COMPLAINT = "complaint"
    """Its recipient complained; where it stands does not change."""
    CANCELLED = "cancelled"
    LETTER_READY = "letter-ready"
    LETTER_VALIDATION_FAILED = "letter-validation-failed"
    LETTER_TECHNICAL_FAILURE = "letter-technical-failure"
    LETTER_VIRUS_FOUND = "letter-virus-found"
    LETTER_CANCELLED = "letter-cancelled"
    LETTER_RETURNED = "letter-returned"


_STATE_AFTER: Final = {
    Happening.PENDING: State.PENDING,
    Happening.DELIVERED: State.DELIVERED,
    Happening.TEMPORARY_FAILURE: State.TEMPORARY_FAILURE,
    Happening.PERMANENT_FAILURE: State.PERMANENT_FAILURE,
    Happening.TECHNICAL_FAILURE: State.TECHNICAL_FAILURE,
    Happening.EXPIRED: State.EXPIRED,
    Happening.CANCELLED: State.CANCELLED,
    Happening.LETTER_VALIDATION_FAILED: State.VALIDATION_FAILED,
    Happening.LETTER_TECHNICAL_FAILURE: State.TECHNICAL_FAILURE,
    Happening.LETTER_VIRUS_FOUND: State.VIRUS_SCAN_FAILED,
    Happening.LETTER_CANCELLED: State.CANCELLED,
    Happening.LETTER_RETURNED: State.RETURNED_LETTER,
}


@record()
class Event:
    """Something that happened to one message."""

    notification_id: str
    happening: Happening
    time: datetime
    provider: str = ""
    """Name of the provider; empty if none was called."""
    sheet_count: int = 0
    """Letters: sheets of paper of the PDF that was made."""
    postage: Postage | None = None
    """Letters that came as PDFs: the class of post that the address in them asks for; None for the one that
    they have."""


@record()
class Progress:
    """The part of a notification that events change, with the facts that decide how, and by which it is
    counted."""

    id: str
    service_id: str
    template_id: str
    channel: Channel
    key_type: KeyType
    create_time: datetime
    state: State
    international: bool
    """Texts: whether it is billed as one to another country. Other channels: false."""
    phone_prefix: str
    """Texts: billing prefix of the destination. Other channels: empty."""
    rate_multiplier: int
    """Texts: factor of the destination. Other channels: 0."""
    fragment_count: int | None
    """Texts: fragments as handed over, 0 where no provider was asked; None for other channels."""
    sent_time: datetime | None
    update_time: datetime | None
    provider: str
    sheet_count: int | None
    postage: Postage | None
    """Letters: class of post. Other channels: None."""
    send_at: datetime | None = None
    """When it was to be sent; None for at once."""
    batch_id: str | None = None
    """The batch that it came in, if it came in one."""


def advance(progress: Progress, events: Iterable[Event]) -> Progress:
    """Return where a message stands after `events`, taken in the order given.

    Repeating an event changes nothing, and none moves a message back: after a final state only facts that
    were still missing (when it was sent, by whom, how many sheets) are filled in.
    """
    for event in events:
        progress = _after(progress, event)
    return progress


def _after(progress: Progress, event: Event) -> Progress:
    changes = _facts(progress, event)
    state = _next_state(progress, event.happening)
    if state is not None and rank(state) > rank(progress.state):
        changes |= {"state": state, "update_time": event.time}
    return replace(progress, **changes) if changes else progress


def _facts(progress: Progress, event: Event) -> dict[str, Any]:
    """Return what an event says of a message besides its state, as attributes of a Progress."""
    match event.happening:
        case Happening.SENT if progress.sent_time is None:
            # a letter of a test key goes to the sandbox, which posts nothing (public-api.md §3.1)
            is_posted = progress.channel is not Channel.LETTER or progress.key_type is not KeyType.TEST
            return {"sent_time": event.time if is_posted else None, "provider": event.provider}
        case Happening.PERMANENT_FAILURE if progress.sent_time is None and progress.channel is Channel.SMS:
            return {"fragment_count": 0}  # no provider was asked, so nothing is charged
        case Happening.LETTER_READY if progress.sheet_count is None:
            # letters of test keys are not printed, so nothing is billed (pipeline.md §2.7)
            sheets = 0 if progress.key_type is KeyType.TEST else event.sheet_count
            return {"sheet_count": sheets, "postage": event.postage or progress.postage}
        case _:
            return {}


def _next_state(progress: Progress, happening: Happening) -> State | None:
    match happening:
        case Happening.SENT:
            return State.SENT if progress.international else State.SENDING
        case Happening.COMPLAINT:
            return None
        case Happening.LETTER_READY:
            return State.CREATED  # it waits for its print run, one of a test key for the sandbox
        case Happening.TECHNICAL_FAILURE if progress.sent_time is None:
            return State.TECHNICAL_FAILURE  # no provider took it
        case Happening.PERMANENT_FAILURE if progress.sent_time is None:
            return State.PERMANENT_FAILURE  # no provider was asked: its recipient is suppressed
        case Happening.EXPIRED | Happening.CANCELLED:
            return _STATE_AFTER[happening]  # no provider was asked
    if progress.international and not promises_receipts(progress.phone_prefix):
        return None  # what such countries report is not worth believing: it stays `sent` (public-api.md §4.2)
    return _STATE_AFTER[happening]
