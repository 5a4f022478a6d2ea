"""`python -m notify_common.probe`: ask the process in this container whether it is well.

The health command of images. Status 0 if so, else 1 and one sentence. NOTIFY_SERVICE names the service, such
as `letters`; its settings tell what is asked: the heartbeat file of a Celery process, the
gateway's address, or else the health port. An orchestrator that can ask by itself need not start this.
"""

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

HEARTBEAT_SECONDS: Final = 10.0
"""How old the heartbeat file of a process that lives may be: it is touched every 2 s."""
_ASK_SECONDS: Final = 3.0


def main() -> int:
    """Return the exit status."""
    service = os.environ.get("NOTIFY_SERVICE", "")
    prefix = f"NOTIFY_{service.removeprefix('api-').upper()}"
    if heartbeat := os.environ.get(f"{prefix}_WORKER_HEARTBEAT_FILE"):
        problem = _heartbeat_problem(Path(heartbeat))
    elif listen := os.environ.get(f"{prefix}_HTTP_LISTEN"):
        problem = _http_problem(_reached_here(listen))
    elif listen := os.environ.get(f"{prefix}_HEALTH_LISTEN"):
        problem = _grpc_problem(_reached_here(listen))
    else:
        problem = (
            f"nothing to ask: NOTIFY_SERVICE should name the service, and {prefix}_HEALTH_LISTEN, "
            "…_HTTP_LISTEN or …_WORKER_HEARTBEAT_FILE be set"
        )
    if problem is None:
        return 0
    sys.stderr.write(f"probe: {problem}\n")
    return 1


def _reached_here(listen: str) -> str:
    """Return how what listens at `listen` is reached from the same container."""
    host, _, port = listen.rpartition(":")
    return {"0.0.0.0": f"127.0.0.1:{port}", "[::]": f"[::1]:{port}"}.get(host, listen)  # noqa: S104


def _heartbeat_problem(file: Path) -> str | None:
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        return "there is no heartbeat yet"
    return None if age < HEARTBEAT_SECONDS else f"the last heartbeat was {age:.0f} s ago"


def _http_problem(address: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{address}/_status?simple=1", timeout=_ASK_SECONDS):
            return None
    except (urllib.error.URLError, OSError) as error:
        return f"no answer ({type(error).__name__})"


def _grpc_problem(address: str) -> str | None:
    # the others need none of it
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_ASK_SECONDS)
        except grpc.RpcError as error:
            return f"no answer ({error.code().name})"
    return None if answer.status == health_pb2.HealthCheckResponse.SERVING else "it is not serving"


if __name__ == "__main__":
    sys.exit(main())
