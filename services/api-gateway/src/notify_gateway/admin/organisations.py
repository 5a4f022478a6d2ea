"""Organisations (internal-api.md A92 to A101)."""

from typing import Any

from notify.admin.v1 import organisations_service_pb2 as pb
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.services_service_pb2 import GetServiceRequest

from notify_gateway.admin import forms
from notify_gateway.admin.forms import BOOLEAN, STRING, UUID, fields, nullable, schema, words
from notify_gateway.admin.routes import Answer, Call, Routes, bare, data, every, new_id, nothing, plain
from notify_gateway.admin.shapes import Shape, always
from notify_gateway.admin.shapes import nullable as or_null
from notify_gateway.admin.users import MEMBER, USER
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients

ORGANISATION = Shape(
    Organisation,
    "id name active crown domains",
    organisation_type=or_null("organisation_type"),
    email_branding_id=or_null("email_branding_id"),
    letter_branding_id=or_null("letter_branding_id"),
    permissions=always(["can_ask_to_join_a_service"]),
    count_of_live_services="live_service_count",
    can_approve_own_go_live_requests=always(False),
    **{
        name: always(None)
        for name in words(
            "agreement_signed agreement_signed_at agreement_signed_by_id agreement_signed_version "
            "agreement_signed_on_behalf_of_name agreement_signed_on_behalf_of_email_address "
            "request_to_go_live_notes notes purchase_order_number billing_contact_names "
            "billing_contact_email_addresses billing_reference"
        )
    },
)
LISTED = Shape(
    Organisation,
    "id name active domains",
    organisation_type=or_null("organisation_type"),
    count_of_live_services="live_service_count",
)
CREATE = schema("name crown organisation_type", name=STRING, crown=BOOLEAN, organisation_type=STRING)
UPDATE = fields(
    name=forms.string,
    crown=nullable(forms.boolean),
    organisation_type=nullable(forms.string),
    domains=forms.list_of(forms.string),
    email_branding_id=nullable(forms.uuid),
    letter_branding_id=nullable(forms.uuid),
)
SERVICE = schema("service_id", service_id=UUID)
TAKEN = {"NAME_TAKEN": plain("Organisation name already exists")}


def routes(clients: Clients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("organisations", client, TAKEN)
    one = "/organisations/<uuid:organisation_id>"

    def of(call: Call) -> dict[str, Any]:
        return {"organisation_id": call.id("organisation_id")}

    @made.get("/organisations")
    def list_organisations(call: Call) -> Answer:
        found = every(clients.organisations.ListOrganisations, pb.ListOrganisationsRequest())
        return bare(LISTED.list(sorted(found, key=lambda each: (not each.active, each.name))))

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
        organisation = ORGANISATION.message(call.form, id=call.id("organisation_id"))
        mask = ORGANISATION.mask(call.form)
        if mask.paths:
            ask = pb.SetOrganisationRequest(organisation=organisation, update_mask=mask)
            clients.organisations.SetOrganisation(ask)
        return nothing()

    @made.get("/service/<uuid:service_id>/organisation")
    def get_of_service(call: Call) -> Answer:
        service = clients.services.GetService(GetServiceRequest(service_id=call.id("service_id"))).service
        if not service.organisation_id:
            return bare({})
        ask = pb.GetOrganisationRequest(organisation_id=service.organisation_id)
        return bare(ORGANISATION.json(clients.organisations.GetOrganisation(ask).organisation))

    @made.post(f"{one}/service", SERVICE)
    def add_service(call: Call) -> Answer:
        clients.organisations.AddService(pb.AddServiceRequest(**of(call), **call.form))
        return nothing()

    @made.post(f"{one}/users/<uuid:user_id>", MEMBER)
    def add_member(call: Call) -> Answer:
        permissions = [item["permission"] for item in call.form["permissions"]]
        ask = pb.AddOrganisationMemberRequest(**of(call), user_id=call.id("user_id"), permissions=permissions)
        return data(USER.json(clients.organisations.AddOrganisationMember(ask).user))

    return made
