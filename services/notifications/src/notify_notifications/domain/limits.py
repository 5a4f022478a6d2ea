"""How much a service may send (public-api.md §8.1, §8.2)."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from notify_common.enums import Channel, KeyType

from notify_notifications.domain.service import Service

INTERNATIONAL_SMS: Final = "international_sms"
"""Name of the extra counter of texts to numbers outside country code 44."""

LIVE_DAILY_LIMITS: Final = {"sms": 250_000, "email": 250_000, "letter": 20_000, INTERNATIONAL_SMS: 100}
"""Default daily limits of a live service, which also hold for the test keys of a trial service."""

LISTS_PER_MINUTE: Final = 3000
"""Lists that a service reads in a minute with keys of one type: as many as it sends messages by default. The
original has no such limit; who reads page after page does not meet this one (public-api.md §8.1).
"""

DAY_SECONDS: Final = 86_400
_LARGEST_BUCKET: Final = 1000


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of the limit that will be met first."""

    limit: int
    """Requests that it allows at most."""
    remaining: int
    """Requests that it allows at once."""
    reset_seconds: int
    """Until it allows as many as at most."""

    @property
    def facts(self) -> dict[str, str]:
        """The same as facts of an error."""
        return {
            "quota_limit": str(self.limit),
            "quota_remaining": str(self.remaining),
            "quota_reset_seconds": str(self.reset_seconds),
        }


def rate_quota(rate_per_minute: int, tokens_left: int, tokens_taken: int) -> Quota:
    """Return what is left of a bucket whose requests take `tokens_taken` each; its last token stays in it."""
    size = bucket_size(rate_per_minute)
    missing = size - tokens_left
    reset = math.ceil(missing * 60 / rate_per_minute) if rate_per_minute else DAY_SECONDS
    return Quota((size - 1) // tokens_taken, max(0, tokens_left - 1) // tokens_taken, reset)


def daily_quota(limit: int, count: int, now: datetime) -> Quota:
    """Return what is left of a limit of a UTC day of which `count` is used up."""
    passed = timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    return Quota(limit, max(0, limit - count), DAY_SECONDS - int(passed.total_seconds()))


def bucket_size(rate_per_minute: int) -> int:
    """Return the tokens that the bucket of a service and key type holds at most."""
    return min(math.ceil(rate_per_minute / 3) + 1, _LARGEST_BUCKET)


def tokens_taken(channel: Channel, *, is_precompiled: bool = False) -> int:
    """Return the tokens that one request takes: a templated letter is checked twice (public-api.md §8.1)."""
    return 2 if channel is Channel.LETTER and not is_precompiled else 1


def daily_limit(service: Service, key_type: KeyType, counter: str) -> int:
    """Return the most that `counter` (a channel's name or INTERNATIONAL_SMS) may reach in one UTC day."""
    if key_type is KeyType.TEST and service.restricted:
        return LIVE_DAILY_LIMITS[counter]
    return service.daily_limits[counter]


def is_counted(key_type: KeyType) -> bool:
    """Tell whether messages of this key type add to the day's counters; those of test keys don't."""
    return key_type is not KeyType.TEST
