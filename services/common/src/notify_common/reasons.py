"""The table of error reasons: every `NotifyError` names one of these (design.md §2.6).

A reason is stable: callers and the gateway's error table decide by it, never by the message. Add a reason
under the heading of the context that raises it; the gateway's table needs a row for it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grpc import StatusCode


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: the gRPC code that the reason travels with, and when it is raised."""

    code: StatusCode
    doc: str
    facts: tuple[str, ...] = ()
    """Names of the metadata that the gateway words its answer with (`notify_gateway.errors`)."""


REASONS: Final[Mapping[str, Reason]] = {
    # --- the wire: raised by notify_common itself, or made from a status that carries no reason
    "INTERNAL": Reason(
        StatusCode.INTERNAL, "A fault of ours; the message holds the reference to the log line."
    ),
    "UNAVAILABLE": Reason(StatusCode.UNAVAILABLE, "The service can't be reached or is stopping."),
    "OVERLOADED": Reason(StatusCode.RESOURCE_EXHAUSTED, "The service has as many calls as it takes at once."),
    "DEADLINE_EXCEEDED": Reason(StatusCode.DEADLINE_EXCEEDED, "The call's time is used up."),
    "CANCELLED": Reason(StatusCode.CANCELLED, "The caller gave up."),
    "UNIMPLEMENTED": Reason(StatusCode.UNIMPLEMENTED, "The service has no such method."),
    "CALLER_NOT_ALLOWED": Reason(
        StatusCode.PERMISSION_DENIED, "The caller's certificate is not on the allow-list of the gRPC service."
    ),
    # --- every context
    "INVALID_FIELD": Reason(
        StatusCode.INVALID_ARGUMENT, "Fields of the request break a rule; violations name them."
    ),
    "PAGE_TOKEN_INVALID": Reason(
        StatusCode.INVALID_ARGUMENT,
        "The page token was changed, or belongs to other filters or another list.",
    ),
    "STALE_VERSION": Reason(StatusCode.ABORTED, "The resource changed since the version that was named."),
    "REQUEST_ID_REUSED": Reason(
        StatusCode.ALREADY_EXISTS, "The request id or idempotency key was used before, with other content."
    ),
    # --- admin
    "SERVICE_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "No service has this id."),
    "SERVICE_ARCHIVED": Reason(StatusCode.FAILED_PRECONDITION, "An archived service does not change."),
    "TEMPLATE_NOT_FOUND": Reason(
        StatusCode.NOT_FOUND, "The service has no such template, or not this version."
    ),
    "TEMPLATE_ARCHIVED": Reason(StatusCode.FAILED_PRECONDITION, "The template is archived."),
    "API_KEY_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The service has no such API key."),
    "USER_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "No user has this id."),
    "SENDER_NOT_FOUND": Reason(
        StatusCode.NOT_FOUND,
        "The service has no such text sender, reply-to address or letter contact.",
        ("field", "sender_id", "service_id"),
    ),
    "DEFAULT_SENDER": Reason(
        StatusCode.FAILED_PRECONDITION, "The default of several senders can't be archived."
    ),
    "DEFAULT_NEEDED": Reason(
        StatusCode.FAILED_PRECONDITION, "The service would have senders of a kind, and none as its default."
    ),
    "INBOUND_NUMBER_FIXED": Reason(
        StatusCode.FAILED_PRECONDITION, "A sender that is an inbound number is neither renamed nor archived."
    ),
    "NAME_TAKEN": Reason(StatusCode.ALREADY_EXISTS, "Another resource has this name."),
    "TOO_MANY": Reason(
        StatusCode.FAILED_PRECONDITION, "The service has as many of these as it may have.", ("limit",)
    ),
    # --- notifications
    "NOTIFICATION_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The service has no such notification."),
    "TEMPLATE_WRONG_CHANNEL": Reason(
        StatusCode.INVALID_ARGUMENT, "The template is of another channel.", ("template_channel", "channel")
    ),
    "CHANNEL_NOT_ALLOWED": Reason(
        StatusCode.PERMISSION_DENIED, "The service may not send on this channel.", ("channel",)
    ),
    "MISSING_PERSONALISATION": Reason(StatusCode.INVALID_ARGUMENT, "Placeholders have no value.", ("names",)),
    "MESSAGE_EMPTY": Reason(
        StatusCode.INVALID_ARGUMENT, "Nothing is left of the message once it is filled in."
    ),
    "MESSAGE_TOO_LONG": Reason(
        StatusCode.INVALID_ARGUMENT,
        "The filled-in message is longer than its channel takes.",
        ("channel", "limit", "size"),
    ),
    "RECIPIENT_INVALID": Reason(
        StatusCode.INVALID_ARGUMENT,
        "Not a phone number or email address that can be written to.",
        ("stage", "field", "problem"),
    ),
    "RECIPIENT_NOT_ALLOWED": Reason(
        StatusCode.PERMISSION_DENIED,
        "The key or the trial mode does not allow this recipient.",
        ("key_type",),
    ),
    "INTERNATIONAL_NOT_ALLOWED": Reason(
        StatusCode.PERMISSION_DENIED, "The service may not send to numbers or addresses of other countries."
    ),
    "LETTERS_NOT_ALLOWED_FOR_KEY": Reason(
        StatusCode.PERMISSION_DENIED,
        "Team keys send no letters, nor do those of trial services but for test keys.",
        ("key_type",),
    ),
    "ADDRESS_INVALID": Reason(
        StatusCode.INVALID_ARGUMENT, "Not a postal address that a letter can go to.", ("problem",)
    ),
    "FILE_NOT_ALLOWED": Reason(
        StatusCode.INVALID_ARGUMENT, "The personalisation holds a file, which can't be sent."
    ),
    "QR_CODE_TOO_LONG": Reason(
        StatusCode.INVALID_ARGUMENT,
        "The content of a QR code is over its limit.",
        ("data", "num_bytes", "max_bytes"),
    ),
    "RATE_LIMITED": Reason(
        StatusCode.RESOURCE_EXHAUSTED,
        "More requests in a minute than the service may make.",
        ("key_type", "limit"),
    ),
    "DAILY_LIMIT_REACHED": Reason(
        StatusCode.RESOURCE_EXHAUSTED, "More messages today than the service may send.", ("counter", "limit")
    ),
    # --- letters
    "LETTER_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The service has no such letter."),
    "PDF_NOT_READY": Reason(StatusCode.FAILED_PRECONDITION, "The PDF is not made yet, or never will be."),
    "PAGE_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The PDF has fewer pages."),
    "PRINT_RUN_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "No print run has this id."),
    # --- providers
    "DISPATCH_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The service has no such dispatch."),
    "NOT_IN_DOUBT": Reason(StatusCode.FAILED_PRECONDITION, "Only a dispatch in doubt can be decided."),
    "COUNT_MISMATCH": Reason(
        StatusCode.INVALID_ARGUMENT, "A print batch held more or fewer letters than it said."
    ),
    "SANDBOX_MESSAGE_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "The sandbox keeps no such message."),
    "PROVIDER_NOT_FOUND": Reason(StatusCode.NOT_FOUND, "No provider has this name."),
    # --- api-gateway
    "TOKEN_MISSING": Reason(StatusCode.UNAUTHENTICATED, "The HTTP request carries no token."),
    "TOKEN_INVALID": Reason(
        StatusCode.UNAUTHENTICATED,
        "The token can't be read, is expired, or is signed by another key.",
        ("problem",),
    ),
    "KEY_REVOKED": Reason(StatusCode.UNAUTHENTICATED, "The API key that signed the token is revoked."),
    "JSON_INVALID": Reason(StatusCode.INVALID_ARGUMENT, "The body is no JSON text."),
    "BODY_TOO_LARGE": Reason(
        StatusCode.INVALID_ARGUMENT, "The body is larger than the route takes.", ("limit",)
    ),
    "BODY_HAS_TOO_MANY_VALUES": Reason(
        StatusCode.INVALID_ARGUMENT, "The body holds more names and list items than are taken.", ("limit",)
    ),
    "IDEMPOTENCY_KEY_INVALID": Reason(
        StatusCode.INVALID_ARGUMENT, "The Idempotency-Key can't be stored.", ("limit",)
    ),
    "VALUE_IMPOSSIBLE": Reason(
        StatusCode.NOT_FOUND, "Asked for by a value that nothing stored can have, such as a NUL character."
    ),
    "NOT_A_LETTER": Reason(StatusCode.FAILED_PRECONDITION, "The notification has no PDF: it is no letter."),
    "PDF_UNAVAILABLE": Reason(
        StatusCode.FAILED_PRECONDITION, "Letters in this status have no PDF.", ("status",)
    ),
    "FILES_NOT_SET_UP": Reason(
        StatusCode.FAILED_PRECONDITION, "The service has no contact details for files.", ("page",)
    ),
    "LETTER_CONTENT_INVALID": Reason(StatusCode.INVALID_ARGUMENT, "The letter's content is no base64 text."),
    "PRECOMPILED_NOT_ACCEPTED": Reason(StatusCode.UNIMPLEMENTED, "Precompiled letters are not taken."),
}
