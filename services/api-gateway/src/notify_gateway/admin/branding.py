"""Brandings (internal-api.md A132 to A144)."""

from typing import Any, Final

from notify.admin.v1 import branding_service_pb2 as pb
from notify.admin.v1.branding_pb2 import BrandingKind, EmailBranding, LetterBranding

from notify_gateway.admin.forms import NULLABLE_TEXT, STRING, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, by_field, data, every, new_id, nothing
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import InternalClients

_BRAND_TYPE = {"enum": ["org", "both", "org_banner"]}
_TIMES = {"created_at": "create_time", "updated_at": "update_time"}

EMAIL_BRANDING = Shape(
    EmailBranding,
    "id name brand_type",
    colour=nullable("colour"),
    logo=nullable("logo"),
    text=nullable("text"),
    alt_text=nullable("alt_text"),
    created_by=nullable("created_by_id"),
    **_TIMES,
)
LETTER_BRANDING = Shape(LetterBranding, "id name filename", created_by=nullable("created_by_id"), **_TIMES)
_EMAIL_KEYS: Final[dict[str, Any]] = {
    "name": STRING,
    "brand_type": _BRAND_TYPE,
    **dict.fromkeys(("colour", "logo", "text", "alt_text"), NULLABLE_TEXT),
}
EMAIL_FORM = schema("name", **_EMAIL_KEYS, created_by=NULLABLE_TEXT)
USE = Shape(pb.GetBrandingUsesResponse.Use, "id name")
EMAIL_UPDATE = schema(**_EMAIL_KEYS)
ALT_TEXT = schema("alt_text", alt_text=STRING)
NAME = schema("name", name=STRING)
LETTER_FORM = schema("name filename", name=STRING, filename=STRING)
EMAIL_TAKEN = {"NAME_TAKEN": by_field("name", "An email branding with that name already exists.")}
LETTER_TAKEN = {
    "NAME_TAKEN": by_field("name", "Name already in use"),
    "FILENAME_TAKEN": by_field("filename", "Filename already in use"),
}


def routes(clients: InternalClients, client: ClientAuthenticator) -> Routes:
    """Return the routes."""
    made = Routes("branding", client)

    @made.post("/email-branding", EMAIL_FORM, EMAIL_TAKEN)
    def create_email_branding(call: Call) -> Answer:
        ask = pb.CreateEmailBrandingRequest(
            request_id=new_id(), email_branding=EMAIL_BRANDING.message(call.form)
        )
        return data(EMAIL_BRANDING.json(clients.branding.CreateEmailBranding(ask).email_branding), 201)

    @made.get("/email-branding/<uuid:branding_id>")
    def get_email_branding(call: Call) -> Answer:
        ask = pb.GetEmailBrandingRequest(email_branding_id=call.id("branding_id"))
        found = clients.branding.GetEmailBranding(ask).email_branding
        return bare({"email_branding": EMAIL_BRANDING.json(found)})

    @made.get("/email-branding")
    def list_email_brandings(call: Call) -> Answer:
        found = every(clients.branding.ListEmailBrandings, pb.ListEmailBrandingsRequest())
        return bare({"email_branding": EMAIL_BRANDING.list(found)})

    @made.post("/email-branding/<uuid:branding_id>", EMAIL_UPDATE, EMAIL_TAKEN)
    def set_email_branding(call: Call) -> Answer:
        mask = EMAIL_BRANDING.mask(call.form)
        if not mask.paths:
            asked = pb.GetEmailBrandingRequest(email_branding_id=call.id("branding_id"))
            return data(EMAIL_BRANDING.json(clients.branding.GetEmailBranding(asked).email_branding))
        wanted = EMAIL_BRANDING.message(call.form, id=call.id("branding_id"))
        ask = pb.SetEmailBrandingRequest(email_branding=wanted, update_mask=mask)
        return data(EMAIL_BRANDING.json(clients.branding.SetEmailBranding(ask).email_branding))

    @made.post("/email-branding/<uuid:branding_id>/archive")
    def archive_email_branding(call: Call) -> Answer:
        ask = pb.ArchiveEmailBrandingRequest(email_branding_id=call.id("branding_id"))
        clients.branding.ArchiveEmailBranding(ask)
        return nothing()

    def free_name(kind: BrandingKind, name: str) -> Answer:
        ask = pb.SuggestBrandingNameRequest(kind=kind, name=name)
        return bare({"name": clients.branding.SuggestBrandingName(ask).name})

    @made.post("/email-branding/get-name-for-alt-text", ALT_TEXT)
    def get_name_for_alt_text(call: Call) -> Answer:
        return free_name(BrandingKind.BRANDING_KIND_EMAIL, call.form["alt_text"])

    @made.post("/letter-branding/get-unique-name", NAME)
    def get_unique_name(call: Call) -> Answer:
        return free_name(BrandingKind.BRANDING_KIND_LETTER, call.form["name"])

    def uses(kind: BrandingKind, call: Call) -> Answer:
        ask = pb.GetBrandingUsesRequest(kind=kind, branding_id=call.id("branding_id"))
        found = clients.branding.GetBrandingUses(ask)
        return data({"organisations": USE.list(found.organisations), "services": USE.list(found.services)})

    @made.get("/email-branding/<uuid:branding_id>/orgs_and_services")
    def get_email_branding_uses(call: Call) -> Answer:
        return uses(BrandingKind.BRANDING_KIND_EMAIL, call)

    @made.get("/letter-branding/<uuid:branding_id>/orgs_and_services")
    def get_letter_branding_uses(call: Call) -> Answer:
        return uses(BrandingKind.BRANDING_KIND_LETTER, call)

    @made.get("/letter-branding")
    def list_letter_brandings(call: Call) -> Answer:
        found = every(clients.branding.ListLetterBrandings, pb.ListLetterBrandingsRequest())
        return bare(LETTER_BRANDING.list(found))

    @made.post("/letter-branding/<uuid:branding_id>", LETTER_FORM, LETTER_TAKEN)
    def set_letter_branding(call: Call) -> Answer:
        mask = LETTER_BRANDING.mask(call.form)
        wanted = LETTER_BRANDING.message(call.form, id=call.id("branding_id"))
        ask = pb.SetLetterBrandingRequest(letter_branding=wanted, update_mask=mask)
        return bare(LETTER_BRANDING.json(clients.branding.SetLetterBranding(ask).letter_branding), 201)

    @made.post("/letter-branding", LETTER_FORM, LETTER_TAKEN)
    def create_letter_branding(call: Call) -> Answer:
        ask = pb.CreateLetterBrandingRequest(
            request_id=new_id(), letter_branding=LETTER_BRANDING.message(call.form)
        )
        return bare(LETTER_BRANDING.json(clients.branding.CreateLetterBranding(ask).letter_branding), 201)

    @made.get("/letter-branding/<uuid:branding_id>")
    def get_letter_branding(call: Call) -> Answer:
        ask = pb.GetLetterBrandingRequest(letter_branding_id=call.id("branding_id"))
        return bare(LETTER_BRANDING.json(clients.branding.GetLetterBranding(ask).letter_branding))

    return made
