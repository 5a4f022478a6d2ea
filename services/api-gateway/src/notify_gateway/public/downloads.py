"""Pages of files that emails link to (public-api.md §2.5, pipeline.md Appendix C)."""

import base64
import binascii
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, request
from notify.notifications.v1.files_service_pb2 import DownloadFileRequest, EmailFile, GetFileRequest
from notify_common.errors import NotifyError

from notify_gateway import pages
from notify_gateway.clients import PublicClients
from notify_gateway.errors import row_of

_KEY_BYTES: Final = 32
_LONGEST_ADDRESS: Final = 1000
_KIBIBYTE: Final = 1024
_STEPS: Final = {
    "LINK_INVALID": ("invalid", 404),
    "LINK_EXPIRED": ("expired", 410),
    "TOO_MANY_TRIES": ("locked", 429),
}
_DOWNLOAD_HEADERS: Final = {
    # Whatever it is, it is never shown as a page of this host.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


class _Link(NamedTuple):
    """What a link says."""

    service_id: str
    file_id: str
    key: bytes


def blueprint(clients: PublicClients) -> Blueprint:
    """Return the pages. The key in a link is a secret, and stands in no log.

    The link alone shows the page, since programs that look at links follow them; its button downloads.
    """
    routes = Blueprint("downloads", __name__)

    @routes.get("/d/<service>/<file>")
    def show(service: str, file: str) -> Response:
        try:
            found = _find(clients, _link(service, file))
        except NotifyError as error:
            return _failed(error)
        return _ask(found)

    @routes.post("/d/<service>/<file>")
    def download(service: str, file: str) -> Response:
        try:
            link = _link(service, file)
            found = _find(clients, link)
            address = request.form.get("email_address", "").replace("\0", "").strip()[:_LONGEST_ADDRESS]
            if found.asks_for_email_address and not address:
                return _ask(found, problem="missing", status=400)
            ask = DownloadFileRequest(**link._asdict(), email_address=address)
            content = clients.files.DownloadFile(ask)
        except NotifyError as error:
            if error.reason == "EMAIL_ADDRESS_WRONG":
                return _ask(found, problem="wrong", status=403)
            return _failed(error)
        response = Response(content.content, mimetype=content.media_type)
        response.headers.update(_DOWNLOAD_HEADERS)
        response.headers["Content-Disposition"] = _disposition(content.name)
        return response

    return routes


def _find(clients: PublicClients, link: _Link) -> EmailFile:
    found: EmailFile = clients.files.GetFile(GetFileRequest(**link._asdict())).file
    return found


def _link(service: str, file: str) -> _Link:
    """Read a link. Raises NotifyError LINK_INVALID for what is none of ours."""
    try:
        service_id, file_id = (str(UUID(bytes=_bytes(text))) for text in (service, file))
        key = _bytes(request.args.get("key", ""))
    except (ValueError, binascii.Error):
        raise NotifyError("LINK_INVALID") from None
    if len(key) != _KEY_BYTES:
        raise NotifyError("LINK_INVALID")
    return _Link(service_id, file_id, key)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)


def _ask(found: EmailFile, problem: str = "", status: int = 200) -> Response:
    until = found.expire_time.ToDatetime()
    return pages.page(
        "file.html",
        status,
        step="ask",
        problem=problem,
        file=found,
        size=_size(found.size_bytes),
        until=f"{until.day} {until:%B %Y}",
        contact=_contact(found.contact_link),
    )


def _failed(error: NotifyError) -> Response:
    step, status = _STEPS.get(error.reason) or ("later", max(row_of(error).status, 500))
    response = pages.page("file.html", status, step=step)
    if error.retry_after:
        response.headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
    return response


def _contact(link: str) -> tuple[str, str]:
    """Return what a contact detail leads to, if it is an address, and how it reads."""
    if link.startswith(("https://", "http://")):
        return link, link
    return (f"mailto:{link}", link) if "@" in link else ("", link)


def _size(size_bytes: int) -> str:
    if size_bytes < _KIBIBYTE:
        return f"{size_bytes} bytes"
    kibibytes = size_bytes / _KIBIBYTE
    return f"{kibibytes:.0f} KB" if kibibytes < _KIBIBYTE else f"{kibibytes / _KIBIBYTE:.1f} MB"


def _disposition(name: str) -> str:
    """Return the header that has a file saved under its name, and never shown (RFC 6266)."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "-_. ") else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
