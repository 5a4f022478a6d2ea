"""Tables of the admin context."""

from typing import Any

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.feeds.producer import feed_table
from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

_id = id_type()
_instant = sa.DateTime(timezone=True)


def _created() -> "Column[object]":
    return Column("create_time", _instant, nullable=False, server_default=sa.func.now())


def _request_hash() -> "Column[object]":
    # SHA-256 of the request that made the row: a repeat is told from another request of the same id by it
    return Column("request_hash", sa.LargeBinary, nullable=False)


users = Table(
    "users",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("email_address", sa.Text, nullable=False),
    Column("mobile_number", sa.Text, nullable=False),
    _created(),
    _request_hash(),
    Column("update_time", _instant),
    Column("state", sa.Text, nullable=False, server_default="active"),
    Column("auth_type", sa.Text, nullable=False, server_default="sms_auth"),
    Column("platform_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    # of Argon2id, with its salt and parameters; null for those who can't sign in
    Column("password_hash", sa.Text),
    Column("password_change_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("email_access_validated_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("failed_login_count", sa.Integer, nullable=False, server_default="0"),
    Column("current_session_id", _id),
    Column("logged_in_time", _instant),
    Column("take_part_in_research", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("receives_new_features_email", sa.Boolean, nullable=False, server_default=sa.true()),
)
Index("uq_users_email_address", sa.func.lower(users.c.email_address), unique=True)

services = Table(
    "services",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("normalised_name", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False),
    Column("restricted", sa.Boolean, nullable=False),
    Column("permissions", ARRAY(sa.Text), nullable=False),
    Column("rate_limit_per_minute", sa.Integer, nullable=False),
    Column("sms_per_day", sa.Integer, nullable=False),
    Column("email_per_day", sa.Integer, nullable=False),
    Column("letter_per_day", sa.Integer, nullable=False),
    Column("international_sms_per_day", sa.Integer, nullable=False),
    Column("prefix_sms", sa.Boolean, nullable=False),
    Column("email_sender_local_part", sa.Text, nullable=False),
    Column("custom_email_sender_name", sa.Text, nullable=False),
    Column("guest_email_addresses", ARRAY(sa.Text), nullable=False),
    Column("guest_phone_numbers", ARRAY(sa.Text), nullable=False),
    Column("version", sa.Integer, nullable=False),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
    Column("created_by_id", _id),
    Column("organisation_id", _id),
    Column("organisation_type", sa.Text),
    Column("confirmed_email_sender_name", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("confirmed_unique", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("email_branding_id", _id),
    Column("letter_branding_id", _id),
    Column("contact_link", sa.Text),
    Column("count_as_live", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("go_live_time", _instant),
    Column("go_live_user_id", _id),
    Column("has_active_go_live_request", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("volume_email", sa.Integer),
    Column("volume_sms", sa.Integer),
    Column("volume_letter", sa.Integer),
    Column("consent_to_research", sa.Boolean),
    Column("notes", sa.Text),
    Column("purchase_order_number", sa.Text),
    Column("billing_contact_names", sa.Text),
    Column("billing_contact_email_addresses", sa.Text),
    Column("billing_reference", sa.Text),
)
Index("ix_services_organisation_id", services.c.organisation_id)
# an archived service leaves its name to others
Index("uq_services_name", services.c.normalised_name, unique=True, postgresql_where=services.c.active)
Index("ix_services_create_time", services.c.create_time, services.c.id)

memberships = Table(
    "memberships",
    metadata,
    Column("service_id", _id, sa.ForeignKey("services.id"), primary_key=True),
    Column("user_id", _id, sa.ForeignKey("users.id"), primary_key=True),
    _created(),
    Column("permissions", ARRAY(sa.Text), nullable=False, server_default="{}"),
    # of template folders that the member sees
    Column("folder_ids", ARRAY(_id), nullable=False, server_default="{}"),
)
Index("ix_memberships_user_id", memberships.c.user_id)


def _sender_table(name: str, *more: "Column[Any]") -> Table:
    table = Table(
        name,
        metadata,
        Column("id", _id, primary_key=True),
        Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
        Column("value", sa.Text, nullable=False),
        Column("is_default", sa.Boolean, nullable=False),
        Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
        _created(),
        _request_hash(),
        *more,
        Column("update_time", _instant),
    )
    only_default = sa.and_(table.c.is_default, sa.not_(table.c.archived))
    Index(f"uq_{name}_default", table.c.service_id, unique=True, postgresql_where=only_default)
    Index(f"ix_{name}_service_id", table.c.service_id, table.c.is_default, table.c.create_time, table.c.id)
    return table


sms_senders = _sender_table("sms_senders", Column("inbound_number_id", _id))
Index("uq_sms_senders_inbound_number_id", sms_senders.c.inbound_number_id, unique=True)
reply_to_addresses = _sender_table("reply_to_addresses")
letter_contacts = _sender_table("letter_contacts")

templates = Table(
    "templates",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    # the current one of template_versions
    Column("version", sa.Integer, nullable=False),
    Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    _created(),
    _request_hash(),
    Column("folder_id", _id),
    Column("redacted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", "channel"),
)
Index("ix_templates_service_id", templates.c.service_id)

template_versions = Table(
    "template_versions",
    metadata,
    Column("template_id", _id, sa.ForeignKey("templates.id"), primary_key=True),
    Column("version", sa.Integer, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("subject", sa.Text, nullable=False),
    Column("content", sa.Text, nullable=False),
    Column("archived", sa.Boolean, nullable=False),
    Column("postage", sa.Text),
    Column("letter_contact_id", _id, sa.ForeignKey("letter_contacts.id")),
    # as it stood when the version was made: a version never changes
    Column("letter_contact_block", sa.Text, nullable=False),
    Column("has_unsubscribe_link", sa.Boolean, nullable=False),
    Column("welsh_subject", sa.Text, nullable=False),
    Column("welsh_content", sa.Text, nullable=False),
    # one of `letter_attachments`
    Column("letter_attachment_id", _id),
    Column("made_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("make_time", _instant, nullable=False, server_default=sa.func.now()),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("encrypted_secret", sa.LargeBinary, nullable=False),
    Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    _created(),
    Column("revoke_time", _instant),
    _request_hash(),
    sa.CheckConstraint("key_type IN ('normal', 'team', 'test')", "key_type"),
)
Index(
    "uq_api_keys_name",
    api_keys.c.service_id,
    api_keys.c.name,
    unique=True,
    postgresql_where=api_keys.c.revoke_time.is_(None),
)
Index("ix_api_keys_service_id", api_keys.c.service_id, api_keys.c.create_time, api_keys.c.id)

data_retention = Table(
    "data_retention",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("days", sa.Integer, nullable=False),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
)
Index("uq_data_retention_channel", data_retention.c.service_id, data_retention.c.channel, unique=True)

callbacks = Table(
    "callbacks",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("type", sa.Text, nullable=False),
    Column("url", sa.Text, nullable=False),
    Column("encrypted_bearer_token", sa.LargeBinary, nullable=False),
    Column("updated_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("signing_secret_id", _id),  # of the request that made the secret
    Column("encrypted_signing_secret", sa.LargeBinary),
    Column("encrypted_previous_signing_secret", sa.LargeBinary),
    Column("previous_signing_secret_end_time", _instant),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
)
Index("uq_callbacks_type", callbacks.c.service_id, callbacks.c.type, unique=True)

template_folders = Table(
    "template_folders",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("parent_id", _id),
    _created(),
    _request_hash(),
)
Index("ix_template_folders_service_id", template_folders.c.service_id, template_folders.c.create_time)

organisations = Table(
    "organisations",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("crown", sa.Boolean),
    Column("organisation_type", sa.Text),
    Column("email_branding_id", _id),
    Column("letter_branding_id", _id),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
    Column("permissions", ARRAY(sa.Text), nullable=False, server_default="{can_ask_to_join_a_service}"),
    Column("can_approve_own_go_live_requests", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("agreement_signed", sa.Boolean),
    Column("agreement_signed_time", _instant),
    Column("agreement_signed_by_id", _id),
    Column("agreement_signed_version", sa.Text),
    Column("agreement_signed_on_behalf_of_name", sa.Text),
    Column("agreement_signed_on_behalf_of_email_address", sa.Text),
    Column("request_to_go_live_notes", sa.Text),
    Column("notes", sa.Text),
    Column("purchase_order_number", sa.Text),
    Column("billing_contact_names", sa.Text),
    Column("billing_contact_email_addresses", sa.Text),
    Column("billing_reference", sa.Text),
)
Index("uq_organisations_name", organisations.c.name, unique=True)

organisation_domains = Table(
    "organisation_domains",
    metadata,
    Column("domain", sa.Text, primary_key=True),
    Column("organisation_id", _id, sa.ForeignKey("organisations.id"), nullable=False),
)
Index("ix_organisation_domains_organisation_id", organisation_domains.c.organisation_id)

organisation_members = Table(
    "organisation_members",
    metadata,
    Column("organisation_id", _id, sa.ForeignKey("organisations.id"), primary_key=True),
    Column("user_id", _id, sa.ForeignKey("users.id"), primary_key=True),
    Column("permissions", ARRAY(sa.Text), nullable=False),
    _created(),
)
Index("ix_organisation_members_user_id", organisation_members.c.user_id)

email_brandings = Table(
    "email_brandings",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("brand_type", sa.Text, nullable=False),
    Column("colour", sa.Text),
    Column("logo", sa.Text),
    Column("text", sa.Text),
    Column("alt_text", sa.Text),
    Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("created_by_id", _id),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
)
Index("uq_email_brandings_name", email_brandings.c.name, unique=True)

letter_brandings = Table(
    "letter_brandings",
    metadata,
    Column("id", _id, primary_key=True),
    Column("name", sa.Text, nullable=False),
    Column("filename", sa.Text, nullable=False),
    Column("created_by_id", _id),
    _created(),
    Column("update_time", _instant),
    _request_hash(),
)
Index("uq_letter_brandings_name", letter_brandings.c.name, unique=True)
Index("uq_letter_brandings_filename", letter_brandings.c.filename, unique=True)

# brandings that the services of an organisation may choose from
branding_pools = Table(
    "branding_pools",
    metadata,
    Column("organisation_id", _id, sa.ForeignKey("organisations.id"), primary_key=True),
    # of brandings: email or letter
    Column("kind", sa.Text, primary_key=True),
    Column("branding_id", _id, primary_key=True),
    _created(),
)
Index("ix_branding_pools_branding_id", branding_pools.c.branding_id)

inbound_numbers = Table(
    "inbound_numbers",
    metadata,
    Column("id", _id, primary_key=True),
    Column("number", sa.Text, nullable=False),
    Column("provider", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("service_id", _id, sa.ForeignKey("services.id")),
    _created(),
    Column("update_time", _instant),
)
Index("uq_inbound_numbers_number", inbound_numbers.c.number, unique=True)
Index("uq_inbound_numbers_service_id", inbound_numbers.c.service_id, unique=True)

webauthn_credentials = Table(
    "webauthn_credentials",
    metadata,
    Column("id", _id, primary_key=True),
    Column("user_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("name", sa.Text, nullable=False),
    Column("credential_data", sa.Text, nullable=False),
    Column("registration_response", sa.Text, nullable=False),
    _created(),
    Column("update_time", _instant),
    Column("logged_in_time", _instant),
    _request_hash(),
)
Index("ix_webauthn_credentials_user_id", webauthn_credentials.c.user_id, webauthn_credentials.c.create_time)

config_changes = feed_table(
    "config_changes",
    metadata,
    Column("kind", sa.Text, nullable=False),
    Column("service_id", _id, nullable=False),
    Column("template_id", _id),
)

verify_codes = Table(
    "verify_codes",
    metadata,
    Column("id", _id, primary_key=True),
    Column("user_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("type", sa.Text, nullable=False),
    # HMAC-SHA256, keyed with the pepper of passwords
    Column("code_hash", sa.LargeBinary, nullable=False),
    Column("expire_time", _instant, nullable=False),
    Column("use_time", _instant),
)
Index("ix_verify_codes_user_id", verify_codes.c.user_id, verify_codes.c.expire_time)

invitations = Table(
    "invitations",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id")),
    Column("organisation_id", _id, sa.ForeignKey("organisations.id")),
    Column("email_address", sa.Text, nullable=False),
    Column("invited_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("status", sa.Text, nullable=False),
    Column("permissions", ARRAY(sa.Text), nullable=False),
    Column("folder_ids", ARRAY(_id), nullable=False),
    Column("auth_type", sa.Text, nullable=False),
    _created(),
    _request_hash(),
    sa.CheckConstraint("num_nonnulls(service_id, organisation_id) = 1", "parent"),
)
Index("ix_invitations_service_id", invitations.c.service_id, invitations.c.create_time, invitations.c.id)
Index(
    "ix_invitations_organisation_id",
    invitations.c.organisation_id,
    invitations.c.create_time,
    invitations.c.id,
)


def _email_file_columns() -> "list[Column[Any]]":
    return [
        Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
        Column("template_id", _id, sa.ForeignKey("templates.id"), nullable=False),
        Column("filename", sa.Text, nullable=False),
        Column("link_text", sa.Text),
        Column("retention_weeks", sa.Integer, nullable=False),
        Column("validates_email_address", sa.Boolean, nullable=False),
        Column("pending", sa.Boolean, nullable=False),
        Column("template_version", sa.Integer, nullable=False),
        Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
        _created(),
        Column("update_time", _instant),
        Column("archive_time", _instant),
        Column("archived_by_id", _id, sa.ForeignKey("users.id")),
    ]


template_email_files = Table(
    "template_email_files",
    metadata,
    Column("id", _id, primary_key=True),
    Column("version", sa.Integer, nullable=False, server_default="0"),
    *_email_file_columns(),
    _request_hash(),
)
_live_file = sa.and_(template_email_files.c.archive_time.is_(None), sa.not_(template_email_files.c.pending))
Index(
    "uq_template_email_files_filename",
    template_email_files.c.template_id,
    sa.func.lower(template_email_files.c.filename),
    unique=True,
    postgresql_where=_live_file,
)
Index("ix_template_email_files_service_id", template_email_files.c.service_id)

# how files were at each version of their templates; only ever added to
template_email_file_states = Table(
    "template_email_file_states",
    metadata,
    Column("id", _id, primary_key=True),
    Column("version", sa.Integer, primary_key=True, autoincrement=False),
    *_email_file_columns(),
)
Index("ix_template_email_file_states_template_id", template_email_file_states.c.template_id)

letter_attachments = Table(
    "letter_attachments",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("template_id", _id, sa.ForeignKey("templates.id"), nullable=False),
    Column("original_filename", sa.Text, nullable=False),
    Column("page_count", sa.Integer, nullable=False),
    Column("created_by_id", _id, sa.ForeignKey("users.id"), nullable=False),
    _created(),
    Column("archive_time", _instant),
    Column("archived_by_id", _id, sa.ForeignKey("users.id")),
    _request_hash(),
)

join_requests = Table(
    "join_requests",
    metadata,
    Column("id", _id, primary_key=True),
    Column("service_id", _id, sa.ForeignKey("services.id"), nullable=False),
    Column("requester_id", _id, sa.ForeignKey("users.id"), nullable=False),
    Column("contacted_user_ids", ARRAY(_id), nullable=False),
    Column("reason", sa.Text),
    Column("status", sa.Text, nullable=False, server_default="pending"),
    Column("status_changed_time", _instant),
    Column("status_changed_by_id", _id, sa.ForeignKey("users.id")),
    _created(),
    _request_hash(),
)
Index("ix_join_requests_service_id", join_requests.c.service_id, join_requests.c.requester_id)

# what people do in the web app; an event is about no chain of the audit log
events = Table(
    "events",
    metadata,
    Column("id", _id, primary_key=True),
    Column("type", sa.Text, nullable=False),
    # JSON, as it came
    Column("data", sa.Text, nullable=False),
    _created(),
    _request_hash(),
)
Index("ix_events_create_time", events.c.create_time)

protected_sender_ids = Table(
    "protected_sender_ids",
    metadata,
    # lower case, without white space
    Column("sender_id", sa.Text, primary_key=True),
    _created(),
)

platform_mail = feed_table(
    "platform_mail",
    metadata,
    Column("message_id", _id, nullable=False),
    # a PlatformMail, encrypted with the keys of API keys: it tells how to sign in
    Column("encrypted_mail", sa.LargeBinary, nullable=False),
)
Index("uq_platform_mail_message_id", platform_mail.c.message_id, unique=True)

# a trigger refuses to change or delete what is in it
audit_log = Table(
    "audit_log",
    metadata,
    Column("chain_id", _id, primary_key=True),
    Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("create_time", _instant, nullable=False),
    Column("actor_id", _id),
    Column("request_id", sa.Text, nullable=False),
    Column("action", sa.Text, nullable=False),
    Column("resource", sa.Text, nullable=False),
    Column("resource_id", _id, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("hash", sa.LargeBinary, nullable=False),
)
