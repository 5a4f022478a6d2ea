"""The Celery application: `celery -A notify_letters.celery_app worker -Q render`, `-Q submit`, and `… beat`.

Connections, channels and clients are made in each of the worker's processes after the fork (design.md §4.3).
What tasks need is imported by workers alone, before they fork: beat has no use for it, and it takes 60 MB.
The worker itself, which forks again whenever a process dies, has nothing but its connection to the broker,
and so no health port: it shows that it is alive by the file `NOTIFY_LETTERS_WORKER_HEARTBEAT_FILE`, which
appears when it takes tasks, is touched every 2 s while it is connected, and is removed at its end.
"""

import importlib
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import (
    heartbeat_sent,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)
from notify_common import interpreter
from notify_common.logging import configure_logging
from notify_common.rpc.certificates import require_usable_certificate
from notify_common.settings import load_settings
from notify_common.tracing import configure_tracing, shutdown_tracing

from notify_letters.celery_config import configuration
from notify_letters.settings import Settings
from notify_letters.tasks import runtime

app = Celery("notify_letters")
app.add_defaults(configuration)


@cache
def _settings() -> Settings:
    return load_settings(Settings)


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging("letters", _settings().log_level)


@worker_init.connect
def _make_ready(**_: Any) -> None:
    require_usable_certificate(_settings())
    importlib.import_module("notify_letters.bootstrap")


@worker_process_init.connect
def _enter_process(**_: Any) -> None:
    from notify_letters.bootstrap import parts_for_tasks

    configure_tracing("letters", _settings().otlp_endpoint)
    runtime.enter(parts_for_tasks(_settings()))
    interpreter.settle()


@worker_process_shutdown.connect
def _leave_process(**_: Any) -> None:
    runtime.leave()
    shutdown_tracing()


@heartbeat_sent.connect
def show_heartbeat(**_: Any) -> None:
    """Touch the heartbeat file, if there should be one."""
    path = _settings().worker_heartbeat_file
    if path is not None:
        path.touch()


@worker_shutdown.connect
def remove_heartbeat(**_: Any) -> None:
    """Remove the heartbeat file, if there is one."""
    path = _settings().worker_heartbeat_file
    if path is not None:
        path.unlink(missing_ok=True)
