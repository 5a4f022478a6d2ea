"""The model: from a day's messages to processes, processors, connections and room (docs/scaling.md)."""

import math
from dataclasses import dataclass
from typing import Final

from notify_capacity.measured import value

DAY_SECONDS: Final = 86_400
BUSY: Final = 0.6
"""Of a processor that is planned for: the rest is for what comes unevenly, and for a process that is gone."""
FEWEST: Final = 2
"""Of each process: one may be gone at any time."""
FEED_KEPT_DAYS: Final = 30
CALLBACKS_KEPT_DAYS: Final = 3
FULL_DISK: Final = 0.5
"""Of the disk that is planned for: what vacuum has not given back, write-ahead log, a backup's growth."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a platform is to carry.

    Attributes:
        messages_a_day: accepted, all channels.
        peak_factor: the busiest minute against the day's mean.
        sms, email, letter: shares of the channels, together 1.
        told: share of messages of which the service is told by callback.
        kept_days: for which messages are kept.
        provider_ms: how long a provider's call takes.
    """

    messages_a_day: float
    peak_factor: float = 5.0
    sms: float = 0.5
    email: float = 0.48
    letter: float = 0.02
    told: float = 0.5
    kept_days: int = 7
    provider_ms: float = 60.0

    def __post_init__(self) -> None:
        """Raise ValueError for a load that there can't be."""
        if not 0 < self.messages_a_day <= 1e12:
            raise ValueError("messages a day should be above 0")
        if not 1 <= self.peak_factor <= 1_000:
            raise ValueError("the peak factor should be from 1 to 1000")
        if min(self.sms, self.email, self.letter) < 0 or not math.isclose(
            self.sms + self.email + self.letter, 1, abs_tol=1e-6
        ):
            raise ValueError("the shares of the channels should be 0 or more, and 1 together")
        if not 0 <= self.told <= 1:
            raise ValueError("the share that is told should be from 0 to 1")
        if not 1 <= self.kept_days <= 366:
            raise ValueError("messages are kept from 1 to 366 days")
        if not 0 <= self.provider_ms <= 60_000:
            raise ValueError("a provider's call takes from 0 to 60000 ms")

    @property
    def peak(self) -> float:
        """Messages a second in the busiest minute."""
        return self.messages_a_day / DAY_SECONDS * self.peak_factor


@dataclass(frozen=True, slots=True)
class Need:
    """One kind of process: how many, the processors that they keep busy at the peak, connections of all."""

    process: str
    count: int
    processors: float
    connections: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs."""

    load: Load
    needs: tuple[Need, ...]
    gib: dict[str, float]
    """By database: what is planned for."""
    database_processors: dict[str, float]

    @property
    def processes(self) -> int:
        """All of them."""
        return sum(need.count for need in self.needs)

    @property
    def processors(self) -> float:
        """Kept busy at the peak, the databases' included."""
        return sum(need.processors for need in self.needs) + sum(self.database_processors.values())

    def connections(self, *prefixes: str) -> int:
        """Return the connections of processes whose names begin so."""
        return sum(need.connections for need in self.needs if need.process.startswith(prefixes))


def plan(load: Load) -> Plan:
    """Return what a load needs."""
    peak = load.peak
    accept = value("accept_ms") / 1000
    dispatched = peak * (load.sms + load.email)
    letters = load.messages_a_day * load.letter
    dispatch = 2 / value("dispatch_rate")
    needs = (
        _need("api-gateway", peak * accept * value("accept_gateway_part"), 0),
        _need(
            "notifications",
            peak * accept * value("accept_notifications_part"),
            value("notifications_connections"),
        ),
        _need(
            "notifications-work", peak * value("bulk_us") / 1e6 * 2, value("notifications_work_connections")
        ),
        _need("notifications-callbacks", peak * load.told * dispatch, value("callbacks_connections")),
        _need("notifications-jobs", 0.05, value("jobs_connections")),
        _need("providers", peak / value("take_over_rate"), value("server_connections")),
        _need(
            "providers-work",
            dispatched * dispatch,
            value("providers_work_connections"),
            least=dispatched / (dispatches_a_second(load.provider_ms) * BUSY),
        ),
        _need("letters", 0.05, value("server_connections")),
        _need("letters-work", 0.05, value("letters_work_connections")),
        # a day's letters within six hours: the run waits for the last of them
        _need(
            "letters-celery",
            letters * (value("typeset_ms") / 1000 + 2 / value("print_rate")) / (6 * 3600),
            value("celery_connections"),
        ),
        _need("admin", 0.05, value("server_connections")),
    )
    day = load.messages_a_day
    kept = {
        "notifications": day * load.kept_days * value("notifications_bytes")
        + day * load.told * CALLBACKS_KEPT_DAYS * value("callback_bytes"),
        "providers": day * load.kept_days * value("providers_bytes")
        + day * 2 * FEED_KEPT_DAYS * value("event_bytes"),
        "letters": letters * (400 * 500 + FEED_KEPT_DAYS * 3 * value("event_bytes")),
        "admin": 1e9,
    }
    return Plan(
        load,
        needs,
        {name: bytes_ / 2**30 / FULL_DISK for name, bytes_ in kept.items()},
        {
            "notifications": peak * accept * value("accept_postgres_part") * 2,
            "providers": peak * dispatch / 2,
            "letters": 0.1,
            "admin": 0.1,
        },
    )


def _need(process: str, processors: float, connections: float, least: float = 0) -> Need:
    count = max(FEWEST, math.ceil(processors / BUSY), math.ceil(least))
    return Need(process, count, processors, count * int(connections))


def dispatches_a_second(provider_ms: float) -> float:
    """Return how many messages a second one worker hands over whose provider's calls take so long.

    A call takes a place of the worker's window, and then the worker's own time.
    """
    return 1 / (1 / value("dispatch_rate") + provider_ms / 1000 / value("dispatch_window"))
