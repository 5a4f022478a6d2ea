"""Organisations, their pools of brandings, and mail about going live (internal-api.md A92 to A112)."""

from collections.abc import Iterable
from typing import Any, Final

from notify.admin.v1 import branding_service_pb2 as branding_pb
from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1 import services_service_pb2 as services_pb
from notify.admin.v1.branding_pb2 import BrandingKind
from notify.admin.v1.organisation_pb2 import Organisation

from notify_gateway.admin import forms
from notify_gateway.admin.branding import EMAIL_BRANDING, LETTER_BRANDING
from notify_gateway.admin.forms import BOOLEAN, STRING, UUID, InvalidForm, fields, nullable, schema, words
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, nothing, plain
from notify_gateway.admin.services import SHORT
from notify_gateway.admin.shapes import Shape, as_, http_time
from notify_gateway.admin.shapes import nullable as or_null
from notify_gateway.admin.users import MEMBER, USER, permissions_of
from notify_gateway.clients import InternalClients
from notify_gateway.errors import BAD_REQUEST

_TEXTS: Final = words(
    "agreement_signed_on_behalf_of_name agreement_signed_on_behalf_of_email_address request_to_go_live_notes "
    "notes purchase_order_number billing_contact_names billing_contact_email_addresses billing_reference"
)
_IDS: Final = words("email_branding_id letter_branding_id agreement_signed_by_id")
ORGANISATION = Shape(
    Organisation,
    "id name active crown domains permissions can_approve_own_go_live_requests agreement_signed",
    organisation_type=or_null("organisation_type"),
    count_of_live_services="live_service_count",
    agreement_signed_version=or_null("agreement_signed_version", float),
    agreement_signed_at=as_("agreement_signed_time", http_time),
    **{name: or_null(name) for name in (*_IDS, *_TEXTS)},
)
LISTED = Shape(
    Organisation,
    "id name active domains",
    organisation_type=or_null("organisation_type"),
    count_of_live_services="live_service_count",
)
_TYPES: Final = words(
    "central local nhs_central nhs_local nhs_gp nhs_notify emergency_service school_or_college other"
)
CREATE = schema(
    "name crown organisation_type", name=STRING, crown=BOOLEAN, organisation_type={"enum": _TYPES}
)


