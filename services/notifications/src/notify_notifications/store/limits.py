"""Rate limits and daily counters in Redis (public-api.md §8, design.md §3.5).

The names of the keys are the reference's own (internal-api.md §1.6): the admin web app reads the counters. A
Redis that fails never stops a send: the check is skipped, counted in a metric, and for a second not tried.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from enum import IntEnum
from typing import Any, Final

import redis
from notify_common import clock
from notify_common.logging import get_logger
from prometheus_client import Counter
from redis.exceptions import NoScriptError, RedisError

DAY_SECONDS: Final = 86_400
_ROUND: Final = "notify-counters-corrected"
_PAUSE_SECONDS: Final = 1.0

_SKIPPED: Final = Counter(
    "notify_limit_checks_skipped_total", "Limit checks that were skipped because Redis did not answer."
)
_log = get_logger()

# KEYS: token bucket, daily counter. ARGV: now, size, tokens per second, tokens to take, seconds to keep the
# bucket, daily limit, what to add to the counter.
# Tokens come back whole; the time that makes up less than one stays in the bucket.
_ADMIT: Final = """
local now, size, rate = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'time')
local tokens, at = tonumber(bucket[1]), tonumber(bucket[2])
if tokens == nil or at == nil then
  tokens, at = size, now
elseif now > at then
  local refill = math.floor((now - at) * rate)
  if tokens + refill >= size then
    tokens, at = size, now
  elseif refill > 0 then
    tokens, at = tokens + refill, at + refill / rate
  end
end
local refused = false
for _ = 1, tonumber(ARGV[4]) do
  tokens = math.max(tokens - 1, 0)
  if tokens < 1 then
    refused = true
    break
  end
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'time', string.format('%.6f', at))
redis.call('EXPIRE', KEYS[1], ARGV[5])
if refused then
  return 1
end
local count = tonumber(redis.call('GET', KEYS[2]))
if count == nil then
  return 3
end
if count + 1 > tonumber(ARGV[6]) then
  return 2
end
redis.call('INCRBY', KEYS[2], ARGV[7])
return 0
"""

# KEYS: daily counter. ARGV: value if there is none yet, seconds to keep it, daily limit, what to add.
_COUNT: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX')
if tonumber(redis.call('GET', KEYS[1])) + 1 > tonumber(ARGV[3]) then
  return 2
end
redis.call('INCRBY', KEYS[1], ARGV[4])
return 0
"""

# KEYS: daily counter. Does nothing to a counter that is gone.
_RELEASE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DECR', KEYS[1])
end
return 0
"""

# KEYS: daily counters. ARGV: corrections, in the same order; counters that are gone stay so.
_CORRECT: Final = """
for index, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    redis.call('INCRBY', key, ARGV[index])
  end
