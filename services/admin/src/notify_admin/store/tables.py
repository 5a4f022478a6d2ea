"""Tables of the admin context."""

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.feeds.producer import feed_table
from sqlalchemy import Index, MetaData, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.schema import SchemaItem

from notify_admin.store.columns import (
    Columns,
    blobs,
    columns,
    created,
    flags,
    ids,
    instants,
    made,
    numbers,
    texts,
    within,
)

metadata = MetaData(
    # migrations name what they make by it too
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _table(name: str, *items: SchemaItem) -> Table:
    return Table(name, metadata, *items)


users = _table(
    "users",
    *ids("id", primary_key=True),
    *texts("name email_address mobile_number"),
    *made("update_time logged_in_time"),
    *texts("state", server_default="active"),
    *texts("auth_type", server_default="sms_auth"),
    *flags("platform_admin", server_default=sa.false()),
    # of Argon2id, with its salt and parameters; null for those who can't sign in
    *texts("password_hash", nullable=True),
    *instants("password_change_time email_access_validated_time", server_default=sa.func.now()),
    *numbers("failed_login_count", server_default="0"),
    *ids("current_session_id", nullable=True),
    *flags("take_part_in_research receives_new_features_email", server_default=sa.true()),
    Index("uq_users_email_address", sa.text("lower(email_address)"), unique=True),
)

_BILLING = "purchase_order_number billing_contact_names billing_contact_email_addresses billing_reference"

services = _table(
    "services",
    *ids("id", primary_key=True),
    *texts("name normalised_name email_sender_local_part custom_email_sender_name"),
    *flags("active restricted prefix_sms"),
    *columns(ARRAY(sa.Text), "permissions guest_email_addresses guest_phone_numbers"),
    *numbers("rate_limit_per_minute sms_per_day email_per_day letter_per_day international_sms_per_day"),
    *numbers("version"),
    *made("update_time go_live_time"),
    *ids("created_by_id organisation_id email_branding_id letter_branding_id go_live_user_id", nullable=True),
    *flags("confirmed_email_sender_name confirmed_unique", server_default=sa.false()),
    *flags("count_as_live", server_default=sa.true()),
    *flags("has_active_go_live_request", server_default=sa.false()),
    *numbers("volume_email volume_sms volume_letter", nullable=True),
    *flags("consent_to_research", nullable=True),
    *texts(f"organisation_type contact_link notes {_BILLING}", nullable=True),
    Index(None, "organisation_id"),
    # an archived service leaves its name to others
    Index("uq_services_name", "normalised_name", unique=True, postgresql_where=sa.text("active")),
    Index(None, "create_time", "id"),
)

memberships = _table(
    "memberships",
    *ids("service_id", "services", primary_key=True),
    *ids("user_id", "users", primary_key=True),
    *created(),
    *columns(ARRAY(sa.Text), "permissions", server_default="{}"),
    # of template folders that the member sees
    *columns(ARRAY(id_type()), "folder_ids", server_default="{}"),
    Index(None, "user_id"),
)


def _sender_table(name: str, *more: SchemaItem) -> Table:
    return _table(
        name,
        *within("services"),
        *texts("value"),
        *flags("is_default"),
        *flags("archived", server_default=sa.false()),
        *made("update_time"),
        *more,
        Index(
            f"uq_{name}_default",
            "service_id",
            unique=True,
            postgresql_where=sa.text("is_default AND NOT archived"),
        ),
        Index(None, "service_id", "is_default", "create_time", "id"),
    )


sms_senders = _sender_table(
    "sms_senders",
    *ids("inbound_number_id", nullable=True),
    Index("uq_sms_senders_inbound_number_id", "inbound_number_id", unique=True),
)
reply_to_addresses = _sender_table("reply_to_addresses")
letter_contacts = _sender_table("letter_contacts")

templates = _table(
    "templates",
    *within("services"),
    *texts("channel"),
    *flags("hidden redacted", server_default=sa.false()),
    # the current one of template_versions
    *numbers("version"),
    *ids("created_by_id", "users"),
    *made(),
    *ids("folder_id", nullable=True),
    sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", "channel"),
    Index(None, "service_id"),
)

template_versions = _table(
    "template_versions",
    *ids("template_id", "templates", primary_key=True),
    *numbers("version", primary_key=True),
    *texts("name subject content welsh_subject welsh_content"),
    *flags("archived has_unsubscribe_link"),
    *texts("postage", nullable=True),
    *ids("letter_contact_id", "letter_contacts", nullable=True),
    # as it stood when the version was made: a version never changes
    *texts("letter_contact_block"),
    # one of `letter_attachments`
    *ids("letter_attachment_id", nullable=True),
    *ids("made_by_id", "users"),
    *instants("make_time", server_default=sa.func.now()),
)

api_keys = _table(
    "api_keys",
    *within("services"),
    *texts("name key_type"),
    *blobs("encrypted_secret"),
    *ids("created_by_id", "users"),
    *made("revoke_time"),
    sa.CheckConstraint("key_type IN ('normal', 'team', 'test')", "key_type"),
    Index(
        "uq_api_keys_name", "service_id", "name", unique=True, postgresql_where=sa.text("revoke_time IS NULL")
    ),
    Index(None, "service_id", "create_time", "id"),
)

data_retention = _table(
    "data_retention",
    *within("services"),
    *texts("channel"),
    *numbers("days"),
    *made("update_time"),
    Index("uq_data_retention_channel", "service_id", "channel", unique=True),
)

callbacks = _table(
    "callbacks",
    *within("services"),
    *texts("type url"),
    *blobs("encrypted_bearer_token"),
    *ids("updated_by_id", "users"),
    *ids("signing_secret_id", nullable=True),  # of the request that made the secret
    *blobs("encrypted_signing_secret encrypted_previous_signing_secret", nullable=True),
    *made("update_time previous_signing_secret_end_time"),
    Index("uq_callbacks_type", "service_id", "type", unique=True),
)

template_folders = _table(
    "template_folders",
    *within("services"),
    *texts("name"),
    *ids("parent_id", nullable=True),
    *made(),
    Index(None, "service_id", "create_time"),
)

organisations = _table(
    "organisations",
    *ids("id", primary_key=True),
    *texts("name"),
    *flags("active", server_default=sa.true()),
    *flags("crown agreement_signed", nullable=True),
    *ids("email_branding_id letter_branding_id agreement_signed_by_id", nullable=True),
    *made("update_time agreement_signed_time"),
    *columns(ARRAY(sa.Text), "permissions", server_default="{can_ask_to_join_a_service}"),
    *flags("can_approve_own_go_live_requests", server_default=sa.false()),
    *texts("agreement_signed_version agreement_signed_on_behalf_of_name", nullable=True),
    *texts("agreement_signed_on_behalf_of_email_address request_to_go_live_notes", nullable=True),
    *texts(f"organisation_type notes {_BILLING}", nullable=True),
    Index("uq_organisations_name", "name", unique=True),
)

organisation_domains = _table(
    "organisation_domains",
    *texts("domain", primary_key=True),
    *ids("organisation_id", "organisations"),
    Index(None, "organisation_id"),
)

organisation_members = _table(
    "organisation_members",
    *ids("organisation_id", "organisations", primary_key=True),
    *ids("user_id", "users", primary_key=True),
    *columns(ARRAY(sa.Text), "permissions"),
    *created(),
    Index(None, "user_id"),
)

email_brandings = _table(
    "email_brandings",
    *ids("id", primary_key=True),
    *texts("name brand_type"),
    *texts("colour logo text alt_text", nullable=True),
    *flags("active", server_default=sa.true()),
    *ids("created_by_id", nullable=True),
    *made("update_time"),
    Index("uq_email_brandings_name", "name", unique=True),
)

letter_brandings = _table(
    "letter_brandings",
    *ids("id", primary_key=True),
    *texts("name filename"),
    *ids("created_by_id", nullable=True),
    *made("update_time"),
    Index("uq_letter_brandings_name", "name", unique=True),
    Index("uq_letter_brandings_filename", "filename", unique=True),
)

# brandings that the services of an organisation may choose from
branding_pools = _table(
    "branding_pools",
    *ids("organisation_id", "organisations", primary_key=True),
    # of brandings: email or letter
    *texts("kind", primary_key=True),
    *ids("branding_id", primary_key=True),
    *created(),
    Index(None, "branding_id"),
)

inbound_numbers = _table(
    "inbound_numbers",
    *ids("id", primary_key=True),
    *texts("number provider"),
    *flags("active", server_default=sa.true()),
    *ids("service_id", "services", nullable=True),
    *created(),
    *instants("update_time", nullable=True),
    Index("uq_inbound_numbers_number", "number", unique=True),
    Index("uq_inbound_numbers_service_id", "service_id", unique=True),
)

webauthn_credentials = _table(
    "webauthn_credentials",
    *within("users"),
    *texts("name credential_data registration_response"),
    *made("update_time logged_in_time"),
    Index(None, "user_id", "create_time"),
)

config_changes = feed_table(
    "config_changes", metadata, *texts("kind"), *ids("service_id"), *ids("template_id", nullable=True)
)

verify_codes = _table(
    "verify_codes",
    *within("users"),
    *texts("type"),
    # HMAC-SHA256, keyed with the pepper of passwords
    *blobs("code_hash"),
    *instants("expire_time"),
    *instants("use_time", nullable=True),
    Index(None, "user_id", "expire_time"),
)

invitations = _table(
    "invitations",
    *ids("id", primary_key=True),
    *ids("service_id", "services", nullable=True),
    *ids("organisation_id", "organisations", nullable=True),
    *texts("email_address status auth_type"),
    *ids("invited_by_id", "users"),
    *columns(ARRAY(sa.Text), "permissions"),
    *columns(ARRAY(id_type()), "folder_ids"),
    *made(),
    sa.CheckConstraint("num_nonnulls(service_id, organisation_id) = 1", "parent"),
    Index(None, "service_id", "create_time", "id"),
    Index(None, "organisation_id", "create_time", "id"),
)


def _email_file_columns() -> Columns:
    return [
        *ids("service_id", "services"),
        *ids("template_id", "templates"),
        *texts("filename"),
        *texts("link_text", nullable=True),
        *numbers("retention_weeks template_version"),
        *flags("validates_email_address pending"),
        *ids("created_by_id", "users"),
        *created(),
        *instants("update_time archive_time", nullable=True),
        *ids("archived_by_id", "users", nullable=True),
    ]


template_email_files = _table(
    "template_email_files",
    *ids("id", primary_key=True),
    *numbers("version", server_default="0"),
    *_email_file_columns(),
    *blobs("request_hash"),
    Index(
        "uq_template_email_files_filename",
        "template_id",
        sa.text("lower(filename)"),
        unique=True,
        postgresql_where=sa.text("archive_time IS NULL AND NOT pending"),
    ),
    Index(None, "service_id"),
)

# how files were at each version of their templates; only ever added to
template_email_file_states = _table(
    "template_email_file_states",
    *ids("id", primary_key=True),
    *numbers("version", primary_key=True, autoincrement=False),
    *_email_file_columns(),
    Index(None, "template_id"),
)

letter_attachments = _table(
    "letter_attachments",
    *within("services"),
    *ids("template_id", "templates"),
    *texts("original_filename"),
    *numbers("page_count"),
    *ids("created_by_id", "users"),
    *made("archive_time"),
    *ids("archived_by_id", "users", nullable=True),
)

join_requests = _table(
    "join_requests",
    *within("services"),
    *ids("requester_id", "users"),
    *columns(ARRAY(id_type()), "contacted_user_ids"),
    *texts("reason", nullable=True),
    *texts("status", server_default="pending"),
    *made("status_changed_time"),
    *ids("status_changed_by_id", "users", nullable=True),
    Index(None, "service_id", "requester_id"),
)

# what people do in the web app; an event is about no chain of the audit log
events = _table(
    "events",
    *ids("id", primary_key=True),
    # data is JSON, as it came
    *texts("type data"),
    *made(),
    Index(None, "create_time"),
)

# names in lower case, without white space
protected_sender_ids = _table("protected_sender_ids", *texts("sender_id", primary_key=True), *created())

platform_mail = feed_table(
    "platform_mail",
    metadata,
    *ids("message_id"),
    # a PlatformMail, encrypted with the keys of API keys: it tells how to sign in
    *blobs("encrypted_mail"),
)
Index("uq_platform_mail_message_id", platform_mail.c.message_id, unique=True)

# a trigger refuses to change or delete what is in it; hashes are of its columns in this order
audit_log = _table(
    "audit_log",
    *ids("chain_id", primary_key=True),
    *columns(sa.BigInteger, "number", primary_key=True, autoincrement=False),
    *instants("create_time"),
    *ids("actor_id", nullable=True),
    *texts("request_id action resource"),
    *ids("resource_id"),
    *columns(JSONB, "before after", nullable=True),
    *blobs("hash"),
)
