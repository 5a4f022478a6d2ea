"""What every service knows of one message: for its timeline, and for its page in the inbox."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from notify.letters.v1.letter_pb2 import Letter
from notify.letters.v1.letters_service_pb2 import GetLetterRequest
from notify.notifications.v1.callbacks_service_pb2 import (
    GetCallbackRequest,
    GetCallbackResponse,
    ListCallbacksRequest,
)
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.notifications_service_pb2 import GetNotificationRequest
from notify.providers.v1.dispatch_service_pb2 import GetDispatchRequest, GetDispatchResponse
from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_gateway.clients import Clients
from notify_gateway.errors import READING, row_of

MOST_CALLBACKS: Final = 10
"""Callbacks about one message that are looked at."""


@dataclass(frozen=True, slots=True)
class Story:
    """A message, as far as the services know it."""

    notification: Notification | None
    """None where notifications has it no more, or can't be asked."""
    dispatch: GetDispatchResponse | None
    """What providers did; None where they have not had it, or can't be asked."""
    letter: Letter | None = None
    callbacks: list[GetCallbackResponse] = field(default_factory=list)
    """What its service was told, each with its attempts."""
    silent: list[str] = field(default_factory=list)
    """Parts that are left out since a service did not answer."""


def gather(clients: Clients, service_id: str, notification_id: str) -> Story:
    """Return the whole of a service's message. Raises NotifyError NOTIFICATION_NOT_FOUND."""
    ask = GetNotificationRequest(notification_id=notification_id, service_id=service_id)
    notification = clients.notifications.GetNotification(ask).notification
    silent: list[str] = []
    dispatch = if_any(partial(dispatch_of, clients, service_id, notification_id), "providers", silent)
    callbacks = if_any(partial(_callbacks, clients, service_id, notification_id), "callbacks", silent)
    return Story(notification, dispatch, None, callbacks or [], silent)


def gather_known(clients: Clients, service_id: str, notification_id: str, *, is_letter: bool) -> Story:
    """Return what there is of a message that the sandbox has, whoever else has it no more."""
    ask = GetNotificationRequest(notification_id=notification_id, service_id=service_id)
    return Story(
        if_any(lambda: clients.notifications.GetNotification(ask).notification),
        if_any(partial(dispatch_of, clients, service_id, notification_id)),
        if_any(partial(_letter, clients, service_id, notification_id)) if is_letter else None,
    )


def if_any(ask: Callable[[], Any], part: str = "", silent: list[str] | None = None) -> Any | None:
    """Return an answer, or None where it can't be had; a `part` that is left out for that is noted."""
    try:
        return ask()
    except NotifyError as error:
        if row_of(error, READING).status >= 500:
            get_logger().warning("part of a page left out", reason=error.reason)
            if silent is not None:
                silent.append(part)
        return None


def dispatch_of(clients: Clients, service_id: str, notification_id: str) -> GetDispatchResponse:
    """Return what providers did for a message. Raises NotifyError DISPATCH_NOT_FOUND."""
    ask = GetDispatchRequest(dispatch_id=notification_id, service_id=service_id)
    found: GetDispatchResponse = clients.dispatches.GetDispatch(ask)
    return found


def _letter(clients: Clients, service_id: str, notification_id: str) -> Letter:
    ask = GetLetterRequest(letter_id=notification_id, service_id=service_id)
    found: Letter = clients.letters.GetLetter(ask).letter
    return found


def _callbacks(clients: Clients, service_id: str, notification_id: str) -> list[GetCallbackResponse]:
    ask = ListCallbacksRequest(service_id=service_id, subject_id=notification_id, page_size=MOST_CALLBACKS)
    return [
        clients.callbacks.GetCallback(GetCallbackRequest(service_id=service_id, callback_id=one.id))
        for one in clients.callbacks.ListCallbacks(ask).callbacks
    ]
