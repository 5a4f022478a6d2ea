"""ServicesService."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from notify.admin.v1 import service_pb2
from notify.admin.v1 import services_service_pb2 as pb
from notify.admin.v1.services_service_pb2_grpc import ServicesServiceServicer as Base
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.masks import check_mask
from notify_common.rpc.paging import Pager
from notify_common.rpc.validate import Checker, validating

from notify_admin.domain import services as rules
from notify_admin.domain.senders import Sender, SenderKind
from notify_admin.domain.services import ServiceFields
from notify_admin.servicers import convert
from notify_admin.usecases import senders, services

M = TypeVar("M", bound=Message)
ListSendersRequest = pb.ListSmsSendersRequest | pb.ListReplyToAddressesRequest | pb.ListLetterContactsRequest

SERVICE = pb.DESCRIPTOR.services_by_name["ServicesService"].full_name

_LIMITS = [field.name for field in service_pb2.ServiceLimits.DESCRIPTOR.fields]
_GUESTS = ["guest_email_addresses", "guest_phone_numbers"]
# path of a mask -> fields that it names
_CHANGEABLE = {
    "name": ["name"],
    "restricted": ["restricted"],
    "permissions": ["permissions"],
    "prefix_sms": ["prefix_sms"],
    "email_sender_local_part": ["email_sender_local_part"],
    "custom_email_sender_name": ["custom_email_sender_name"],
    "limits": _LIMITS,
    **{f"limits.{name}": [name] for name in _LIMITS},
    "guest_list": _GUESTS,
    **{f"guest_list.{name.removeprefix('guest_')}": [name] for name in _GUESTS},
}


class ServicesServicer(Base):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager, default_sms_sender: str) -> None:
        self._uow = uow
        self._pager = pager
        self._default_sms_sender = default_sms_sender

    def CreateService(
        self, request: pb.CreateServiceRequest, context: grpc.ServicerContext
    ) -> pb.CreateServiceResponse:
        """Absent limits and permissions get their defaults."""
        given = request.service
        with validating() as check:
            service_id = check.uuid("request_id", request.request_id)
            fields = _fields(check, given, names=True)
        limits = rules.default_limits(given.restricted) | {
            name: getattr(given.limits, name) for name in _LIMITS[1:] if given.limits.HasField(name)
        }
        limits["rate_limit_per_minute"] = (
            given.limits.rate_limit_per_minute or rules.DEFAULT_RATE_LIMIT_PER_MINUTE
        )
        permissions = fields.permissions or rules.DEFAULT_PERMISSIONS
        created = services.create_service(
            self._uow,
            service_id,
            replace(fields, permissions=permissions, **limits),
            request.default_sms_sender or self._default_sms_sender,
        )
        return pb.CreateServiceResponse(service=convert.service(created))

    def GetService(
        self, request: pb.GetServiceRequest, context: grpc.ServicerContext
    ) -> pb.GetServiceResponse:
        """Archived ones too."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        return pb.GetServiceResponse(service=convert.service(services.get_service(self._uow, service_id)))

    def ListServices(
        self, request: pb.ListServicesRequest, context: grpc.ServicerContext
    ) -> pb.ListServicesResponse:
        """Oldest first."""
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": "services"},
            lambda position, limit: services.list_services(self._uow, position, limit),
            lambda service: (service.create_time, service.id),
            convert.service,
        )
        return pb.ListServicesResponse(services=found, next_page_token=token)

    def UpdateService(
        self, request: pb.UpdateServiceRequest, context: grpc.ServicerContext
    ) -> pb.UpdateServiceResponse:
        """Masked, under an optimistic lock."""
        paths = check_mask(request.update_mask, _CHANGEABLE)
        given = request.service
        with validating() as check:
            service_id = check.uuid("service.id", given.id)
            version = check.number("service.version", given.version, 1, 2**31 - 1)
            fields = _fields(check, given, names="name" in paths)
        changed = {field for path in paths for field in _CHANGEABLE[path]}
        updated = services.update_service(self._uow, service_id, version, fields, changed)
        return pb.UpdateServiceResponse(service=convert.service(updated))

    def ArchiveService(
        self, request: pb.ArchiveServiceRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveServiceResponse:
        """For good."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        archived = services.archive_service(self._uow, service_id)
        return pb.ArchiveServiceResponse(service=convert.service(archived))

    def CreateSmsSender(
        self, request: pb.CreateSmsSenderRequest, context: grpc.ServicerContext
    ) -> pb.CreateSmsSenderResponse:
        """A new default takes the place of the old."""
        given = request.sms_sender
        made = self._create(
            SenderKind.SMS, request.request_id, given.service_id, "sender", given.sender, given.is_default
        )
        return pb.CreateSmsSenderResponse(sms_sender=convert.sms_sender(made))

    def ListSmsSenders(
        self, request: pb.ListSmsSendersRequest, context: grpc.ServicerContext
    ) -> pb.ListSmsSendersResponse:
        """The default first."""
        found, token = self._list(SenderKind.SMS, request, convert.sms_sender)
        return pb.ListSmsSendersResponse(sms_senders=found, next_page_token=token)

    def ArchiveSmsSender(
        self, request: pb.ArchiveSmsSenderRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveSmsSenderResponse:
        """Not the default."""
        archived = self._archive(SenderKind.SMS, request.service_id, request.sms_sender_id)
        return pb.ArchiveSmsSenderResponse(sms_sender=convert.sms_sender(archived))

    def CreateReplyToAddress(
        self, request: pb.CreateReplyToAddressRequest, context: grpc.ServicerContext
    ) -> pb.CreateReplyToAddressResponse:
        """The first one becomes the default."""
        given = request.reply_to_address
        made = self._create(
            SenderKind.REPLY_TO,
            request.request_id,
            given.service_id,
            "email_address",
            given.email_address,
            given.is_default,
        )
        return pb.CreateReplyToAddressResponse(reply_to_address=convert.reply_to_address(made))

    def ListReplyToAddresses(
        self, request: pb.ListReplyToAddressesRequest, context: grpc.ServicerContext
    ) -> pb.ListReplyToAddressesResponse:
        """The default first."""
        found, token = self._list(SenderKind.REPLY_TO, request, convert.reply_to_address)
        return pb.ListReplyToAddressesResponse(reply_to_addresses=found, next_page_token=token)

    def ArchiveReplyToAddress(
        self, request: pb.ArchiveReplyToAddressRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveReplyToAddressResponse:
        """Not the default while there are others."""
        archived = self._archive(SenderKind.REPLY_TO, request.service_id, request.reply_to_address_id)
        return pb.ArchiveReplyToAddressResponse(reply_to_address=convert.reply_to_address(archived))

    def CreateLetterContact(
        self, request: pb.CreateLetterContactRequest, context: grpc.ServicerContext
    ) -> pb.CreateLetterContactResponse:
        """A new default takes the place of the old."""
        given = request.letter_contact
        made = self._create(
            SenderKind.LETTER_CONTACT,
            request.request_id,
            given.service_id,
            "contact_block",
            given.contact_block,
            given.is_default,
        )
        return pb.CreateLetterContactResponse(letter_contact=convert.letter_contact(made))

    def ListLetterContacts(
        self, request: pb.ListLetterContactsRequest, context: grpc.ServicerContext
    ) -> pb.ListLetterContactsResponse:
        """The default first."""
        found, token = self._list(SenderKind.LETTER_CONTACT, request, convert.letter_contact)
        return pb.ListLetterContactsResponse(letter_contacts=found, next_page_token=token)

    def ArchiveLetterContact(
        self, request: pb.ArchiveLetterContactRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveLetterContactResponse:
        """The default too."""
        archived = self._archive(SenderKind.LETTER_CONTACT, request.service_id, request.letter_contact_id)
        return pb.ArchiveLetterContactResponse(letter_contact=convert.letter_contact(archived))

    def _create(
        self, kind: SenderKind, request_id: str, service_id: str, field: str, value: str, is_default: bool
    ) -> Sender:
        with validating() as check:
            sender_uuid = check.uuid("request_id", request_id)
            service_uuid = check.uuid(f"{kind.value}.service_id", service_id)
            check.required(f"{kind.value}.{field}", value, convert.MAX_TEXT)
        return senders.create_sender(self._uow, kind, sender_uuid, service_uuid, value, is_default)

    def _list(
        self, kind: SenderKind, request: ListSendersRequest, to_message: Callable[[Sender], M]
    ) -> tuple[list[M], str]:
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        return convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": kind.value, "service_id": request.service_id},
            lambda position, limit: senders.list_senders(self._uow, kind, service_id, position, limit),
            lambda sender: (sender.is_default, sender.create_time, sender.id),
            to_message,
        )

    def _archive(self, kind: SenderKind, service_id: str, sender_id: str) -> Sender:
        with validating() as check:
            service_uuid = check.uuid("service_id", service_id)
            sender_uuid = check.uuid(f"{kind.value}_id", sender_id)
        return senders.archive_sender(self._uow, kind, service_uuid, sender_uuid)


def _fields(check: Checker, given: service_pb2.Service, *, names: bool) -> ServiceFields:
    """The fields of a service; its name must be there if the request `names` it."""
    return ServiceFields(
        name=(check.required if names else check.text)("service.name", given.name),
        restricted=given.restricted,
        permissions=tuple(given.permissions),
        **{name: getattr(given.limits, name) for name in _LIMITS},
        prefix_sms=given.prefix_sms,
        email_sender_local_part=check.text("service.email_sender_local_part", given.email_sender_local_part),
        custom_email_sender_name=check.text(
            "service.custom_email_sender_name", given.custom_email_sender_name
        ),
        guest_email_addresses=tuple(given.guest_list.email_addresses),
        guest_phone_numbers=tuple(given.guest_list.phone_numbers),
    )
