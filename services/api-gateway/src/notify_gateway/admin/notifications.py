"""What a service sent, and sending one message (internal-api.md B1, B2, B6, B7, B40 to B42, C2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from flask import abort, request
from google.protobuf.message import Message
from notify.admin.v1.api_keys_service_pb2 import ListApiKeysRequest
from notify.admin.v1.services_service_pb2 import GetServiceRequest
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.templates_service_pb2 import GetTemplateRequest
from notify.admin.v1.users_service_pb2 import GetUserRequest
from notify.common.v1.common_pb2 import Channel, KeyType, PersonalisationField
from notify.letters.v1.letters_service_pb2 import BatchRecordReturnedLettersRequest
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1.notification_pb2 import Notification
from notify_common import clock, ids
from notify_common.errors import NotifyError
from werkzeug.datastructures import MultiDict

from notify_gateway.admin.forms import STRING, UUID, InvalidForm, schema, words
from notify_gateway.admin.letter_attachments import attachments_of
from notify_gateway.admin.routes import Answer, Call, Json, Routes, bare, new_id, plain
from notify_gateway.admin.shapes import Key, Shape, always, nullable, whole
from notify_gateway.admin.templates import VERSION
from notify_gateway.answers import v2_shape
from notify_gateway.clients import InternalClients
from notify_gateway.errors import NO_RESULT, TABLE, Rows
from notify_gateway.presenters.notifications import states_of
from notify_gateway.public.personalisation import to_fields
from notify_gateway.public.schemas import CHANNELS

Query = MultiDict[str, str]
PAGE_SIZE: Final = 50
MOST_AT_ONCE: Final = 250
"""Notifications of one answer of the service behind."""
RETURNED_AT_ONCE: Final = 5_000
ERRORS: Final[Rows] = {
    "NOTIFICATION_NOT_FOUND": NO_RESULT,
    "SERVICE_NOT_FOUND": NO_RESULT,
    "TEMPLATE_ARCHIVED": plain("Template has been deleted"),
    "RECIPIENT_INVALID": plain("{problem}"),
    "LETTERS_NOT_ALLOWED_FOR_KEY": TABLE["RECIPIENT_NOT_ALLOWED"],
    "ADDRESS_INVALID": plain("{problem}"),
    "SENDER_NOT_FOUND": plain("{sender_kind} not found"),
    "DAILY_LIMIT_REACHED": plain("Exceeded send limits ({counter}: {limit}) for today", 429),
}
CANCELLING: Final[Rows] = {
    "NOTIFICATION_NOT_FOUND": plain("Notification not found", 404),
    "NOT_A_LETTER": plain("Notification cannot be cancelled - only letters can be cancelled"),
}
SEND: Final = schema(
    "template_id to personalisation created_by",
    template_id=UUID,
    to=STRING,
    personalisation={"type": "object"},
    created_by=UUID,
    sender_id={"type": ["string", "null"], "format": "uuid"},
)
_LIST: Final = {"type": ["array", "null"], "maxItems": 20}
_ANY = words("limit_days page page_size include_from_test_key include_one_off count_pages")
_UNCHECKED: Final[dict[str, Any]] = {name: {} for name in _ANY}
SEARCH: Final = schema(
    to={"type": ["string", "null"], "maxLength": 1000},
    template_type=_LIST,
    status=_LIST,
    **_UNCHECKED,
)
RETURNED: Final = schema(
    "references",
    references={
        "type": "array",
        "minItems": 1,
        "maxItems": 1_000_000,
        "items": {"type": "string", "pattern": "^[0-9A-Z]{16}$"},
    },
)
_ADDRESS_KEY: Final = re.compile(r"address_?line_?[1-7]|postcode")
_SENDERS: Final = {"sms_sender_id": "SMS sender", "email_reply_to_id": "Reply to email address"}
_SOMEBODY: Final = "This user"
_FAILED: Final = {
    ("email", "temporary-failure"): "Inbox not accepting messages right now",
    ("email", "permanent-failure"): "Email address doesn’t exist",
    ("email", "sent"): "Delivered",
    ("sms", "temporary-failure"): "Phone not accepting messages right now",
    ("sms", "permanent-failure"): "Phone number doesn’t exist",
    ("sms", "sent"): "Sent internationally",
    ("letter", "created"): "Accepted",
    ("letter", "sending"): "Accepted",
    ("letter", "delivered"): "Received",
    ("letter", "returned-letter"): "Returned",
    ("letter", "permanent-failure"): "Permanent failure",
}
_FORMATTED: Final = {
    "created": "Sending",
    "sending": "Sending",
    "delivered": "Delivered",
    "failed": "Failed",
    "technical-failure": "Technical failure",
}


def values(found: Notification) -> dict[str, Json]:
    """Return the personalisation of a notification."""
    return {each.key: _value(each) for each in found.details.personalisation}


def _value(field: PersonalisationField) -> Json:
    match field.WhichOneof("value"):
        case "text":
            return field.text
        case "list":
            return list(field.list.items)
        case _:
            return None


def _to(found: Notification) -> str:
    """Return the recipient; of a letter the address, in lines."""
    if found.channel == Channel.CHANNEL_EMAIL and found.created_by_id:
        return found.details.normalised_recipient
    if found.channel != Channel.CHANNEL_LETTER or found.recipient:
        return found.recipient
    lines = {key.lower().replace("_", "").replace(" ", ""): value for key, value in values(found).items()}
    address = [lines[key] for key in sorted(lines) if _ADDRESS_KEY.fullmatch(key) and lines[key]]
    return "\n".join(str(line) for line in address)


def _normalised(found: Notification) -> str:
    if found.channel != Channel.CHANNEL_LETTER:
        return found.details.normalised_recipient
    return "".join(_to(found).split()).lower()


def _of_texts(write: Any) -> Any:
    return whole(lambda found: write(found) if found.channel == Channel.CHANNEL_SMS else None)


def _job(found: Notification) -> Json:
    details = found.details
    return {"id": details.job_id, "original_file_name": details.job_name} if details.job_id else None


OF_EVERY_NOTIFICATION: Final[Mapping[str, str | Key]] = {
    "service": "service_id",
    "notification_type": "channel",
    "status": "state",
    "key_type": "key_type",
    "job": whole(_job),
    "job_row_number": "details.row_number",
    "created_at": "create_time",
    "sent_at": "sent_time",
    "updated_at": "update_time",
    "sent_by": nullable("provider"),
    "reference": nullable("details.print_reference"),
    "client_reference": "reference",
    "document_download_count": always(None),
}
"""Keys that mean the same wherever one is shown (internal-api.md §2.2)."""

NOTIFICATION: Final = Shape(
    Notification,
    "id",
    to=whole(_to),
    normalised_to=whole(_normalised),
    api_key=nullable("details.api_key_id"),
    personalisation=whole(values),
    billable_units=whole(lambda found: found.cost.sms_fragments or found.cost.letter_sheets),
    international="details.international",
    phone_prefix=_of_texts(lambda found: found.details.phone_prefix or None),
    rate_multiplier=_of_texts(lambda found: float(found.details.rate_multiplier)),
    postage=nullable("postage"),
    reply_to_text=nullable("details.sender"),
    unsubscribe_link=nullable("one_click_unsubscribe_url"),
    **OF_EVERY_NOTIFICATION,
)
"""A notification (internal-api.md §2.2), without what other services know of it."""


RETURN_DAY: Final = Shape(
    pb.GetReturnedLetterCountsResponse.Day, reported_at="date", returned_letter_count="letter_count"
)


class Joined:
    """What notifications are shown with: template versions, people and names of keys, each asked for once."""

    def __init__(self, clients: InternalClients, service_id: str) -> None:
        self._clients = clients
        self._service_id = service_id
        self._templates: dict[tuple[str, int], Json] = {}
        self._people: dict[str, Json] = {}
        self._keys: dict[str, str] | None = None

    def notification(self, found: Notification) -> Json:
        """Return a notification with all that belongs to it."""
        template = self.template(found.template_id, found.template_version)
        return {
            **NOTIFICATION.json(found),
            "key_name": self.key_name(found.details.api_key_id),
            "created_by": self.person(found.created_by_id),
            "template": {**template, "reply_to_text": found.details.sender or template["reply_to_text"]},
        }

    def row(self, found: Notification) -> Json:
        """Return a row of a spreadsheet (internal-api.md §2.2)."""
        shown = self.notification(found)
        channel, status = shown["notification_type"], shown["status"]
        person = shown["created_by"] or {"name": None, "email_address": None}
        created = found.create_time.ToDatetime(UTC).astimezone(clock.LONDON)
        return {
            "id": found.id,
            "row_number": found.details.row_number + 1 if found.details.HasField("row_number") else "",
            "recipient": shown["to"],
            "client_reference": shown["client_reference"] or "",
            "template_name": shown["template"]["name"],
            "template_type": channel,
            "job_name": found.details.job_name,
            "status": _FAILED.get((channel, status), _FORMATTED.get(status, status)),
            "created_at": created.strftime("%Y-%m-%d %H:%M:%S"),
            "created_by_name": person["name"],
            "created_by_email_address": person["email_address"],
            "api_key_name": shown["key_name"],
        }

    def template(self, template_id: str, version: int) -> Mapping[str, Json]:
        """Return a version of a template, 0 for the newest, as it is shown beside what was sent with it."""
        key = template_id, version
        if key not in self._templates:
            ask = GetTemplateRequest(service_id=self._service_id, template_id=template_id, version=version)
            found = self._clients.ask(ask).template
            self._templates[key] = _sent_template(self._clients, found)
        template: Mapping[str, Json] = self._templates[key]
        return template

    def person(self, user_id: str) -> Json:
        """Return a user; None without an id."""
        if not user_id:
            return None
        if user_id not in self._people:
            user = self._clients.ask(GetUserRequest(user_id=user_id)).user
            self._people[user_id] = {"id": user.id, "name": user.name, "email_address": user.email_address}
        return self._people[user_id]

    def key_name(self, key_id: str) -> str | None:
        """Return the name of a key; None without an id."""
        if not key_id:
            return None
        if self._keys is None:
            ask = ListApiKeysRequest(service_id=self._service_id)
            self._keys = {key.id: key.name for key in self._clients.all(ask)}
        return self._keys.get(key_id)


_SENT_TEMPLATE: Final = words(
    "id service version name template_type content subject is_precompiled_letter letter_languages "
    "letter_welsh_subject letter_welsh_content has_unsubscribe_link"
)


def _sent_template(clients: InternalClients, template: Template) -> dict[str, Json]:
    version = VERSION.json(template)
    return {
        **{name: version[name] for name in _SENT_TEMPLATE},
        "letter_attachment": attachments_of(clients, [template])[0],
        "redact_personalisation": template.redacted,
        "reply_to_text": template.letter_contact_block or None,
    }


def name_of(clients: InternalClients, user_id: str) -> str:
    """Return the name of a user, or words for one who is unknown."""
    try:
        return str(clients.ask(GetUserRequest(user_id=user_id)).user.name)
    except NotifyError:
        return _SOMEBODY


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("notifications", clients, ERRORS)
    of_service = "/service/<uuid:service_id>/notifications"

    @made.get(f"{of_service}/<uuid:notification_id>")
    def get_notification(call: Call) -> Answer:
        found = clients.ask(pb.GetNotificationRequest(**call.path, with_details=True)).notification
        return bare(Joined(clients, call.id("service_id")).notification(found))

    @made.post(f"{of_service}/<uuid:notification_id>/cancel", errors=CANCELLING)
    def cancel_letter(call: Call) -> Answer:
        found = clients.ask(pb.CancelLetterRequest(**call.path)).notification
        return bare(Joined(clients, call.id("service_id")).notification(found))

    @made.get(of_service)
    def list_notifications(call: Call) -> Answer:
        return _list(call.id("service_id"), request.args)

    @made.post(of_service, SEARCH)
    def search_notifications(call: Call) -> Answer:
        given = {
            name: [str(each) for each in value] if isinstance(value, list) else [str(value)]
            for name, value in call.form.items()
            if value is not None
        }
        return _list(call.id("service_id"), MultiDict(given))

    def _list(service_id: str, given: Query) -> Answer:
        ask = _activity(service_id, given)
        ask.page_number = number_of(given, "page", 1)
        if term := given.get("to", ""):
            ask.search, ask.page_number = _term(term, given.get("template_type", "")), 1
        ask.page_size = min(number_of(given, "page_size", PAGE_SIZE), MOST_AT_ONCE)
        page = clients.ask(ask)
        if ask.page_number > 1 and not page.notifications:
            abort(404)
        joined = Joined(clients, service_id)
        around = {"prev": ask.page_number > 1, "next": page.has_more}
        counted = not term and given.get("count_pages", "").lower() != "false"
        links = {name: True for name, there in around.items() if there and counted}
        body = {"notifications": [joined.notification(each) for each in page.notifications], "links": links}
        return bare(body if term else {**body, "page_size": ask.page_size})

    @made.get(f"{of_service}/csv")
    def list_rows(call: Call) -> Answer:
        service_id = call.id("service_id")
        size = number_of(request.args, "page_size", PAGE_SIZE)
        ask = _activity(service_id, request.args)
        if older := call.query("older_than"):
            if not ids.is_uuid(older):
                raise NotifyError("INVALID_FIELD")
            ask.older_than_id = older.lower()
        joined = Joined(clients, service_id)
        rows: list[Json] = []
        while len(rows) < min(size, 10_000):
            ask.page_size = min(size - len(rows), MOST_AT_ONCE)
            page = clients.ask(ask)
            rows += [joined.row(each) for each in page.notifications]
            if not page.has_more:
                break
            ask.older_than_id = page.notifications[-1].id
        return bare({"notifications": rows, "page_size": size})

    @made.post("/service/<uuid:service_id>/send-notification", SEND)
    def send_notification(call: Call) -> Answer:
        service_id, user_id = call.id("service_id"), ids.canonical_uuid(call.form["created_by"])
        clients.ask(GetServiceRequest(service_id=service_id))
        template_id = ids.canonical_uuid(call.form["template_id"])
        template = clients.ask(GetTemplateRequest(service_id=service_id, template_id=template_id)).template
        common: dict[str, Any] = {
            "request_id": new_id(),
            "caller": caller(service_id, user_id),
            "template_id": template_id,
            "personalisation": to_fields(call.form["personalisation"], sending=True),
        }
        sender_id = ids.canonical_uuid(call.form["sender_id"]) if call.form.get("sender_id") else ""
        to, ask = call.form["to"], Message()
        match template.channel:
            case Channel.CHANNEL_SMS:
                ask = pb.SendSmsRequest(**common, phone_number=to, sms_sender_id=sender_id)
            case Channel.CHANNEL_EMAIL:
                ask = pb.SendEmailRequest(**common, email_address=to, email_reply_to_id=sender_id)
            case _:
                given = call.form["personalisation"].get("reference")
                reference = None if given is None else str(given)
                ask = pb.SendLetterRequest(**common, recipient=to, reference=reference)
        try:
            made_id = clients.ask(ask).notification_id
        except NotifyError as error:
            raise with_facts(error, clients, user_id) from None
        return bare({"id": made_id}, 201)

    @made.get("/service/<uuid:service_id>/returned-letter-statistics")
    def get_returned_statistics(call: Call) -> Answer:
        days = _returned(call)
        since = (clock.london_day(clock.now()) - timedelta(days=7)).isoformat()
        count = sum(day.letter_count for day in days if day.date >= since)
        latest = f"{days[0].date} 00:00:00.000000" if days else None
        return bare({"returned_letter_count": count, "most_recent_report": latest})

    @made.get("/service/<uuid:service_id>/returned-letter-summary")
    def list_returned_days(call: Call) -> Answer:
        return bare(RETURN_DAY.list(_returned(call)))

    def _returned(call: Call) -> list[pb.GetReturnedLetterCountsResponse.Day]:
        return list(clients.ask(pb.GetReturnedLetterCountsRequest(**call.path)).days)

    return made


def return_routes(clients: InternalClients) -> Routes:
    """Return the route by which letters that came back are told of; its errors have the shape of the public
    API (internal-api.md §1.2).
    """
    made = Routes("returned_letters", clients, shape=v2_shape, seconds=28.0)

    @made.post("/letters/returned", RETURNED)
    def record_returned_letters(call: Call) -> Answer:
        references = call.form["references"]
        for start in range(0, len(references), RETURNED_AT_ONCE):
            part = references[start : start + RETURNED_AT_ONCE]
            clients.ask(BatchRecordReturnedLettersRequest(references=part))
        return bare({"references": references})

    return made


def _activity(service_id: str, given: Query) -> pb.GetActivityRequest:
    """Return what the parameters of a list ask for."""
    key_types = [KeyType.KEY_TYPE_NORMAL, KeyType.KEY_TYPE_TEAM]
    if given.get("include_from_test_key", "").lower() == "true":
        key_types.append(KeyType.KEY_TYPE_TEST)
    ask = pb.GetActivityRequest(
        service_id=service_id,
        key_types=key_types,
        channels=[CHANNELS[each] for each in given.getlist("template_type") if each in CHANNELS],
        states=states_of([each for each in given.getlist("status") if each]),
        by_keys_alone=given.get("include_one_off", "").lower() == "false",
    )
    if given.get("limit_days"):
        ask.since_time.FromDatetime(start_of_day(min(number_of(given, "limit_days", 0), 3650)))
    return ask


def start_of_day(days: int) -> datetime:
    """Return when the London day began that was `days` ago, in UTC."""
    day = clock.london_day(clock.now()) - timedelta(days=days)
    return datetime.combine(day, time(), clock.LONDON).astimezone(UTC)


def caller(service_id: str, user_id: str) -> pb.Caller:
    """Return a person who sends for a service."""
    return pb.Caller(service_id=service_id, key_type=KeyType.KEY_TYPE_NORMAL, created_by_id=user_id)


def number_of(given: Query, name: str, default: int) -> int:
    """Return a number among query parameters. Raises InvalidForm."""
    if not (written := given.get(name, "")):
        return default
    if not (written.isascii() and written.isdecimal() and len(written) < 9):
        raise InvalidForm({name: ["Not a valid integer."]})
    if int(written) < 1 and name != "limit_days":
        raise InvalidForm({name: ["Not a positive integer"]})
    return int(written)


def _term(written: str, channel: str) -> str:
    """Return what is looked for, in the form in which recipients are kept (internal-api.md §4.12)."""
    if channel == "sms":
        return re.sub(r"[\s()+-]", "", written).lstrip("0")
    term = written.lower().strip()
    return term if channel == "email" else "".join(term.split())


def with_facts(error: NotifyError, clients: InternalClients, user_id: str) -> NotifyError:
    """Return an error with what its sentence needs to name."""
    if error.reason == "NOT_A_MEMBER":
        error.metadata = {**error.metadata, "user": name_of(clients, user_id)}
    elif error.reason == "SENDER_NOT_FOUND":
        error.metadata = {**error.metadata, "sender_kind": _SENDERS[error.metadata["field"]]}
    return error
