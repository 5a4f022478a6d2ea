"""When a message is sent, and until when: what clients may ask for.

The original has neither; its `scheduled_for` is read and ignored (public-api.md §2.2).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from notify_common.errors import FieldViolation, invalid_field

FURTHEST: Final = timedelta(days=7)
"""How long after it is accepted a message may be sent, and how long after that it may be tried: within what
the limits, retention and templates of a service can be expected to stay as they are.
"""
_PAST: Final = "can not be in the past"


def check_times(now: datetime, send_at: datetime | None, deliver_by: datetime | None) -> None:
    """Check the times of a message that is about to be accepted.

    Raises NotifyError INVALID_FIELD with a violation for each that is past, too far ahead, or out of order.
    """
    problems = {}
    if send_at is not None:
        if send_at < now:
            problems["send_at"] = _PAST
        elif send_at > now + FURTHEST:
            problems["send_at"] = f"can only be {FURTHEST.days} days in the future"
    if deliver_by is not None:
        begins = max(now, send_at or now)
        if deliver_by <= now:
            problems["deliver_by"] = _PAST
        elif deliver_by <= begins:
            problems["deliver_by"] = "should be later than send_at"
        elif deliver_by > begins + FURTHEST:
            problems["deliver_by"] = f"can only be {FURTHEST.days} days after the message is to be sent"
    _refuse(problems)


def check_move(now: datetime, accepted: datetime, send_at: datetime, deliver_by: datetime | None) -> None:
    """Check the new time of a message that was accepted at `accepted`. Raises NotifyError INVALID_FIELD."""
    problem = ""
    if send_at < now:
        problem = _PAST
    elif send_at > accepted + FURTHEST:
        problem = f"can only be {FURTHEST.days} days after the message was accepted"
    elif deliver_by is not None and send_at >= deliver_by:
        problem = "should be earlier than deliver_by"
    _refuse({"send_at": problem} if problem else {})


def _refuse(problems: Mapping[str, str]) -> None:
    if problems:
        raise invalid_field(*(FieldViolation(field, problem) for field, problem in problems.items()))
