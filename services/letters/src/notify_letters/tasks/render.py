"""The task that makes PDFs."""

from celery import shared_task

from notify_letters.clients.broker import RENDER_BATCH
from notify_letters.tasks import runtime


@shared_task(name=RENDER_BATCH)
def render_batch(batch_id: str) -> None:
    """Render one batch; idempotent, see `usecases.render_batch`."""
    runtime.parts().render_batch(batch_id)
