"""What dashboards and bills are made of, and how a move changes it (internal-api.md §§4.13, 4.15)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple

from notify_common import clock
from notify_common.enums import Channel, KeyType, Postage
from notify_common.records import record

from notify_notifications.domain.limits import is_counted
from notify_notifications.domain.notification import Progress, State

BILLABLE: Final[Mapping[Channel, frozenset[State]]] = {
    Channel.SMS: frozenset(
        {
            State.SENDING,
            State.SENT,
            State.DELIVERED,
            State.PENDING,
            State.TEMPORARY_FAILURE,
            State.PERMANENT_FAILURE,
        }
    ),
    Channel.EMAIL: frozenset(
        {State.SENDING, State.DELIVERED, State.TEMPORARY_FAILURE, State.PERMANENT_FAILURE}
    ),
    Channel.LETTER: frozenset({State.SENDING, State.DELIVERED, State.RETURNED_LETTER}),
}
"""States in which a message, not one of a test key, is a usage fact."""
PROMPT: Final = timedelta(seconds=10)
"""How soon a provider should take a message."""
TIME_RATIO: Final = 1.04
"""How much longer each step of times is than the one before it."""
_FIRST_STEP: Final = -180
"""About 9 milliseconds; whatever is shorter counts as that."""
_LAST_STEP: Final = 300
"""About two weeks."""


@record()
class Move:
    """What became of one message: its state is another, or facts of it are."""

    before: Progress
    after: Progress


class CountKey(NamedTuple):
    """What messages are counted by."""

    service_id: str
    day: date
    """Of creation, in London."""
    channel: Channel
    template_id: str
    key_type: KeyType
    state: State


class BatchCountKey(NamedTuple):
    """What messages of batches are counted by."""

    batch_id: str
    state: State


class DeletedKey(NamedTuple):
    """What deleted messages are counted by."""

    service_id: str
    day: date
    """Of creation, in London."""
    channel: Channel
    template_id: str
    key_type: KeyType
    state: State
    provider: str
    international: bool
    rate_multiplier: int
    postage: str
    """Letters; else empty."""
    sheet_count: int
    """Letters: of each; else 0."""


class DayCountKey(NamedTuple):
    """What messages are counted by for their daily limit."""

    service_id: str
    day: date
    """Of creation, in UTC."""
    counter: Channel


class UsageKey(NamedTuple):
    """What usage is told apart by, the rate aside, which follows from it."""

    service_id: str
    day: date
    """Of creation, in London."""
    channel: Channel
    template_id: str
    provider: str
    rate_multiplier: int
    postage: Postage | None
    sheet_count: int
    """Letters: of each; else 0."""


class Usage(NamedTuple):
    """Messages, and what they are billed by."""

    message_count: int
    unit_count: int
    """Texts: fragments, not yet times the multiplier. Letters: sheets. Emails: 0."""


class TimeKey(NamedTuple):
    """What messages that a provider took are counted by, to tell how long they waited."""

    day: date
    """Of creation, in London."""
    channel: Channel
    step: int
    """See `time_step`."""


class Processing(NamedTuple):
    """Texts and emails that a provider took."""

    message_count: int
    prompt_count: int
    """Within PROMPT of their creation, or of when they were to be sent."""


def count_differences(moves: Iterable[Move]) -> dict[CountKey, int]:
    """Return by how much each count changes; those that stay are left out."""
    sums: defaultdict[CountKey, int] = defaultdict(int)
    for move in moves:
        if move.before.state is not move.after.state:
            sums[_count_key(move.before)] -= 1
            sums[_count_key(move.after)] += 1
    return {key: change for key, change in sums.items() if change}


def batch_differences(moves: Iterable[Move]) -> dict[BatchCountKey, int]:
    """Return by how much each count of a batch changes; those that stay are left out."""
    sums: defaultdict[BatchCountKey, int] = defaultdict(int)
    for move in moves:
        batch_id = move.after.batch_id
        if batch_id is not None and move.before.state is not move.after.state:
            sums[BatchCountKey(batch_id, move.before.state)] -= 1
            sums[BatchCountKey(batch_id, move.after.state)] += 1
    return {key: change for key, change in sums.items() if change}


def day_count_differences(moves: Iterable[Move]) -> dict[DayCountKey, int]:
    """Return by how much each daily limit's count changes: a letter that is cancelled counts no more
    (pipeline.md §4.9). What else ends stays counted.
    """
    sums: defaultdict[DayCountKey, int] = defaultdict(int)
    for before, after in ((move.before, move.after) for move in moves):
        cancelled = after.state is State.CANCELLED and before.state is not State.CANCELLED
        if cancelled and after.channel is Channel.LETTER and is_counted(after.key_type):
            sums[DayCountKey(after.service_id, after.create_time.date(), after.channel)] -= 1
    return dict(sums)


def deleted_differences(moves: Iterable[Move]) -> dict[DeletedKey, int]:
    """Return by how much each count of deleted messages changes where these are letters; those that stay are
    left out.
    """
    sums: defaultdict[DeletedKey, int] = defaultdict(int)
    for move in moves:
        sums[_deleted_key(move.before)] -= 1
        sums[_deleted_key(move.after)] += 1
    return {key: change for key, change in sums.items() if change}


def usage_differences(moves: Iterable[Move]) -> dict[UsageKey, Usage]:
    """Return by how much each usage fact changes; those that stay are left out."""
    sums: defaultdict[UsageKey, Usage] = defaultdict(lambda: Usage(0, 0))
    for move in moves:
        for progress, sign in ((move.before, -1), (move.after, 1)):
            if is_billable(progress):
                key = _usage_key(progress)
                messages, units = sums[key]
                sums[key] = Usage(messages + sign, units + sign * _units(progress))
    return {key: change for key, change in sums.items() if any(change)}


def processing_differences(moves: Iterable[Move]) -> dict[date, Processing]:
    """Return by London day of creation which messages a provider took (internal-api.md §4.13)."""
    sums: defaultdict[date, Processing] = defaultdict(lambda: Processing(0, 0))
    for move in moves:
        if (waited := _waited(move)) is not None:
            day = clock.london_day(move.after.create_time)
            messages, prompt = sums[day]
            sums[day] = Processing(messages + 1, prompt + (waited <= PROMPT))
    return dict(sums)


def time_differences(moves: Iterable[Move]) -> dict[TimeKey, int]:
    """Return how many messages a provider took, by how long they had waited for that."""
    sums: defaultdict[TimeKey, int] = defaultdict(int)
    for move in moves:
        if (waited := _waited(move)) is not None:
            day = clock.london_day(move.after.create_time)
            sums[TimeKey(day, move.after.channel, time_step(waited.total_seconds()))] += 1
    return dict(sums)


def time_step(seconds: float) -> int:
    """Return the step of a time: times of one step are at most 4 % apart, and step 0 ends at PROMPT."""
    least = PROMPT.total_seconds() * TIME_RATIO**_FIRST_STEP
    if seconds <= least:
        return _FIRST_STEP
    return min(math.ceil(round(math.log(seconds / PROMPT.total_seconds(), TIME_RATIO), 9)), _LAST_STEP)


def step_time(step: int) -> timedelta:
    """Return the longest time of a step."""
    return PROMPT * TIME_RATIO**step


def _waited(move: Move) -> timedelta | None:
    """Return how long a text or email waited that a provider just took; None for all other moves."""
    sent = move.after.sent_time
    if sent is None or move.before.sent_time is not None:
        return None
    if move.after.key_type is KeyType.TEST or move.after.channel is Channel.LETTER:
        return None
    return sent - (move.after.send_at or move.after.create_time)


def is_billable(progress: Progress) -> bool:
    """Whether a message is a usage fact."""
    return progress.key_type is not KeyType.TEST and progress.state in BILLABLE[progress.channel]


def _units(progress: Progress) -> int:
    counts = {Channel.SMS: progress.fragment_count, Channel.LETTER: progress.sheet_count}
    return counts.get(progress.channel) or 0


def _count_key(progress: Progress) -> CountKey:
    return CountKey(
        progress.service_id,
        clock.london_day(progress.create_time),
        progress.channel,
        progress.template_id,
        progress.key_type,
        progress.state,
    )


def _deleted_key(progress: Progress) -> DeletedKey:
    return DeletedKey(
        *_count_key(progress),
        progress.provider,
        progress.international,
        progress.rate_multiplier,
        progress.postage or "",
        progress.sheet_count or 0,
    )


def _usage_key(progress: Progress) -> UsageKey:
    return UsageKey(
        progress.service_id,
        clock.london_day(progress.create_time),
        progress.channel,
        progress.template_id,
        progress.provider,
        progress.rate_multiplier,
        progress.postage,
        progress.sheet_count or 0,
    )
