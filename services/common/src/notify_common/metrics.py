"""Prometheus metrics: rate, errors and duration of calls, and where they are served (design.md §2.8).

Names follow the widely used gRPC exporters. Feeds, leases and snapshots declare theirs in their own modules.
"""

import os
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SERVER_HANDLED = Counter(
    "grpc_server_handled_total", "Calls served to their end.", ["grpc_service", "grpc_method", "grpc_code"]
)
SERVER_SECONDS = Histogram(
    "grpc_server_handling_seconds", "Time to serve a call.", ["grpc_service", "grpc_method"], buckets=_BUCKETS
)
SERVER_IN_FLIGHT = Gauge("grpc_server_in_flight", "Calls that are being served.")
SERVER_POOL_WAIT = Histogram(
    "grpc_server_pool_wait_seconds", "Time that a call waited for a thread.", buckets=_BUCKETS
)
CLIENT_HANDLED = Counter(
    "grpc_client_handled_total", "Calls made to their end.", ["grpc_service", "grpc_method", "grpc_code"]
)
CLIENT_SECONDS = Histogram(
    "grpc_client_handling_seconds",
    "Time until a call ended.",
    ["grpc_service", "grpc_method"],
    buckets=_BUCKETS,
)
CLIENT_IN_FLIGHT = Gauge(
    "grpc_client_in_flight", "Calls that wait for their end.", multiprocess_mode="livesum"
)


SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's own variable, read when it is imported."""


def exposition() -> bytes:
    """Return all metrics of this process in Prometheus' text format (`CONTENT_TYPE_LATEST`).

    Where PROMETHEUS_MULTIPROC_DIR names a folder, empty at the start, these are the metrics of all processes
    that were told of it, added up: the workers of one server, of which any may be asked.
    """
    if SHARED_FOLDER not in os.environ:
        return prometheus_client.generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return prometheus_client.generate_latest(registry)


def leave_shared_metrics() -> None:
    """Say, at the end of a process, that its gauges no longer count among those of `exposition`."""
    if SHARED_FOLDER in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


class MetricsServer:
    """An HTTP server in a thread of its own that answers with all metrics of this process."""

    def __init__(self, server: WSGIServer, join: Callable[[], None]) -> None:
        self._server = server
        self._join = join

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()
        self._join()


def serve_metrics(listen: str) -> MetricsServer:
    """Serve metrics at `listen` (`host:port`, port 0 takes a free one). Raises OSError if taken."""
    host, _, port = listen.rpartition(":")
    server, thread = prometheus_client.start_http_server(int(port), addr=host.strip("[]"))
    return MetricsServer(server, thread.join)
