"""The way to Celery's workers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

RENDER = "render"
"""The queue of `RENDER_BATCH`."""
SUBMIT = "submit"
"""The queue of `SUBMIT_BATCH` and `START_DAILY_PRINT_RUN`."""

RENDER_BATCH = "render_batch"
SUBMIT_BATCH = "submit_batch"
START_DAILY_PRINT_RUN = "start_daily_print_run"


class Broker:
    """Sends tasks that carry the id of a batch and nothing else."""

    def __init__(self, app: "Celery") -> None:
        self._app = app

    def waiting(self, queue: str) -> int:
        """Return how many tasks of a queue no worker has taken yet.

        Raises:
            kombu.exceptions.OperationalError: the broker can't be reached.
        """
        with self._app.connection_or_acquire() as connection:
            declared: Any = self._app.amqp.queues[queue].bind(connection.default_channel).queue_declare()
        return int(declared.message_count)

    def send(self, task: str, queue: str, batch_id: str) -> None:
        """Put a task into a queue; one try, since whoever sends has the batch's row to try again from.

        Raises:
            kombu.exceptions.OperationalError: the broker can't be reached.
        """
        self._app.send_task(task, args=[batch_id], queue=queue, retry=False, ignore_result=True)
