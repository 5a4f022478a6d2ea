"""What a load balancer, or a Service of Kubernetes, is before the edges: it passes connections on, and reads
nothing of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from notify_local import envoy

_EDGES = "edges"
_CONNECTIONS = 65536


def write_config(path: Path, port: int) -> Path:
    """Write the configuration of one at a port of 127.0.0.1 to `path`, and return that.

    It follows what `send_to` says while it runs. A connection that an edge does not take goes to another one.
    """
    thresholds = {"max_connections": _CONNECTIONS, "max_pending_requests": _CONNECTIONS}
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": _EDGES,
        "cluster": _EDGES,
        "max_connect_attempts": 3,
    }
    followed = {"path_config_source": {"path": str(_members(path))}, "resource_api_version": "V3"}
    listener = {
        "name": "load_balancer",
        "address": envoy.on_this_machine(port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    }
    cluster = {
        "name": _EDGES,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": followed},
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [thresholds]},
    }
    node = {"id": "load-balancer", "cluster": "load-balancer"}
    config = {"node": node, "static_resources": {"listeners": [listener], "clusters": [cluster]}}
    return envoy.write(config, path)


def send_to(path: Path, ports: Sequence[int]) -> None:
    """Have the load balancer with the configuration `path` pass new connections on to these ports of
    127.0.0.1; those that it has passed on stay where they are.
    """
    members: dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": _EDGES,
        "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": envoy.on_this_machine(port)}} for port in ports]}
        ],
    }
    partial = _members(path).with_suffix(".partial")
    envoy.write({"resources": [members]}, partial)
    partial.replace(_members(path))  # what is moved there is seen, what is written there is not


def _members(path: Path) -> Path:
    return path.with_name(f"{path.stem}-members.yaml")
