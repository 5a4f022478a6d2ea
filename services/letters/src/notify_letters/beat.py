"""Celery's beat, which fires what is scheduled: `celery -A notify_letters.celery_app beat`.

It keeps no file of past runs: what it fires finds out by itself whether there is anything to do. Two beats at
once only ask twice. It shows that it is alive as the workers do, by the file
`NOTIFY_LETTERS_WORKER_HEARTBEAT_FILE`.
"""

from datetime import timedelta
from typing import Any

from celery import beat
from notify_common import clock

from notify_letters.celery_app import remove_heartbeat, show_heartbeat

_LONGEST_SLEEP_SECONDS = 2.0
_LONG_AGO = timedelta(days=1)


class Scheduler(beat.Scheduler):
    """Celery's scheduler without memory, with a heartbeat."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "max_interval": _LONGEST_SLEEP_SECONDS})

    def setup_schedule(self) -> None:
        """Read the schedule, and have all of it due at once."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = clock.now() - _LONG_AGO

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Fire what is due; return the seconds until it wants to be called again."""
        show_heartbeat()
        return min(float(super().tick(*arguments, **options)), _LONGEST_SLEEP_SECONDS)

    def close(self) -> None:
        """End the loop."""
        super().close()
        remove_heartbeat()
