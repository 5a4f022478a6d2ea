"""`python -m notify_gateway serve | check-config`."""

import argparse
import contextlib
import os
import sys
import threading
from pathlib import Path

from notify_common import main
from notify_common.boot import BootError
from notify_common.metrics import SHARED_FOLDER

from notify_gateway.settings import GatewaySettings


def serve(settings: GatewaySettings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Become granian, which serves the application in processes of its own until it is told to stop.

    Settings are right by then: a worker that ended for their sake would be replaced without end.
    """
    _forget_earlier_metrics()
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "notify_gateway.serving"]
    os.execv(sys.executable, command)  # noqa: S606 - a fixed command of this package


def _forget_earlier_metrics() -> None:
    """Empty the folder of the metrics that worker processes share: there are those of processes that ended.

    Raises:
        BootError: they can't be removed, or others not be written.
    """
    folder = os.environ.get(SHARED_FOLDER)
    if folder is None:
        return
    try:
        for left in Path(folder).glob("*.db"):
            with contextlib.suppress(FileNotFoundError):
                left.unlink()
    except OSError:
        raise BootError(f"{SHARED_FOLDER} should name a folder that this process can write into") from None
    if not os.access(folder, os.W_OK):
        raise BootError(f"{SHARED_FOLDER} should name a folder that this process can write into")


if __name__ == "__main__":
    main.run(
        "api-gateway",
        GatewaySettings,
        [main.Command("serve", "serve the REST API", serve, long_running=False)],
    )
