"""Finding out how providers do from their calls, about once a second (domain/health.py)."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger
from prometheus_client import Counter

from notify_providers.clients.registry import ADAPTERS
from notify_providers.domain.dispatch import NOT_STARTED, CallResult, Outcome
from notify_providers.domain.health import SLOW_SECONDS, WINDOWS_SECONDS, Calls, Health, next_condition
from notify_providers.domain.routing import SANDBOX_BY_CHANNEL, Condition
from notify_providers.store import health

_CHANGES = Counter(
    "notify_provider_condition_changes_total", "Found of providers.", ["provider", "condition"]
)

_TELL_EVERY_SECONDS: Final = 1.0
_SANDBOXES: Final = frozenset(SANDBOX_BY_CHANNEL.values())
_TIMED: Final = frozenset(adapter.name for adapter in ADAPTERS if adapter.times_calls) - _SANDBOXES


class CallWatch:
    """Counts the calls of one dispatcher, and tells the others what it saw.

    A call that takes long counts as slow as soon as it does, and is not waited for; not so where the
    provider's client lets messages wait. The sandbox, whose faults are ordered, is not watched. What a
    process saw and did not tell before it died is lost, which delays what is found by a second.
    """

    def __init__(self, least: int) -> None:
        """Take the `least` calls in 30 seconds below which nothing is said of a provider."""
        self._least = least
        self._news: defaultdict[str, Calls] = defaultdict(Calls)
        self._overdue: set[str] = set()
        self._told_at = float("-inf")

    def note(self, provider: str, result: CallResult, seconds: float) -> None:
        """Count a call that ended after these seconds."""
        if provider in _SANDBOXES or result.reason == NOT_STARTED:
            return
        failed = result.outcome in (Outcome.UNKNOWN, Outcome.RETRYABLE)
        counted = result.dispatch_id in self._overdue
        self._overdue.discard(result.dispatch_id)
        slow = seconds >= SLOW_SECONDS and provider in _TIMED and not counted
        self._news[provider] += Calls(int(not counted), int(failed), int(slow))

    def tell(self, uow: UnitOfWork, under_way: Iterable[tuple[str, str, float]]) -> None:
        """Write down what was seen, and find how the providers do, if it is time.

        Args:
            under_way: calls that have not ended: dispatch id, provider, and when they began.
        """
        now = clock.monotonic()
        if now - self._told_at < _TELL_EVERY_SECONDS:
            return
        self._told_at = now
        waiting = set()
        for id, provider, began in under_way:
            waiting.add(id)
            if now - began >= SLOW_SECONDS and id not in self._overdue and provider in _TIMED:
                self._overdue.add(id)
                self._news[provider] += Calls(1, 0, 1)
        self._overdue &= waiting
        if not self._news:
            return
        with uow.begin() as conn:
            health.count_calls(conn, self._news)
            before = health.list_all(conn, lock=True)
            windows = [health.recent_calls(conn, seconds, since_found=True) for seconds in WINDOWS_SECONDS]
            changes = []
            for provider, news in self._news.items():
                old = before.get(provider, Health())
                new = next_condition(
                    old, [window.get(provider, Calls()) for window in windows], news, self._least
                )
                if new != old:
                    health.save(conn, provider, new, changed=new.condition is not old.condition)
                    if new.condition is not old.condition:
                        changes.append((provider, new.condition))
        self._news.clear()
        for provider, condition in changes:
            _CHANGES.labels(provider, condition).inc()
            get_logger().warning("provider found", provider=provider, state=condition)


def conditions(uow: UnitOfWork, names: Collection[str]) -> dict[str, Condition]:
    """Return how each of these providers was found to do."""
    with uow.autocommit() as tx:
        found = health.list_all(tx)
    return {name: found.get(name, Health()).condition for name in names}
