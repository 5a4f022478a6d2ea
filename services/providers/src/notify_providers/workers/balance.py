"""Moving shares to the providers that do better."""

from collections.abc import Set as AbstractSet

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from prometheus_client import Gauge

from notify_providers.domain.routing import Condition
from notify_providers.usecases.balance import balance_shares
from notify_providers.usecases.health import conditions

_CONDITION = Gauge(
    "notify_provider_condition", "1 for what was found of a provider.", ["provider", "condition"]
)

_EVERY_SECONDS = 10.0


class Balancer:
    """Looks every 10 seconds whether shares should move, and says how providers do."""

    def __init__(self, available: AbstractSet[str]) -> None:
        """Take the names of the providers that take live messages."""
        self._available = available
        self._due = float("-inf")

    def step(self, uow: UnitOfWork) -> int:
        """Look if it is time, and return 0: there is never more to do at once."""
        if clock.monotonic() >= self._due:
            self._due = clock.monotonic() + _EVERY_SECONDS
            balance_shares(uow, self._available)
            for provider, found in conditions(uow, self._available).items():
                for condition in Condition:
                    _CONDITION.labels(provider, condition.value).set(condition is found)
        return 0
