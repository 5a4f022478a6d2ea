"""How much a service may send (public-api.md §8.1, §8.2)."""

import math
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

_LARGEST_BUCKET: Final = 1000


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
