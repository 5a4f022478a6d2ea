"""Envoy in front of the gateway: `deploy/envoy/edge.yaml` with its addresses filled in."""

import string
import sysconfig
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[3] / "envoy" / "edge.yaml"
"""The edge's configuration; the distribution is only ever installed from its own tree."""


def write_config(path: Path, edge_port: int, gateway_port: int) -> Path:
    """Writes the configuration with its addresses filled in to `path`, and returns that."""
    path.write_text(
        string.Template(TEMPLATE.read_text()).substitute(
            EDGE_PORT=edge_port, GATEWAY_HOST="127.0.0.1", GATEWAY_PORT=gateway_port
        )
    )
    return path


def command(config: Path) -> list[str]:
    """The command that runs the edge."""
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
