"""Taking the places of messages in the limits of their services (public-api.md §8.1, §8.2)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from notify_common import clock
from notify_common.enums import Channel, KeyType
from notify_common.errors import NotifyError
from notify_common.records import record

from notify_notifications.domain import limits
from notify_notifications.domain.limits import INTERNATIONAL_SMS, Quota
from notify_notifications.domain.service import Service
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.limits import Admission, Demand, LimitStore, Place, Verdict, Want

_RETRY_AFTER: Final = timedelta(seconds=1)
_WANTS: Final = {(adds, far): Want(adds, far) for adds in (False, True) for far in (False, True)}


@record()
class Request:
    """A message as limits see it."""

    service: Service
    key_type: KeyType
    channel: Channel
    tokens: int
    """Of the rate limit; 0 for those of a batch, which takes one for all of them."""
    adds: bool
    """Whether it counts for the day, if it is admitted: not if it is refused or only simulated."""
    international: bool = False
    """Whether the limit of texts to other countries holds for it too."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What the limits say of one message."""

    day: date
    """The UTC day that it counts for."""
    counters: tuple[str, ...] = ()
    """Names of the counters that it adds to once it is stored."""
    held: tuple[Place, ...] = ()
    """Places that are given back if it is not stored."""
    refusal: NotifyError | None = None
    """The limit that was passed."""
    quota: Quota | None = None
    """What is left; None where limits were not checked."""


def reserve(store: LimitStore, counters: CounterStore, requests: Sequence[Request]) -> list[Reservation]:
    """Take each request off its rate limit and hold a place in the day for each that counts, in their order.

    All in one round trip. Give back with `release` what is not stored in the end; of a process that dies in
    between, places stay taken until the counters are reconciled.
    """
    day = clock.now().date()
    together: dict[tuple[str, KeyType, Channel, int], list[int]] = {}
    for number, request in enumerate(requests):
        key = (request.service.id, request.key_type, request.channel, request.tokens)
        together.setdefault(key, []).append(number)
    demands = [_demand([requests[number] for number in numbers], day) for numbers in together.values()]
    reservations: list[Reservation] = [Reservation(day)] * len(requests)
    admissions = store.reserve(demands, counters.count)
    for numbers, demand, admission in zip(together.values(), demands, admissions, strict=True):
        quotas = {verdict: _quota(demand, admission, verdict) for verdict in set(admission.verdicts)}
        # those that are admitted alike have nothing of their own
        admitted: dict[tuple[Verdict, bool, bool], Reservation] = {}
        for number, verdict in zip(numbers, admission.verdicts, strict=True):
            request = requests[number]
            kind = verdict, request.adds, request.international
            reservation = admitted.get(kind)
            if reservation is None:
                reservation = _reservation(request, verdict, day, quotas[verdict])
                if reservation.refusal is None:
                    admitted[kind] = reservation
            reservations[number] = reservation
    return reservations


def admit_list(store: LimitStore, service_id: str, key_type: KeyType) -> Quota | None:
    """Take a list off the rate limit of lists, which is apart from that of messages; return what is left of
    it, None where that is not known.

    Raises:
        NotifyError: RATE_LIMITED.
    """
    return _admitted(store.take_list(service_id, key_type), key_type, limits.LISTS_PER_MINUTE)


def admit_batch(store: LimitStore, service: Service, key_type: KeyType) -> Quota | None:
    """Take one token off the rate limit of messages for a whole batch; return what is left, as `admit_list`.

    Raises:
        NotifyError: RATE_LIMITED.
    """
    rate = service.rate_limit_per_minute
    return _admitted(store.take_request(service.id, key_type, rate), key_type, rate)


def rate_left(store: LimitStore, service: Service, key_type: KeyType) -> Quota | None:
    """Return what is left of the rate limit of messages, without taking anything off it; None where that is
    not known.
    """
    rate = service.rate_limit_per_minute
    left = store.tokens_left(service.id, key_type, rate)
    return None if left is None else limits.rate_quota(rate, left, 1)


def _admitted(taken: tuple[bool, int | None], key_type: KeyType, rate_per_minute: int) -> Quota | None:
    admitted, left = taken
    quota = None if left is None else limits.rate_quota(rate_per_minute, left, 1)
    if not admitted:
        refusal = _rate_limited(key_type, rate_per_minute)
        _add_facts(refusal, quota)
        raise refusal
    return quota


