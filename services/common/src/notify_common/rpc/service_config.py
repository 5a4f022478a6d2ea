"""The service configs: timeouts and retry policies of every method, as data.

`notify/<context>/v1/service_config.json` is in gRPC's own service config format. Channels get it without its
timeouts: our client side sets each call's deadline itself, because a server sees no deadline that gRPC takes
from there (design.md §2.7), and because gRPC 1.85 counts such a timeout from the clock of the process's start,
so that in some processes 2 seconds ended after 0.1.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

DEFAULT_TIMEOUTS = {
    "/grpc.health.v1.Health/Check": 2.0,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": 600.0,
}


def for_channel(context: str) -> str:
    """Returns what a channel to `context` (`admin`, `letters`, …) takes, as JSON. Raises ModuleNotFoundError."""
    config = _read(context)
    for entry in config["methodConfig"]:
        del entry["timeout"]
    return json.dumps(config)


@cache
def timeout(method: str) -> float:
    """Returns the seconds that a call of `method` (`/notify.admin.v1.UsersService/GetUser`) may take at most.

    Raises LookupError for a method without a line: every call has a deadline.
    """
    if method in DEFAULT_TIMEOUTS:
        return DEFAULT_TIMEOUTS[method]
    package = method.lstrip("/").rpartition("/")[0].split(".")
    if len(package) != 4 or package[0] != "notify":
        raise LookupError(f"no service config covers {method}")
    found = _timeouts(package[1]).get(method)
    if found is None:
        raise LookupError(f"{method} has no line in the service_config.json of {package[1]}")
    return found


@cache
def _timeouts(context: str) -> dict[str, float]:
    return {
        f"/{name['service']}/{name['method']}": float(entry["timeout"].removesuffix("s"))
        for entry in _read(context)["methodConfig"]
        for name in entry["name"]
    }


def _read(context: str) -> Any:
    return json.loads((resources.files(f"notify.{context}.v1") / "service_config.json").read_text("utf-8"))
