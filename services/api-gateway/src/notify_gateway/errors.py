"""The words of every error: one table from reasons to status, error class and sentence (public-api.md §1.6).

Services raise `NotifyError(reason, metadata=facts)`. Which facts come with a reason, `notify_common.reasons`
says; here stands what a client reads, with the facts filled in, and it stands nowhere else. A blueprint or a
route that answers some reasons in another way names rows of its own (`answers.Answers`).

Facts are text. Those that choose between sentences:

- `channel`: `sms`, `email` or `letter`
- `key_type`: `normal`, `team` or `test`
- `stage` of RECIPIENT_INVALID: `schema` for what no service could send to, `service` for what this one
  may not
- `problem` of TOKEN_INVALID: see the rows; of RECIPIENT_INVALID and ADDRESS_INVALID: words of
  `notify_content`, with which the gateway's own check of phone numbers and email addresses answers too
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from notify_common.errors import NotifyError

NOT_FOUND: Final = "No result found"
INTERNAL: Final = "Internal server error"
BAD_REQUEST: Final = "The browser (or proxy) sent a request that this server could not understand."


class Row(NamedTuple):
    """How a reason is answered."""

    status: int
    """HTTP status."""
    error: str
    """Error class of the contract."""
    sentence: str
    """What the client reads; `{name}` stands for the fact of that name."""
    shown: Mapping[str, Callable[[str], str | int]] = MappingProxyType({})
    """Facts that are keys of the answer besides `error` and `message`, and what makes their values."""


class Choice(NamedTuple):
    """A reason whose answer depends on a fact."""

    fact: str
    rows: Mapping[str, Row]
    otherwise: Row
    """The answer for every other value of the fact."""


Rows = Mapping[str, Row | Choice]

_INTERNAL: Final = Row(500, "Exception", INTERNAL)
_UNAVAILABLE: Final = Row(503, "ServiceUnavailableError", "The service is busy, try again later")
NO_RESULT: Final = Row(404, "NoResultFound", NOT_FOUND)
_TOO_LONG: Final = "Your message is too long. "


def _bad(sentence: str, status: int = 400) -> Row:
    return Row(status, "BadRequestError", sentence)


def _token(sentence: str, status: int = 403) -> Row:
    return Row(status, "AuthError", sentence)


def _rate(shown: str) -> Row:
    sentence = f"Exceeded rate limit for key type {shown} of {{limit}} requests per 60 seconds"
    return Row(429, "RateLimitError", sentence)


TABLE: Final[Rows] = {
    # the wire
    "INTERNAL": _INTERNAL,
    "UNAVAILABLE": _UNAVAILABLE,
    "OVERLOADED": _UNAVAILABLE,
    "TOO_MANY_AT_ONCE": Row(429, "RateLimitError", "Too many requests at once, try again later"),
    "DEADLINE_EXCEEDED": _UNAVAILABLE,
    "CANCELLED": _UNAVAILABLE,
    "UNIMPLEMENTED": _INTERNAL,
    "CALLER_NOT_ALLOWED": _INTERNAL,
    # every context
    "FEED_RESTORED": _INTERNAL,
    "INVALID_FIELD": Row(400, "ValidationError", "The request is not valid"),
    "PAGE_TOKEN_INVALID": Row(400, "ValidationError", "page_token is not valid"),
    "STALE_VERSION": Row(409, "ConflictError", "This was changed by somebody else in the meantime"),
    "REQUEST_ID_REUSED": Row(
        422,
        "UnprocessableEntityError",
        "Idempotency-Key was used before, with a request that said something else",
    ),
    # admin
    "SERVICE_NOT_FOUND": NO_RESULT,
    "SERVICE_ARCHIVED": _bad("Service is archived"),
    "TEMPLATE_NOT_FOUND": _bad("Template not found"),
    "TEMPLATE_ARCHIVED": _bad("Template has been deleted"),
    "API_KEY_NOT_FOUND": NO_RESULT,
    "USER_NOT_FOUND": NO_RESULT,
    "SENDER_NOT_FOUND": _bad("{field} {sender_id} does not exist in database for service id {service_id}"),
    "DEFAULT_SENDER": _bad("The default of several can’t be archived"),
    "DEFAULT_NEEDED": _bad("You must have at least one as the default."),
    "INBOUND_NUMBER_FIXED": _bad("You cannot change an inbound number"),
    "USER_ACTIVE": _bad("User already active"),
    "ALREADY_MEMBER": _bad("User is a member of the service already"),
    "MEMBER_NOT_FOUND": _bad("User not found", 404),
    "MANAGERS_NEEDED": _bad("User cannot be removed from the service"),
    "CALLBACK_NOT_FOUND": NO_RESULT,
    "SETTING_NOT_FOUND": NO_RESULT,
    "FILE_NOT_FOUND": NO_RESULT,
    "FILE_ARCHIVED": _bad("This file is archived already"),
    "TEMPLATE_HAS_ATTACHMENT": _bad("This template has an attachment already"),
    "FOLDER_NOT_FOUND": NO_RESULT,
    "FOLDER_NOT_EMPTY": _bad("Folder is not empty"),
    "FOLDER_IN_ITSELF": _bad("A folder can’t be moved into itself or one of its own"),
    "CREDENTIAL_NOT_FOUND": NO_RESULT,
    "LAST_CREDENTIAL": _bad("Cannot delete last remaining webauthn credential for user"),
    "LOGINS_EXCEEDED": _bad("Maximum login count exceeded", 403),
    "ORGANISATION_NOT_FOUND": NO_RESULT,
    "DOMAIN_TAKEN": _bad("Domain already exists"),
    "BRANDING_NOT_FOUND": NO_RESULT,
    "BRANDING_TEXT_INVALID": _bad("Email branding must have exactly one of alt_text and text."),
    "BRANDING_IN_USE": _bad("Email branding is in use and so it can't be archived."),
    "BRANDING_NOT_IN_POOL": _bad("Branding {branding_id} not in {organisation_name}'s pool", 404),
    "DEFAULT_BRANDING": _bad("You cannot remove an organisation's default branding"),
    "FILENAME_TAKEN": _bad("Filename already in use"),
    "SERVICES_LEFT": _bad("Cannot archive an organisation with active services"),
    "MEMBERS_LEFT": _bad("Cannot archive an organisation with team members or invited team members"),
    "GO_LIVE_NOT_REQUESTED": _bad(BAD_REQUEST),
    "INBOUND_NUMBER_TAKEN": _bad("This inbound number is not available"),
    "INBOUND_NUMBERS_GONE": _bad("There are no available inbound numbers"),
    "JOIN_REQUEST_NOT_FOUND": NO_RESULT,
    "MANAGERS_NOT_FOUND": _bad("no-valid-service-managers-ids"),
    "CODE_NOT_FOUND": _bad("Code not found", 404),
    "INVITATION_NOT_FOUND": NO_RESULT,
    "LINK_INVALID": _bad("Something’s wrong with this link. Make sure you’ve copied the whole thing."),
    "LINK_EXPIRED": _bad(
        "Your invitation to GOV.UK Notify has expired. "
        "Please ask the person that invited you to send you another one"
    ),
    "NAME_TAKEN": _bad("This name is taken"),
    "TOO_MANY": _bad("There can’t be more than {limit}"),
    # notifications
    "ALLOWANCE_NOT_FOUND": _bad(BAD_REQUEST),
    "BATCH_NOT_FOUND": NO_RESULT,
    "BATCH_RUNNING": Row(
        409, "ConflictError", "This batch is being processed by another request, try again later"
    ),
    "JOB_NOT_FOUND": NO_RESULT,
    "JOB_FILE_INVALID": _bad("File is not valid, can't create job"),
    "JOB_SERVICE_INACTIVE": _bad("Create job is not allowed: service is inactive ", 403),
    "JOB_LETTERS_NOT_ALLOWED": _bad("Create letter job is not allowed for service in trial mode ", 403),
    "JOB_IN_PAST": _bad("Date cannot be in the past"),
    "JOB_TOO_FAR_AHEAD": _bad("Date cannot be more than 7 days in the future"),
    "JOB_NOT_OF_LETTERS": _bad(
        "Only letter jobs can be cancelled through this endpoint. This is not a letter job."
    ),
    "JOB_RUNNING": _bad("We are still processing these letters, please try again in 5 minutes."),
    "JOB_LETTERS_SENT": _bad("It’s too late to cancel sending, these letters have already been sent."),
    "CONTACT_LIST_NOT_FOUND": NO_RESULT,
    "NOTIFICATION_NOT_FOUND": NO_RESULT,
    "NOT_SCHEDULED": Row(
        409, "ConflictError", "Only a message that is waiting for its send_at can be cancelled or moved"
    ),
    "LETTER_CANCELLED": _bad("This letter has already been cancelled."),
    "LETTER_TOO_LATE": Choice(
        "print_day",
        {"today": _bad("It’s too late to cancel this letter. Printing started today at 5.30pm")},
        _bad("It’s too late to cancel this letter. Printing started on {print_day} at 5.30pm"),
    ),
    "LETTER_NOT_CANCELLABLE": _bad(
        "We could not cancel this letter. Letter status: {status}, created_at: {create_time}"
    ),
    "INBOUND_SMS_NOT_FOUND": NO_RESULT,
    "UNSUBSCRIBE_REPORT_NOT_FOUND": NO_RESULT,
    "TEMPLATE_WRONG_CHANNEL": _bad("{template_channel} template is not suitable for {channel} notification"),
    "CHANNEL_NOT_ALLOWED": Choice(
        "channel",
        {
            "sms": _bad("Service is not allowed to send text messages"),
            "email": _bad("Service is not allowed to send emails"),
            "letter": _bad("Service is not allowed to send letters"),
        },
        _bad("Service is not allowed to send this"),
    ),
    "NOT_A_MEMBER": _bad('Can’t create notification - {user} is not part of the "{service_name}" service'),
    "MISSING_PERSONALISATION": _bad("Missing personalisation: {names}"),
    "MESSAGE_EMPTY": _bad("Your message is empty."),
    "MESSAGE_TOO_LONG": Choice(
        "channel",
        {
            "sms": _bad(
                f"{_TOO_LONG}Text messages cannot be longer than {{limit}} characters. "
                "Your message is {size} characters long."
            ),
            "email": _bad(
                f"{_TOO_LONG}Emails cannot be longer than {{limit}} bytes. Your message is {{size}} bytes."
            ),
        },
        _bad(f"{_TOO_LONG}It cannot be longer than {{limit}} bytes in all. Your message is {{size}} bytes."),
    ),
    "RECIPIENT_INVALID": Choice(
        "stage",
        {"schema": Row(400, "ValidationError", "{field} {problem}")},
        Row(400, "InvalidPhoneError", "{problem}"),
    ),
    "RECIPIENT_NOT_ALLOWED": Choice(
        "key_type",
        {"team": _bad("Can’t send to this recipient using a team-only API key")},
        _bad(
            "Can’t send to this recipient when service is in trial mode – see "
            "https://www.notifications.service.gov.uk/trial-mode"
        ),
    ),
    "INTERNATIONAL_NOT_ALLOWED": _bad("Cannot send to international mobile numbers"),
    "LETTERS_NOT_ALLOWED_FOR_KEY": Choice(
        "key_type",
        {"team": _bad("Cannot send letters with a team api key", 403)},
        _bad("Cannot send letters when service is in trial mode", 403),
    ),
    "ADDRESS_INVALID": Row(400, "ValidationError", "{problem}"),
    "FILE_NOT_ALLOWED": _bad("Can only send a file by email"),
    "FILES_NOT_SET_UP": _bad(
        "Send files by email has not been set up - add contact details for your service at {page}"
    ),
    "FILE_NAME_TOO_LONG": _bad("`filename` cannot be longer than {limit} characters"),
    "FILE_TYPE_NOT_ALLOWED": _bad("Unsupported file type '{type}'. Supported types are: {allowed}"),
    "FILE_NOT_DECODABLE": _bad("Document is not base64 encoded"),
    "TEMPLATE_FILE_MISSING": _bad("File {filename} of the template is missing"),
    "FILE_EMPTY": _bad("Document must not be empty"),
    "FILE_TOO_LARGE": _bad("Uploaded file exceeds file size limit"),
    "EMAIL_ADDRESS_WRONG": _bad("This is not the email address the file was sent to", 403),
    "TOO_MANY_TRIES": Row(429, "RateLimitError", "Too many requests"),
    "REQUEST_RUNNING": Row(
        409, "ConflictError", "A request with this Idempotency-Key is still running, try again later"
    ),
    "QR_CODE_TOO_LONG": Row(
        400,
        "ValidationError",
        "Cannot create a usable QR code - the link is too long",
        {"data": str, "num_bytes": int, "max_bytes": int},
    ),
    "RATE_LIMITED": Choice("key_type", {"team": _rate("TEAM"), "test": _rate("TEST")}, _rate("LIVE")),
    "DAILY_LIMIT_REACHED": Row(
        429, "TooManyRequestsError", "Exceeded send limits ({counter}: {limit}) for today"
    ),
    "COST_ABOVE_MAXIMUM": _bad("Could cost £{cost}, which is more than its max_cost of £{max_cost}"),
    # letters
    "LETTER_NOT_FOUND": NO_RESULT,
    "PDF_NOT_READY": Row(400, "PDFNotReadyError", "PDF not available yet, try again later"),
    "PDF_REMOVED": NO_RESULT,
    "VIRUS_FOUND": _bad("File did not pass the virus scan"),
    "UPLOAD_MISMATCH": _INTERNAL,
    "UPLOAD_NOT_FOUND": _INTERNAL,
    "PAGE_NOT_FOUND": NO_RESULT,
    "PDF_UNREADABLE": _bad("unable-to-read-the-file"),
    "LETTER_NOT_PREVIEWABLE": _bad("This letter cannot be previewed"),
    "ATTACHMENT_NOT_FOUND": NO_RESULT,
    "PRINT_RUN_NOT_FOUND": NO_RESULT,
    # queues
    "QUEUE_NOT_FOUND": NO_RESULT,
    "SERVICE_NOT_PAUSABLE": _INTERNAL,
    "PARKED_ROW_NOT_FOUND": NO_RESULT,
    "ROWS_NOT_DROPPABLE": _INTERNAL,
    # providers
    "DISPATCH_NOT_FOUND": NO_RESULT,
    "NOT_IN_DOUBT": Row(409, "ConflictError", "Only what is in doubt can be decided"),
    "COUNT_MISMATCH": _INTERNAL,
    "SANDBOX_MESSAGE_NOT_FOUND": NO_RESULT,
    "PROVIDER_NOT_FOUND": NO_RESULT,
    # api-gateway
    "TOKEN_MISSING": _token("Unauthorized: authentication token must be provided", 401),
    "TOKEN_INVALID": Choice(
        "problem",
        {
            "scheme": _token("Unauthorized: authentication bearer scheme must be used", 401),
            "issuer-missing": _token("Invalid token: iss field not provided"),
            "issuer-other": _token("Unauthorized: not allowed to perform this action", 401),
            "issuer-invalid": _token("Invalid token: service id is not the right data type"),
            "service-unknown": _token("Invalid token: service not found"),
            "service-without-keys": _token("Invalid token: service has no API keys"),
            "service-archived": _token("Invalid token: service is archived"),
            "algorithm": _token("Invalid token: algorithm used is not HS256"),
            "key-unknown": _token("Invalid token: API key not found"),
            "clock": _token("Error: Your system clock must be accurate to within 30 seconds"),
        },
        _token(
            "Invalid token: make sure your API token matches the example at "
            "https://docs.notifications.service.gov.uk/rest-api.html#authorisation-header"
        ),
    ),
    "KEY_REVOKED": _token("Invalid token: API key revoked"),
    "JSON_INVALID": _bad("Invalid JSON supplied in POST data"),
    "BODY_TOO_LARGE": _bad("Request body is too large. It cannot be larger than {limit} bytes.", 413),
    "BODY_HAS_TOO_MANY_VALUES": _bad("Request body has too many values. It cannot have more than {limit}."),
    "IDEMPOTENCY_KEY_INVALID": Row(
        400, "ValidationError", "Idempotency-Key must be 1 to {limit} ASCII characters"
    ),
    "IDEMPOTENCY_KEY_MISSING": Row(400, "ValidationError", "Idempotency-Key is a required header"),
    "CONTENT_TYPE_UNKNOWN": _bad("Content-Type must be one of {types}", 415),
    "CONTENT_ENCODED": _bad("Content-Encoding is not supported, send the body as it is", 415),
    "LENGTH_MISSING": _bad("Content-Length is a required header for {type}", 411),
    "BODY_INCOMPLETE": _bad("Request body ended too soon"),
    "BATCH_EMPTY": Row(400, "ValidationError", "A batch must have at least 1 row"),
    "BATCH_TOO_LONG": Row(400, "ValidationError", "A batch cannot have more than {limit} rows"),
    "ROW_TOO_LARGE": _bad("Row {row} is too large. It cannot be larger than {limit} bytes.", 413),
    "FILE_IN_BATCH": _bad("Files cannot be sent in a batch"),
    "VALUE_IMPOSSIBLE": Row(404, "DataError", NOT_FOUND),
    "NOT_A_LETTER": _bad("Notification is not a letter"),
    "PDF_UNAVAILABLE": _bad("PDF not available for letters in status {status}"),
    "LETTER_CONTENT_INVALID": _bad("Cannot decode letter content (invalid base64 encoding)"),
}
"""Every reason of `notify_common.reasons`; one that is not here is answered as INTERNAL."""

READING: Final[Rows] = {"TEMPLATE_NOT_FOUND": NO_RESULT}
"""Rows of routes that read (public-api.md §3.4): a template is what they are asked for."""


def row_of(error: NotifyError, rows: Rows = TABLE) -> Row:
    """Return how `error` is answered by `rows`, or where they have no row for its reason, by TABLE."""
    row = rows.get(error.reason) or TABLE.get(error.reason, _INTERNAL)
    if isinstance(row, Row):
        return row
    chosen = error.metadata.get(row.fact)
    return row.otherwise._replace(sentence="") if chosen is None else row.rows.get(chosen, row.otherwise)


def entries_of(error: NotifyError, row: Row) -> list[dict[str, Any]]:
    """Return the elements of `errors` in the v2 shape (public-api.md §1.6): one, or one a violation."""
    if error.violations:
        texts = (f"{violation.field} {violation.description}" for violation in error.violations)
        return [{"error": row.error, "message": text} for text in dict.fromkeys(texts)]
    facts = error.metadata
    shown = {name: value(facts[name]) for name, value in row.shown.items() if name in facts}
    return [{"error": row.error, "message": _sentence(row, facts) or error.message, **shown}]


def _sentence(row: Row, facts: Mapping[str, str]) -> str:
    """Return the sentence; empty where a fact is missing that a service of another release does not send."""
    try:
        return row.sentence.format_map(facts)
    except KeyError:
        return ""
