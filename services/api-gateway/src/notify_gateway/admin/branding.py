"""Brandings (internal-api.md A132 to A144)."""

from typing import Any, Final

from notify.admin.v1 import branding_service_pb2 as pb
from notify.admin.v1.branding_pb2 import BrandingKind, EmailBranding, LetterBranding

from notify_gateway.admin.forms import NULLABLE_TEXT, STRING, schema
from notify_gateway.admin.routes import Routes, bare, by_field, under
from notify_gateway.admin.shapes import Shape, each, nullable
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
_USE = Shape(pb.GetBrandingUsesResponse.Use, "id name")
USES = Shape(
    pb.GetBrandingUsesResponse, organisations=each("organisations", _USE), services=each("services", _USE)
)
FREE_NAME = Shape(pb.SuggestBrandingNameResponse, "name")
EMAIL_UPDATE = schema(**_EMAIL_KEYS)
ALT_TEXT = schema("alt_text", alt_text=STRING)
NAME = schema("name", name=STRING)
LETTER_FORM = schema("name filename", name=STRING, filename=STRING)
EMAIL_TAKEN = {"NAME_TAKEN": by_field("name", "An email branding with that name already exists.")}
LETTER_TAKEN = {
    "NAME_TAKEN": by_field("name", "Name already in use"),
    "FILENAME_TAKEN": by_field("filename", "Filename already in use"),
}


def routes(clients: InternalClients) -> Routes:
    """Return the routes."""
    made = Routes("branding", clients)
    email, letter = BrandingKind.BRANDING_KIND_EMAIL, BrandingKind.BRANDING_KIND_LETTER
    emails, letters = "/email-branding", "/letter-branding"
    an_email, a_letter = f"{emails}/<uuid:email_branding_id>", f"{letters}/<uuid:letter_branding_id>"
    shown = EMAIL_BRANDING, under("email_branding")
    wanted: dict[str, Any] = {"form": EMAIL_FORM, "errors": EMAIL_TAKEN}
    made.call("GET", emails, pb.ListEmailBrandingsRequest, *shown)
    made.call("GET", an_email, pb.GetEmailBrandingRequest, *shown)
    made.call("POST", emails, pb.CreateEmailBrandingRequest, EMAIL_BRANDING, **wanted)
    wanted["form"] = EMAIL_UPDATE
    made.call("POST", an_email, pb.SetEmailBrandingRequest, EMAIL_BRANDING, **wanted)
    made.call("POST", f"{an_email}/archive", pb.ArchiveEmailBrandingRequest)
    wanted = {"form": LETTER_FORM, "errors": LETTER_TAKEN}
    made.call("GET", letters, pb.ListLetterBrandingsRequest, LETTER_BRANDING, bare)
    made.call("GET", a_letter, pb.GetLetterBrandingRequest, LETTER_BRANDING, bare)
    made.call("POST", letters, pb.CreateLetterBrandingRequest, LETTER_BRANDING, bare, **wanted)
    made.call("POST", a_letter, pb.SetLetterBrandingRequest, LETTER_BRANDING, bare, status=201, **wanted)
    for prefix, kind, path, form in (
        (emails, email, "get-name-for-alt-text", ALT_TEXT),
        (letters, letter, "get-unique-name", NAME),
    ):
        uses = f"{prefix}/<uuid:branding_id>/orgs_and_services"
        made.call("GET", uses, pb.GetBrandingUsesRequest, USES, kind=kind)
        free: dict[str, Any] = {"form": form, "names": {"alt_text": "name"}, "kind": kind}
        made.call("POST", f"{prefix}/{path}", pb.SuggestBrandingNameRequest, FREE_NAME, bare, **free)

    return made
