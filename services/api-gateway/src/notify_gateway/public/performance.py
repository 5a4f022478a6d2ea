"""How promptly the platform hands messages over, for everybody: a page for people, JSON for programs.

Of the whole platform alone. What fewer than three services sent on a day is not told, as it would be what one
of them sent, or what is left once another takes its own off.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, Response
from notify.common.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_LETTER, CHANNEL_SMS
from notify.common.v1.common_pb2 import Channel as ChannelValue
from notify.notifications.v1.statistics_service_pb2 import (
    GetPerformanceRequest,
    GetPerformanceResponse,
    GetProcessingTimesRequest,
    GetProcessingTimesResponse,
)
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.snapshots.cache import SnapshotCache

from notify_gateway import pages
from notify_gateway.answers import LEGACY, json_response
from notify_gateway.clients import Clients

DAYS: Final = 7
"""How many days are shown, the last one yesterday in London."""
FEWEST_SERVICES: Final = 3
"""Fewer on a day and channel, and nothing is told of it."""
FRESH_SECONDS: Final = 60
PROMPT_SECONDS: Final = 10.0
PERCENTILES: Final = (50, 95, 99)

_STEP: Final = 1.04
"""How far times that are counted together may be apart."""
_ROUNDING: Final = 1e-6
_CHANNELS: Final[Mapping[ChannelValue, str]] = {
    CHANNEL_SMS: "sms",
    CHANNEL_EMAIL: "email",
    CHANNEL_LETTER: "letter",
}
_KEY: Final = "the last days"

Times = Mapping[float, int]
"""The longest that messages waited in seconds -> how many messages."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one channel did in some days.

    Attributes:
        sent: messages; None where too few services sent any for it to be told.
        prompt_share: of those that a provider took, the share within ten seconds; None for letters, which go
            with the day's print run, and where nothing is told.
        seconds: percentile -> seconds until a provider took so many of a hundred.
    """

    sent: int | None
    prompt_share: float | None = None
    seconds: Mapping[int, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return them as the public sees them."""
        told = self.seconds or {}
        times = {f"p{percentile}": round(seconds, 3) for percentile, seconds in told.items()} or None
        share = None if self.prompt_share is None else round(self.prompt_share, 4)
        return {"sent": self.sent, "share_within_10_seconds": share, "seconds_until_handed_over": times}


@dataclass(frozen=True, slots=True)
class Performance:
    """The last days: of each channel all of them together, and each by itself, newest first."""

    first: date
    last: date
    channels: Mapping[str, Figures]
    days: Sequence[tuple[date, Mapping[str, Figures]]]


def blueprint(clients: Clients) -> Blueprint:
    """Return both routes. They take no parameters, so that there is one answer, which is kept for a minute
    (and up to 15 where notifications does not answer).
    """
    routes = Blueprint("performance", __name__)

    def load(keys: list[str]) -> dict[str, Performance]:
        last = clock.london_day(clock.now()) - timedelta(days=1)
        first = last - timedelta(days=DAYS - 1)
        asked = {"from_day": first.isoformat(), "to_day": last.isoformat()}
        sent = clients.statistics.GetPerformance(GetPerformanceRequest(**asked))
        times = clients.statistics.GetProcessingTimes(GetProcessingTimesRequest(**asked))
        return {key: performance(first, last, sent, times) for key in keys}

    kept: SnapshotCache[str, Performance] = SnapshotCache(
        "performance", load, max_entries=1, ttl=FRESH_SECONDS
    )

    def found() -> Performance:
        value = kept.get(_KEY)
        assert value is not None  # noqa: S101 - `load` has each key
        return value

    @routes.get("/performance")
    def page() -> Response:
        try:
            response = pages.page("performance.html", found=found(), percentiles=PERCENTILES)
        except NotifyError:
            return pages.page("performance.html", 503, found=None)
        return _kept_by_others(response)

    @routes.get("/performance.json")
    def figures() -> Response:
        try:
            told = found()
        except NotifyError as error:
            return LEGACY.answer(error)
        response = json_response(
            {
                "from": told.first.isoformat(),
                "to": told.last.isoformat(),
                "channels": {name: one.as_json() for name, one in told.channels.items()},
                "days": [
                    {"date": day.isoformat(), **{name: one.as_json() for name, one in channels.items()}}
                    for day, channels in told.days
                ],
            }
        )
        response.headers["Access-Control-Allow-Origin"] = "*"
        return _kept_by_others(response)

    return routes


def performance(
    first: date, last: date, sent: GetPerformanceResponse, times: GetProcessingTimesResponse
) -> Performance:
    """Return what is told of days, by what notifications counted."""
    told = {
        (each.day, each.channel): each.message_count
        for each in sent.days
        if each.service_count >= FEWEST_SERVICES
    }
    by_day: defaultdict[tuple[str, ChannelValue], dict[float, int]] = defaultdict(dict)
    for time in times.processing_times:
        by_day[time.day, time.channel][time.longest.ToTimedelta().total_seconds()] = time.message_count
    shown = [last - timedelta(days=number) for number in range((last - first).days + 1)]

    def figures(channel: ChannelValue, days: Iterable[date]) -> Figures:
        keys = [(day.isoformat(), channel) for day in days]
        keys = [key for key in keys if key in told]
        if not keys:
            return Figures(None)
        waited = together(by_day[key] for key in keys)
        count = sum(told[key] for key in keys)
        if not waited:
            return Figures(count)
        return Figures(
            count,
            prompt_share(waited),
            {percentile: seconds_at(waited, percentile) for percentile in PERCENTILES},
        )

    return Performance(
        first,
        last,
        {name: figures(channel, shown) for channel, name in _CHANNELS.items()},
        [(day, {name: figures(channel, [day]) for channel, name in _CHANNELS.items()}) for day in shown],
    )


def together(of_days: Iterable[Times]) -> dict[float, int]:
    """Return the times of several days, added up."""
    sums: defaultdict[float, int] = defaultdict(int)
    for times in of_days:
        for seconds, count in times.items():
            sums[seconds] += count
    return dict(sums)


def prompt_share(times: Times) -> float:
    """Return the share of messages that waited for ten seconds at most."""
    prompt = sum(count for seconds, count in times.items() if seconds <= PROMPT_SECONDS * (1 + _ROUNDING))
    return prompt / sum(times.values())


def seconds_at(times: Times, percentile: int) -> float:
    """Return the seconds within which so many of a hundred messages were taken, to within 2 %."""
    wanted = percentile / 100 * sum(times.values())
    passed = 0
    for seconds in sorted(times):
        passed += times[seconds]
        if passed >= wanted:
            return float(seconds / _STEP**0.5)
    raise ValueError("there are no messages")


def _kept_by_others(response: Response) -> Response:
    """Let whatever stands in between keep an answer for as long as it is kept here."""
    response.headers["Cache-Control"] = f"public, max-age={FRESH_SECONDS}"
    return response
