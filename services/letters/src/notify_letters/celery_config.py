"""Celery's configuration, read by Celery when it first needs it (design.md §3.3).

Tasks carry ids of batches only. A batch's row decides whether there is anything to do, so every message may
be lost, late or doubled.
"""

from typing import Any

from notify_common.settings import load_settings

from notify_letters.clients.broker import RENDER, RENDER_BATCH, START_DAILY_PRINT_RUN, SUBMIT, SUBMIT_BATCH
from notify_letters.settings import Settings

DAILY_PRINT_RUN_EVERY_SECONDS = 60.0


def configuration() -> dict[str, Any]:
    """Return what Celery is told, by the names that it has for it."""
    settings = load_settings(Settings)
    broker_url = settings.broker_url.get_secret_value()
    return {
        "broker_url": broker_url,
        "broker_connection_retry_on_startup": True,
        # What a broker refuses, such as a Redis that is full, is no reason to end: the worker connects anew.
        "broker_channel_error_retry": True,
        # Redis and SQS deliver a message that was taken and not acknowledged again after this long, which is
        # above the longest task; RabbitMQ does so when its taker's connection ends.
        "broker_transport_options": {"visibility_timeout": 3600, **settings.broker_options},
        "include": [
            "notify_letters.tasks.render",
            "notify_letters.tasks.submit",
            "notify_letters.tasks.daily_print_run",
        ],
        "task_routes": {
            RENDER_BATCH: {"queue": RENDER},
            SUBMIT_BATCH: {"queue": SUBMIT},
            START_DAILY_PRINT_RUN: {"queue": SUBMIT},
        },
        "task_default_queue": SUBMIT,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.worker_processes,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": not broker_url.startswith("sqs"),
        "timezone": "UTC",
        "enable_utc": True,
        "beat_scheduler": "notify_letters.beat:Scheduler",
        # The task looks whether a run is due and not there, so it may come at any time, late, doubled or by
        # two beats: what makes a day's run one is its id. Asking often is what catches up with a run that was
        # missed.
        "beat_schedule": {
            "start-daily-print-run": {
                "task": START_DAILY_PRINT_RUN,
                "schedule": DAILY_PRINT_RUN_EVERY_SECONDS,
                # one that waited so long behind others is of no use any more, as its like have followed
                "options": {"expires": 15 * DAILY_PRINT_RUN_EVERY_SECONDS},
            }
        },
    }
