"""Services, users, senders, templates, API keys and the feed of their changes."""

import sqlalchemy as sa
from alembic import op
from notify_admin.store.columns import (
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
from notify_common.feeds.producer import Xid8
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the whole schema; each later release adds to it."""
    op.create_table(
        "config_changes",
        *columns(Xid8, "tx", primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *created(),
        *texts("kind"),
        *ids("service_id"),
        *ids("template_id", nullable=True),
    )
    op.create_table(
        "services",
        *ids("id", primary_key=True),
        *texts("name normalised_name"),
        *flags("active restricted"),
        *columns(ARRAY(sa.Text), "permissions"),
        *numbers("rate_limit_per_minute sms_per_day email_per_day letter_per_day international_sms_per_day"),
        *flags("prefix_sms"),
        *texts("email_sender_local_part custom_email_sender_name"),
        *columns(ARRAY(sa.Text), "guest_email_addresses guest_phone_numbers"),
        *numbers("version"),
        *made("update_time"),
        Index(None, "create_time", "id"),
        Index("uq_services_name", "normalised_name", unique=True, postgresql_where=sa.text("active")),
    )
    op.create_table(
        "users",
        *ids("id", primary_key=True),
        *texts("name email_address mobile_number"),
        *made(),
        Index("uq_users_email_address", sa.text("lower(email_address)"), unique=True),
    )
    unrevoked = sa.text("revoke_time IS NULL")
    op.create_table(
        "api_keys",
        *within("services"),
        *texts("name key_type"),
        *blobs("encrypted_secret"),
        *ids("created_by_id", "users"),
        *made("revoke_time"),
        sa.CheckConstraint("key_type IN ('normal', 'team', 'test')", "api_keys_key_type_check"),
        Index(None, "service_id", "create_time", "id"),
        Index("uq_api_keys_name", "service_id", "name", unique=True, postgresql_where=unrevoked),
    )
    for senders in ("letter_contacts", "reply_to_addresses", "sms_senders"):
        default = sa.text("is_default AND NOT archived")
        op.create_table(
            senders,
            *within("services"),
            *texts("value"),
            *flags("is_default"),
            *flags("archived", server_default=sa.false()),
            *made(),
            Index(None, "service_id", "is_default", "create_time", "id"),
            Index(f"uq_{senders}_default", "service_id", unique=True, postgresql_where=default),
        )
    op.create_table(
        "memberships",
        *ids("service_id", "services", primary_key=True),
        *ids("user_id", "users", primary_key=True),
        *created(),
        Index(None, "user_id"),
    )
    op.create_table(
        "templates",
        *within("services"),
        *texts("channel"),
        *flags("hidden", server_default=sa.false()),
        *numbers("version"),
        *ids("created_by_id", "users"),
        *made(),
        sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", "templates_channel_check"),
        Index(None, "service_id"),
    )
    op.create_table(
        "template_versions",
        *ids("template_id", "templates", primary_key=True),
        *numbers("version", primary_key=True),
        *texts("name subject content"),
        *flags("archived"),
        *texts("postage", nullable=True),
        *ids("letter_contact_id", "letter_contacts", nullable=True),
        *texts("letter_contact_block"),
        *flags("has_unsubscribe_link"),
        *texts("welsh_subject welsh_content"),
        *ids("made_by_id", "users"),
        *instants("make_time", server_default=sa.func.now()),
    )
