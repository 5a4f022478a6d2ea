"""When the daily print run happens and what identifies it (pipeline.md §4.6, §4.7)."""

from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
DEADLINE = time(17, 30)
WINDOW_START = time(17, 50)
WINDOW_END = time(18, 50)
PRINT_BATCH_SIZE = 500

_DAILY_RUNS = UUID("6d1a8f6c-5b0e-4e0f-9f4e-0b6f4b6a8a51")


@dataclass(frozen=True, slots=True)
class PrintRun:
    """A print run as it stands; counts are over its batches."""

    id: UUID
    deadline: datetime
    create_time: datetime
    letter_count: int
    batch_count: int
    submitted_batch_count: int

    @property
    def submitted(self) -> bool:
        """Whether providers have every batch; a run without letters is submitted at once."""
        return self.submitted_batch_count == self.batch_count


def in_daily_window(now: datetime) -> bool:
    """Whether the scheduled run may start: 17:50 to 18:50 in London.

    The scheduler runs on UTC and fires at 16:50 and at 17:50; exactly one of the two is in the window,
    summer and winter.
    """
    return WINDOW_START <= now.astimezone(LONDON).time() < WINDOW_END


def daily_deadline(now: datetime) -> datetime:
    """Today's 17:30 in London: letters accepted before it are in today's run."""
    return datetime.combine(now.astimezone(LONDON).date(), DEADLINE, tzinfo=LONDON)


def daily_run_id(day: date) -> UUID:
    """The id of a London day's run: always the same, so that a day runs once however often it is started."""
    return uuid5(_DAILY_RUNS, day.isoformat())
