"""What must be done now and then: tidying away, and setting Redis right."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import Tx, UnitOfWork
from redis.exceptions import RedisError

from notify_notifications.domain.batch import KEPT as BATCHES_KEPT
from notify_notifications.domain.retention import POSTED_LETTERS_KEPT
from notify_notifications.store import batches, posted_letters
from notify_notifications.store.acceptance import IDEMPOTENCY_KEY_LIFETIME
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.idempotency import IdempotencyKeyStore
from notify_notifications.store.limits import LimitStore, counter_key
from notify_notifications.store.unsubscribes import delete_old

EVERY_SECONDS: Final = 60.0
COUNTERS_KEPT: Final = timedelta(days=35)
_PAGE: Final = 500
_KEYS_AT_ONCE: Final = 5000


class Housekeeper:
    """Deletes expired idempotency keys, old counters, batches and posted letters; corrects the counters in
    Redis.
    """

    def __init__(self, uow: UnitOfWork, counters: CounterStore, limits: LimitStore) -> None:
        self._keys = IdempotencyKeyStore(uow)
        self._counters = counters
        self._limits = limits
        self._due_at = 0.0
        self._surplus: dict[str, int] = {}

    def step(self, uow: UnitOfWork) -> int:
        """Do what is due; return 0 so that the worker waits between rounds."""
        if clock.monotonic() < self._due_at:
            return 0
        self._due_at = clock.monotonic() + EVERY_SECONDS
        self.forget_expired_keys()
        self._counters.delete_before((clock.now() - COUNTERS_KEPT).date())
        self.forget_unsubscribe_requests(uow)
        self.forget_batches(uow)
        self.forget_posted_letters(uow)
        self._reconcile_alone()
        return 0

    def _reconcile_alone(self) -> None:
        """Reconcile unless another process just did: two that do it at once would correct twice."""
        try:
            ours = self._limits.claim_round(0.9 * EVERY_SECONDS)
        except RedisError:
            return
        if ours:
            self.reconcile()

    def forget_expired_keys(self) -> int:
        """Delete idempotency keys whose 24 hours are over, 5,000 a transaction; return how many."""
        total = 0
        while True:
            deleted = self._keys.delete_before(clock.now() - IDEMPOTENCY_KEY_LIFETIME, _KEYS_AT_ONCE)
            total += deleted
            if deleted < _KEYS_AT_ONCE:
                return total

    def forget_unsubscribe_requests(self, uow: UnitOfWork) -> int:
        """Delete requests to unsubscribe whose time is over; return how many."""
        return _delete_all(uow, lambda tx: delete_old(tx, _KEYS_AT_ONCE))

    def forget_batches(self, uow: UnitOfWork) -> int:
        """Delete batches whose time is over; return how many."""
        time = clock.now() - BATCHES_KEPT
        return _delete_all(uow, lambda tx: batches.delete_before(tx, time, _KEYS_AT_ONCE))

    def forget_posted_letters(self, uow: UnitOfWork) -> int:
        """Delete what is left of letters that no longer come back; return how many."""
        time = clock.now() - POSTED_LETTERS_KEPT
        return _delete_all(uow, lambda tx: posted_letters.delete_before(tx, time, _KEYS_AT_ONCE))

    def reconcile(self) -> int:
        """Correct today's counters in Redis by those in the database; return how many were corrected.

        Redis runs ahead by the messages being stored at this moment, for good by those whose process died in
        between. Only what was seen in this round and in the one before it, a minute apart, is such a surplus.
        """
        day = clock.now().date()
        surplus: dict[str, int] = {}
        after = ("", "")
        while page := self._counters.page(day, after, _PAGE):
            stored = {counter_key(service, counter, day): count for service, counter, count in page}
            try:
                values = self._limits.values(list(stored))
            except RedisError:
                return 0
            for (key, count), value in zip(stored.items(), values, strict=True):
                if value is not None and value != count:
                    surplus[key] = value - count
            after = page[-1][:2]
        corrections = {
            key: -_smaller(now, self._surplus[key])
            for key, now in surplus.items()
            if key in self._surplus and (now > 0) == (self._surplus[key] > 0)
        }
        try:
            self._limits.correct(corrections)
        except RedisError:
            return 0
        self._surplus = {key: amount + corrections.get(key, 0) for key, amount in surplus.items()}
        return len(corrections)


def _delete_all(uow: UnitOfWork, delete: Callable[[Tx], int]) -> int:
    """Delete 5,000 rows a transaction until fewer are left; return how many there were."""
    total = 0
    while True:
        with uow.begin() as tx:
            deleted = delete(tx)
        total += deleted
        if deleted < _KEYS_AT_ONCE:
            return total


def _smaller(one: int, other: int) -> int:
    return one if abs(one) < abs(other) else other
