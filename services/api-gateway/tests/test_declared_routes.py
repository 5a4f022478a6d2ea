"""Routes that are declared: what does not fit is told when the module is imported (docs/adr/0011)."""

from typing import Any

import pytest
from notify.admin.v1 import branding_service_pb2 as pb
from notify.admin.v1.branding_pb2 import EmailBranding
from notify.admin.v1.service_pb2 import Service
from notify.providers.v1.receipts_service_pb2 import RecordReceiptRequest
from notify_gateway.admin.forms import STRING, schema
from notify_gateway.admin.routes import Routes
from notify_gateway.admin.shapes import Shape
from notify_gateway.clients import InternalClients, method_of
from notify_gateway.settings import Face, GatewaySettings
from notify_testing.rpc import tls_files

EMAIL_BRANDING = Shape(EmailBranding, "id name")
ONE = "/email-branding/<uuid:email_branding_id>"
NAME = schema("name", name=STRING)


@pytest.mark.parametrize(
    ("rule", "request_type", "shape", "options", "told"),
    [
        ("/x/<uuid:elsewhere_id>", pb.GetEmailBrandingRequest, EMAIL_BRANDING, {}, "elsewhere_id"),
        (ONE, pb.SetEmailBrandingRequest, EMAIL_BRANDING, {"form": schema(colour=STRING)}, "colour"),
        (ONE, pb.ArchiveEmailBrandingRequest, None, {"form": NAME}, "name"),
        (ONE, pb.ArchiveEmailBrandingRequest, None, {"form": NAME, "names": {"name": "nowhere"}}, "nowhere"),
        (ONE, pb.GetEmailBrandingRequest, Shape(Service, "id"), {}, "GetEmailBranding"),
    ],
)
def test_what_fits_nowhere_is_told_when_it_is_declared(
    rule: str, request_type: Any, shape: Any, options: dict[str, Any], told: str
) -> None:
    nobody: Any = object()
    made = Routes("test", nobody)
    with pytest.raises(TypeError, match=told):
        made.call("POST", rule, request_type, shape, **options)
    made.call("POST", ONE, pb.SetEmailBrandingRequest, EMAIL_BRANDING, form=NAME)


def test_a_method_is_found_by_its_request() -> None:
    assert method_of(pb.GetEmailBrandingRequest.DESCRIPTOR.full_name).name == "GetEmailBranding"
    with pytest.raises(LookupError):
        method_of(EmailBranding.DESCRIPTOR.full_name)


def test_requests_of_services_that_a_face_does_not_call_are_refused() -> None:
    targets = {
        f"{name}_target": "unix:/nowhere" for name in ("admin", "notifications", "letters", "providers")
    }
    settings = {"face": Face.INTERNAL, **tls_files(Face.INTERNAL.service), **targets}
    clients = InternalClients(GatewaySettings.model_validate({**settings, "admin_client_secrets": "s" * 32}))
    with pytest.raises(LookupError, match="ReceiptsService"):
        clients.ask(RecordReceiptRequest())
