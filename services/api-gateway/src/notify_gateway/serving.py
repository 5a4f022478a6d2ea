"""`python -m notify_gateway.serving`: granian, told to stop in two steps (design.md §4.3).

SIGTERM makes `/_status` answer 503, so that whoever spreads requests over gateways sends no more to this
one; all else is served on for `drain_seconds`. Only then are connections closed. Without that, a request that
comes over a connection which is just being closed would be lost, and nobody could tell whether it was taken.
"""

import multiprocessing
import threading
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer
from notify_common.settings import load_settings

from notify_gateway import stopping
from notify_gateway.settings import GatewaySettings


class _Server(MPServer):
    """Granian's, which goes on for a while after it was told to stop. Told again, it stops at once."""

    drain_seconds = 0.0

    def signal_handler_interrupt(self, *arguments: Any, **more: Any) -> None:
        if stopping.is_stopping() or not self.drain_seconds:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call] # granian names no types
            return
        stopping.tell()
        timer = threading.Timer(self.drain_seconds, super().signal_handler_interrupt)
        timer.daemon = True
        timer.start()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load_settings(GatewaySettings)
    multiprocessing.set_start_method(
        "fork"
    )  # workers share what is told; nothing has a thread or a connection yet
    host, _, port = settings.http_listen.rpartition(":")
    is_socket = host == "unix"
    server = _Server(
        "notify_gateway.app:create_app",
        **({"uds": Path(port)} if is_socket else {"address": host.strip("[]"), "port": int(port)}),
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=settings.http_threads,
        workers=settings.http_processes,
        respawn_failed_workers=True,
        websockets=False,
        log_level=LogLevels.warning,
        # in seconds, from when a worker is told to stop
        workers_kill_timeout=max(1, round(settings.stop_grace_seconds)),
    )
    server.drain_seconds = settings.drain_seconds
    server.serve()


if __name__ == "__main__":
    main()
