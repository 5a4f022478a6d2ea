"""The resources of this context: which message is kept in which table."""

from typing import Final, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message
from notify.admin.v1.api_key_pb2 import ApiKey, VerificationKey
from notify.admin.v1.branding_pb2 import EmailBranding, LetterBranding
from notify.admin.v1.inbound_number_pb2 import InboundNumber
from notify.admin.v1.invitation_pb2 import Invitation
from notify.admin.v1.join_request_pb2 import JoinRequest
from notify.admin.v1.letter_attachment_pb2 import LetterAttachment
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.platform_service_pb2 import Event
from notify.admin.v1.service_pb2 import LetterContact, ReplyToAddress, Service, SmsSender
from notify.admin.v1.service_setting_pb2 import Callback, DataRetention
from notify.admin.v1.template_email_file_pb2 import TemplateEmailFile
from notify.admin.v1.template_folder_pb2 import TemplateFolder
from notify.admin.v1.template_pb2 import Template
from notify.admin.v1.user_pb2 import User
from notify.admin.v1.webauthn_credential_pb2 import WebauthnCredential
from sqlalchemy import Table

from notify_admin.store import tables
from notify_admin.store.audit import Audit
from notify_admin.store.mapping import Resource
from notify_admin.store.tables import template_versions, templates, users

M = TypeVar("M", bound=Message)

_OF_SERVICE: Final = Audit("service_id")
_ITS_OWN: Final = Audit("id")
_BILLING_CONTACTS: Final = "billing_contact_names billing_contact_email_addresses"

SERVICES: Final = Resource(
    Service,
    tables.services,
    missing="SERVICE_NOT_FOUND",
    renamed={
        "guest_list.email_addresses": "guest_email_addresses",
        "guest_list.phone_numbers": "guest_phone_numbers",
    },
    hidden="normalised_name",
    unkept="callbacks",
    audit=Audit("id", personal=f"guest_list.email_addresses guest_list.phone_numbers {_BILLING_CONTACTS}"),
)


def _senders(message: type[M], table: Table, field: str, personal: str = "") -> Resource[M]:
    return Resource(
        message,
        table,
        missing="SENDER_NOT_FOUND",
        order="-is_default -create_time -id",
        renamed={field: "value"},
        audit=Audit("service_id", personal=personal),
    )


SMS_SENDERS: Final = _senders(SmsSender, tables.sms_senders, "sender")
REPLY_TO_ADDRESSES: Final = _senders(
    ReplyToAddress, tables.reply_to_addresses, "email_address", personal="email_address"
)
LETTER_CONTACTS: Final = _senders(
    LetterContact, tables.letter_contacts, "contact_block", personal="contact_block"
)

USERS: Final = Resource(
    User,
    users,
    missing="USER_NOT_FOUND",
    order="name id",
    computed={"email": users.c.email_address, "active": users.c.state == "active"},
    hidden="password_hash update_time",
    unkept="access",
    audit=Audit(
        "id",
        personal="name email_address mobile_number",
        noted="password_hash",
        unrecorded="failed_login_count current_session_id logged_in_time email_access_validated_time "
        "password_change_time",
    ),
)


def _members(table: Table, parent: str, order: str) -> Resource[User]:
    return Resource(
        User,
        users,
        missing="USER_NOT_FOUND",
        order=order,
        computed={parent: table.c[parent], "join_time": table.c.create_time},
        hidden="password_hash update_time",
        unkept="access",
        source=users.join(table, table.c.user_id == users.c.id),
    )


MEMBERS: Final = _members(tables.memberships, "service_id", "name id")
ORGANISATION_MEMBERS: Final = _members(tables.organisation_members, "organisation_id", "create_time id")

API_KEYS: Final = Resource(
    ApiKey,
    tables.api_keys,
    missing="API_KEY_NOT_FOUND",
    order="-create_time -id",
    hidden="encrypted_secret",
    audit=Audit("service_id", of_api_keys=True),
)
VERIFICATION_KEYS: Final = Resource(
    VerificationKey,
    tables.api_keys,
    missing="API_KEY_NOT_FOUND",
    order="-works -create_time -id",
    # as stored: whoever may know the secret decrypts it
    renamed={"api_key_id": "id", "secret": "encrypted_secret"},
    computed={"works": tables.api_keys.c.revoke_time.is_(None)},
    hidden="service_id name created_by_id create_time",
)

VERSIONS: Final = Resource(
    Template,
    template_versions,
    missing="TEMPLATE_NOT_FOUND",
    renamed={"id": "template_id", "create_time": "make_time"},
    unkept="service_id channel hidden created_by_email_address update_time folder_id redacted created_by_id "
    "made_by_name made_by_email_address",
)
"""What each version of a template holds by itself."""

