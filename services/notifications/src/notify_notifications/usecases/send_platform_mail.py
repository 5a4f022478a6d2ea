"""Sending the platform's own mail, on the road that every message takes (ADR 0017)."""

from collections.abc import Sequence
from typing import Final

from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_notifications.usecases.prepare import SendCommand
from notify_notifications.usecases.send import SendingParts, send_messages

_MEANWHILE: Final = frozenset(
    {"RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_NOT_FOUND"}
)
"""Refusals that pass; the service is not found until it was seeded."""


def send_platform_mail(parts: SendingParts, mails: Sequence[SendCommand]) -> None:
    """Accept mails, each once however often it is tried.

    A mail that can never be accepted is logged and counted like any refused message, and does not keep the
    others waiting: whoever waits for it asks for another.

    Raises:
        NotifyError: some were refused for a reason that passes; try all again.
    """
    if not mails:
        return
    later: NotifyError | None = None
    for mail, (result, _, _) in zip(mails, send_messages(parts, mails), strict=True):
        if not isinstance(result, NotifyError):
            continue
        if result.reason in _MEANWHILE:
            later = result
        else:
            get_logger().error(
                "platform mail refused",
                notification_id=mail.request_id,
                template_id=mail.template_id,
                reason=result.reason,
            )
    if later is not None:
        raise later
