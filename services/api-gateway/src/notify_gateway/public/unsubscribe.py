"""Links at the end of emails by which people get no more of them (public-api.md §7.2): what mail programs
post to, and a page for people.
"""

from typing import Final
from uuid import UUID

from flask import Blueprint, Response
from notify.notifications.v1.unsubscribe_service_pb2 import RecordUnsubscribeRequestRequest
from notify_common import current
from notify_common.errors import NotifyError

from notify_gateway import pages
from notify_gateway.answers import Answers, json_response, legacy_response
from notify_gateway.clients import Clients
from notify_gateway.errors import Row, row_of

PAGES: Final = "/unsubscribe/page/"
"""Where the pages are: below the path of the links, so that whatever stands in front lets both in."""

_LONGEST_TOKEN: Final = 4096
_INVALID: Final = Row(404, "NoResultFound", "This is not a valid unsubscribe link.")
_ROWS: Final = {
    "LINK_INVALID": _INVALID,
    "LINK_EXPIRED": _INVALID,
    "NOTIFICATION_NOT_FOUND": Row(404, "NoResultFound", "This unsubscribe link is invalid or expired."),
}
_SUCCESS: Final = {"result": "success", "message": "Unsubscribe successful"}


def blueprint(clients: Clients) -> Blueprint:
    """Return the routes. A token in a path is a secret, and stands in no log."""
    routes = Blueprint("unsubscribe", __name__)
    answers = Answers(
        lambda status, entries: (
            legacy_response(status, {"unsubscribe request": entries[0]["message"]})
            if status == 404
            else legacy_response(status, entries[0]["message"])
        ),
        _ROWS,
    )

    @routes.post("/unsubscribe/<uuid:notification_id>/<token>")
    @answers.route
    def unsubscribe(notification_id: UUID, token: str) -> Response:
        _record(clients, notification_id, token)
        return json_response(_SUCCESS)

    @routes.get(f"{PAGES}<uuid:notification_id>/<token>")
    def ask(notification_id: UUID, token: str) -> Response:
        # Programs that look at links follow them too, so following one alone changes nothing.
        return pages.page("unsubscribe.html", step="ask")

    @routes.post(f"{PAGES}<uuid:notification_id>/<token>")
    def confirm(notification_id: UUID, token: str) -> Response:
        try:
            _record(clients, notification_id, token)
        except NotifyError as error:
            status = row_of(error, _ROWS).status
            step = "invalid" if status == 404 else "later"
            return pages.page("unsubscribe.html", status, step=step)
        return pages.page("unsubscribe.html", step="done")

    return routes


def _record(clients: Clients, notification_id: UUID, token: str) -> None:
    if len(token) > _LONGEST_TOKEN or "\0" in token:
        raise NotifyError("LINK_INVALID")
    current.note(notification_id=str(notification_id))
    ask = RecordUnsubscribeRequestRequest(notification_id=str(notification_id), token=token)
    clients.unsubscribes.RecordUnsubscribeRequest(ask)
