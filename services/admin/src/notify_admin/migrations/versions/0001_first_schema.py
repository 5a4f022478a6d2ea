"""Services, users, senders, templates, API keys and the feed of their changes."""

import sqlalchemy as sa
from alembic import op
from notify_common.feeds.producer import Xid8
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the whole schema; each later release adds to it."""
    op.create_table(
        "config_changes",
        sa.Column("tx", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("tx", "seq", name="config_changes_pkey"),
    )
    op.create_table(
        "services",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("normalised_name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("permissions", ARRAY(sa.Text()), nullable=False),
        sa.Column("rate_limit_per_minute", sa.Integer(), nullable=False),
        sa.Column("sms_per_day", sa.Integer(), nullable=False),
        sa.Column("email_per_day", sa.Integer(), nullable=False),
        sa.Column("letter_per_day", sa.Integer(), nullable=False),
        sa.Column("international_sms_per_day", sa.Integer(), nullable=False),
        sa.Column("prefix_sms", sa.Boolean(), nullable=False),
        sa.Column("email_sender_local_part", sa.Text(), nullable=False),
        sa.Column("custom_email_sender_name", sa.Text(), nullable=False),
        sa.Column("guest_email_addresses", ARRAY(sa.Text()), nullable=False),
        sa.Column("guest_phone_numbers", ARRAY(sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="services_pkey"),
    )
    op.create_index("ix_services_create_time", "services", ["create_time", "id"], unique=False)
    op.create_index(
        "uq_services_name", "services", ["normalised_name"], unique=True, postgresql_where=sa.text("active")
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("mobile_number", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
    )
    op.create_index(
        "uq_users_email_address", "users", [sa.literal_column("lower(email_address)")], unique=True
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_type", sa.Text(), nullable=False),
        sa.Column("encrypted_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("key_type IN ('normal', 'team', 'test')", name="api_keys_key_type_check"),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name="api_keys_created_by_id_fkey"),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="api_keys_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="api_keys_pkey"),
    )
    op.create_index("ix_api_keys_service_id", "api_keys", ["service_id", "create_time", "id"], unique=False)
    op.create_index(
        "uq_api_keys_name",
        "api_keys",
        ["service_id", "name"],
        unique=True,
        postgresql_where=sa.text("revoke_time IS NULL"),
    )
    op.create_table(
        "letter_contacts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="letter_contacts_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="letter_contacts_pkey"),
    )
    op.create_index(
        "ix_letter_contacts_service_id",
        "letter_contacts",
        ["service_id", "is_default", "create_time", "id"],
        unique=False,
    )
    op.create_index(
        "uq_letter_contacts_default",
        "letter_contacts",
        ["service_id"],
        unique=True,
        postgresql_where=sa.text("is_default AND NOT archived"),
    )
    op.create_table(
        "memberships",
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="memberships_service_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="memberships_user_id_fkey"),
        sa.PrimaryKeyConstraint("service_id", "user_id", name="memberships_pkey"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"], unique=False)
    op.create_table(
        "reply_to_addresses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="reply_to_addresses_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="reply_to_addresses_pkey"),
    )
    op.create_index(
        "ix_reply_to_addresses_service_id",
        "reply_to_addresses",
        ["service_id", "is_default", "create_time", "id"],
        unique=False,
    )
    op.create_index(
        "uq_reply_to_addresses_default",
        "reply_to_addresses",
        ["service_id"],
        unique=True,
        postgresql_where=sa.text("is_default AND NOT archived"),
    )
    op.create_table(
        "sms_senders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="sms_senders_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="sms_senders_pkey"),
    )
    op.create_index(
        "ix_sms_senders_service_id",
        "sms_senders",
        ["service_id", "is_default", "create_time", "id"],
        unique=False,
    )
    op.create_index(
        "uq_sms_senders_default",
        "sms_senders",
        ["service_id"],
        unique=True,
        postgresql_where=sa.text("is_default AND NOT archived"),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("channel IN ('sms', 'email', 'letter')", name="templates_channel_check"),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name="templates_created_by_id_fkey"),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="templates_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="templates_pkey"),
    )
    op.create_index("ix_templates_service_id", "templates", ["service_id"], unique=False)
    op.create_table(
        "template_versions",
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("postage", sa.Text(), nullable=True),
        sa.Column("letter_contact_id", sa.Uuid(), nullable=True),
        sa.Column("letter_contact_block", sa.Text(), nullable=False),
        sa.Column("has_unsubscribe_link", sa.Boolean(), nullable=False),
        sa.Column("welsh_subject", sa.Text(), nullable=False),
        sa.Column("welsh_content", sa.Text(), nullable=False),
        sa.Column("made_by_id", sa.Uuid(), nullable=False),
        sa.Column("make_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["letter_contact_id"], ["letter_contacts.id"], name="template_versions_letter_contact_id_fkey"
        ),
        sa.ForeignKeyConstraint(["made_by_id"], ["users.id"], name="template_versions_made_by_id_fkey"),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name="template_versions_template_id_fkey"),
        sa.PrimaryKeyConstraint("template_id", "version", name="template_versions_pkey"),
    )
