"""The service configs: timeouts and retry policies of every method, as data.

`notify/<service>/v1/service_config.json` is in gRPC's own service config format. Channels get it without its
timeouts: our client side sets each call's deadline itself. A server sees no deadline that gRPC takes from
there (design.md §2.7), and a channel of grpcio 1.85.1 gave calls 0.08 to 0.55 of the 2 seconds that it said.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

_TIMEOUTS_OF_FOREIGN_SERVICES = {
    "grpc.health.v1.Health": 2.0,
    "grpc.reflection.v1alpha.ServerReflection": 600.0,
}


def for_channel(service: str) -> str:
    """Return what a channel to `service` (`admin`, …) takes, as JSON. Raises ModuleNotFoundError."""
    config = _read(service)
    for entry in config["methodConfig"]:
        del entry["timeout"]
    return json.dumps(config)


@cache
def timeout(method: str) -> float:
    """Return the seconds that a call of `method` (`/notify.admin.v1.UsersService/GetUser`) may take at most.

    Raises LookupError for a method without a line: every call has a deadline.
    """
    service = method.lstrip("/").rpartition("/")[0]
    if service in _TIMEOUTS_OF_FOREIGN_SERVICES:
        return _TIMEOUTS_OF_FOREIGN_SERVICES[service]
    package = service.split(".")
    if len(package) != 4 or package[0] != "notify":
        raise LookupError(f"no service config covers {method}")
    found = _timeouts(package[1]).get(method)
    if found is None:
        raise LookupError(f"{method} has no line in the service_config.json of {package[1]}")
    return found


@cache
def _timeouts(service: str) -> dict[str, float]:
    return {
        f"/{name['service']}/{name['method']}": float(entry["timeout"].removesuffix("s"))
        for entry in _read(service)["methodConfig"]
        for name in entry["name"]
    }


def _read(service: str) -> Any:
    return json.loads((resources.files(f"notify.{service}.v1") / "service_config.json").read_text("utf-8"))
