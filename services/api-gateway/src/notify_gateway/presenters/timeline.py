"""The timeline of a message: typed events of every service that dealt with it, in their order."""

from collections.abc import Iterator
from typing import Any, Final

from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1.notification_pb2 import Notification
from notify.providers.v1.dispatch_pb2 import Attempt
from notify_common.rpc import enums

from notify_gateway.presenters import timestamps
from notify_gateway.presenters.notifications import shown_status
from notify_gateway.stories import Story

_MOVING: Final = frozenset(
    {
        Notification.STATE_CREATED,
        Notification.STATE_SENDING,
        Notification.STATE_PENDING,
        Notification.STATE_PENDING_VIRUS_CHECK,
    }
)

Event = dict[str, Any]


def shown(story: Story) -> dict[str, Any]:
    """Return the timeline of a message that notifications has."""
    notification = story.notification
    assert notification is not None  # noqa: S101 - gather raises where there is none
    return {
        "notification_id": notification.id,
        "status": shown_status(notification),
        "events": sorted(_events(story, notification), key=lambda event: str(event["time"])),
        "left_out": story.silent,
    }


def _events(story: Story, notification: Notification) -> Iterator[Event]:
    yield _event(
        "accepted", notification, "create_time", channel=enums.to_text(Channel, notification.channel)
    )
    if notification.HasField("hand_over_time"):
        yield _event("handed-over", notification, "hand_over_time")
    elif story.dispatch is not None:
        yield _event("handed-over", story.dispatch.dispatch, "create_time")
    if story.dispatch is not None:
        for attempt in story.dispatch.attempts:
            yield from _attempt(attempt)
        for receipt in story.dispatch.receipts:
            facts = {"provider": receipt.provider, "provider_status": receipt.status}
            yield _event("receipt", receipt, "receive_time", **facts)
    if notification.state not in _MOVING and notification.HasField("update_time"):
        yield _event("status", notification, "update_time", status=shown_status(notification))
    for told in story.callbacks:
        facts = {"callback_id": told.callback.id, "callback_type": told.callback.type}
        for call in told.attempts:
            yield _event(
                "callback-attempt",
                call,
                "start_time",
                **facts,
                attempt=call.number,
                ended_at=timestamps.text_or_none(call, "end_time"),
                http_status=call.status or None,
                failure=call.failure or None,
            )


def _attempt(attempt: Attempt) -> Iterator[Event]:
    facts: Event = {"attempt": attempt.number, "provider": attempt.provider}
    yield _event("attempt", attempt, "start_time", **facts, chosen_because=attempt.choice or None)
    if attempt.HasField("end_time"):
        outcome = enums.to_text(Attempt.Outcome, attempt.outcome)
        yield _event(
            "attempt-ended", attempt, "end_time", **facts, outcome=outcome, reason=attempt.reason or None
        )


def _event(type: str, message: Any, time: str, **facts: Any) -> Event:
    return {"type": type, "time": timestamps.text(getattr(message, time)), **facts}
