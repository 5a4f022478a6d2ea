"""Counting requests that were refused before they became messages (public-api.md §2.1, docs/adr/0004)."""

from notify_common.enums import Channel

from notify_notifications.domain import limits
from notify_notifications.domain.limits import Quota
from notify_notifications.usecases.prepare import Caller
from notify_notifications.usecases.reserve import Request, reserve
from notify_notifications.usecases.send import SendingParts, find_service


def count_refused_request(parts: SendingParts, caller: Caller, channel: Channel) -> Quota | None:
    """Take a request off the rate limit and compare the day's limit, without counting a message.

    Returns what is left; None where limits were not checked.

    Raises:
        NotifyError: SERVICE_NOT_FOUND, RATE_LIMITED, DAILY_LIMIT_REACHED.
    """
    service = find_service(parts.snapshots, caller.service_id)
    request = Request(service, caller.key_type, channel, limits.tokens_taken(channel), adds=False)
    (reservation,) = reserve(parts.limits, parts.counters, [request])
    if reservation.refusal is not None:
        raise reservation.refusal
    return reservation.quota
