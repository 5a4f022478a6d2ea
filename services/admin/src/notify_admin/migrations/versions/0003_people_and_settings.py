"""People who sign in, settings of services, folders, organisations and brandings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, and columns that are nullable or have defaults."""
    op.create_table(
        "email_brandings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand_type", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=True),
        sa.Column("logo", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("alt_text", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="email_brandings_pkey"),
    )
    op.create_index("uq_email_brandings_name", "email_brandings", ["name"], unique=True)
    op.create_table(
        "letter_brandings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="letter_brandings_pkey"),
    )
    op.create_index("uq_letter_brandings_filename", "letter_brandings", ["filename"], unique=True)
    op.create_index("uq_letter_brandings_name", "letter_brandings", ["name"], unique=True)
    op.create_table(
        "organisations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("crown", sa.Boolean(), nullable=True),
        sa.Column("organisation_type", sa.Text(), nullable=True),
        sa.Column("email_branding_id", sa.Uuid(), nullable=True),
        sa.Column("letter_branding_id", sa.Uuid(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="organisations_pkey"),
    )
    op.create_index("uq_organisations_name", "organisations", ["name"], unique=True)
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("encrypted_bearer_token", sa.LargeBinary(), nullable=False),
        sa.Column("updated_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="callbacks_service_id_fkey"),
        sa.ForeignKeyConstraint(["updated_by_id"], ["users.id"], name="callbacks_updated_by_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="callbacks_pkey"),
    )
    op.create_index("uq_callbacks_type", "callbacks", ["service_id", "type"], unique=True)
    op.create_table(
        "data_retention",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="data_retention_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="data_retention_pkey"),
    )
    op.create_index("uq_data_retention_channel", "data_retention", ["service_id", "channel"], unique=True)
    op.create_table(
        "inbound_numbers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="inbound_numbers_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="inbound_numbers_pkey"),
    )
    op.create_index("uq_inbound_numbers_number", "inbound_numbers", ["number"], unique=True)
    op.create_index("uq_inbound_numbers_service_id", "inbound_numbers", ["service_id"], unique=True)
    op.create_table(
        "organisation_domains",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name="organisation_domains_organisation_id_fkey"
        ),
        sa.PrimaryKeyConstraint("domain", name="organisation_domains_pkey"),
    )
    op.create_index(
        "ix_organisation_domains_organisation_id", "organisation_domains", ["organisation_id"], unique=False
    )
    op.create_table(
        "organisation_members",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("permissions", ARRAY(sa.Text()), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name="organisation_members_organisation_id_fkey"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="organisation_members_user_id_fkey"),
        sa.PrimaryKeyConstraint("organisation_id", "user_id", name="organisation_members_pkey"),
    )
    op.create_index("ix_organisation_members_user_id", "organisation_members", ["user_id"], unique=False)
    op.create_table(
        "template_folders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="template_folders_service_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="template_folders_pkey"),
    )
    op.create_index(
        "ix_template_folders_service_id", "template_folders", ["service_id", "create_time"], unique=False
    )
    op.add_column(
        "memberships", sa.Column("permissions", ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column(
        "memberships", sa.Column("folder_ids", ARRAY(sa.Uuid()), server_default="{}", nullable=False)
    )
    op.add_column("services", sa.Column("created_by_id", sa.Uuid(), nullable=True))
    op.add_column("services", sa.Column("organisation_id", sa.Uuid(), nullable=True))
    op.add_column("services", sa.Column("organisation_type", sa.Text(), nullable=True))
    op.add_column(
        "services",
        sa.Column("confirmed_email_sender_name", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "services", sa.Column("confirmed_unique", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("services", sa.Column("email_branding_id", sa.Uuid(), nullable=True))
    op.add_column("services", sa.Column("letter_branding_id", sa.Uuid(), nullable=True))
    op.add_column("services", sa.Column("contact_link", sa.Text(), nullable=True))
    op.add_column(
        "services", sa.Column("count_as_live", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("services", sa.Column("go_live_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("services", sa.Column("go_live_user_id", sa.Uuid(), nullable=True))
    op.add_column(
        "services",
        sa.Column("has_active_go_live_request", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("services", sa.Column("volume_email", sa.Integer(), nullable=True))
    op.add_column("services", sa.Column("volume_sms", sa.Integer(), nullable=True))
    op.add_column("services", sa.Column("volume_letter", sa.Integer(), nullable=True))
    op.add_column("services", sa.Column("consent_to_research", sa.Boolean(), nullable=True))
    op.add_column("services", sa.Column("notes", sa.Text(), nullable=True))
    op.add_column("services", sa.Column("purchase_order_number", sa.Text(), nullable=True))
    op.add_column("services", sa.Column("billing_contact_names", sa.Text(), nullable=True))
    op.add_column("services", sa.Column("billing_contact_email_addresses", sa.Text(), nullable=True))
    op.add_column("services", sa.Column("billing_reference", sa.Text(), nullable=True))
    op.add_column("templates", sa.Column("folder_id", sa.Uuid(), nullable=True))
    op.add_column("templates", sa.Column("redacted", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("users", sa.Column("update_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("state", sa.Text(), server_default="active", nullable=False))
    op.add_column("users", sa.Column("auth_type", sa.Text(), server_default="sms_auth", nullable=False))
    op.add_column(
        "users", sa.Column("platform_admin", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("users", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column(
        "users",
        sa.Column(
            "password_change_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.add_column(
        "users",
        sa.Column(
            "email_access_validated_time",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.add_column("users", sa.Column("failed_login_count", sa.Integer(), server_default="0", nullable=False))
    op.add_column("users", sa.Column("current_session_id", sa.Uuid(), nullable=True))
    op.add_column("users", sa.Column("logged_in_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "users", sa.Column("take_part_in_research", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column(
        "users",
        sa.Column("receives_new_features_email", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