_OF_VERSIONS = (
    "name subject content version archived postage letter_contact_id letter_contact_block "
    "has_unsubscribe_link welsh_subject welsh_content letter_attachment_id"
)
_makers = users.alias("makers")
TEMPLATES: Final = Resource(
    Template,
    templates,
    missing="TEMPLATE_NOT_FOUND",
    order="name channel id",
    computed={
        **{name: template_versions.c[name] for name in _OF_VERSIONS.split()},
        "current_version": templates.c.version,
        "created_by_email_address": users.c.email_address,
        "made_by_id": template_versions.c.made_by_id,
        "made_by_name": _makers.c.name,
        "made_by_email_address": _makers.c.email_address,
        "update_time": sa.case((template_versions.c.version > 1, template_versions.c.make_time)).label(
            "update_time"
        ),
    },
    source=template_versions.join(templates, template_versions.c.template_id == templates.c.id)
    .join(users, templates.c.created_by_id == users.c.id)
    .join(_makers, template_versions.c.made_by_id == _makers.c.id),
)
"""Templates at each of their versions; `current_version` is which one counts."""

DATA_RETENTION: Final = Resource(
    DataRetention,
    tables.data_retention,
    missing="SETTING_NOT_FOUND",
    order="place id",
    # the contract's order of channels
    computed={"place": sa.case({"email": 0, "sms": 1, "letter": 2}, value=tables.data_retention.c.channel)},
    audit=_OF_SERVICE,
)
CALLBACKS: Final = Resource(
    Callback,
    tables.callbacks,
    missing="SETTING_NOT_FOUND",
    hidden="encrypted_bearer_token signing_secret_id encrypted_signing_secret "
    "encrypted_previous_signing_secret previous_signing_secret_end_time",
    audit=Audit("service_id", noted="encrypted_bearer_token encrypted_signing_secret"),
)
FOLDERS: Final = Resource(
    TemplateFolder, tables.template_folders, missing="FOLDER_NOT_FOUND", unkept="user_ids", audit=_OF_SERVICE
)
ORGANISATIONS: Final = Resource(
    Organisation,
    tables.organisations,
    missing="ORGANISATION_NOT_FOUND",
    unkept="domains live_service_count",
    audit=Audit(
        "id",
        personal="agreement_signed_on_behalf_of_name agreement_signed_on_behalf_of_email_address "
        f"{_BILLING_CONTACTS}",
    ),
)


def _brandings(message: type[M], table: Table) -> Resource[M]:
    return Resource(message, table, missing="BRANDING_NOT_FOUND", order="name id", audit=_ITS_OWN)


EMAIL_BRANDINGS: Final = _brandings(EmailBranding, tables.email_brandings)
LETTER_BRANDINGS: Final = _brandings(LetterBranding, tables.letter_brandings)
INBOUND_NUMBERS: Final = Resource(
    InboundNumber,
    tables.inbound_numbers,
    missing="SETTING_NOT_FOUND",
    computed={
        "available": sa.and_(tables.inbound_numbers.c.active, tables.inbound_numbers.c.service_id.is_(None))
    },
    audit=_ITS_OWN,
)
CREDENTIALS: Final = Resource(
    WebauthnCredential,
    tables.webauthn_credentials,
    missing="CREDENTIAL_NOT_FOUND",
    audit=Audit("user_id", personal="registration_response credential_data", unrecorded="logged_in_time"),
)
INVITATIONS: Final = Resource(
    Invitation,
    tables.invitations,
    missing="INVITATION_NOT_FOUND",
    audit=Audit("service_id organisation_id", personal="email_address"),
)
JOIN_REQUESTS: Final = Resource(
    JoinRequest,
    tables.join_requests,
    missing="JOIN_REQUEST_NOT_FOUND",
    audit=Audit("service_id", personal="reason"),
)
EVENTS: Final = Resource(Event, tables.events, missing="INTERNAL")
EMAIL_FILES: Final = Resource(
    TemplateEmailFile,
    tables.template_email_files,
    missing="FILE_NOT_FOUND",
    taken="FILENAME_TAKEN",
    audit=_OF_SERVICE,
)
LETTER_ATTACHMENTS: Final = Resource(
    LetterAttachment, tables.letter_attachments, missing="FILE_NOT_FOUND", audit=_OF_SERVICE
)
EMAIL_FILE_STATES: Final = Resource(
    TemplateEmailFile, tables.template_email_file_states, missing="FILE_NOT_FOUND", order="id version"
)