def limits_met(store: LimitStore, counters: CounterStore, request: Request) -> tuple[NotifyError, ...]:
    """Return the limits that would refuse a request now, without taking anything off them."""
    day = clock.now().date()
    demand = _demand([replace(request, adds=False, tokens=0)], day)
    (admission,) = store.reserve([demand], counters.count)
    found = []
    if admission.tokens_left is not None and admission.tokens_left - request.tokens < 1:
        found.append(_rate_limited(request.key_type, request.service.rate_limit_per_minute))
    refusal = _reservation(request, admission.verdicts[0], day, None).refusal
    return (*found, refusal) if refusal is not None else tuple(found)


def release(store: LimitStore, reservations: Sequence[Reservation]) -> None:
    """Give back the places that messages hold which were not stored."""
    if reservations:
        store.release(Counter(place for reservation in reservations for place in reservation.held))


def _demand(requests: Sequence[Request], day: date) -> Demand:
    """Return the requests of one service, key type and channel, which take as many tokens."""
    first = requests[0]
    service, key_type, channel = first.service, first.key_type, first.channel
    rate = service.rate_limit_per_minute
    return Demand(
        service_id=service.id,
        key_type=key_type,
        channel=channel,
        bucket_size=limits.bucket_size(rate),
        rate_per_minute=rate,
        tokens=first.tokens,
        day=day,
        daily_limit=limits.daily_limit(service, key_type, channel),
        international_limit=limits.daily_limit(service, key_type, INTERNATIONAL_SMS),
        counted=limits.is_counted(key_type),
        wants=[_WANTS[request.adds, request.international] for request in requests],
    )


def _reservation(request: Request, verdict: Verdict, day: date, quota: Quota | None) -> Reservation:
    service, key_type = request.service, request.key_type
    match verdict:
        case Verdict.RATE_LIMITED:
            refusal = _rate_limited(key_type, service.rate_limit_per_minute)
            _add_facts(refusal, quota)
            return Reservation(day, refusal=refusal, quota=quota)
        case Verdict.DAILY_LIMIT_REACHED:
            refusal = _daily_limit(service, key_type, request.channel)
            _add_facts(refusal, quota)
            return Reservation(day, refusal=refusal, quota=quota)
        case Verdict.INTERNATIONAL_LIMIT_REACHED:
            refusal = _daily_limit(service, key_type, INTERNATIONAL_SMS)
            _add_facts(refusal, quota)
            return Reservation(day, refusal=refusal, quota=quota)
    if not request.adds or not limits.is_counted(key_type):
        return Reservation(day, quota=quota)
    names = (str(request.channel), INTERNATIONAL_SMS) if request.international else (str(request.channel),)
    held = () if verdict is Verdict.SKIPPED else tuple(Place(service.id, name, day) for name in names)
    return Reservation(day, names, held, quota=quota)


def _quota(demand: Demand, admission: Admission, verdict: Verdict) -> Quota | None:
    """Return what is left of the limit that was met, or will be met first."""
    if admission.tokens_left is None or admission.count is None:
        return None
    now = clock.now()
    if verdict is Verdict.INTERNATIONAL_LIMIT_REACHED:
        return limits.daily_quota(demand.international_limit, demand.international_limit, now)
    today = limits.daily_quota(demand.daily_limit, admission.count, now)
    if not demand.tokens:
        return today
    rate = limits.rate_quota(demand.rate_per_minute, admission.tokens_left, demand.tokens)
    if verdict is Verdict.RATE_LIMITED:
        return rate
    return today if today.remaining <= rate.remaining else rate


def _add_facts(refusal: NotifyError, quota: Quota | None) -> None:
    if quota is not None:
        refusal.metadata = {**refusal.metadata, **quota.facts}


def _rate_limited(key_type: KeyType, rate_per_minute: int) -> NotifyError:
    facts = {"key_type": str(key_type), "limit": str(rate_per_minute)}
    return NotifyError("RATE_LIMITED", metadata=facts, retry_after=_RETRY_AFTER)


def _daily_limit(service: Service, key_type: KeyType, counter: str) -> NotifyError:
    limit = limits.daily_limit(service, key_type, counter)
    # it ends with the UTC day
    wait = timedelta(seconds=limits.daily_quota(limit, limit, clock.now()).reset_seconds)
    facts = {"counter": str(counter), "limit": str(limit)}
    return NotifyError("DAILY_LIMIT_REACHED", metadata=facts, retry_after=wait)
