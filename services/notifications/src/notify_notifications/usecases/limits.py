"""Charging requests to the limits of a service (public-api.md §8.1, §8.2)."""

from datetime import timedelta
from types import TracebackType

from notify_common import clock
from notify_common.errors import NotifyError

from notify_notifications.domain import limits
from notify_notifications.domain.notification import Channel, KeyType
from notify_notifications.domain.service import Service
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.limits import LimitStore, Verdict


class Limits:
    """Decides whether one more request is within the limits of its service."""

    def __init__(self, store: LimitStore, counters: CounterStore) -> None:
        self._store = store
        self._counters = counters

    def admit(self, service: Service, key_type: KeyType, channel: Channel) -> "Quota":
        """Take one request off the rate limit and hold a place for its message in the daily limit.

        Use the answer as a context manager: places are given back at its end, unless told to `keep` them.
        A process that dies in between leaves a place taken until the counters are reconciled.

        Raises:
            NotifyError: RATE_LIMITED or DAILY_LIMIT_REACHED.
        """
        quota = Quota(self._store, self._counters, service, key_type)
        quota.take(channel)
        return quota


class Quota:
    """Places held in daily limits while a message is checked and stored."""

    def __init__(
        self, store: LimitStore, counters: CounterStore, service: Service, key_type: KeyType
    ) -> None:
        self._store = store
        self._counters = counters
        self._service = service
        self._key_type = key_type
        self._counted = limits.is_counted(key_type)
        self._held: list[str] = []
        self.day = clock.now().date()
        """The UTC day that the message counts for."""
        self.counters: list[str] = []
        """Names of the counters that a stored message adds to; none for test keys."""

    def take(self, channel: Channel) -> None:
        """Charge the rate limit and the daily limit of a channel."""
        rate = self._service.rate_limit_per_minute
        limit = limits.daily_limit(self._service, self._key_type, channel)
        verdict = self._store.admit(
            self._service.id,
            self._key_type,
            channel,
            size=limits.bucket_size(rate),
            rate_per_minute=rate,
            tokens=limits.tokens_taken(channel),
            day=self.day,
            daily_limit=limit,
            counted=self._counted,
            count_so_far=lambda: self._counters.count(self._service.id, channel, self.day),
        )
        if verdict is Verdict.RATE_LIMITED:
            raise NotifyError(
                "RATE_LIMITED",
                metadata={"key_type": self._key_type, "limit": str(rate)},
                retry_after=timedelta(seconds=1),
            )
        self._decide(verdict, channel, limit)

    def take_international(self) -> None:
        """Charge the daily limit of texts to other countries besides."""
        counter = limits.INTERNATIONAL_SMS
        limit = limits.daily_limit(self._service, self._key_type, counter)
        verdict = self._store.count(
            self._service.id,
            counter,
            day=self.day,
            daily_limit=limit,
            counted=self._counted,
            count_so_far=lambda: self._counters.count(self._service.id, counter, self.day),
        )
        self._decide(verdict, counter, limit)

    def keep(self) -> None:
        """The message is stored: what it counts for stays counted."""
        self._held.clear()

    def __enter__(self) -> "Quota":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for counter in self._held:
            self._store.release(self._service.id, counter, self.day)

    def _decide(self, verdict: Verdict, counter: str, limit: int) -> None:
        if verdict is Verdict.DAILY_LIMIT_REACHED:
            raise NotifyError("DAILY_LIMIT_REACHED", metadata={"counter": counter, "limit": str(limit)})
        if self._counted:
            self.counters.append(str(counter))
            if verdict is Verdict.ADMITTED:
                self._held.append(str(counter))
