"""The service configs: timeouts and retry policies of every method, as data.

`notify/<context>/v1/service_config.json` is in gRPC's own service config format. Channels take it whole, for
retries and load balancing; its timeouts are applied by our client interceptor, because a server sees no
deadline that gRPC takes from it (design.md §2.7).
"""

import json
from functools import cache
from importlib import resources

DEFAULT_TIMEOUTS = {
    "/grpc.health.v1.Health/Check": 2.0,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": 600.0,
}


def text(context: str) -> str:
    """Returns the service config of `context` (`admin`, `letters`, …) as JSON. Raises ModuleNotFoundError."""
    return (resources.files(f"notify.{context}.v1") / "service_config.json").read_text(encoding="utf-8")


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
        for entry in json.loads(text(context))["methodConfig"]
        for name in entry["name"]
    }
