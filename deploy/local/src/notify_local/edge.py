"""Envoy in front of the gateways: `deploy/envoy/edge.yaml` on one machine."""

from collections.abc import Sequence
from pathlib import Path

from notify_local import envoy

LISTS_AT_ONCE = 2
"""Lists of messages that a gateway makes at once."""

HEAP_BYTES = 512 * 1024 * 1024
"""Memory that the edge may take before it cuts the largest bodies off."""


def write_config(
    path: Path,
    edge_port: int,
    gateway_ports: Sequence[int],
    *,
    requests_per_second: int = 50_000,
    burst: int = 50_000,
    request_seconds: int = 30,
    watch_port: int | None = None,
) -> Path:
    """Write production's configuration, changed into one of this machine, to `path`, and return that.

    It differs in its addresses, in that clients speak HTTP without TLS, and in limits: `requests_per_second`
    and `burst` are of one address, and on one machine everybody has the same. A request has to arrive within
    `request_seconds`. Its metrics are at `watch_port`, if there is one.
    """
    config = envoy.load("edge")
    edge = envoy.listener(config, "edge")
    edge["address"] = envoy.on_this_machine(edge_port)
    del edge["filter_chains"][0]["transport_socket"]
    manager = envoy.connection_manager(edge)
    manager["request_timeout"] = f"{request_seconds}s"
    [limit] = [
        filter["typed_config"] for filter in manager["http_filters"] if "local_ratelimit" in filter["name"]
    ]
    limit["descriptors"][0]["token_bucket"] |= {
        "max_tokens": burst,
        "tokens_per_fill": requests_per_second,
    }
    for lane in ("gateway", "lists", "batches"):
        envoy.send_to(envoy.cluster(config, lane), gateway_ports)
    envoy.watch_at(config, watch_port, path.with_suffix(".sock"))
    return envoy.write(config, path)
