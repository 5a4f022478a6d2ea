"""/v2/notifications…: reading (public-api.md §3.1 to §3.3), and cancelling or moving what is not sent."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from notify.common.v1.common_pb2 import Channel
from notify.letters.v1.letters_service_pb2 import DownloadPdfRequest
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.notifications_service_pb2 import (
    CancelNotificationRequest,
    GetNotificationRequest,
    GetNotificationResponse,
    ListNotificationsRequest,
    ListNotificationsResponse,
    RescheduleNotificationRequest,
)
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid
from notify_common.turns import in_turns

from notify_gateway import stories
from notify_gateway.answers import V2, json_response
from notify_gateway.auth import Authenticator
from notify_gateway.clients import Clients
from notify_gateway.errors import READING, TABLE
from notify_gateway.places import Places
from notify_gateway.presenters import notifications as presenter
from notify_gateway.presenters import timeline, timestamps
from notify_gateway.public import schemas, v2
from notify_gateway.public.body import parse_json, read
from notify_gateway.quotas import quota_facts, quota_headers

PAGE_SIZE: Final = 250
LISTS_AT_ONCE: Final = 2
"""Lists that a process makes at the same time: it has more threads, so that others can send meanwhile."""
LISTS_AT_ONCE_OF_A_SERVICE: Final = 1
"""How many of those are of one service, so that no service keeps all others from reading."""
LISTS_WAITING: Final = 2
"""Requests that wait for one of those to end, each with a thread."""
LIST_WAIT_SECONDS: Final = 2.0
"""How long they wait."""

_FIRST_VALUE_ONLY: Final = ("reference", "older_than", "include_jobs", "batch_id")
_ANSWERS: Final = V2.but(READING)
# A letter that letters does not know was accepted, and is not handed over yet.
_PDF_ANSWERS: Final = _ANSWERS.but({"LETTER_NOT_FOUND": TABLE["PDF_NOT_READY"]})
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def blueprint(authenticator: Authenticator, clients: Clients) -> Blueprint:
    """Return the routes that read notifications, cancel and move them."""
    routes = v2.blueprint("notifications", authenticator, clients, _ANSWERS)

    lists = Places(LISTS_AT_ONCE, LISTS_AT_ONCE_OF_A_SERVICE, LISTS_WAITING, LIST_WAIT_SECONDS)

    @routes.get("/v2/notifications")
    def list_notifications() -> Response:
        with lists.taken(v2.caller().service.id):
            return _list(clients)

    @routes.get("/v2/notifications/<notification_id>")
    def get_notification(notification_id: str) -> Response:
        return _shown(_find(clients, notification_id))

    @routes.get("/v2/notifications/<notification_id>/timeline")
    def get_timeline(notification_id: str) -> Response:
        service_id, checked = v2.caller().service.id, _checked(notification_id)
        found = stories.gather(clients, service_id, checked)
        return json_response(timeline.shown(found))

    @routes.post("/v2/notifications/<notification_id>/cancel")
    def cancel_notification(notification_id: str) -> Response:
        asked = CancelNotificationRequest(
            caller=v2.caller_message(v2.caller()), notification_id=_checked(notification_id)
        )
        return _shown(clients.notifications.CancelNotification(asked).notification)

    @routes.post("/v2/notifications/<notification_id>/reschedule")
    def reschedule_notification(notification_id: str) -> Response:
        checked = _checked(notification_id)
        form = parse_json(read(request))
        schemas.RESCHEDULE.check(form)
        asked = RescheduleNotificationRequest(
            caller=v2.caller_message(v2.caller()),
            notification_id=checked,
            send_at=timestamps.moment(form["send_at"]),
        )
        return _shown(clients.notifications.RescheduleNotification(asked).notification)

    @routes.get("/v2/notifications/<notification_id>/pdf")
    @_PDF_ANSWERS.route
    def get_pdf(notification_id: str) -> Response:
        return _pdf(clients, notification_id)

    return routes


def _checked(notification_id: str) -> str:
    return v2.checked_id(schemas.NOTIFICATION_ID, "notification_id", notification_id)


def _shown(found: Notification) -> Response:
    return json_response(presenter.notification(found, v2.root()))


def _find(clients: Clients, notification_id: str) -> Notification:
    checked = _checked(notification_id)
    response: GetNotificationResponse = clients.notifications.GetNotification(
        GetNotificationRequest(service_id=v2.caller().service.id, notification_id=checked)
    )
    return response.notification


def _list(clients: Clients) -> Response:
    query: dict[str, list[str]] = request.args.to_dict(flat=False)
    values: dict[str, Any] = {
        name: given[0] if name in _FIRST_VALUE_ONLY else given for name, given in query.items()
    }
    schemas.LIST_NOTIFICATIONS.check(values)
    if "\0" in values.get("reference", ""):
        raise NotifyError("VALUE_IMPOSSIBLE")
    page = _page(clients, values)
    links = {"current": _url(query)}
    notifications = [presenter.notification(found, v2.root()) for found in in_turns(page.notifications)]
    if notifications:
        links["next"] = _url(_after(query, notifications[-1]["id"]))
    response = json_response({"notifications": notifications, "links": links})
    if page.HasField("quota"):
        response.headers.extend(quota_headers(quota_facts(page.quota)))
    return response


def _page(clients: Clients, values: dict[str, Any]) -> ListNotificationsResponse:
    caller = v2.caller()
    message = ListNotificationsRequest(
        service_id=caller.service.id,
        key_type=caller.key_type,
        channels=[schemas.CHANNELS[name] for name in dict.fromkeys(values.get("template_type", []))],
        states=presenter.states_of(values.get("status", [])),
        reference=values.get("reference"),
        older_than_id=canonical_uuid(values["older_than"]) if "older_than" in values else "",
        page_size=PAGE_SIZE,
        batch_id=canonical_uuid(values["batch_id"]) if "batch_id" in values else "",
    )
    page: ListNotificationsResponse = clients.notifications.ListNotifications(message)
    return page


def _after(query: dict[str, list[str]], last_id: str) -> dict[str, list[str]]:
    """Return the query of the next page: `older_than` in its place, or at the end.

    Official clients take the first UUID of the link, so `older_than` goes in front where a filter holds one.
    """
    others = {name: values for name, values in query.items() if name != "older_than"}
    if any(_UUID.search(value) for values in others.values() for value in values):
        return {"older_than": [last_id], **others}
    return query | {"older_than": [last_id]}


def _url(query: dict[str, list[str]]) -> str:
    text = urlencode(query, doseq=True)
    return f"{v2.root()}v2/notifications" + (f"?{text}" if text else "")


def _pdf(clients: Clients, notification_id: str) -> Response:
    found = _find(clients, notification_id)
    if found.channel != Channel.CHANNEL_LETTER:
        raise NotifyError("NOT_A_LETTER")
    if found.state == Notification.STATE_TECHNICAL_FAILURE:
        raise NotifyError("PDF_UNAVAILABLE", metadata={"status": "technical-failure"})
    if found.state == Notification.STATE_VIRUS_SCAN_FAILED:
        raise NotifyError("VIRUS_FOUND")
    if found.state == Notification.STATE_PENDING_VIRUS_CHECK:
        raise NotifyError("PDF_NOT_READY")
    return pdf_response(clients, found.service_id, found.id)


def pdf_response(clients: Clients, service_id: str, letter_id: str) -> Response:
    """Return the PDF of a letter, passed on in the chunks it comes in.

    Raises NotifyError PDF_NOT_READY, VIRUS_FOUND, LETTER_NOT_FOUND. A stream that breaks later cuts the
    connection off before the Content-Length is reached, so that no client takes a part for the whole.
    """
    parts = clients.letters.DownloadPdf(DownloadPdfRequest(service_id=service_id, letter_id=letter_id))
    first = next(parts)

    def chunks() -> Iterator[bytes]:
        for part in parts:
            yield part.chunk

    response = Response(chunks(), mimetype="application/pdf")
    response.content_length = first.metadata.size_bytes
    response.call_on_close(parts.close)
    return response
