"""Print runs: when the day's run is, what identifies it, how its letters are cut into batches, how it went
(pipeline.md §4.6, §4.7, §4.8.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from notify_common.clock import LONDON
from notify_common.enums import Postage

SLICE_LETTERS = 2_500
"""Letters that one transaction of collecting takes: a tenth of a second's work, which feeds wait for."""
AHEAD_LETTERS = 10_000
"""Collecting rests while this many of a run's letters are in batches that nobody has begun: about a second's
work, so that collecting and submitting go at one pace from the first letter to the last."""
MAX_BATCH_LETTERS = 500
MAX_BATCH_BYTES = 40 * 1024 * 1024
"""Of PDFs in a batch; no batch is larger unless one of its PDFs is larger than MARGIN_BYTES."""
MARGIN_BYTES = 8 * 1024 * 1024
"""How much a batch is closed early, since SQL closes it by the running total alone: more than any PDF has."""

_DAILY_RUNS = UUID("6d1a8f6c-5b0e-4e0f-9f4e-0b6f4b6a8a51")


class PrintRunState(StrEnum):
    """How far a run is; the value is the stored text. States only move down this list."""

    COLLECTING = "collecting"
    """Letters are being put into batches; those that exist are being submitted already."""
    SUBMITTING = "submitting"
    """All its letters are in batches."""
    SUBMITTED = "submitted"
    """Providers have every batch, and all counts agree."""
    UNRECONCILED = "unreconciled"
    """Providers have every batch, and some counts disagree: the report says which."""


@dataclass(frozen=True, slots=True)
class PrintRun:
    """A print run as it stands; counts are over its batches so far."""

    id: str
    state: PrintRunState
    deadline: datetime
    create_time: datetime
    pause_time: datetime | None
    """Since when it rests; None while it does not."""
    collect_time: datetime | None
    """When the last letter was collected; None until then."""
    complete_time: datetime | None
    """When it was reconciled; None until then."""
    expected_letter_count: int
    """Letters that were ready for it when it began; 0 until they are counted, or if that took too long."""
    letter_count: int
    batch_count: int
    submitted_letter_count: int
    submitted_batch_count: int
    parked_batch_count: int
    """Batches that were given up until an operator has them tried again."""

    @property
    def complete(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (PrintRunState.SUBMITTED, PrintRunState.UNRECONCILED)


@dataclass(frozen=True, slots=True)
class PrintBatch:
    """A batch of a run: letters of one class of post and one service."""

    id: str
    number: int
    """Place in the run, from 1: by class of post, service and time of acceptance."""
    postage: Postage
    service_id: str | None
    """None for batches made before batches were cut by service."""
    letter_count: int
    page_count: int
    sheet_count: int
    taken_count: int | None
    """Letters that providers said they have; None until they were asked."""
    submit_time: datetime | None
    parked: bool
    park_reason: str
    manifest_sha256: str
    """Of its manifest, hexadecimal; empty until it is written."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What a run holds of one class of post."""

    postage: Postage
    batch_count: int
    letter_count: int
    page_count: int
    sheet_count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The same letters, counted in every place that knows of them."""

    collected: int
    """As the run counted them while collecting."""
    in_batches: int
    """As the batches say."""
    in_letters: int
    """As the letters themselves say."""
    taken: int
    """As providers said."""


def disagreements(counts: Counts) -> list[str]:
    """Return the names of the counts that differ from what was collected."""
    others = {"in_batches": counts.in_batches, "in_letters": counts.in_letters, "taken": counts.taken}
    return [name for name, count in others.items() if count != counts.collected]


def total(volumes: Sequence[Volume]) -> tuple[int, int, int]:
    """Return letters, pages and sheets of all classes together."""
    return (
        sum(volume.letter_count for volume in volumes),
        sum(volume.page_count for volume in volumes),
        sum(volume.sheet_count for volume in volumes),
    )


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the day's run is, in London time, summer and winter."""

    deadline: time
    """Letters accepted before it are in the day's run."""
    start: time
    """When the run starts, not before `deadline`."""

    def due_day(self, now: datetime) -> date:
        """Return the latest London day whose run should have started by `now`.

        Whoever asks late, after an hour or after a weekend, gets the run that was missed last; that one takes
        the letters of the days before it too, as runs have no lower bound (pipeline.md §4.6).
        """
        local = now.astimezone(LONDON)
        return local.date() if local.time() >= self.start else local.date() - timedelta(days=1)

    def deadline_of(self, day: date) -> datetime:
        """Return the deadline of a London day."""
        return datetime.combine(day, self.deadline, tzinfo=LONDON)


def daily_run_id(day: date) -> str:
    """Return the id of a London day's run: always the same, so that a day runs once however often it is
    started.
    """
    return str(uuid5(_DAILY_RUNS, day.isoformat()))
