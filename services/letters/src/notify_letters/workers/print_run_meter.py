"""What metrics say of print runs, so that one that is late or missing is seen."""

from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from prometheus_client import Gauge

from notify_letters.domain.print_run import PrintRunState
from notify_letters.usecases.read_print_runs import list_print_runs

_EVERY_SECONDS: Final = 15.0
_RUNS: Final = 10
"""The newest runs, which are looked at: more than ever are open at once."""
_OPEN: Final = (PrintRunState.COLLECTING, PrintRunState.SUBMITTING)

_NEWEST = Gauge("notify_print_run_newest_timestamp_seconds", "When the newest print run began; 0 for none.")
_OPEN_FOR = Gauge(
    "notify_print_run_open_seconds", "How long ago the oldest print run began that the printer lacks part of."
)
_UNRECONCILED = Gauge(
    "notify_print_run_unreconciled", "How many of the ten newest print runs ended with counts that disagree."
)
_LETTERS = Gauge("notify_print_run_letters", "Letters of the newest print run.", ["stage"])


class PrintRunMeter:
    """Measures print runs every 15 seconds."""

    def __init__(self) -> None:
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Measure if it is time, and return 0: there is never more to do at once."""
        if clock.monotonic() < self._due:
            return 0
        self._due = clock.monotonic() + _EVERY_SECONDS
        runs = list_print_runs(uow, None, _RUNS)
        begun = [run.create_time for run in runs if run.state in _OPEN]
        _OPEN_FOR.set((clock.now() - min(begun)).total_seconds() if begun else 0)
        _NEWEST.set(runs[0].create_time.timestamp() if runs else 0)
        _UNRECONCILED.set(sum(run.state is PrintRunState.UNRECONCILED for run in runs))
        newest = runs[0] if runs else None
        _LETTERS.labels("expected").set(newest.expected_letter_count if newest else 0)
        _LETTERS.labels("collected").set(newest.letter_count if newest else 0)
        _LETTERS.labels("submitted").set(newest.submitted_letter_count if newest else 0)
        return 0
