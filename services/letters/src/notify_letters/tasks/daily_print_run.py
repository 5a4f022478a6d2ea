"""The scheduled start of the day's print run."""

from celery import shared_task
from notify_common import clock, current

from notify_letters.clients.broker import START_DAILY_PRINT_RUN
from notify_letters.tasks import runtime
from notify_letters.usecases.start_print_run import start_daily_print_run as start


@shared_task(name=START_DAILY_PRINT_RUN)
def start_daily_print_run() -> None:
    """Start today's run if it is time for it; idempotent by date, see `usecases.start_print_run`."""
    with current.bind():
        start(runtime.parts().uow, clock.now())
