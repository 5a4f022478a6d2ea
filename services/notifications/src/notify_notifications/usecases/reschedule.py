"""Cancelling and moving messages whose time to be sent has not come.

The row in the outbox decides between this and the hand-over: a relay claims rows whose time has come, and
here only rows are touched whose time has not come and that no relay ever had. Both lock the row, so that
exactly one of them has it.
"""

from datetime import datetime

from notify_common import clock
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import NotifyError

from notify_notifications.domain.notification import Event, Happening, Progress, State
from notify_notifications.domain.schedule import check_move
from notify_notifications.store import notifications, outbox
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.usecases.prepare import Caller
from notify_notifications.usecases.record_events import record_events


def cancel(uow: UnitOfWork, caller: Caller, notification_id: str) -> None:
    """Take a message back: nobody will send it, and it costs nothing. It still counts for its day.

    Idempotent: cancelling what is cancelled changes nothing. Its service, which asked for it, is not called.

    Raises:
        NotifyError: NOTIFICATION_NOT_FOUND where the service has none that a key of this type sent,
            NOT_SCHEDULED where it is not waiting for its time.
    """
    with uow.begin() as tx:
        progress = _locked(tx, caller, notification_id)
        if progress.state is State.CANCELLED:
            return
        if not outbox.take_back(tx, notification_id):
            raise NotifyError("NOT_SCHEDULED")
        record_events(tx, [Event(notification_id, Happening.CANCELLED, clock.now())])


def reschedule(
    uow: UnitOfWork, store: NotificationStore, caller: Caller, notification_id: str, send_at: datetime
) -> None:
    """Let a message be sent at another time, within a week of when it was accepted and before its
    `deliver_by`. Idempotent.

    Raises:
        NotifyError: as `cancel`, and INVALID_FIELD for a time that can't be.
    """
    found = store.get(caller.service_id, notification_id)
    if found is None:
        raise NotifyError("NOTIFICATION_NOT_FOUND")
    check_move(clock.now(), found.create_time, send_at, found.deliver_by)
    with uow.begin() as tx:
        _locked(tx, caller, notification_id)
        if not outbox.put_off(tx, notification_id, send_at):
            raise NotifyError("NOT_SCHEDULED")
        notifications.set_send_at(tx, notification_id, send_at)


def _locked(tx: Tx, caller: Caller, notification_id: str) -> Progress:
    progress = notifications.lock_progress(tx, [notification_id]).get(notification_id)
    if progress is None or (progress.service_id, progress.key_type) != (caller.service_id, caller.key_type):
        raise NotifyError("NOTIFICATION_NOT_FOUND")
    return progress
