"""The table of error reasons: every `NotifyError` names one of these (design.md §2.6).

A reason is stable: callers and the gateway's error table decide by it, never by the message. Add a reason
under the heading of the context that raises it; the gateway's table needs a row for it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Code(Enum):
    """The kind of an error: gRPC's status codes, by their names and numbers.

    Domains raise errors too and import no gRPC, so it is not gRPC's own enum; `rpc.status` turns one into the
    other.
    """

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: the gRPC code that the reason travels with, and when it is raised."""

    code: Code
    doc: str
    facts: tuple[str, ...] = ()
    """Names of the metadata that the gateway words its answer with (`notify_gateway.errors`)."""


REASONS: Final[Mapping[str, Reason]] = {
    # --- the wire: raised by notify_common itself, or made from a status that carries no reason
    "INTERNAL": Reason(Code.INTERNAL, "A fault of ours; the message holds the reference to the log line."),
    "UNAVAILABLE": Reason(Code.UNAVAILABLE, "The service can't be reached or is stopping."),
    "OVERLOADED": Reason(Code.RESOURCE_EXHAUSTED, "The service has as many calls as it takes at once."),
    "TOO_MANY_AT_ONCE": Reason(
        Code.RESOURCE_EXHAUSTED, "The caller has as many calls of this kind under way as it may."
    ),
    "DEADLINE_EXCEEDED": Reason(Code.DEADLINE_EXCEEDED, "The call's time is used up."),
    "CANCELLED": Reason(Code.CANCELLED, "The caller gave up."),
    "UNIMPLEMENTED": Reason(Code.UNIMPLEMENTED, "The service has no such method."),
    "CALLER_NOT_ALLOWED": Reason(
        Code.PERMISSION_DENIED, "The caller's certificate is not on the allow-list of the gRPC service."
    ),
    # --- every context
    "INVALID_FIELD": Reason(
        Code.INVALID_ARGUMENT, "Fields of the request break a rule; violations name them."
    ),
    "PAGE_TOKEN_INVALID": Reason(
        Code.INVALID_ARGUMENT,
        "The page token was changed, or belongs to other filters or another list.",
    ),
    "STALE_VERSION": Reason(Code.ABORTED, "The resource changed since the version that was named."),
    "REQUEST_ID_REUSED": Reason(
        Code.ALREADY_EXISTS, "The request id or idempotency key was used before, with other content."
    ),
    "FEED_RESTORED": Reason(
        Code.FAILED_PRECONDITION,
        "The feed's database was restored; an operator has to say when (`cursors --restored-at`).",
    ),
    # --- admin
    "SERVICE_NOT_FOUND": Reason(Code.NOT_FOUND, "No service has this id."),
    "SERVICE_ARCHIVED": Reason(Code.FAILED_PRECONDITION, "An archived service does not change."),
    "TEMPLATE_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such template, or not this version."),
    "TEMPLATE_ARCHIVED": Reason(Code.FAILED_PRECONDITION, "The template is archived."),
    "API_KEY_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such API key."),
    "USER_NOT_FOUND": Reason(Code.NOT_FOUND, "No user has this id."),
    "SENDER_NOT_FOUND": Reason(
        Code.NOT_FOUND,
        "The service has no such text sender, reply-to address or letter contact.",
        ("field", "sender_id", "service_id"),
    ),
    "DEFAULT_SENDER": Reason(Code.FAILED_PRECONDITION, "The default of several senders can't be archived."),
    "DEFAULT_NEEDED": Reason(
        Code.FAILED_PRECONDITION, "The service would have senders of a kind, and none as its default."
    ),
    "INBOUND_NUMBER_FIXED": Reason(
        Code.FAILED_PRECONDITION, "A sender that is an inbound number is neither renamed nor archived."
    ),
    "USER_ACTIVE": Reason(Code.FAILED_PRECONDITION, "The user is active already."),
    "ALREADY_MEMBER": Reason(Code.ALREADY_EXISTS, "The user is a member of the service already."),
    "MEMBER_NOT_FOUND": Reason(Code.NOT_FOUND, "The user is no member of the service or organisation."),
    "MANAGERS_NEEDED": Reason(
        Code.FAILED_PRECONDITION, "Too few members who manage the service would be left."
    ),
    "SETTING_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such setting."),
    "FILE_NOT_FOUND": Reason(Code.NOT_FOUND, "The template has no such file."),
    "FILE_ARCHIVED": Reason(Code.FAILED_PRECONDITION, "The file is out of use already."),
    "TEMPLATE_HAS_ATTACHMENT": Reason(Code.ALREADY_EXISTS, "The letter template has an attachment."),
    "FOLDER_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such template folder."),
    "FOLDER_NOT_EMPTY": Reason(Code.FAILED_PRECONDITION, "The folder holds folders or templates."),
    "FOLDER_IN_ITSELF": Reason(
        Code.FAILED_PRECONDITION, "A folder can't be moved into itself or one below it."
    ),
    "CREDENTIAL_NOT_FOUND": Reason(Code.NOT_FOUND, "The user has no such security key."),
    "LAST_CREDENTIAL": Reason(Code.FAILED_PRECONDITION, "The last security key of a user stays."),
    "LOGINS_EXCEEDED": Reason(Code.PERMISSION_DENIED, "Too many attempts to sign in failed."),
    "ORGANISATION_NOT_FOUND": Reason(Code.NOT_FOUND, "No organisation has this id."),
    "DOMAIN_TAKEN": Reason(Code.ALREADY_EXISTS, "The email domain is another organisation's."),
    "BRANDING_NOT_FOUND": Reason(Code.NOT_FOUND, "No branding has this id."),
    "BRANDING_TEXT_INVALID": Reason(
        Code.INVALID_ARGUMENT, "A branding has either a text or an alternative text, not both."
    ),
    "BRANDING_IN_USE": Reason(Code.FAILED_PRECONDITION, "Organisations or services have the branding."),
    "BRANDING_NOT_IN_POOL": Reason(
        Code.NOT_FOUND, "The organisation can't choose the branding.", ("branding_id", "organisation_name")
    ),
    "DEFAULT_BRANDING": Reason(Code.FAILED_PRECONDITION, "The branding is the organisation's own."),
    "FILENAME_TAKEN": Reason(Code.ALREADY_EXISTS, "Another has a file of this name."),
    "SERVICES_LEFT": Reason(Code.FAILED_PRECONDITION, "The organisation has active services."),
    "MEMBERS_LEFT": Reason(
        Code.FAILED_PRECONDITION, "The organisation has members or invitations that wait."
    ),
    "GO_LIVE_NOT_REQUESTED": Reason(Code.FAILED_PRECONDITION, "The service did not ask to go live."),
    "INBOUND_NUMBER_TAKEN": Reason(
        Code.FAILED_PRECONDITION, "The number is not free, or the service has one already."
    ),
    "INBOUND_NUMBERS_GONE": Reason(Code.FAILED_PRECONDITION, "No number is free."),
    "JOIN_REQUEST_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such request to join."),
    "MANAGERS_NOT_FOUND": Reason(Code.FAILED_PRECONDITION, "None of those asked manages the service."),
    "INVITATION_NOT_FOUND": Reason(Code.NOT_FOUND, "There is no such invitation."),
    "LINK_INVALID": Reason(Code.INVALID_ARGUMENT, "The token of a link is none of ours."),
    "LINK_EXPIRED": Reason(Code.INVALID_ARGUMENT, "The link is too old."),
    "NAME_TAKEN": Reason(Code.ALREADY_EXISTS, "Another resource has this name."),
    "TOO_MANY": Reason(
        Code.FAILED_PRECONDITION, "The service has as many of these as it may have.", ("limit",)
    ),
    # --- notifications
    "CALLBACK_NOT_FOUND": Reason(Code.NOT_FOUND, "The service was told of nothing with this id."),
    "ALLOWANCE_NOT_FOUND": Reason(Code.NOT_FOUND, "The year has no allowances."),
    "NOT_SCHEDULED": Reason(
        Code.FAILED_PRECONDITION, "The message is not waiting for its time to be sent (any more)."
    ),
    "LETTER_CANCELLED": Reason(Code.FAILED_PRECONDITION, "The letter is cancelled already."),
    "LETTER_TOO_LATE": Reason(
        Code.FAILED_PRECONDITION, "The deadline of the letter's print run has passed.", ("print_day",)
    ),
    "LETTER_NOT_CANCELLABLE": Reason(
        Code.FAILED_PRECONDITION,
        "The letter has failed or is in a print batch.",
        ("status", "create_time"),
    ),
    "BATCH_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such batch."),
    "BATCH_RUNNING": Reason(
        Code.ABORTED, "The batch is being worked off by another request, which may take a while."
    ),
    "JOB_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such job, or none that can be cancelled."),
    "JOB_FILE_INVALID": Reason(
        Code.FAILED_PRECONDITION, "The file of the job is not there, or was not found to be right."
    ),
    "JOB_SERVICE_INACTIVE": Reason(Code.PERMISSION_DENIED, "The service is archived."),
    "JOB_LETTERS_NOT_ALLOWED": Reason(
        Code.PERMISSION_DENIED, "A service in trial mode sends no letters by a job."
    ),
    "JOB_IN_PAST": Reason(Code.INVALID_ARGUMENT, "The time of the job has passed."),
    "JOB_TOO_FAR_AHEAD": Reason(Code.INVALID_ARGUMENT, "The time of the job is more than 7 days ahead."),
    "JOB_NOT_OF_LETTERS": Reason(Code.FAILED_PRECONDITION, "The job is none of letters."),
    "JOB_RUNNING": Reason(Code.FAILED_PRECONDITION, "The job is not worked off yet."),
    "JOB_LETTERS_SENT": Reason(
        Code.FAILED_PRECONDITION, "The deadline of the letters' print run has passed, or some went out."
    ),
    "CONTACT_LIST_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such contact list."),
    "NOTIFICATION_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such notification."),
    "INBOUND_SMS_NOT_FOUND": Reason(Code.NOT_FOUND, "The service received no such text."),
    "UNSUBSCRIBE_REPORT_NOT_FOUND": Reason(
        Code.NOT_FOUND, "The service has no such report of requests to unsubscribe."
    ),
    "TEMPLATE_WRONG_CHANNEL": Reason(
        Code.INVALID_ARGUMENT, "The template is of another channel.", ("template_channel", "channel")
    ),
    "CHANNEL_NOT_ALLOWED": Reason(
        Code.PERMISSION_DENIED, "The service may not send on this channel.", ("channel",)
    ),
    "NOT_A_MEMBER": Reason(
        Code.PERMISSION_DENIED,
        "The user who would send is no member of the service.",
        ("user", "service_name"),
    ),
    "MISSING_PERSONALISATION": Reason(Code.INVALID_ARGUMENT, "Placeholders have no value.", ("names",)),
    "MESSAGE_EMPTY": Reason(Code.INVALID_ARGUMENT, "Nothing is left of the message once it is filled in."),
    "MESSAGE_TOO_LONG": Reason(
        Code.INVALID_ARGUMENT,
        "The filled-in message is longer than its channel takes.",
        ("channel", "limit", "size"),
    ),
    "RECIPIENT_INVALID": Reason(
        Code.INVALID_ARGUMENT,
        "Not a phone number or email address that can be written to.",
        ("stage", "field", "problem"),
    ),
    "RECIPIENT_NOT_ALLOWED": Reason(
        Code.PERMISSION_DENIED,
        "The key or the trial mode does not allow this recipient.",
        ("key_type",),
    ),
    "INTERNATIONAL_NOT_ALLOWED": Reason(
        Code.PERMISSION_DENIED, "The service may not send to numbers or addresses of other countries."
    ),
    "LETTERS_NOT_ALLOWED_FOR_KEY": Reason(
        Code.PERMISSION_DENIED,
        "Team keys send no letters, nor do those of trial services but for test keys.",
        ("key_type",),
    ),
    "ADDRESS_INVALID": Reason(
        Code.INVALID_ARGUMENT, "Not a postal address that a letter can go to.", ("problem",)
    ),
    "FILE_NOT_ALLOWED": Reason(
        Code.INVALID_ARGUMENT, "The personalisation holds a file, which can't be sent."
    ),
    # the gateway adds the page where a member sets them
    "FILES_NOT_SET_UP": Reason(
        Code.FAILED_PRECONDITION, "The service has no contact details for files.", ("page",)
    ),
    "FILE_NAME_TOO_LONG": Reason(Code.INVALID_ARGUMENT, "A file's name is too long.", facts=("limit",)),
    "FILE_TYPE_NOT_ALLOWED": Reason(
        Code.INVALID_ARGUMENT,
        "A file is of a type, by its ending or its content, that is not taken.",
        facts=("type", "allowed"),
    ),
    "FILE_NOT_DECODABLE": Reason(Code.INVALID_ARGUMENT, "The content of a file is no Base64."),
    "TEMPLATE_FILE_MISSING": Reason(
        Code.FAILED_PRECONDITION, "The content of a file of the template is nowhere.", facts=("filename",)
    ),
    "FILE_EMPTY": Reason(Code.INVALID_ARGUMENT, "A file has no content."),
    "FILE_TOO_LARGE": Reason(Code.INVALID_ARGUMENT, "A file is too large."),
    "EMAIL_ADDRESS_WRONG": Reason(
        Code.PERMISSION_DENIED, "A file was sent to another address than the one that was named."
    ),
    "TOO_MANY_TRIES": Reason(Code.RESOURCE_EXHAUSTED, "Too many addresses were tried for a file."),
    "REQUEST_RUNNING": Reason(
        Code.ABORTED, "A request with this idempotency key is being dealt with at the moment."
    ),
    "QR_CODE_TOO_LONG": Reason(
        Code.INVALID_ARGUMENT,
        "The content of a QR code is over its limit.",
        ("data", "num_bytes", "max_bytes"),
    ),
    "RATE_LIMITED": Reason(
        Code.RESOURCE_EXHAUSTED,
        "More requests in a minute than the service may make.",
        ("key_type", "limit"),
    ),
    "DAILY_LIMIT_REACHED": Reason(
        Code.RESOURCE_EXHAUSTED, "More messages today than the service may send.", ("counter", "limit")
    ),
    # amounts in pounds
    "COST_ABOVE_MAXIMUM": Reason(
        Code.FAILED_PRECONDITION,
        "What was asked for could cost more than its sender allows.",
        ("cost", "max_cost"),
    ),
    # --- letters
    "LETTER_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such letter."),
    "PDF_NOT_READY": Reason(Code.FAILED_PRECONDITION, "The PDF is not made yet, or never will be."),
    "UPLOAD_MISMATCH": Reason(
        Code.INVALID_ARGUMENT, "The bytes that were uploaded are not those that were announced."
    ),
    "UPLOAD_NOT_FOUND": Reason(Code.NOT_FOUND, "The admin web app has put no such PDF there."),
    "VIRUS_FOUND": Reason(Code.FAILED_PRECONDITION, "The letter's PDF did not pass the virus scan."),
    "PDF_REMOVED": Reason(Code.FAILED_PRECONDITION, "The letter's PDF was removed for its age."),
    "PAGE_NOT_FOUND": Reason(Code.NOT_FOUND, "The PDF has fewer pages."),
    "PDF_UNREADABLE": Reason(
        Code.INVALID_ARGUMENT, "The file is no PDF, or drawing it takes more than it may."
    ),
    "LETTER_NOT_PREVIEWABLE": Reason(
        Code.INVALID_ARGUMENT,
        "The wording is too much for a letter, or laying it out takes more than it may.",
    ),
    "ATTACHMENT_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such letter attachment."),
    "PRINT_RUN_NOT_FOUND": Reason(Code.NOT_FOUND, "No print run has this id."),
    # --- queues, in every context that has some
    "QUEUE_NOT_FOUND": Reason(Code.NOT_FOUND, "No queue of this service has the name."),
    "SERVICE_NOT_PAUSABLE": Reason(
        Code.FAILED_PRECONDITION, "The queue is not shared out between services: it is paused whole."
    ),
    "PARKED_ROW_NOT_FOUND": Reason(Code.NOT_FOUND, "The queue has given up no row with this key."),
    "ROWS_NOT_DROPPABLE": Reason(
        Code.FAILED_PRECONDITION, "What the queue's rows stand for can't be given up one by one."
    ),
    # --- providers
    "DISPATCH_NOT_FOUND": Reason(Code.NOT_FOUND, "The service has no such dispatch."),
    "NOT_IN_DOUBT": Reason(Code.FAILED_PRECONDITION, "Only a dispatch in doubt can be decided."),
    "COUNT_MISMATCH": Reason(Code.INVALID_ARGUMENT, "A print batch held more or fewer letters than it said."),
    "SANDBOX_MESSAGE_NOT_FOUND": Reason(Code.NOT_FOUND, "The sandbox keeps no such message."),
    "PROVIDER_NOT_FOUND": Reason(Code.NOT_FOUND, "No provider has this name."),
    # --- api-gateway
    "CODE_NOT_FOUND": Reason(Code.NOT_FOUND, "The code was never sent, or too many attempts failed."),
    "TOKEN_MISSING": Reason(Code.UNAUTHENTICATED, "The HTTP request carries no token."),
    "TOKEN_INVALID": Reason(
        Code.UNAUTHENTICATED,
        "The token can't be read, is expired, or is signed by another key.",
        ("problem",),
    ),
    "KEY_REVOKED": Reason(Code.UNAUTHENTICATED, "The API key that signed the token is revoked."),
    "JSON_INVALID": Reason(Code.INVALID_ARGUMENT, "The body is no JSON text."),
    "BODY_TOO_LARGE": Reason(Code.INVALID_ARGUMENT, "The body is larger than the route takes.", ("limit",)),
    "BODY_HAS_TOO_MANY_VALUES": Reason(
        Code.INVALID_ARGUMENT, "The body holds more names and list items than are taken.", ("limit",)
    ),
    "IDEMPOTENCY_KEY_MISSING": Reason(Code.INVALID_ARGUMENT, "A batch comes without an Idempotency-Key."),
    "CONTENT_TYPE_UNKNOWN": Reason(
        Code.INVALID_ARGUMENT, "The body is of a type that the route does not read.", ("types",)
    ),
    "CONTENT_ENCODED": Reason(Code.INVALID_ARGUMENT, "The body is compressed."),
    "LENGTH_MISSING": Reason(
        Code.INVALID_ARGUMENT, "Nothing says where a body of this type ends.", ("type",)
    ),
    "BODY_INCOMPLETE": Reason(Code.INVALID_ARGUMENT, "The body ends before its length is reached."),
    "BATCH_EMPTY": Reason(Code.INVALID_ARGUMENT, "A batch has no row."),
    "BATCH_TOO_LONG": Reason(Code.INVALID_ARGUMENT, "A batch has too many rows.", ("limit",)),
    "ROW_TOO_LARGE": Reason(Code.INVALID_ARGUMENT, "A row of a batch is too large.", ("row", "limit")),
    "FILE_IN_BATCH": Reason(Code.INVALID_ARGUMENT, "A row of a batch holds a file."),
    "IDEMPOTENCY_KEY_INVALID": Reason(
        Code.INVALID_ARGUMENT, "The Idempotency-Key can't be stored.", ("limit",)
    ),
    "VALUE_IMPOSSIBLE": Reason(
        Code.NOT_FOUND, "Asked for by a value that nothing stored can have, such as a NUL character."
    ),
    "NOT_A_LETTER": Reason(Code.FAILED_PRECONDITION, "The notification is no letter."),
    "PDF_UNAVAILABLE": Reason(Code.FAILED_PRECONDITION, "Letters in this status have no PDF.", ("status",)),
    "LETTER_CONTENT_INVALID": Reason(Code.INVALID_ARGUMENT, "The letter's content is no base64 text."),
}
