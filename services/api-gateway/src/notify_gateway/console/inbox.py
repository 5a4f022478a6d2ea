"""The inbox: what the sandbox providers hold, for people who try the platform out (design.md §6).

Read-only, without a token, and therefore served in the environments `local` and `staging` alone. Everything
shown is escaped; an email's HTML is served as a page of its own that the browser runs no script of.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request, url_for
from notify.common.v1.common_pb2 import KeyType
from notify.letters.v1.letters_service_pb2 import GetPageImageRequest
from notify.notifications.v1.notifications_service_pb2 import (
    ListNotificationsRequest,
)
from notify.providers.v1.sandbox_service_pb2 import (
    GetSandboxMessageRequest,
    ListSandboxFaultsRequest,
    ListSandboxMessagesRequest,
    SandboxMessage,
)
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from werkzeug.sansio.utils import host_is_trusted

from notify_gateway import stories
from notify_gateway.clients import InternalClients
from notify_gateway.console import print_runs, views
from notify_gateway.errors import READING, row_of
from notify_gateway.public.notifications import pdf_response
from notify_gateway.public.schemas import CHANNELS

PAGE_SIZE: Final = 25

_LONGEST_SEARCH: Final = 200
_RECENT_MESSAGES: Final = 250
_MOST_SERVICES: Final = 5
_KEY_TYPES: Final = (KeyType.KEY_TYPE_NORMAL, KeyType.KEY_TYPE_TEAM, KeyType.KEY_TYPE_TEST)
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_EMAIL_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)
_PLAIN_POLICY: Final = "frame-ancestors 'none'"
_HEAD: Final = re.compile(r"<head(\s[^>]*)?>", re.IGNORECASE)


def blueprint(clients: InternalClients, hosts: Sequence[str]) -> Blueprint:
    """Return the pages, below /console/, for requests to one of `hosts`."""
    pages = Blueprint(
        "console",
        __name__,
        url_prefix="/console",
        static_folder="static",
        template_folder="templates",
    )

    @pages.before_request
    def refuse_other_names() -> tuple[str, int] | None:
        if host_is_trusted(request.host, hosts):
            return None
        return render_template("console/other_name.html", hosts=hosts), 421

    @pages.get("/")
    def inbox() -> str:
        return _inbox(clients)

    @pages.get("/messages/<uuid:message_id>")
    def message(message_id: UUID) -> str:
        return _message(clients, str(message_id))

    @pages.get("/messages/<uuid:message_id>/email")
    def email(message_id: UUID) -> Response:
        return _email(clients, str(message_id))

    @pages.get("/messages/<uuid:message_id>/pages/<int:number>.png")
    def page_image(message_id: UUID, number: int) -> Response:
        return _page_image(clients, str(message_id), number)

    @pages.get("/messages/<uuid:message_id>/letter.pdf")
    def letter(message_id: UUID) -> Response:
        found = _find(clients, str(message_id))
        return pdf_response(clients, found.service_id, found.id)

    @pages.get("/faults")
    def faults() -> str:
        listed = clients.sandbox.ListSandboxFaults(ListSandboxFaultsRequest())
        return render_template("console/faults.html", faults=listed.faults)

    print_runs.add_pages(pages, clients)

    @pages.after_request
    def protect(response: Response) -> Response:
        policy = _PAGE_POLICY if response.mimetype == "text/html" else _PLAIN_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @pages.errorhandler(NotifyError)
    def on_error(error: NotifyError) -> tuple[str, int]:
        status = row_of(error, READING).status
        if status >= 500:
            get_logger().error("page not shown", reason=error.reason)
        return render_template("console/error.html", missing=status in (400, 404)), max(status, 404)

    return pages


def _inbox(clients: InternalClients) -> str:
    search = request.args.get("q", "").replace("\0", "").strip()[:_LONGEST_SEARCH]
    channel = views.choice(views.CHANNELS, request.args.get("channel", ""))
    outcome = views.choice(views.OUTCOMES, request.args.get("outcome", ""))
    wanted = ListSandboxMessagesRequest(
        contains=search,
        channel=CHANNELS.get(channel),
        outcome=outcome,
        page_size=PAGE_SIZE,
        page_token=request.args.get("page", ""),
    )
    try:
        response = clients.sandbox.ListSandboxMessages(wanted)
    except NotifyError as error:
        if error.reason != "PAGE_TOKEN_INVALID":
            raise
        wanted.page_token = ""
        response = clients.sandbox.ListSandboxMessages(wanted)
    filters: dict[str, Any] = {"q": search or None, "channel": channel or None, "outcome": outcome or None}
    older = None
    if response.next_page_token:
        older = url_for(".inbox", **filters, page=response.next_page_token)
    referred = []
    if search and not wanted.page_token:
        shown = {found.id for found in response.messages}
        referred = [found for found in _by_reference(clients, search) if found.id not in shown]
    return render_template(
        "console/inbox.html",
        days=views.by_day(response.messages),
        referred=views.lines(referred),
        search=search,
        channel=channel,
        outcome=outcome,
        channels=views.CHANNELS,
        outcomes=views.OUTCOMES,
        filtered=any(filters.values()),
        newest=url_for(".inbox", **filters),
        first_page=not wanted.page_token,
        older=older,
    )


def _by_reference(clients: InternalClients, reference: str) -> list[SandboxMessage]:
    """Return messages with this client reference, of the services that the sandbox has heard of lately.

    References stay with notifications, which is asked for each of these services; a bounded number of them.
    """
    recent = clients.sandbox.ListSandboxMessages(ListSandboxMessagesRequest(page_size=_RECENT_MESSAGES))
    services = list(dict.fromkeys(found.service_id for found in recent.messages))[:_MOST_SERVICES]
    found: list[SandboxMessage] = []
    for service_id in services:
        for key_type in _KEY_TYPES:
            listed = ListNotificationsRequest(
                service_id=service_id, key_type=key_type, reference=reference, page_size=PAGE_SIZE
            )
            page = stories.if_any(partial(clients.notifications.ListNotifications, listed))
            for notification in page.notifications if page is not None else ():
                message = stories.if_any(partial(_find, clients, notification.id))
                if message is not None:
                    found.append(message)
    return found[:PAGE_SIZE]


def _find(clients: InternalClients, message_id: str) -> SandboxMessage:
    response = clients.sandbox.GetSandboxMessage(GetSandboxMessageRequest(message_id=message_id))
    found: SandboxMessage = response.message
    return found


def _message(clients: InternalClients, message_id: str) -> str:
    found = _find(clients, message_id)
    is_letter = found.dispatch.WhichOneof("content") == "print"
    story = stories.gather_known(clients, found.service_id, message_id, is_letter=is_letter)
    return render_template(
        "console/message.html",
        message=views.message(found, story.letter),
        timeline=views.timeline(story.notification, story.dispatch),
    )


def _email(clients: InternalClients, message_id: str) -> Response:
    found = _find(clients, message_id)
    if found.dispatch.WhichOneof("content") != "email":
        raise NotifyError("SANDBOX_MESSAGE_NOT_FOUND")
    # Links open beside the inbox, never in its place.
    html = _HEAD.sub(lambda head: head[0] + '<base target="_blank">', found.dispatch.email.html_body, count=1)
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _EMAIL_POLICY
    return response


def _page_image(clients: InternalClients, message_id: str, number: int) -> Response:
    if not 1 <= number < 1000:
        raise NotifyError("PAGE_NOT_FOUND")
    found = _find(clients, message_id)
    image = clients.letters.GetPageImage(
        GetPageImageRequest(service_id=found.service_id, letter_id=found.id, page_number=number)
    )
    return Response(image.png, mimetype="image/png")
