"""Brandings (internal-api.md A133, A134, A140, A141)."""

from notify.admin.v1 import branding_service_pb2 as pb
from notify.admin.v1.branding_pb2 import EmailBranding, LetterBranding

from notify_gateway.admin.forms import NULLABLE_TEXT, STRING, schema
from notify_gateway.admin.routes import Answer, Call, Routes, bare, by_field, data, new_id
from notify_gateway.admin.shapes import Shape, nullable
from notify_gateway.auth import ClientAuthenticator
from notify_gateway.clients import Clients

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
EMAIL_FORM = schema(
    "name",
    name=STRING,
    brand_type=_BRAND_TYPE,
    colour=NULLABLE_TEXT,
    logo=NULLABLE_TEXT,
    text=NULLABLE_TEXT,
    alt_text=NULLABLE_TEXT,
    created_by=NULLABLE_TEXT,
)
LETTER_FORM = schema("name filename", name=STRING, filename=STRING)
EMAIL_TAKEN = {"NAME_TAKEN": by_field("name", "An email branding with that name already exists.")}
LETTER_TAKEN = {"NAME_TAKEN": by_field("name", "Name already in use")}


def routes(clients: Clients, client: ClientAuthenticator) -> Routes:
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
