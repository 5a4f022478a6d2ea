"""From batch rows to Celery: the relay (design.md §3.3)."""

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.table import Queue

from notify_letters.clients.broker import Broker
from notify_letters.store import batches as store

SEND_AT_ONCE = 100


class BatchRelay:
    """Sends the tasks of one queue's due batches.

    Idempotency key: the batch's id. Dying between the commit and the send delays a batch until it is sent
    anew, as does a task that the broker loses; a task sent twice finds the batch leased or done. Only so many
    tasks wait in the broker at once, so that its memory is bounded, a backlog is not sent again and again,
    and who comes late waits for few of those who came before: in the broker there are no lanes.
    """

    def __init__(
        self,
        batches: Queue,
        task: str,
        celery_queue: str,
        broker: Broker,
        max_waiting: int,
    ) -> None:
        self._batches = batches
        self._task = task
        self._celery_queue = celery_queue
        self._broker = broker
        self._max_waiting = max_waiting

    def send_due(self, uow: UnitOfWork) -> int:
        """Send up to 100 tasks and return how many.

        Raises:
            kombu.exceptions.OperationalError: the broker can't be reached; what was not sent is due again.
        """
        with uow.autocommit() as tx:
            if not self._batches.any_waiting(tx):
                return 0
        room = min(SEND_AT_ONCE, self._max_waiting - self._broker.waiting(self._celery_queue))
        if room <= 0:
            return 0
        with uow.begin() as tx:
            batch_ids = store.take_to_enqueue(tx, self._batches, room)
        sent = 0
        try:
            for batch_id in batch_ids:
                self._broker.send(self._task, self._celery_queue, batch_id)
                sent += 1
        finally:
            if sent < len(batch_ids):
                with uow.begin() as tx:
                    store.give_back(tx, self._batches, batch_ids[sent:])
        return sent
