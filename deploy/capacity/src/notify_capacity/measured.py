"""What was measured, each with the command that measures it: all constants of the model.

Figures are of a machine with 2 cores (AMD EPYC, Python 3.11.7, PostgreSQL 18), mostly busy with other work,
on which processor time holds and rates are low; so the model errs towards too much. Measure where you run it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Measurement:
    """One constant.

    Attributes:
        value: in `unit`.
        command: what measures it.
        source: where the figure is written down.
    """

    value: float
    unit: str
    command: str
    source: str


_ACCEPT: Final = "make bench-accept"
_ACCEPTED: Final = "docs/adr/0012-messages-share-calls-and-commits.md"
_SIZE: Final = "make bench-size"
_SCALING: Final = "docs/scaling.md"
_METRICS: Final = "notify_database_connections_limit of a running platform"

MEASURED: Final = {
    # accepting, with 32 connections
    "accept_ms": Measurement(2.68, "processor ms a message, all processes", _ACCEPT, _ACCEPTED),
    "accept_gateway_part": Measurement(1.1 / 3.4, "of accept_ms", _ACCEPT, _ACCEPTED),
    "accept_notifications_part": Measurement(1.5 / 3.4, "of accept_ms", _ACCEPT, _ACCEPTED),
    "accept_postgres_part": Measurement(0.5 / 3.4, "of accept_ms", _ACCEPT, _ACCEPTED),
    "bulk_us": Measurement(
        81, "processor µs a message stored in bulk", "make bench-bulk ROWS=20000", _ACCEPTED
    ),
    # handing over
    "dispatch_rate": Measurement(
        5_900,
        "messages a second of one worker on 2 cores",
        "make bench-dispatch",
        "services/providers/README.md",
    ),
    "dispatch_window": Measurement(
        256,
        "calls under way of one worker",
        "NOTIFY_PROVIDERS_DISPATCH_WINDOW",
        "docs/adr/0008-provider-calls-use-libcurl.md",
    ),
    "take_over_rate": Measurement(
        34_000,
        "messages a second taken over in batches of 500",
        "make bench-dispatch",
        "services/providers/README.md",
    ),
    # letters
    "typeset_ms": Measurement(4.2, "processor ms a letter", "make bench-render", "docs/design.md"),
    "print_rate": Measurement(
        4_230,
        "letters a second from a run's start to the printer on 2 cores",
        "make bench-print-run",
        "docs/streaming.md",
    ),
    # room
    "notifications_bytes": Measurement(847, "bytes a message and its indexes", _SIZE, _SCALING),
    "callback_bytes": Measurement(669, "bytes an event that is told, and one attempt", _SIZE, _SCALING),
    "providers_bytes": Measurement(1_034, "bytes a dispatch, an attempt and a receipt", _SIZE, _SCALING),
    "event_bytes": Measurement(151, "bytes an event of a feed", _SIZE, _SCALING),
    # connections of one process
    "notifications_connections": Measurement(17, "connections", _METRICS, _SCALING),
    "notifications_work_connections": Measurement(17, "connections", _METRICS, _SCALING),
    "callbacks_connections": Measurement(16, "connections", _METRICS, _SCALING),
    "jobs_connections": Measurement(16, "connections", _METRICS, _SCALING),
    "server_connections": Measurement(9, "connections of providers, letters or admin", _METRICS, _SCALING),
    "providers_work_connections": Measurement(12, "connections", _METRICS, _SCALING),
    "letters_work_connections": Measurement(9, "connections", _METRICS, _SCALING),
    "celery_connections": Measurement(1, "connections of a child of Celery's worker", _METRICS, _SCALING),
}


def value(name: str) -> float:
    """Return a constant by its name."""
    return MEASURED[name].value


@dataclass(frozen=True, slots=True)
class Point:
    """A figure that the model does not know, but should foretell.

    Attributes:
        measured: what was seen.
        tolerance: part by which the model may be off.
        command: what measures it.
    """

    measured: float
    tolerance: float
    command: str


POINTS: Final = {
    "messages a second of a worker whose provider takes 60 ms": Point(
        2_700, 0.15, "tests/load/bench_dispatch.py --stub-latency-ms 60"
    ),
    "processor ms of accepting with 8 connections": Point(3.33, 0.3, "make bench-accept"),
    "MiB of 5000 texts in notifications and providers": Point(
        13.30, 0.1, "tests/load/bench_size.py --rows 5000"
    ),
    "connections of a platform with one of each process, but Celery's": Point(
        114, 0, "sum of notify_database_connections_limit (tests/e2e/test_observability.py)"
    ),
}
