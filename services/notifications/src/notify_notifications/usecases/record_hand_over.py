"""Noting that the next context has messages."""

from collections.abc import Sequence
from dataclasses import replace

from notify_common.db.unit_of_work import Tx

from notify_notifications.domain.counts import Move
from notify_notifications.store.notifications import HandedOver, lock_progress, mark_handed_over
from notify_notifications.usecases.move import move


def record_hand_over(tx: Tx, handed: Sequence[HandedOver]) -> None:
    """Set when messages were handed over, and the fragments of texts; doing it again changes nothing.

    A text whose provider spoke first is a usage fact already, with the fragments of before: it is set right.
    """
    if late := mark_handed_over(tx, handed):
        progress = lock_progress(tx, list(late)).values()
        move(tx, [Move(replace(one, fragment_count=late[one.id]), one) for one in progress])
