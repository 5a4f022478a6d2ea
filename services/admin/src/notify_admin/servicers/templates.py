"""TemplatesService."""

import grpc
from notify.admin.v1 import template_pb2
from notify.admin.v1 import templates_service_pb2 as pb
from notify.admin.v1.templates_service_pb2_grpc import TemplatesServiceServicer as Base
from notify.common.v1 import common_pb2
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.masks import check_mask
from notify_common.rpc.paging import Pager
from notify_common.rpc.validate import Checker, validating

from notify_admin.domain.templates import VersionKey, Wording
from notify_admin.servicers import convert
from notify_admin.usecases import templates

SERVICE = pb.DESCRIPTOR.services_by_name["TemplatesService"].full_name
_MAX_VERSION = 2**31 - 1


class TemplatesServicer(Base):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def CreateTemplate(
        self, request: pb.CreateTemplateRequest, context: grpc.ServicerContext
    ) -> pb.CreateTemplateResponse:
        """At version 1."""
        given = request.template
        with validating() as check:
            template_id = check.uuid("request_id", request.request_id)
            service_id = check.uuid("template.service_id", given.service_id)
            channel = check.enum("template.channel", common_pb2.Channel, given.channel)
            created_by_id = check.uuid("template.created_by_id", given.created_by_id)
            wording = _wording(check, given)
        created = templates.create_template(
            self._uow, template_id, service_id, channel, wording, created_by_id
        )
        return pb.CreateTemplateResponse(template=convert.template(created))

    def GetTemplate(
        self, request: pb.GetTemplateRequest, context: grpc.ServicerContext
    ) -> pb.GetTemplateResponse:
        """At any version."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            template_id = check.uuid("template_id", request.template_id)
            version = check.number("version", request.version, 0, _MAX_VERSION)
        found = templates.get_template(self._uow, VersionKey(service_id, template_id, version))
        return pb.GetTemplateResponse(template=convert.template(found))

    def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: grpc.ServicerContext
    ) -> pb.ListTemplatesResponse:
        """By name, then channel."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            channel = check.optional_enum("channel", common_pb2.Channel, request.channel)
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": "templates", "service_id": request.service_id, "channel": channel},
            lambda position, limit: templates.list_templates(self._uow, service_id, channel, position, limit),
            lambda template: (template.name, template.channel, template.id),
            convert.template,
        )
        return pb.ListTemplatesResponse(templates=found, next_page_token=token)

    def UpdateTemplate(
        self, request: pb.UpdateTemplateRequest, context: grpc.ServicerContext
    ) -> pb.UpdateTemplateResponse:
        """Masked, under an optimistic lock."""
        changed = check_mask(request.update_mask, Wording.__slots__)
        given = request.template
        with validating() as check:
            service_id = check.uuid("template.service_id", given.service_id)
            template_id = check.uuid("template.id", given.id)
            version = check.number("template.version", given.version, 1, _MAX_VERSION)
            updated_by_id = check.uuid("updated_by_id", request.updated_by_id)
            wording = _wording(check, given)
        updated = templates.update_template(
            self._uow, service_id, template_id, version, wording, changed, updated_by_id
        )
        return pb.UpdateTemplateResponse(template=convert.template(updated))

    def ArchiveTemplate(
        self, request: pb.ArchiveTemplateRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveTemplateResponse:
        """For good."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            template_id = check.uuid("template_id", request.template_id)
            archived_by_id = check.uuid("archived_by_id", request.archived_by_id)
        archived = templates.archive_template(self._uow, service_id, template_id, archived_by_id)
        return pb.ArchiveTemplateResponse(template=convert.template(archived))

    def ListTemplateVersions(
        self, request: pb.ListTemplateVersionsRequest, context: grpc.ServicerContext
    ) -> pb.ListTemplateVersionsResponse:
        """Newest first."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            template_id = check.uuid("template_id", request.template_id)
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {
                "list": "template versions",
                "service_id": request.service_id,
                "template_id": request.template_id,
            },
            lambda position, limit: templates.list_template_versions(
                self._uow, service_id, template_id, position, limit
            ),
            lambda template: (template.version,),
            convert.template,
        )
        return pb.ListTemplateVersionsResponse(templates=found, next_page_token=token)


def _wording(check: Checker, given: template_pb2.Template) -> Wording:
    return Wording(
        name=check.text("template.name", given.name),
        subject=check.text("template.subject", given.subject),
        content=check.text("template.content", given.content),
        postage=check.optional_enum("template.postage", common_pb2.Postage, given.postage),
        letter_contact_id=check.optional_uuid("template.letter_contact_id", given.letter_contact_id),
        has_unsubscribe_link=given.has_unsubscribe_link,
        welsh_subject=check.text("template.welsh_subject", given.welsh_subject),
        welsh_content=check.text("template.welsh_content", given.welsh_content),
    )
