"""Receipts that wait in a queue, in place of calls by which they come."""

from notify_common.db.unit_of_work import UnitOfWork

from notify_providers.clients.base import Callback
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.clients.sqs import SqsQueue
from notify_providers.usecases.record_receipt import record_callback


def record_queued(uow: UnitOfWork, reader: CallbackReader, provider: str, queue: SqsQueue) -> int:
    """Record up to 10 messages of a provider's queue, and delete them from it; return how many were recorded.

    Idempotency key: the receipt's own. Dying before a message is recorded, or before it is deleted, brings it
    again. One that can't be used is not deleted: the queue's redrive policy takes it to where somebody looks.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: the queue can't be used now.
    """
    done = []
    try:
        for message in queue.receive():
            _, answer = record_callback(uow, reader, provider, Callback(message.body))
            if answer.status < 300:
                done.append(message)
    finally:
        queue.delete(done)
    return len(done)
