"""/v2/template…: reading and previewing templates (public-api.md §3.4 to §3.6)."""

from typing import Final

from flask import Blueprint, Response, request
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.templates_service_pb2 import GetTemplateRequest, ListTemplatesRequest
from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1.notifications_service_pb2 import PreviewTemplateRequest
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid

from notify_gateway.answers import V2, json_response
from notify_gateway.auth import Authenticator
from notify_gateway.clients import Clients
from notify_gateway.errors import READING
from notify_gateway.presenters import templates as presenter
from notify_gateway.public import schemas, v2
from notify_gateway.public.body import parse_json, read
from notify_gateway.public.personalisation import to_fields

_PAGE_SIZE: Final = 250
_LARGEST_VERSION: Final = 2**31 - 1


def blueprint(authenticator: Authenticator, clients: Clients) -> Blueprint:
    """Return the routes that read templates."""
    routes = v2.blueprint("templates", authenticator, clients, V2.but(READING))

    @routes.get("/v2/template/<template_id>")
    def get_template(template_id: str) -> Response:
        return _get(clients, template_id, 0)

    @routes.get("/v2/template/<template_id>/version/<int:version>")
    def get_template_version(template_id: str, version: int) -> Response:
        return _get(clients, template_id, version)

    @routes.post("/v2/template/<template_id>/preview")
    def preview_template(template_id: str) -> Response:
        return _preview(clients, template_id)

    @routes.get("/v2/templates")
    def list_templates() -> Response:
        schemas.LIST_TEMPLATES.check(request.args.to_dict())
        return json_response({"templates": [presenter.template(found) for found in _list(clients)]})

    return routes


def _get(clients: Clients, template_id: str, version: int) -> Response:
    checked = v2.checked_id(schemas.TEMPLATE_ID, "id", template_id)
    if version > _LARGEST_VERSION:
        raise NotifyError("VALUE_IMPOSSIBLE")
    response = clients.templates.GetTemplate(
        GetTemplateRequest(service_id=v2.caller().service.id, template_id=checked, version=version)
    )
    if response.template.hidden:
        raise NotifyError("TEMPLATE_NOT_FOUND")
    return json_response(presenter.template(response.template))


def _preview(clients: Clients, template_id: str) -> Response:
    body = read(request)
    try:
        form = parse_json(body) if body else {}
        # What is no object is worded as such; an object is checked together with the id.
        schemas.PREVIEW_TEMPLATE.check({**form, "id": template_id} if isinstance(form, dict) else form)
        fields = to_fields(form.get("personalisation", {}), sending=False)
    except RecursionError:
        raise NotifyError("JSON_INVALID") from None
    checked = canonical_uuid(template_id)
    response = clients.notifications.PreviewTemplate(
        PreviewTemplateRequest(service_id=v2.caller().service.id, template_id=checked, personalisation=fields)
    )
    return json_response(presenter.preview(response, checked))


def _list(clients: Clients) -> list[Template]:
    """Return all templates of the service: this route of the contract has no pages."""
    wanted = request.args.get("type")
    message = ListTemplatesRequest(
        service_id=v2.caller().service.id,
        channel=schemas.CHANNELS[wanted] if wanted else Channel.CHANNEL_UNSPECIFIED,
        page_size=_PAGE_SIZE,
    )
    found: list[Template] = []
    while True:
        response = clients.templates.ListTemplates(message)
        found.extend(response.templates)
        if not response.next_page_token:
            return found
        message.page_token = response.next_page_token
