"""What providers need done now and then."""

from collections.abc import Callable

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork

_EVERY_SECONDS = 60.0


class Upkeep:
    """Does what providers need done, once a minute."""

    def __init__(self, upkeep: Callable[[], None]) -> None:
        """Take what does it for all of them."""
        self._upkeep = upkeep
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Do it if it is time, and return 0: there is never more to do at once."""
        if clock.monotonic() >= self._due:
            self._due = clock.monotonic() + _EVERY_SECONDS
            self._upkeep()
        return 0
