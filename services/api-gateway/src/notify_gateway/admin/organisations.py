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
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, every, new_id, nothing, plain
from notify_gateway.admin.services import SHORT
from notify_gateway.admin.shapes import Shape, as_, http_time
from notify_gateway.admin.shapes import nullable as or_null
from notify_gateway.admin.users import MEMBER, USER
from notify_gateway.auth import ClientAuthenticator
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


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("organisations", client, TAKEN)
    one = "/organisations/<uuid:organisation_id>"
    email, letter = BrandingKind.BRANDING_KIND_EMAIL, BrandingKind.BRANDING_KIND_LETTER
    _pool(made, clients, "email", email, EMAIL_BRANDING)
    _pool(made, clients, "letter", letter, LETTER_BRANDING)

    def of(call: Call) -> dict[str, Any]:
        return {"organisation_id": call.id("organisation_id")}

    def listed(**asked: str) -> list[Any]:
        found = every(clients.organisations.ListOrganisations, pb.ListOrganisationsRequest(**asked))  # type: ignore[arg-type] # of its fields
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
        ask = pb.GetOrganisationByDomainRequest(domain=domain)
        return bare(ORGANISATION.json(clients.organisations.GetOrganisationByDomain(ask).organisation))

    @made.post("/organisations", CREATE)
    def create_organisation(call: Call) -> Answer:
        organisation = ORGANISATION.message(call.form)
        ask = pb.CreateOrganisationRequest(request_id=new_id(), organisation=organisation)
        return bare(ORGANISATION.json(clients.organisations.CreateOrganisation(ask).organisation), 201)

    @made.get(one)
    def get_organisation(call: Call) -> Answer:
        ask = pb.GetOrganisationRequest(**of(call))
        return bare(ORGANISATION.json(clients.organisations.GetOrganisation(ask).organisation))

    @made.post(one, UPDATE)
    def set_organisation(call: Call) -> Answer:
        # permissions stand alone: whatever comes with them is left as it is
        form = {"permissions": call.form["permissions"]} if "permissions" in call.form else call.form
        organisation = ORGANISATION.message(form, id=call.id("organisation_id"))
        mask = ORGANISATION.mask(form)
        if mask.paths:
            ask = pb.SetOrganisationRequest(organisation=organisation, update_mask=mask)
            clients.organisations.SetOrganisation(ask)
        return nothing()

    @made.post(f"{one}/archive")
    def archive_organisation(call: Call) -> Answer:
        clients.organisations.ArchiveOrganisation(pb.ArchiveOrganisationRequest(**of(call)))
        return nothing()

    @made.get("/service/<uuid:service_id>/organisation")
    def get_of_service(call: Call) -> Answer:
        asked = services_pb.GetServiceRequest(service_id=call.id("service_id"))
        service = clients.services.GetService(asked).service
        if not service.organisation_id:
            return bare({})
        ask = pb.GetOrganisationRequest(organisation_id=service.organisation_id)
        return bare(ORGANISATION.json(clients.organisations.GetOrganisation(ask).organisation))

    @made.post(f"{one}/service", SERVICE)
    def add_service(call: Call) -> Answer:
        clients.organisations.AddService(pb.AddServiceRequest(**of(call), **call.form))
        return nothing()

    @made.get(f"{one}/services")
    def list_services(call: Call) -> Answer:
        clients.organisations.GetOrganisation(pb.GetOrganisationRequest(**of(call)))
        found = every(clients.services.ListServices, services_pb.ListServicesRequest(**of(call)))
        return bare(SHORT.list(sorted_by_name(found)))

    @made.get(f"{one}/users")
    def list_members(call: Call) -> Answer:
        ask = pb.ListOrganisationMembersRequest(**of(call))
        return data(USER.list(every(clients.organisations.ListOrganisationMembers, ask)))

    @made.post(f"{one}/users/<uuid:user_id>", MEMBER)
    def add_member(call: Call) -> Answer:
        permissions = [item["permission"] for item in call.form["permissions"]]
        ask = pb.AddOrganisationMemberRequest(**of(call), user_id=call.id("user_id"), permissions=permissions)
        return data(USER.json(clients.organisations.AddOrganisationMember(ask).user))

    @made.delete(f"{one}/users/<uuid:user_id>")
    def remove_member(call: Call) -> Answer:
        ask = pb.RemoveOrganisationMemberRequest(**of(call), user_id=call.id("user_id"))
        clients.organisations.RemoveOrganisationMember(ask)
        return nothing()

    _go_live(made, clients)
    return made


def _go_live(made: Routes, clients: InternalClients) -> None:
    """Add the routes that send mail about requests to go live."""

    def of(call: Call) -> dict[str, Any]:
        return {"request_id": new_id(), "service_id": call.id("service_id")}

    @made.post("/organisations/notify-users-of-request-to-go-live/<uuid:service_id>")
    def send_request(call: Call) -> Answer:
        clients.organisations.SendGoLiveRequest(pb.SendGoLiveRequestRequest(**of(call)))
        return nothing()

    @made.post(
        "/organisations/notify-org-member-about-next-steps-of-go-live-request/<uuid:service_id>", NEXT_STEPS
    )
    def send_next_steps(call: Call) -> Answer:
        form = dict(call.form)
        ask = pb.SendGoLiveNextStepsRequest(**of(call), email_address=form.pop("to"), **form)
        clients.organisations.SendGoLiveNextSteps(ask)
        return nothing()

    @made.post("/organisations/notify-service-member-of-rejected-go-live-request/<uuid:service_id>", REFUSAL)
    def send_refusal(call: Call) -> Answer:
        texts: dict[str, Any] = {_REFUSAL[name]: text for name, text in call.form.items()}
        clients.organisations.SendGoLiveRefusal(pb.SendGoLiveRefusalRequest(**of(call), **texts))
        return nothing()


def _pool(made: Routes, clients: InternalClients, name: str, kind: BrandingKind, shape: Shape[Any]) -> None:
    """Add the routes of what an organisation may choose from, which differ in the kind."""
    all_ = f"/organisations/<uuid:organisation_id>/{name}-branding-pool"
    errors = {
        "BRANDING_NOT_IN_POOL": plain(
            f"{name.capitalize()} branding {{branding_id}} not in {{organisation_name}}'s pool", 404
        ),
        "DEFAULT_BRANDING": plain(f"You cannot remove an organisation's default {name} branding"),
    }
    method = f"List{name.capitalize()}Brandings"

    @made.get(all_)
    def list_pool(call: Call) -> Answer:
        ask = getattr(branding_pb, f"{method}Request")(organisation_id=call.id("organisation_id"))
        return data(shape.list(every(getattr(clients.branding, method), ask)))

    @made.post(all_, BRANDINGS)
    def add_to_pool(call: Call) -> Answer:
        where: dict[str, Any] = {"kind": kind, "organisation_id": call.id("organisation_id")}
        clients.branding.AddToBrandingPool(branding_pb.AddToBrandingPoolRequest(**where, **call.form))
        return nothing()

    @made.delete(f"{all_}/<uuid:branding_id>", errors)
    def remove_from_pool(call: Call) -> Answer:
        ask = branding_pb.RemoveFromBrandingPoolRequest(kind=kind, **call.path)
        clients.branding.RemoveFromBrandingPool(ask)
        return nothing()


def sorted_by_name(found: Iterable[Any]) -> list[Any]:
    """Return what has names, active ones first."""
    return sorted(found, key=lambda each: (not each.active, each.name))
