"""Platform mail, sign-in codes, invitations."""

import sqlalchemy as sa
from alembic import op
from notify_admin.store.columns import blobs, columns, created, ids, instants, made, texts, within
from notify_common.feeds.producer import Xid8
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "verify_codes",
        *within("users"),
        *texts("type"),
        *blobs("code_hash"),
        *instants("expire_time"),
        *instants("use_time", nullable=True),
        Index(None, "user_id", "expire_time"),
    )
    op.create_table(
        "invitations",
        *ids("id", primary_key=True),
        *ids("service_id", "services", nullable=True),
        *ids("organisation_id", "organisations", nullable=True),
        *texts("email_address"),
        *ids("invited_by_id", "users"),
        *texts("status"),
        *columns(ARRAY(sa.Text), "permissions"),
        *columns(ARRAY(sa.Uuid), "folder_ids"),
        *texts("auth_type"),
        *made(),
        sa.CheckConstraint("num_nonnulls(service_id, organisation_id) = 1", "invitations_parent_check"),
        Index(None, "service_id", "create_time", "id"),
        Index(None, "organisation_id", "create_time", "id"),
    )
    op.create_table(
        "platform_mail",
        *columns(Xid8, "tx", primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *created(),
        *ids("message_id"),
        *blobs("encrypted_mail"),
        Index("uq_platform_mail_message_id", "message_id", unique=True),
    )
