"""What counts and usage are asked by, and the sums that answer (internal-api.md §§4.13, 4.15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from notify_common.enums import Channel, KeyType, Postage

from notify_notifications.domain.notification import State


class CountGroup(StrEnum):
    """What messages are told apart by."""

    SERVICE = "service"
    DAY = "day"
    MONTH = "month"
    CHANNEL = "channel"
    TEMPLATE = "template"
    KEY_TYPE = "key-type"
    STATE = "state"


class UsageGroup(StrEnum):
    """What usage is told apart by."""

    SERVICE = "service"
    DAY = "day"
    MONTH = "month"
    CHANNEL = "channel"
    PROVIDER = "provider"
    POSTAGE = "postage"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Days:
    """London days, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class CountFilters:
    """Which messages are counted."""

    days: Days
    service_ids: Sequence[str] = ()
    """Empty means all."""
    template_id: str = ""
    """Empty means all."""
    without_test_keys: bool = False


@dataclass(frozen=True, slots=True)
class MessageCount:
    """Messages of one group; what was not grouped by is None."""

    count: int
    service_id: str | None = None
    day: date | None = None
    """The day, or the first of the month."""
    channel: Channel | None = None
    template_id: str | None = None
    key_type: KeyType | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What one group used; what was not grouped by is None."""

    message_count: int
    unit_count: int
    """Texts: fragments. Letters: sheets. Emails: 0."""
    chargeable_count: int
    """Texts: fragments times the multipliers. Letters: letters. Emails: 0."""
    free_count: int
    """Of these, what allowances cover."""
    cost_micropounds: int
    service_id: str | None = None
    day: date | None = None
    channel: Channel | None = None
    provider: str | None = None
    postage: Postage | None = None
    rate_micropounds: int | None = None


@dataclass(frozen=True, slots=True)
class PlatformDay:
    """Messages of one channel on one day that is over."""

    day: date
    channel: Channel
    message_count: int
    service_count: int
    """Services that they are of."""


@dataclass(frozen=True, slots=True)
class ProcessingTime:
    """Texts or emails of one day that a provider took after about the same time."""

    day: date
    channel: Channel
    longest: timedelta
    """That any of them waited; all waited at least a 1.04th part of it."""
    message_count: int


@dataclass(frozen=True, slots=True)
class ProcessingDay:
    """Texts and emails of one day that a provider took, and how many of them within 10 seconds."""

    day: date
    message_count: int
    prompt_count: int


@dataclass(frozen=True, slots=True)
class Performance:
    """How much the platform sends, and how promptly; without messages of test keys."""

    totals: Mapping[Channel, int]
    """Of all days that are over."""
    days: Sequence[PlatformDay]
    processing: Sequence[ProcessingDay]
