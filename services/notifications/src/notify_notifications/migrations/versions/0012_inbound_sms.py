"""Texts that people sent to the numbers of services."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "inbound_sms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("notify_number", sa.Text(), nullable=False),
        sa.Column("user_number", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_reference", sa.Text(), nullable=False),
        sa.Column("provider_time", _INSTANT),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="inbound_sms_pkey"),
    )
    newest = [sa.text("create_time DESC"), sa.text("id DESC")]
    op.create_index("ix_inbound_sms_listed", "inbound_sms", ["service_id", *newest])
    op.create_index("ix_inbound_sms_of_user", "inbound_sms", ["service_id", "user_number", *newest])