def _version(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Not a valid number.")
    return str(value)


_OTHERS: Final[dict[str, Any]] = {
    **dict.fromkeys(_IDS, nullable(forms.uuid)),
    **dict.fromkeys(_TEXTS, nullable(forms.string)),
}
UPDATE = fields(
    name=forms.string,
    crown=nullable(forms.boolean),
    organisation_type=nullable(forms.string),
    domains=forms.list_of(forms.string),
    permissions=forms.list_of(forms.string),
    can_approve_own_go_live_requests=forms.boolean,
    agreement_signed=nullable(forms.boolean),
    agreement_signed_at=nullable(forms.moment),
    agreement_signed_version=nullable(_version),
    **_OTHERS,
)
SERVICE = schema("service_id", service_id=UUID)
BRANDINGS = schema("branding_ids", branding_ids={"type": "array", "items": UUID})
NEXT_STEPS = schema("to service_name body", to=STRING, service_name=STRING, body=STRING)
_REFUSAL: Final = {
    "name": "name",
    "service_name": "service_name",
    "organisation_name": "organisation_name",
    "reason": "reason",
    "organisation_team_member_name": "member_name",
    "organisation_team_member_email": "member_email_address",
}
_REFUSAL_KEYS: Final[dict[str, Any]] = dict.fromkeys(_REFUSAL, STRING)
REFUSAL = schema(" ".join(_REFUSAL), **_REFUSAL_KEYS)
TAKEN = {"NAME_TAKEN": plain("Organisation name already exists")}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("organisations", clients, TAKEN)
    one = "/organisations/<uuid:organisation_id>"
    email, letter = BrandingKind.BRANDING_KIND_EMAIL, BrandingKind.BRANDING_KIND_LETTER
    _pool(made, "email", email, EMAIL_BRANDING)
    _pool(made, "letter", letter, LETTER_BRANDING)

    go_live = "/organisations/notify-{}/<uuid:service_id>"
    made.call("POST", "/organisations", pb.CreateOrganisationRequest, ORGANISATION, bare, form=CREATE)
    made.call("GET", one, pb.GetOrganisationRequest, ORGANISATION, bare)
    made.call("POST", f"{one}/archive", pb.ArchiveOrganisationRequest)
    made.call("POST", f"{one}/service", pb.AddServiceRequest, form=SERVICE)
    made.call("GET", f"{one}/users", pb.ListOrganisationMembersRequest, USER)
    made.call("DELETE", f"{one}/users/<uuid:user_id>", pb.RemoveOrganisationMemberRequest)
    made.call("POST", go_live.format("users-of-request-to-go-live"), pb.SendGoLiveRequestRequest)
    next_steps = go_live.format("org-member-about-next-steps-of-go-live-request")
    to = {"to": "email_address"}
    made.call("POST", next_steps, pb.SendGoLiveNextStepsRequest, form=NEXT_STEPS, names=to)
    refusal = go_live.format("service-member-of-rejected-go-live-request")
    made.call("POST", refusal, pb.SendGoLiveRefusalRequest, form=REFUSAL, names=_REFUSAL)

    def listed(**asked: str) -> list[Any]:
        found = clients.all(pb.ListOrganisationsRequest(**asked))  # type: ignore[arg-type] # of its fields
        return LISTED.list(sorted_by_name(found))

    @made.get("/organisations")
    def list_organisations(call: Call) -> Answer:
        return bare(listed())

    @made.get("/organisations/search")
    def search(call: Call) -> Answer:
        if not (name := call.query("name")):
            raise InvalidForm({"name": [forms.MISSING]})
        return data(listed(name_part=name))

    @made.get("/organisations/by-domain")
    def get_by_domain(call: Call) -> Answer:
        domain = call.query("domain")
        if not domain or "@" in domain:
            raise InvalidForm(BAD_REQUEST)
        found = clients.ask(pb.GetOrganisationByDomainRequest(domain=domain)).organisation
        return bare(ORGANISATION.json(found))

    @made.post(one, UPDATE)
    def set_organisation(call: Call) -> Answer:
        # permissions stand alone: whatever comes with them is left as it is
        form = {"permissions": call.form["permissions"]} if "permissions" in call.form else call.form
        organisation = ORGANISATION.message(form, id=call.id("organisation_id"))
        mask = ORGANISATION.mask(form)
        if mask.paths:
            clients.ask(pb.SetOrganisationRequest(organisation=organisation, update_mask=mask))
        return nothing()

    @made.get("/service/<uuid:service_id>/organisation")
    def get_of_service(call: Call) -> Answer:
        service = clients.ask(services_pb.GetServiceRequest(**call.path)).service
        if not service.organisation_id:
            return bare({})
        ask = pb.GetOrganisationRequest(organisation_id=service.organisation_id)
        return bare(ORGANISATION.json(clients.ask(ask).organisation))

    @made.get(f"{one}/services")
    def list_services(call: Call) -> Answer:
        clients.ask(pb.GetOrganisationRequest(**call.path))
        found = clients.all(services_pb.ListServicesRequest(**call.path))
        return bare(SHORT.list(sorted_by_name(found)))

    @made.post(f"{one}/users/<uuid:user_id>", MEMBER)
    def add_member(call: Call) -> Answer:
        ask = pb.AddOrganisationMemberRequest(**call.path, permissions=permissions_of(call))
        return data(USER.json(clients.ask(ask).user))

    return made


def _pool(made: Routes, name: str, kind: BrandingKind, shape: Shape[Any]) -> None:
    """Add the routes of what an organisation may choose from, which differ in the kind."""
    all_ = f"/organisations/<uuid:organisation_id>/{name}-branding-pool"
    errors = {
        "BRANDING_NOT_IN_POOL": plain(
            f"{name.capitalize()} branding {{branding_id}} not in {{organisation_name}}'s pool", 404
        ),
        "DEFAULT_BRANDING": plain(f"You cannot remove an organisation's default {name} branding"),
    }
    listing = getattr(branding_pb, f"List{name.capitalize()}BrandingsRequest")
    made.call("GET", all_, listing, shape)
    made.call("POST", all_, branding_pb.AddToBrandingPoolRequest, form=BRANDINGS, kind=kind)
    one = f"{all_}/<uuid:branding_id>"
    made.call("DELETE", one, branding_pb.RemoveFromBrandingPoolRequest, errors=errors, kind=kind)


def sorted_by_name(found: Iterable[Any]) -> list[Any]:
    """Return what has names, active ones first."""
    return sorted(found, key=lambda each: (not each.active, each.name))
