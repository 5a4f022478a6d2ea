"""People who sign in, settings of services, folders, organisations and brandings."""

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
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add tables, and columns that are nullable or have defaults."""
    op.create_table(
        "email_brandings",
        *ids("id", primary_key=True),
        *texts("name brand_type"),
        *texts("colour logo text alt_text", nullable=True),
        *flags("active", server_default=sa.true()),
        *ids("created_by_id", nullable=True),
        *made("update_time"),
        Index("uq_email_brandings_name", "name", unique=True),
    )
    op.create_table(
        "letter_brandings",
        *ids("id", primary_key=True),
        *texts("name filename"),
        *ids("created_by_id", nullable=True),
        *made("update_time"),
        Index("uq_letter_brandings_filename", "filename", unique=True),
        Index("uq_letter_brandings_name", "name", unique=True),
    )
    op.create_table(
        "organisations",
        *ids("id", primary_key=True),
        *texts("name"),
        *flags("active", server_default=sa.true()),
        *flags("crown", nullable=True),
        *texts("organisation_type", nullable=True),
        *ids("email_branding_id letter_branding_id", nullable=True),
        *made("update_time"),
        Index("uq_organisations_name", "name", unique=True),
    )
    op.create_table(
        "callbacks",
        *within("services"),
        *texts("type url"),
        *blobs("encrypted_bearer_token"),
        *ids("updated_by_id", "users"),
        *made("update_time"),
        Index("uq_callbacks_type", "service_id", "type", unique=True),
    )
    op.create_table(
        "data_retention",
        *within("services"),
        *texts("channel"),
        *numbers("days"),
        *made("update_time"),
        Index("uq_data_retention_channel", "service_id", "channel", unique=True),
    )
    op.create_table(
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
    op.create_table(
        "organisation_domains",
        *texts("domain", primary_key=True),
        *ids("organisation_id", "organisations"),
        Index(None, "organisation_id"),
    )
    op.create_table(
        "organisation_members",
        *ids("organisation_id", "organisations", primary_key=True),
        *ids("user_id", "users", primary_key=True),
        *columns(ARRAY(sa.Text), "permissions"),
        *created(),
        Index(None, "user_id"),
    )
    op.create_table(
        "template_folders",
        *within("services"),
        *texts("name"),
        *ids("parent_id", nullable=True),
        *made(),
        Index(None, "service_id", "create_time"),
    )
    added = {
        "memberships": [
            *columns(ARRAY(sa.Text), "permissions", server_default="{}"),
            *columns(ARRAY(sa.Uuid), "folder_ids", server_default="{}"),
        ],
        "services": [
            *ids("created_by_id organisation_id", nullable=True),
            *texts("organisation_type", nullable=True),
            *flags("confirmed_email_sender_name confirmed_unique", server_default=sa.false()),
            *ids("email_branding_id letter_branding_id", nullable=True),
            *texts("contact_link", nullable=True),
            *flags("count_as_live", server_default=sa.true()),
            *instants("go_live_time", nullable=True),
            *ids("go_live_user_id", nullable=True),
            *flags("has_active_go_live_request", server_default=sa.false()),
            *numbers("volume_email volume_sms volume_letter", nullable=True),
            *flags("consent_to_research", nullable=True),
            *texts("notes purchase_order_number billing_contact_names", nullable=True),
            *texts("billing_contact_email_addresses billing_reference", nullable=True),
        ],
        "templates": [*ids("folder_id", nullable=True), *flags("redacted", server_default=sa.false())],
        "users": [
            *instants("update_time", nullable=True),
            *texts("state", server_default="active"),
            *texts("auth_type", server_default="sms_auth"),
            *flags("platform_admin", server_default=sa.false()),
            *texts("password_hash", nullable=True),
            *instants("password_change_time email_access_validated_time", server_default=sa.func.now()),
            *numbers("failed_login_count", server_default="0"),
            *ids("current_session_id", nullable=True),
            *instants("logged_in_time", nullable=True),
            *flags("take_part_in_research receives_new_features_email", server_default=sa.true()),
        ],
    }
    for table, those in added.items():
        for column in those:
            op.add_column(table, column)
