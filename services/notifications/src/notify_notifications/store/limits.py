"""Rate limits and daily counters in Redis (public-api.md §8, design.md §3.5).

The names of the keys are the reference's own (internal-api.md §1.6): the admin web app reads the counters. A
Redis that fails never stops a send: the check is skipped, counted in a metric, and for a second not tried.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Any, Final

import redis
from notify_common.enums import Channel, KeyType
from notify_common.logging import get_logger
from prometheus_client import Counter
from redis.exceptions import NoScriptError, RedisError, ResponseError

from notify_notifications.domain.limits import (
    DAY_SECONDS,
    INTERNATIONAL_SMS,
    LISTS_PER_MINUTE,
    bucket_size,
)

_ROUND: Final = "notify-counters-corrected"
_PAUSE_SECONDS: Final = 1.0
_UNKNOWN: Final = "unknown"
_WANTS: Final = {(False, False): "0", (True, False): "1", (False, True): "2", (True, True): "3"}
"""Whether it adds, and whether it counts for other countries too."""

_SKIPPED: Final = Counter(
    "notify_limit_checks_skipped_total", "Limit checks that were skipped because Redis did not answer."
)
_log = get_logger()

# Sets `tokens` to what the bucket KEYS[1] holds now and `at` to its time, of a size and tokens per second in
# ARGV[1] and ARGV[2]. The time is that of Redis, so that no clock of ours that is wrong empties a bucket for
# hours. Tokens come back whole; the time that makes up less than one stays in the bucket.
_REFILL: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local size, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'time')
local tokens, at = tonumber(bucket[1]), tonumber(bucket[2])
if tokens == nil or at == nil then
  tokens, at = size, now
elseif now < at then
  at = now
else
  local refill = math.floor((now - at) * rate)
  if tokens + refill >= size then
    tokens, at = size, now
  elseif refill > 0 then
    tokens, at = tokens + refill, at + refill / rate
  end
end
"""

# Writes them back, to be kept for ARGV[4] seconds.
_KEEP: Final = """
redis.call('HSET', KEYS[1], 'tokens', tokens, 'time', string.format('%.6f', at))
redis.call('EXPIRE', KEYS[1], ARGV[4])
"""

# KEYS: token bucket. ARGV: as of _RESERVE, up to the fourth. Answers with 1 where the tokens are there and
# taken, or 0, and the tokens that are left.
_TAKE: Final = f"""{_REFILL}
local taken = 0
if tokens - tonumber(ARGV[3]) >= 1 then
  tokens = tokens - tonumber(ARGV[3])
  taken = 1
end
{_KEEP}
return string.format('%d %d', taken, tokens)
"""

# KEYS: token bucket, daily counter, counter of other countries. ARGV: size of the bucket, tokens per second,
# tokens that a message takes, seconds to keep the bucket, limit of each counter, value of each counter where
# there is none yet ('' for not known), seconds to keep them, and a digit for each message, which says what it
# is compared with and adds to (_WANTS). Answers with a digit for each message, a Verdict, then the tokens
# that are left and the value of the daily counter, or with 'unknown' where a counter's value is needed.
_RESERVE: Final = f"""
local counts = {{}}
for index = 1, 2 do
  local count = 0
  if index == 1 or string.find(ARGV[10], '[23]') then
    count = redis.call('GET', KEYS[1 + index])
  end
  if not count then
    if ARGV[6 + index] == '' then
      return 'unknown'
    end
    redis.call('SET', KEYS[1 + index], ARGV[6 + index], 'EX', ARGV[9])
    count = ARGV[6 + index]
  end
  counts[index] = tonumber(count)
end
{_REFILL}
local added = {{0, 0}}
local verdicts = {{}}
for want in string.gmatch(ARGV[10], '.') do
  local verdict = 0
  for _ = 1, tonumber(ARGV[3]) do
    tokens = math.max(tokens - 1, 0)
    if tokens < 1 then
      verdict = 1
      break
    end
  end
  if verdict == 0 and counts[1] + added[1] + 1 > tonumber(ARGV[5]) then
    verdict = 2
  end
  if verdict == 0 and (want == '2' or want == '3') and counts[2] + added[2] + 1 > tonumber(ARGV[6]) then
    verdict = 3
  end
  if verdict == 0 and (want == '1' or want == '3') then
    added[1] = added[1] + 1
    if want == '3' then
      added[2] = added[2] + 1
    end
  end
  table.insert(verdicts, verdict)
end
{_KEEP}
for index = 1, 2 do
  if added[index] > 0 then
    redis.call('INCRBY', KEYS[1 + index], added[index])
  end
end
return table.concat(verdicts) .. string.format(' %d %d', tokens, counts[1] + added[1])
"""

