"""What stands in `deploy/envoy`, changed into what runs on one machine."""

import socket
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[3] / "envoy"
"""Production's configurations; the distribution is only ever installed from its own tree."""


_ANSWER_SECONDS = 10.0


def load(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return the configuration `name` of production, such as `edge`."""
    # Its aliases become shared objects: a deep change of one would be one of all.
    loaded: dict[str, Any] = yaml.load((folder / f"{name}.yaml").read_text(), _Unshared)  # noqa: S506 - safe
    return loaded


class _Unshared(yaml.SafeLoader):
    """Builds what an alias stands for anew each time."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        self.constructed_objects.pop(node, None)
        return super().construct_object(node, deep=True)


def write(config: dict[str, Any], path: Path) -> Path:
    """Write a configuration to `path`, and return that."""
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def listener(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the listener of this name."""
    return _named(config["static_resources"]["listeners"], name)


def cluster(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the cluster of this name."""
    return _named(config["static_resources"]["clusters"], name)


def _named(parts: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(part for part in parts if part["name"] == name)


def connection_manager(listener: dict[str, Any]) -> dict[str, Any]:
    """Return what a listener does with requests."""
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def on_this_machine(port: int) -> dict[str, Any]:
    """Return the address of a port of 127.0.0.1."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def send_to(cluster: dict[str, Any], ports: Sequence[int]) -> None:
    """Have a cluster consist of what listens at these ports of 127.0.0.1."""
    cluster["type"] = "STATIC"
    cluster["load_assignment"]["endpoints"] = [
        {"lb_endpoints": [{"endpoint": {"address": on_this_machine(port)}} for port in ports]}
    ]


def watch_at(config: dict[str, Any], port: int | None, socket: Path) -> None:
    """Let Envoy be watched at a port of 127.0.0.1, with its own address at `socket`; with None not at all."""
    if port is None:
        resources = config["static_resources"]
        resources["listeners"].remove(listener(config, "watch"))
        resources["clusters"].remove(cluster(config, "envoy_admin"))
        del config["admin"]
        return
    own: dict[str, Any] = {"pipe": {"path": str(socket), "mode": 0o600}}
    config["admin"]["address"] = own
    listener(config, "watch")["address"] = on_this_machine(port)
    [endpoints] = cluster(config, "envoy_admin")["load_assignment"]["endpoints"]
    endpoints["lb_endpoints"] = [{"endpoint": {"address": {"pipe": {"path": str(socket)}}}}]


def command(config: Path, *more: str) -> list[str]:
    """Return the command that runs Envoy with this configuration; `more` are further arguments."""
    envoy = Path(sysconfig.get_path("scripts")) / "envoy"
    return [
        *(str(envoy), "--config-path", str(config), "--log-level", "warning", "--concurrency", "1"),
        *(more or ("--use-dynamic-base-id",)),
    ]


def drain(own: Path) -> None:
    """Have the Envoy whose own address is the socket `own` tell whoever is connected to connect anew, as the
    `preStop` of production does; it goes on serving meanwhile.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(str(own))
        connection.sendall(
            b"POST /drain_listeners?graceful HTTP/1.1\r\nHost: edge\r\nContent-Length: 0\r\n\r\n"
        )
        if b" 200 " not in connection.recv(1024):
            raise OSError(f"Envoy at {own} does not drain")
