"""Every error answer: one table from reasons to HTTP, and the two body shapes (public-api.md §1.6).

Services raise NotifyError with a reason and, where the contract fixes a sentence about content or recipients,
with that sentence; here each reason gets its status and error class. HTTP words live nowhere else.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from flask import Response
from notify_common.errors import NotifyError

INVALID_JSON: Final = "Invalid JSON supplied in POST data"
NOT_FOUND: Final = "No result found"
INTERNAL: Final = "Internal server error"

_RETRY_AFTER_SECONDS: Final = 1


class Row(NamedTuple):
    """How one reason is answered."""

    status: int
    """HTTP status."""
    error: str
    """Error class of the contract."""
    message: str = ""
    """The answer's sentence; empty means the one that came with the error."""


class ApiError(Exception):
    """An answer that the gateway itself gives: v2 error entries and a status."""

    def __init__(self, status: int, entries: Iterable[Mapping[str, Any]]) -> None:
        """`entries` are the elements of `errors`: `error`, `message`, and further keys where fixed."""
        super().__init__(status)
        self.status = status
        self.entries = list(entries)


def bad_request(message: str, status: int = 400) -> ApiError:
    """Returns a BadRequestError with this sentence."""
    return ApiError(status, [{"error": "BadRequestError", "message": message}])


def validation_error(*messages: str) -> ApiError:
    """Returns one ValidationError entry for each sentence, duplicates left out."""
    return ApiError(400, [{"error": "ValidationError", "message": text} for text in dict.fromkeys(messages)])


def no_result_found() -> ApiError:
    """Returns the 404 for rows that do not exist."""
    return ApiError(404, [{"error": "NoResultFound", "message": NOT_FOUND}])


def data_error() -> ApiError:
    """Returns the 404 for values that no row can have, such as a NUL character or too large a number."""
    return ApiError(404, [{"error": "DataError", "message": NOT_FOUND}])


def too_large_text(limit: int) -> str:
    """Returns the sentence for a body of more than `limit` bytes."""
    return f"Request body is too large. It cannot be larger than {limit} bytes."


_INTERNAL: Final = Row(500, "Exception", INTERNAL)
_UNAVAILABLE: Final = Row(503, "ServiceUnavailableError", "The service is busy, try again later")
_NO_RESULT: Final = Row(404, "NoResultFound", NOT_FOUND)

TABLE: Final[Mapping[str, Row]] = {
    # the wire
    "INTERNAL": _INTERNAL,
    "UNAVAILABLE": _UNAVAILABLE,
    "OVERLOADED": _UNAVAILABLE,
    "DEADLINE_EXCEEDED": _UNAVAILABLE,
    "CANCELLED": _UNAVAILABLE,
    "UNIMPLEMENTED": _INTERNAL,
    "CALLER_NOT_ALLOWED": _INTERNAL,
    # every context
    "INVALID_FIELD": Row(400, "ValidationError"),
    "PAGE_TOKEN_INVALID": Row(400, "ValidationError"),
    "STALE_VERSION": Row(409, "ConflictError"),
    "REQUEST_ID_REUSED": Row(409, "ConflictError"),
    # admin
    "SERVICE_NOT_FOUND": _NO_RESULT,
    "SERVICE_ARCHIVED": Row(400, "BadRequestError"),
    "TEMPLATE_NOT_FOUND": Row(400, "BadRequestError", "Template not found"),
    "TEMPLATE_ARCHIVED": Row(400, "BadRequestError", "Template has been deleted"),
    "API_KEY_NOT_FOUND": _NO_RESULT,
    "USER_NOT_FOUND": _NO_RESULT,
    "SENDER_NOT_FOUND": Row(400, "BadRequestError"),
    "DEFAULT_SENDER": Row(400, "BadRequestError"),
    "NAME_TAKEN": Row(400, "BadRequestError"),
    "TOO_MANY": Row(400, "BadRequestError"),
    # notifications
    "NOTIFICATION_NOT_FOUND": _NO_RESULT,
    "TEMPLATE_WRONG_CHANNEL": Row(400, "BadRequestError"),
    "CHANNEL_NOT_ALLOWED": Row(400, "BadRequestError"),
    "MISSING_PERSONALISATION": Row(400, "BadRequestError"),
    "MESSAGE_EMPTY": Row(400, "BadRequestError", "Your message is empty."),
    "MESSAGE_TOO_LONG": Row(400, "BadRequestError"),
    "RECIPIENT_INVALID": Row(400, "InvalidPhoneError"),
    "RECIPIENT_NOT_ALLOWED": Row(400, "BadRequestError"),
    "INTERNATIONAL_NOT_ALLOWED": Row(400, "BadRequestError"),
    "LETTERS_NOT_ALLOWED_FOR_KEY": Row(403, "BadRequestError"),
    "ADDRESS_INVALID": Row(400, "ValidationError"),
    "FILE_NOT_ALLOWED": Row(400, "BadRequestError"),
    "QR_CODE_TOO_LONG": Row(400, "ValidationError", "Cannot create a usable QR code - the link is too long"),
    "RATE_LIMITED": Row(429, "RateLimitError"),
    "DAILY_LIMIT_REACHED": Row(429, "TooManyRequestsError"),
    # letters
    "LETTER_NOT_FOUND": _NO_RESULT,
    "PDF_NOT_READY": Row(400, "PDFNotReadyError", "PDF not available yet, try again later"),
    "PAGE_NOT_FOUND": _NO_RESULT,
    "PRINT_RUN_NOT_FOUND": _NO_RESULT,
    # providers
    "DISPATCH_NOT_FOUND": _NO_RESULT,
    "NOT_IN_DOUBT": Row(409, "ConflictError"),
    "COUNT_MISMATCH": _INTERNAL,
    "RECEIPT_INVALID": Row(400, "BadRequestError"),
    "SANDBOX_MESSAGE_NOT_FOUND": _NO_RESULT,
    "PROVIDER_NOT_FOUND": _NO_RESULT,
    # api-gateway
    "TOKEN_MISSING": Row(401, "AuthError"),
    "TOKEN_INVALID": Row(403, "AuthError"),
    "KEY_REVOKED": Row(403, "AuthError"),
}
"""Every reason of `notify_common.reasons`; one that is not here is answered as INTERNAL."""