# KEYS: daily counter. ARGV: how many. Does nothing to a counter that is gone.
_RELEASE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DECRBY', KEYS[1], ARGV[1])
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
    """What the limits say of a message."""

    ADMITTED = 0
    RATE_LIMITED = 1
    DAILY_LIMIT_REACHED = 2
    INTERNATIONAL_LIMIT_REACHED = 3
    SKIPPED = 4
    """Redis did not answer: admitted, and nothing was counted."""


_VERDICTS: Final = {str(verdict.value): verdict for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class Want:
    """A message as limits see it."""

    adds: bool
    """Whether it adds one to the counters that it is compared with, if it is admitted."""
    international: bool
    """Whether it counts for the limit of other countries too."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Messages of a service, a type of key and a channel, in the order in which they came."""

    service_id: str
    key_type: KeyType
    channel: Channel
    bucket_size: int
    rate_per_minute: int
    tokens: int
    """That each message takes off the bucket; 0 where none is asked for."""
    day: date
    daily_limit: int
    international_limit: int
    counted: bool
    """Whether messages of this type of key are counted at all."""
    wants: Sequence[Want]

    @property
    def keys(self) -> tuple[str, str, str]:
        """Names of the bucket and the two counters in Redis."""
        return (
            _bucket_key(self.service_id, self.key_type),
            counter_key(self.service_id, self.channel, self.day, counted=self.counted),
            counter_key(self.service_id, INTERNATIONAL_SMS, self.day, counted=self.counted),
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """What the limits say of a demand."""

    verdicts: list[Verdict]
    """One for each message, in order."""
    tokens_left: int | None
    """In the bucket, after all of them; None where it was not asked."""
    count: int | None
    """Of the day, likewise."""


def _admission(answered: str) -> Admission:
    digits, tokens, count = answered.split(" ")
    return Admission([_VERDICTS[digit] for digit in digits], int(tokens), int(count))


@dataclass(frozen=True, slots=True)
class Place:
    """How many places in a daily limit are held under the name of a counter."""

    service_id: str
    counter: str
    day: date


class _Connections(threading.local):
    """A connection to Redis for each thread.

    Past the client's pool, which looks at a connection's socket twice before each use: half of what a check
    costs.
    """

    def __init__(self, client: "redis.Redis") -> None:
        """Take a connection of its own; it runs in each thread that comes to use Redis."""
        self._connection = client.connection_pool.make_connection()

    def call(self, *commands: Sequence[Any]) -> list[Any]:
        """Send commands in one go and return the answers, errors of single commands among them.

        Where the connection had ended, on a new one. Raises RedisError. A script whose answer got lost on the
        way runs twice.
        """
        try:
            return self._call(commands)
        except redis.exceptions.ConnectionError:  # which also ended the connection on this side
            return self._call(commands)

    def _call(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands))  # type: ignore[no-untyped-call]
        answers = []
        for _ in commands:
            try:
                answers.append(connection.read_response())
            except ResponseError as error:
                answers.append(error)
        return answers


class Script:
    """A Lua script, called by its hash, loaded when the server does not know it."""

    def __init__(self, connections: _Connections, source: str) -> None:
        self._connections = connections
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def run(self, *calls: tuple[Sequence[str], Sequence[object]]) -> list[str]:
        """Run it once for each (keys, arguments), in one round trip. Raises RedisError."""
        commands = [("EVALSHA", self._sha, len(keys), *keys, *arguments) for keys, arguments in calls]
        answers = self._connections.call(*commands)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            self._connections.call(("SCRIPT", "LOAD", self._source))
            again = self._connections.call(*(commands[number] for number in unknown))
            for number, answer in zip(unknown, again, strict=True):
                answers[number] = answer
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return list(map(str, answers))


class LimitStore:
    """The buckets and counters. Safe to share between threads.

    Args:
        client: of a Redis whose answers are text; its timeouts bound how long a check may take.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        connections = _Connections(client)
        self._reserve = Script(connections, _RESERVE)
        self._take = Script(connections, _TAKE)
        self._release = Script(connections, _RELEASE)
        self._correct = Script(connections, _CORRECT)
        self._silent_until = 0.0

    def reserve(
        self, demands: Sequence[Demand], count_so_far: Callable[[str, str, date], int]
    ) -> list[Admission]:
        """Take tokens off the buckets and places in the day's counters: one round trip for all demands.

        Each message is decided on in its turn, so that of a demand that meets a limit in its middle those
        before it are admitted. What is added stands for messages about to be stored; give it back with
        `release` for those that are not.

        Args:
            count_so_far: reads from the database what a service stored under the name of a counter on a day;
                called only where Redis has lost it.
        """

        def answers() -> list[str]:
            answered = self._reserve.run(*(_call(demand, ("", "")) for demand in demands))
            for number, demand in enumerate(demands):
                if answered[number] == _UNKNOWN:
                    service_id, day = demand.service_id, demand.day
                    known = [
                        count_so_far(service_id, name, day) for name in (demand.channel, INTERNATIONAL_SMS)
                    ]
                    (answered[number],) = self._reserve.run(_call(demand, known))
            return answered

        answered = self._guarded(answers)
        if answered is None:
            return [Admission([Verdict.SKIPPED] * len(demand.wants), None, None) for demand in demands]
        return list(map(_admission, answered))

    def take_list(self, service_id: str, key_type: KeyType) -> tuple[bool, int | None]:
        """Take a token off the bucket of a service's lists; return whether there was one, and how many are
        left: one, and None for not known, where Redis does not answer.

        It is a bucket apart from that of messages, so that who reads a lot can still send.
        """
        return self._take_one(f"{service_id}-list-tokens-{key_type}", LISTS_PER_MINUTE)

    def take_request(
        self, service_id: str, key_type: KeyType, rate_per_minute: int
    ) -> tuple[bool, int | None]:
        """Take a token off the bucket of a service's messages, and return the same."""
        return self._take_one(_bucket_key(service_id, key_type), rate_per_minute)

    def tokens_left(self, service_id: str, key_type: KeyType, rate_per_minute: int) -> int | None:
        """Return the tokens in the bucket of a service's messages; None where Redis does not answer."""
        _, left = self._take_one(_bucket_key(service_id, key_type), rate_per_minute, tokens=0)
        return left

    def _take_one(self, bucket: str, rate_per_minute: int, tokens: int = 1) -> tuple[bool, int | None]:
        size = bucket_size(rate_per_minute)
        sized = (size, rate_per_minute / 60, tokens, _kept_seconds(size, rate_per_minute))
        answer = self._guarded(lambda: self._take.run(([bucket], sized)))
        if answer is None:
            return True, None
        taken, left = map(int, answer[0].split(" "))
        return taken == 1, left

    def release(self, places: Mapping[Place, int]) -> None:
        """Give places back: the messages that were counted are not stored."""
        calls = [
            ([counter_key(place.service_id, place.counter, place.day)], [held])
            for place, held in places.items()
        ]
        if calls:
            self._guarded(lambda: self._release.run(*calls))

    def claim_round(self, seconds: float) -> bool:
        """Tell whether no other process has claimed a round of corrections in these seconds. Raises
        RedisError.
        """
        return bool(self._client.set(_ROUND, "", nx=True, px=round(seconds * 1000)))

    def values(self, keys: Sequence[str]) -> list[int | None]:
        """Return the values of counters; None for those that Redis does not have. Raises RedisError."""
        found: list[str | None] = self._client.mget(keys)  # type: ignore[assignment]
        return [None if value is None else int(value) for value in found]

    def correct(self, corrections: dict[str, int]) -> None:
        """Add to counters, by key; a negative number lowers one. Raises RedisError."""
        if corrections:
            self._correct.run((list(corrections), list(corrections.values())))

    def _guarded(self, check: Callable[[], list[str]]) -> list[str] | None:
        """Return what `check` returns, or None where Redis does not answer."""
        if time.monotonic() < self._silent_until:
            _SKIPPED.inc()
            return None
        try:
            return check()
        except RedisError as error:
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            _SKIPPED.inc()
            _log.warning("limits are not checked: Redis does not answer", error_type=type(error).__name__)
            return None


def _call(demand: Demand, known: Sequence[object]) -> tuple[Sequence[str], Sequence[object]]:
    rate = demand.rate_per_minute / 60
    keep = _kept_seconds(demand.bucket_size, demand.rate_per_minute)
    # nothing adds to the counters of keys that are not counted
    counts = known if demand.counted else (0, 0)
    limits = (demand.daily_limit, demand.international_limit)
    wants = "".join(_WANTS[want.adds and demand.counted, want.international] for want in demand.wants)
    return demand.keys, (demand.bucket_size, rate, demand.tokens, keep, *limits, *counts, DAY_SECONDS, wants)


def _kept_seconds(bucket_size: int, rate_per_minute: int) -> int:
    """Return the seconds until a bucket is full again, and needs not be known any more."""
    return int(bucket_size * 60 / rate_per_minute) + 2 if rate_per_minute else DAY_SECONDS


def _bucket_key(service_id: str, key_type: KeyType) -> str:
    return f"{service_id}-tokens-{key_type}"


def counter_key(service_id: str, counter: str, day: date, *, counted: bool = True) -> str:
    """Name of a day's counter; test keys have one of their own that nothing adds to (public-api.md §5.1)."""
    return f"{service_id}-{counter}-{day.isoformat()}-count{'' if counted else '-test-key'}"
