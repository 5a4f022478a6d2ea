"""Services (internal-api.md A1 to A6, A21, A22)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from notify.admin.v1 import service_pb2
from notify.admin.v1 import services_service_pb2 as pb
from notify.admin.v1.service_settings_service_pb2 import ListDataRetentionRequest
from notify.notifications.v1.statistics_service_pb2 import MessageCount
from notify_content import email_address, phone

from notify_gateway.admin import forms
from notify_gateway.admin.counted import channel_of, counts, service_of, stats
from notify_gateway.admin.days import last_days, range_or_today
from notify_gateway.admin.forms import InvalidForm, fields, nullable, schema, words
from notify_gateway.admin.routes import Answer, Call, Routes, bare, by_field, data, nothing
from notify_gateway.admin.shapes import Key, Shape, always, as_, db_time, http_time
from notify_gateway.admin.shapes import nullable as or_null
from notify_gateway.clients import InternalClients
from notify_gateway.errors import Rows

_NULLABLE_TEXTS: Final = words(
    "custom_email_sender_name contact_link notes purchase_order_number billing_contact_names "
    "billing_contact_email_addresses billing_reference organisation_type"
)
_LIMITS: Final[Mapping[str, Key]] = {
    "email_message_limit": Key("limits.email_per_day"),
    "sms_message_limit": Key("limits.sms_per_day"),
    "letter_message_limit": Key("limits.letter_per_day"),
    "international_sms_message_limit": Key("limits.international_sms_per_day"),
    "rate_limit": Key("limits.rate_limit_per_minute"),
}

SERVICE = Shape(
    service_pb2.Service,
    "id name active restricted permissions prefix_sms email_sender_local_part confirmed_email_sender_name "
    "confirmed_unique count_as_live has_active_go_live_request volume_email volume_sms volume_letter "
    "consent_to_research",
    **{name: or_null(name) for name in _NULLABLE_TEXTS},
    **_LIMITS,
    created_by=or_null("created_by_id"),
    organisation=or_null("organisation_id"),
    email_branding=or_null("email_branding_id"),
    letter_branding=or_null("letter_branding_id"),
    go_live_at=as_("go_live_time", db_time),
    go_live_user=or_null("go_live_user_id"),
    service_callback_api=as_(
        "callbacks", lambda found: [{"callback_id": ref.id, "callback_type": ref.type} for ref in found]
    ),
)
_GIVEN: Final[dict[str, Any]] = {name: key for name, key in SERVICE.keys.items() if name != "created_by"}
GIVEN = Shape(service_pb2.Service, **_GIVEN)
_NOT_DETAILED: Final = {"created_by", "permissions", "email_branding", *_LIMITS}
_IN_DETAIL: Final[dict[str, Any]] = {
    **{name: key for name, key in SERVICE.keys.items() if name not in _NOT_DETAILED},
    "international_sms_message_limit": SERVICE.keys["international_sms_message_limit"],
    **dict.fromkeys(words("complaints unsubscribe_requests unsubscribe_request_reports"), always([])),
}
DETAILED = Shape(service_pb2.Service, created_at="create_time", updated_at="update_time", **_IN_DETAIL)
WITH_STATISTICS = Shape(
    service_pb2.Service, "id name restricted active", created_at=as_("create_time", http_time)
)
_STATISTICS_DAYS: Final = 7
SHORT = Shape(service_pb2.Service, "id name active restricted")


def _permissions(value: Any) -> list[str]:
    names: list[str] = forms.list_of(forms.string)(value)
    unknown = [name for name in names if name not in PERMISSIONS]
    if unknown:
        raise ValueError(f"Invalid Service Permission: '{unknown[0]}'")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"Duplicate Service Permission: {twice}")
    return names


PERMISSIONS: Final = words(
    "email sms letter international_sms inbound_sms email_auth edit_folder_permissions "
    "international_letters sms_to_uk_landlines"
)
_RULES: Final[Mapping[str, Any]] = {
    "name": forms.string,
    "created_by": forms.uuid,
    "restricted": forms.boolean,
    **dict.fromkeys(_LIMITS, forms.integer),
    "organisation_type": nullable(forms.string),
}
CREATE = fields(
    "name created_by restricted email_message_limit sms_message_limit letter_message_limit",
    first="user_id",
    **_RULES,
    user_id=forms.uuid,
)
_FLAGS: Final[dict[str, Any]] = dict.fromkeys(
    words("prefix_sms confirmed_email_sender_name confirmed_unique count_as_live"), forms.boolean
)
_TEXTS_OR_NULL: Final[dict[str, Any]] = dict.fromkeys(_NULLABLE_TEXTS, nullable(forms.string))
UPDATE = fields(
    **{**_RULES, **_FLAGS, **_TEXTS_OR_NULL},
    has_active_go_live_request=forms.boolean,
    volume_email=nullable(forms.integer),
    volume_sms=nullable(forms.integer),
    volume_letter=nullable(forms.integer),
    consent_to_research=nullable(forms.boolean),
    permissions=_permissions,
    email_branding=nullable(forms.uuid),
    letter_branding=nullable(forms.uuid),
    go_live_at=nullable(forms.moment),
    go_live_user=nullable(forms.uuid),
)
_TEXTS = {"type": "array", "items": {"type": "string"}}
GUEST_LIST = schema("email_addresses phone_numbers", email_addresses=_TEXTS, phone_numbers=_TEXTS)
GUESTS = Shape(service_pb2.GuestList, "email_addresses phone_numbers")
# the web app reads keys of the message of a 400 (internal-api.md §7)
SAVE_ERRORS: Rows = {
    "NAME_TAKEN": by_field("name", "Duplicate service name '{name}'"),
    "SERVICE_ARCHIVED": by_field("name", "Service is archived"),
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("services", clients)
    one = "/service/<uuid:service_id>"

    @made.get("/service")
    def list_services(call: Call) -> Answer:
        ask = pb.ListServicesRequest(user_id=call.query("user_id"), only_active=call.flag("only_active"))
        found = clients.all(ask)
        if call.flag("detailed") and not ask.user_id:
            return data(list(_with_statistics(clients, call, list(found))))
        return data(SERVICE.list(found))

    @made.get("/service/find-services-by-name")
    def find_services(call: Call) -> Answer:
        part = call.query("service_name")
        if not part:
            raise InvalidForm({"service_name": [forms.MISSING]})
        return data(SHORT.list(clients.all(pb.ListServicesRequest(name_part=part))))

    @made.get(one)
    def get_service(call: Call) -> Answer:
        if not call.flag("detailed"):
            return data(SERVICE.json(service_of(clients, call)))
        service, days = (
            service_of(clients, call),
            last_days(0 if call.flag("today_only") else _STATISTICS_DAYS),
        )
        found = counts(clients, days, "channel state", services=[service.id], without_test_keys=True)
        lists = {
            "data_retention": ListDataRetentionRequest(service_id=service.id),
            "letter_contacts": pb.ListLetterContactsRequest(service_id=service.id),
        }
        ids = {name: [each.id for each in clients.all(asked)] for name, asked in lists.items()}
        return data({**DETAILED.json(service), **ids, "statistics": stats(found)})

    wanted: dict[str, Any] = {"form": CREATE, "names": {"user_id": "owner_id"}, "errors": SAVE_ERRORS}
    made.call("POST", "/service", pb.CreateServiceRequest, SERVICE, **wanted)
    wanted |= {"form": UPDATE, "names": {"created_by": ""}, "given": GIVEN}
    made.call("POST", one, pb.UpdateServiceRequest, SERVICE, **wanted)
    made.call("POST", f"{one}/archive", pb.ArchiveServiceRequest)

    @made.get(f"{one}/guest-list")
    def get_guest_list(call: Call) -> Answer:
        return bare(GUESTS.json(service_of(clients, call).guest_list))

    @made.route("PUT", f"{one}/guest-list", GUEST_LIST)
    def set_guest_list(call: Call) -> Answer:
        _check_guests(call.form)
        service = service_pb2.Service(id=call.id("service_id"), guest_list=GUESTS.message(call.form))
        clients.ask(pb.UpdateServiceRequest(service=service, update_mask={"paths": ["guest_list"]}))
        return nothing()

    return made


def _with_statistics(
    clients: InternalClients, call: Call, services: Iterable[service_pb2.Service]
) -> Iterator[dict[str, Any]]:
    """Yield services with what they sent: of today all of them, of other days those that sent something."""
    days = range_or_today(call)
    found: defaultdict[str, list[MessageCount]] = defaultdict(list)
    without = call.query("include_from_test_key").lower() == "false"
    ids = [each.id for each in services]
    for each in counts(clients, days, "service channel state", services=ids, without_test_keys=without):
        found[each.service_id].append(each)
    for service in services:
        if service.id in found or days == last_days(0):
            channel = channel_of(found[service.id][0]) if service.id in found else None
            shown = WITH_STATISTICS.json(service)
            yield {**shown, "notification_type": channel, "statistics": stats(found[service.id])}


def _check_guests(form: Mapping[str, Any]) -> None:
    """Raise InvalidForm for what nobody can be written to at."""
    for parse, errors, values in (
        (email_address.parse, email_address.InvalidEmailAddress, form["email_addresses"]),
        (phone.parse, phone.InvalidPhoneNumber, form["phone_numbers"]),
    ):
        for value in values:
            try:
                parse(value, **({"allow_international": True} if parse is phone.parse else {}))
            except errors:
                sentence = f'Invalid guest list: "{value}" is not a valid email address or phone number'
                raise InvalidForm(sentence) from None
