"""The admin service as it is, in the test's process: what its callers are tested against.

Only whoever imports this module needs the distribution notify-admin.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import grpc
import sqlalchemy as sa
from cryptography.fernet import Fernet
from google.protobuf.field_mask_pb2 import FieldMask
from notify.admin.v1 import (
    api_keys_service_pb2,
    api_keys_service_pb2_grpc,
    branding_service_pb2,
    branding_service_pb2_grpc,
    service_settings_service_pb2,
    service_settings_service_pb2_grpc,
    services_service_pb2,
    services_service_pb2_grpc,
    template_files_service_pb2,
    template_files_service_pb2_grpc,
    templates_service_pb2,
    templates_service_pb2_grpc,
    users_service_pb2,
    users_service_pb2_grpc,
)
from notify.admin.v1.api_key_pb2 import ApiKey, VerificationKey
from notify.admin.v1.branding_pb2 import LetterBranding
from notify.admin.v1.letter_attachment_pb2 import LetterAttachment
from notify.admin.v1.service_pb2 import LetterContact, ReplyToAddress, Service, ServiceLimits
from notify.admin.v1.service_setting_pb2 import Callback, DataRetention
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.user_pb2 import User
from notify_admin import bootstrap
from notify_admin.settings import Settings
from notify_common.callers import OPERATOR
from notify_common.enums import CallbackType, Channel, KeyType
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_USER_ID, new_id
from notify_common.rpc.enums import to_proto
from notify_common.rpc.interceptors.client import ClientChannel
from notify_common.rpc.server import Registration
from notify_common.rpc.tls import caller_names
from pydantic import SecretStr

from notify_testing.rpc import InProcessServer, certificates

MEMBER_EMAIL_ADDRESS = "Member@example.gov.uk"
MEMBER_MOBILE_NUMBER = "07700 900123"
DEFAULT_SMS_SENDER = "TESTGOV"
BEARER_TOKEN = "a-bearer-token"  # noqa: S105 - of services that are made up
_LIMITS = {
    "rate_limit_per_minute": 3000,
    "sms_per_day": 1000,
    "email_per_day": 1000,
    "letter_per_day": 1000,
    "international_sms_per_day": 100,
}


class AdminService:
    """Serves admin's gRPC services, with its allow-lists, while the `with` block runs.

        with AdminService(fresh_database("notify_admin")) as admin:
            service = admin.add_service(restricted=True)

    What a test adds or changes goes through the gRPC methods, as the operator. One user owns and makes
    everything; its addresses are MEMBER_EMAIL_ADDRESS and MEMBER_MOBILE_NUMBER.
    """

    before_call: Callable[[str, Any], None]
    """Called with the method's name and the request before each call of a neighbour, not of the operator.

    It may keep or change the request, wait, or raise the NotifyError that the neighbour shall get.
    """

    away: bool
    """Whether neighbours are told that it can't be reached."""

    def __init__(self, database_url: str, encryption_keys: str = "") -> None:
        """Take the URL of a database with the schema of `notify_admin`; without keys one is made."""
        files = certificates()["admin"]
        self._settings = Settings(
            database_url=SecretStr(database_url),
            page_token_secret=SecretStr("a-page-token-secret-for-tests-only"),
            api_key_encryption_keys=SecretStr(encryption_keys or Fernet.generate_key().decode()),
            tls_ca_file=files.ca,
            tls_cert_file=files.cert,
            tls_key_file=files.key,
        )
        self.before_call = lambda method, request: None
        self.away = False
        self.uow = bootstrap.parts(self._settings).uow
        self._server = InProcessServer(
            "admin",
            map(self._watched, bootstrap.registrations(self._settings, self.uow)),
            allowed_callers=self._settings.allowed_callers,
        )
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server.__enter__()
        channel = self._server.channel(OPERATOR)
        self._services = services_service_pb2_grpc.ServicesServiceStub(channel)
        self._templates = templates_service_pb2_grpc.TemplatesServiceStub(channel)
        self._files = template_files_service_pb2_grpc.TemplateFilesServiceStub(channel)
        self._brandings = branding_service_pb2_grpc.BrandingServiceStub(channel)
        self._keys = api_keys_service_pb2_grpc.ApiKeysServiceStub(channel)
        self._users = users_service_pb2_grpc.UsersServiceStub(channel)
        self._settings_of_services = service_settings_service_pb2_grpc.ServiceSettingsServiceStub(channel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)
        self.uow.engine.dispose()

    @property
    def target(self) -> str:
        """Where the services are."""
        return self._server.target

    def channel(self, caller: str) -> ClientChannel:
        """Return a channel of `caller` to the services."""
        return self._server.channel(caller)

    @cached_property
    def user_id(self) -> str:
        """Who owns and makes everything."""
        user = User(name="Ann Member", email_address=MEMBER_EMAIL_ADDRESS, mobile_number=MEMBER_MOBILE_NUMBER)
        request = users_service_pb2.CreateUserRequest(request_id=new_id(), user=user)
        self._users.CreateUser(request)
        return request.request_id

    @cached_property
    def platform_user_id(self) -> str:
        """The user that makes what no person makes; it is there once a test has asked for it."""
        user = User(name="Platform", email_address="platform@example.gov.uk", mobile_number="07700900001")
        self._users.CreateUser(users_service_pb2.CreateUserRequest(request_id=PLATFORM_USER_ID, user=user))
        return PLATFORM_USER_ID

    def precompiled_template(self, service_id: str) -> Template:
        """The hidden template of a service's ready-made letters."""
        _ = self.platform_user_id
        ask = templates_service_pb2.EnsurePrecompiledTemplateRequest(service_id=service_id)
        answer: templates_service_pb2.EnsurePrecompiledTemplateResponse = (
            self._templates.EnsurePrecompiledTemplate(ask)
        )
        return answer.template

    def add_service(
        self,
        *,
        id: str = "",
        permissions: Iterable[str] | None = None,
        limits: dict[str, int] | None = None,
        **fields: Any,
    ) -> str:
        """Add a service with the default permissions and room for 1,000 messages a day, and return its id.

        Its name, where none is given, is its own. Unlike in a request, empty `permissions` are none.
        """
        service = Service(limits=ServiceLimits(**_LIMITS | (limits or {})), **fields)
        service.name = service.name or f"Pigeons {next(self._numbers)}"
        request = services_service_pb2.CreateServiceRequest(
            request_id=id or new_id(),
            service=service,
            default_sms_sender=DEFAULT_SMS_SENDER,
            owner_id=self.user_id,
        )
        self._services.CreateService(request)
        if permissions is not None:
            self.change_service(request.request_id, permissions=permissions)
        return request.request_id

    def change_service(self, service_id: str, **fields: Any) -> None:
        """Set fields of a service."""
        request = services_service_pb2.UpdateServiceRequest(
            service=Service(id=service_id, **fields), update_mask=FieldMask(paths=list(fields))
        )
        self._services.UpdateService(request)

    def set_retention(self, service_id: str, channel: Channel, days: int) -> None:
        """Set for how many days a channel's messages are kept."""
        kept = DataRetention(service_id=service_id, channel=to_proto(channel), days=days)
        self._settings_of_services.CreateDataRetention(
            service_settings_service_pb2.CreateDataRetentionRequest(request_id=new_id(), data_retention=kept)
        )

    def add_callback(
        self, service_id: str, type: str = CallbackType.DELIVERY_STATUS, url: str = "", token: str = ""
    ) -> str:
        """Add what a service is told of over HTTP, and return its id."""
        callback = Callback(
            service_id=service_id,
            type=type,
            url=url or "https://service.example.gov.uk/callbacks",
            updated_by_id=self.user_id,
        )
        request = service_settings_service_pb2.CreateCallbackRequest(
            request_id=new_id(), callback=callback, bearer_token=token or BEARER_TOKEN
        )
        self._settings_of_services.CreateCallback(request)
        return request.request_id

    def change_callback(
        self, service_id: str, callback_id: str, type: str, url: str = "", token: str = ""
    ) -> None:
        """Set URL or token of a callback; what is empty stays."""
        callback = Callback(
            id=callback_id, service_id=service_id, type=type, url=url, updated_by_id=self.user_id
        )
        self._settings_of_services.SetCallback(
            service_settings_service_pb2.SetCallbackRequest(callback=callback, bearer_token=token)
        )

    def rotate_callback_secret(self, service_id: str, callback_id: str, type: str) -> str:
        """Make a new secret that calls are signed with, and return it."""
        request = service_settings_service_pb2.RotateCallbackSecretRequest(
            request_id=new_id(),
            service_id=service_id,
            callback_id=callback_id,
            type=type,
            updated_by_id=self.user_id,
        )
        return str(self._settings_of_services.RotateCallbackSecret(request).signing_secret)

    def delete_callback(self, service_id: str, callback_id: str, type: str) -> None:
        """Take a callback away."""
        self._settings_of_services.DeleteCallback(
            service_settings_service_pb2.DeleteCallbackRequest(
                service_id=service_id, callback_id=callback_id, type=type
            )
        )

    def archive_service(self, service_id: str) -> None:
        """Archive a service with what belongs to it."""
        self._services.ArchiveService(services_service_pb2.ArchiveServiceRequest(service_id=service_id))

    def add_reply_to_address(self, service_id: str, email_address: str) -> str:
        """Add the address that answers go to, and return its id."""
        address = ReplyToAddress(service_id=service_id, email_address=email_address, is_default=True)
        request = services_service_pb2.CreateReplyToAddressRequest(
            request_id=new_id(), reply_to_address=address
        )
        self._services.CreateReplyToAddress(request)
        return request.request_id

    def add_letter_contact(self, service_id: str, contact_block: str) -> str:
        """Add a block of lines that letters begin with, and return its id."""
        contact = LetterContact(service_id=service_id, contact_block=contact_block)
        request = services_service_pb2.CreateLetterContactRequest(request_id=new_id(), letter_contact=contact)
        self._services.CreateLetterContact(request)
        return request.request_id

    def add_key(self, service_id: str, key_type: str = KeyType.NORMAL) -> VerificationKey:
        """Add a key of a name of its own."""
        key = ApiKey(
            service_id=service_id,
            name=f"Key {next(self._numbers)}",
            key_type=to_proto(KeyType(key_type)),
            created_by_id=self.user_id,
        )
        request = api_keys_service_pb2.CreateApiKeyRequest(request_id=new_id(), api_key=key)
        made = self._keys.CreateApiKey(request)
        return VerificationKey(api_key_id=made.api_key.id, key_type=key.key_type, secret=made.secret)

    def revoke_key(self, service_id: str, key: VerificationKey) -> None:
        """Revoke a key."""
        self._keys.RevokeApiKey(
            api_keys_service_pb2.RevokeApiKeyRequest(service_id=service_id, api_key_id=key.api_key_id)
        )

    def add_template(
        self, service_id: str, channel: str, content: str, subject: str = "", *, id: str = "", **fields: Any
    ) -> str:
        """Add a template and return its id; where its channel has subjects and none is given, it is "s"."""
        values = {"name": "A template", "created_by_id": self.user_id} | fields
        template = Template(
            service_id=service_id,
            channel=to_proto(Channel(channel)),
            content=content,
            subject=subject or ("" if channel == Channel.SMS else "s"),
            **values,
        )
        request = templates_service_pb2.CreateTemplateRequest(request_id=id or new_id(), template=template)
        self._templates.CreateTemplate(request)
        return request.request_id

    def attach(self, template_id: str, page_count: int = 1) -> str:
        """Attach a PDF to a letter template, and return its id; where the PDF is, is the caller's."""
        attachment = LetterAttachment(
            template_id=template_id,
            original_filename="attached.pdf",
            page_count=page_count,
            created_by_id=self.user_id,
        )
        request = template_files_service_pb2.CreateLetterAttachmentRequest(
            request_id=new_id(), letter_attachment=attachment
        )
        self._files.CreateLetterAttachment(request)
        return request.request_id

    def add_template_file(
        self, service_id: str, template_id: str, filename: str, *, live: bool = True, **fields: Any
    ) -> str:
        """Add a file that emails of a template link to, and return its id; where its content is, is the
        caller's.
        """
        values = {"retention_weeks": 26, "validates_email_address": True} | fields
        file = TemplateEmailFile(
            id=new_id(),
            service_id=service_id,
            template_id=template_id,
            filename=filename,
            created_by_id=self.user_id,
            **values,
        )
        self._files.CreateTemplateEmailFile(
            template_files_service_pb2.CreateTemplateEmailFileRequest(
                request_id=file.id, template_email_file=file
            )
        )
        if live:
            self.set_template_file(file)
        return file.id

    def set_template_file(self, file: TemplateEmailFile) -> None:
        """Set everything of a file of a template, and make it live."""
        self._files.SetTemplateEmailFile(
            template_files_service_pb2.SetTemplateEmailFileRequest(template_email_file=file)
        )

    def archive_template_file(self, service_id: str, template_id: str, file_id: str) -> None:
        """Take a file of a template out of use."""
        self._files.ArchiveTemplateEmailFile(
            template_files_service_pb2.ArchiveTemplateEmailFileRequest(
                template_email_file_id=file_id,
                service_id=service_id,
                template_id=template_id,
                archived_by_id=self.user_id,
            )
        )

    def add_letter_branding(self, service_id: str, filename: str) -> None:
        """Give a service a logo on its letters; where the SVG is, is the caller's."""
        branding = LetterBranding(name=f"Branding {next(self._numbers)}", filename=filename)
        request = branding_service_pb2.CreateLetterBrandingRequest(
            request_id=new_id(), letter_branding=branding
        )
        self._brandings.CreateLetterBranding(request)
        self.change_service(service_id, letter_branding_id=request.request_id)

    def get_template(self, service_id: str, template_id: str) -> Template:
        """Return the current version of a template."""
        request = templates_service_pb2.GetTemplateRequest(service_id=service_id, template_id=template_id)
        answer: Template = self._templates.GetTemplate(request).template
        return answer

    def change_template(self, service_id: str, template_id: str, **fields: Any) -> None:
        """Make a version of a template with these fields."""
        request = templates_service_pb2.UpdateTemplateRequest(
            template=Template(id=template_id, service_id=service_id, **fields),
            update_mask=FieldMask(paths=list(fields)),
            updated_by_id=self.user_id,
        )
        self._templates.UpdateTemplate(request)

    def archive_template(self, service_id: str, template_id: str) -> None:
        """Make an archived version of a template."""
        self._templates.ArchiveTemplate(
            templates_service_pb2.ArchiveTemplateRequest(
                service_id=service_id, template_id=template_id, archived_by_id=self.user_id
            )
        )

    def hide_template(self, template_id: str) -> None:
        """Mark a template as hidden, which no method does: such rows come from elsewhere."""
        with self.uow.begin() as tx:
            tx.execute(sa.text("UPDATE templates SET hidden = true WHERE id = :id"), {"id": template_id})

    def _watched(self, registration: Registration) -> Registration:
        handlers = vars(registration.servicer).items()
        watched = {name: partial(self._handle, name, handler) for name, handler in handlers}
        return replace(registration, servicer=SimpleNamespace(**watched))

    def _handle(
        self,
        method: str,
        handler: Callable[[Any, grpc.ServicerContext], Any],
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        if OPERATOR not in caller_names(context):
            if self.away:
                raise NotifyError("UNAVAILABLE")
            self.before_call(method, request)
        return handler(request, context)