end
return 0
"""


class Verdict(IntEnum):
    """What a limit check says."""

    ADMITTED = 0
    RATE_LIMITED = 1
    DAILY_LIMIT_REACHED = 2
    _NOT_COUNTED_YET = 3
    SKIPPED = 4
    """Redis did not answer: admitted, and nothing was counted."""


class _Connections(threading.local):
    """A connection to Redis for each thread.

    Past the client's pool, which looks at a connection's socket twice before each use: half of what a check
    costs.
    """

    def __init__(self, client: "redis.Redis") -> None:
        """Runs in each thread that comes to use it."""
        self._connection = client.connection_pool.make_connection()

    def call(self, *command: Any) -> Any:
        """Sends a command and returns the answer; where the connection had ended, on a new one.

        Raises RedisError. A script whose answer got lost on the way runs twice.
        """
        try:
            return self._call(command)
        except redis.exceptions.ConnectionError:  # which also ended the connection on this side
            return self._call(command)

    def _call(self, command: tuple[Any, ...]) -> Any:
        self._connection.send_command(*command)  # type: ignore[no-untyped-call]
        return self._connection.read_response()


class Script:
    """A Lua script, called by its hash, loaded when the server does not know it."""

    def __init__(self, connections: _Connections, source: str) -> None:
        self._connections = connections
        self._source = source
        self._sha = ""

    def __call__(self, keys: Sequence[str], *arguments: object) -> int:
        """Run it once. Raises RedisError."""
        if self._sha:
            try:
                return self._run(keys, arguments)
            except NoScriptError:
                pass
        self._sha = str(self._connections.call("SCRIPT LOAD", self._source))
        return self._run(keys, arguments)

    def _run(self, keys: Sequence[str], arguments: Sequence[object]) -> int:
        return int(self._connections.call("EVALSHA", self._sha, len(keys), *keys, *arguments))


class LimitStore:
    """The buckets and counters. Safe to share between threads.

    Args:
        client: of a Redis whose answers are text; its timeouts bound how long a check may take.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        connections = _Connections(client)
        self._admit = Script(connections, _ADMIT)
        self._count = Script(connections, _COUNT)
        self._release = Script(connections, _RELEASE)
        self._correct = Script(connections, _CORRECT)
        self._silent_until = 0.0

    def admit(
        self,
        service_id: str,
        key_type: str,
        counter: str,
        *,
        size: int,
        rate_per_minute: int,
        tokens: int,
        day: date,
        daily_limit: int,
        counted: bool,
        count_so_far: Callable[[], int],
    ) -> Verdict:
        """Take tokens off the bucket, compare the day's counter and, if `counted`, add one: one round trip.

        What is added stands for a message about to be stored; give it back with `release` if it is not.
        `count_so_far` reads the counter's value from the database; it is called only where Redis has lost it.
        """
        rate = rate_per_minute / 60
        keep = int(size / rate) + 2 if rate else DAY_SECONDS
        keys = [f"{service_id}-tokens-{key_type}", counter_key(service_id, counter, day, counted=counted)]
        arguments = (clock.now().timestamp(), size, rate, tokens, keep, daily_limit, int(counted))
        verdict = self._guarded(lambda: self._admit(keys, *arguments))
        if verdict is Verdict._NOT_COUNTED_YET:
            return self.count(
                service_id,
                counter,
                day=day,
                daily_limit=daily_limit,
                counted=counted,
                count_so_far=count_so_far,
            )
        return verdict

    def count(
        self,
        service_id: str,
        counter: str,
        *,
        day: date,
        daily_limit: int,
        counted: bool,
        count_so_far: Callable[[], int],
    ) -> Verdict:
        """Compare the day's counter and, if `counted`, add one to it."""
        start = count_so_far() if counted else 0
        key = counter_key(service_id, counter, day, counted=counted)
        return self._guarded(lambda: self._count([key], start, DAY_SECONDS, daily_limit, int(counted)))

    def release(self, service_id: str, counter: str, day: date) -> None:
        """Give one back: the message that was counted is not stored."""
        key = counter_key(service_id, counter, day, counted=True)
        self._guarded(lambda: self._release([key]))

    def claim_round(self, seconds: float) -> bool:
        """Whether no other process has claimed a round of corrections in these seconds. Raises RedisError."""
        return bool(self._client.set(_ROUND, "", nx=True, px=round(seconds * 1000)))

    def values(self, keys: Sequence[str]) -> list[int | None]:
        """The values of counters; None for those that Redis does not have. Raises RedisError."""
        found: list[str | None] = self._client.mget(keys)  # type: ignore[assignment]
        return [None if value is None else int(value) for value in found]

    def correct(self, corrections: dict[str, int]) -> None:
        """Add to counters, by key; a negative number lowers one. Raises RedisError."""
        if corrections:
            self._correct(list(corrections), *corrections.values())

    def _guarded(self, check: Callable[[], int]) -> Verdict:
        if time.monotonic() < self._silent_until:
            _SKIPPED.inc()
            return Verdict.SKIPPED
        try:
            return Verdict(check())
        except RedisError as error:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            _SKIPPED.inc()
            _log.warning("limits are not checked: Redis does not answer", error_type=type(error).__name__)
            return Verdict.SKIPPED


def counter_key(service_id: str, counter: str, day: date, *, counted: bool = True) -> str:
    """Name of a day's counter; test keys have one of their own that nothing adds to (public-api.md §5.1)."""
    return f"{service_id}-{counter}-{day.isoformat()}-count{'' if counted else '-test-key'}"
