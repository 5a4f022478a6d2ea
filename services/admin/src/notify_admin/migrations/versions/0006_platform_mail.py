"""Platform mail, sign-in codes, invitations."""

import sqlalchemy as sa
from alembic import op
from notify_common.feeds.producer import Xid8

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "verify_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expire_time", time, nullable=False),
        sa.Column("use_time", time, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="verify_codes_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="verify_codes_pkey"),
    )
    op.create_index("ix_verify_codes_user_id", "verify_codes", ["user_id", "expire_time"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("invited_by_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("permissions", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("folder_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("auth_type", sa.Text(), nullable=False),
        sa.Column("create_time", time, server_default=sa.text("now()"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("num_nonnulls(service_id, organisation_id) = 1", name="invitations_parent_check"),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="invitations_service_id_fkey"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name="invitations_organisation_id_fkey"
        ),
        sa.ForeignKeyConstraint(["invited_by_id"], ["users.id"], name="invitations_invited_by_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="invitations_pkey"),
    )
    for parent in ("service_id", "organisation_id"):
        op.create_index(f"ix_invitations_{parent}", "invitations", [parent, "create_time", "id"])
    op.create_table(
        "platform_mail",
        sa.Column("tx", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("create_time", time, server_default=sa.text("now()"), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("encrypted_mail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tx", "seq", name="platform_mail_pkey"),
    )
    op.create_index("uq_platform_mail_message_id", "platform_mail", ["message_id"], unique=True)
