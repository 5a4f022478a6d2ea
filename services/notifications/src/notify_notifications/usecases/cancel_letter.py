"""Cancelling a letter that is not printed yet (pipeline.md §4.9).

The letters context decides: there a letter is cancelled or taken by a print run, never both, and one that is
cancelled before it comes is not taken over. Its event records what it decided wherever this process dies.
"""

from collections.abc import Sequence
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_content.letter_timings import DEADLINE_TO_MIDNIGHT, can_be_cancelled

from notify_notifications.clients.letters import LettersClient
from notify_notifications.domain.limits import is_counted
from notify_notifications.domain.notification import Event, Happening, State
from notify_notifications.domain.record import Notification
from notify_notifications.store.limits import LimitStore, Place
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.usecases.record_events import record_events

_TODAY: Final = "today"


def cancel_letter(
    uow: UnitOfWork,
    store: NotificationStore,
    limits: LimitStore,
    letters: LettersClient,
    service_id: str,
    notification_id: str,
) -> None:
    """Cancel a letter: it is never printed, costs nothing, and counts no more for its day.

    Idempotency key: the letter's id. Dying before letters answers leaves it to them whether it is cancelled;
    dying after it leaves the rest to their event. Redis is set right by the database within a minute.

    Raises:
        NotifyError: NOTIFICATION_NOT_FOUND, NOT_A_LETTER, LETTER_CANCELLED, LETTER_TOO_LATE,
            LETTER_NOT_CANCELLABLE, and what a call of letters raises.
    """
    found = store.get(service_id, notification_id)
    if found is None:
        raise NotifyError("NOTIFICATION_NOT_FOUND")
    if found.channel is not Channel.LETTER:
        raise NotifyError("NOT_A_LETTER")
    in_time = can_be_cancelled(found.state, found.create_time, clock.now())
    if not (in_time and letters.cancel(service_id, notification_id)):
        raise _refusal(found)
    record_cancelled(uow, limits, service_id, [notification_id])


def record_cancelled(uow: UnitOfWork, limits: LimitStore, service_id: str, letter_ids: Sequence[str]) -> None:
    """Record that letters of a service are cancelled, and give back the places of those that count today.

    Repeating it changes nothing.
    """
    now = clock.now()
    with uow.begin() as tx:
        changed = record_events(tx, [Event(id, Happening.LETTER_CANCELLED, now) for id in letter_ids])
    today = [one for one in changed if is_counted(one.key_type) and one.create_time.date() == now.date()]
    if today:
        limits.release({Place(service_id, Channel.LETTER, now.date()): len(today)})


def _refusal(found: Notification) -> NotifyError:
    if found.state is State.CANCELLED:
        return NotifyError("LETTER_CANCELLED")
    now = clock.now()
    if not can_be_cancelled(State.CREATED, found.create_time, now):
        day = (found.create_time.astimezone(clock.LONDON).replace(tzinfo=None) + DEADLINE_TO_MIDNIGHT).date()
        print_day = _TODAY if day >= clock.london_day(now) else f"{day.day} {day:%B}"
        return NotifyError("LETTER_TOO_LATE", metadata={"print_day": print_day})
    facts = {"status": found.state.value, "create_time": str(found.create_time.replace(tzinfo=None))}
    return NotifyError("LETTER_NOT_CANCELLABLE", metadata=facts)
