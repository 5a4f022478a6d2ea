"""The task that hands print batches to providers."""

from celery import shared_task

from notify_letters.clients.broker import SUBMIT_BATCH
from notify_letters.tasks import runtime


@shared_task(name=SUBMIT_BATCH)
def submit_batch(batch_id: str) -> None:
    """Submit one print batch; idempotent, see `usecases.submit_batch`."""
    runtime.parts().submit_batch(batch_id)
