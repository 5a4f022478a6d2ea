"""Envoy in front of the gateway: `deploy/envoy/edge.yaml` with its addresses filled in."""

import string
import sysconfig
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[3] / "envoy" / "edge.yaml"
"""The edge's configuration; the distribution is only ever installed from its own tree."""


LISTS_AT_ONCE = 2
"""Lists of messages that the gateway makes at once."""

HEAP_BYTES = 512 * 1024 * 1024
"""Memory that the edge may take before it cuts the largest bodies off."""


def write_config(
    path: Path,
    edge_port: int,
    gateway_port: int,
    *,
    requests_per_second: int = 50_000,
    burst: int = 50_000,
    request_seconds: int = 30,
) -> Path:
    """Write the configuration with its addresses and limits filled in to `path`, and return that.

    `requests_per_second` and `burst` are of one address: on one machine everybody has the same. A request has
    to arrive within `request_seconds`.
    """
    path.write_text(
        string.Template(TEMPLATE.read_text()).substitute(
            EDGE_PORT=edge_port,
            GATEWAY_HOST="127.0.0.1",
            GATEWAY_PORT=gateway_port,
            EDGE_REQUESTS_PER_SECOND=requests_per_second,
            EDGE_BURST=burst,
            EDGE_REQUEST_SECONDS=request_seconds,
            EDGE_LISTS_AT_ONCE=LISTS_AT_ONCE,
            EDGE_HEAP_BYTES=HEAP_BYTES,
        )
    )
    return path


def command(config: Path) -> list[str]:
    """Return the command that runs the edge."""
    envoy = Path(sysconfig.get_path("scripts")) / "envoy"
    return [
        str(envoy),
        "--config-path",
        str(config),
        "--log-level",
        "warning",
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
    ]