READ_TABLE: Final[Mapping[str, Row]] = {"TEMPLATE_NOT_FOUND": _NO_RESULT}
"""Reasons that routes which read answer in another way than routes which send (public-api.md §3.4)."""


def row_of(error: NotifyError, *, reading: bool = False) -> Row:
    """Returns how `error` is answered; `reading` on routes that do not send."""
    if reading and error.reason in READ_TABLE:
        return READ_TABLE[error.reason]
    return TABLE.get(error.reason, _INTERNAL)


def json_response(body: object, status: int = 200) -> Response:
    """Returns `body` as the contract writes JSON: sorted keys, compact, ASCII, a line feed at the end."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Response(text + "\n", status, mimetype="application/json")


def api_error_response(error: ApiError) -> Response:
    """Returns the v2 shape of an answer of ours."""
    return json_response({"status_code": error.status, "errors": error.entries}, error.status)


def notify_error_response(error: NotifyError, *, v2: bool, reading: bool = False) -> Response:
    """Returns the v2 shape, or the legacy one, of an error that a service raised."""
    row = row_of(error, reading=reading)
    entries = _entries(error, row)
    if v2:
        response = json_response({"status_code": row.status, "errors": entries}, row.status)
    else:
        response = legacy_response(row.status, entries[0]["message"])
    if row.status == 503:
        wait = error.retry_after.total_seconds() if error.retry_after else _RETRY_AFTER_SECONDS
        response.headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return response


def legacy_response(status: int, message: object) -> Response:
    """Returns the shape of router errors and of all routes outside /v2."""
    return json_response({"result": "error", "message": message}, status)


def _entries(error: NotifyError, row: Row) -> list[dict[str, Any]]:
    if error.reason == "RECIPIENT_INVALID" and error.metadata.get("stage") == "schema":
        # A service checks again what the gateway lets through; the field is the first part of its sentence.
        return [{"error": "ValidationError", "message": error.message}]
    if error.reason == "INVALID_FIELD" and error.violations:
        texts = [f"{violation.field} {violation.description}" for violation in error.violations]
        return [{"error": row.error, "message": text} for text in dict.fromkeys(texts)]
    entry: dict[str, Any] = {"error": row.error, "message": row.message or error.message}
    if error.reason == "QR_CODE_TOO_LONG":
        entry |= {name: _fact(name, error.metadata) for name in ("data", "num_bytes", "max_bytes")}
    return [entry]


def _fact(name: str, metadata: Mapping[str, str]) -> str | int:
    value = metadata.get(name, "")
    return int(value) if name != "data" and value.isdecimal() else value
