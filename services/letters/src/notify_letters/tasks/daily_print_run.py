"""The scheduled start of the day's print run."""

from celery import shared_task
from notify_common import current

from notify_letters.clients.broker import START_DAILY_PRINT_RUN
from notify_letters.tasks import runtime


@shared_task(name=START_DAILY_PRINT_RUN)
def start_daily_print_run() -> None:
    """Start the run that is due, if it is not there; see `usecases.start_print_run`."""
    with current.bind():
        runtime.parts().start_daily_print_run()
