"""Texts that people send, and receipts whose meaning depends on an earlier one."""

import sqlalchemy as sa
from alembic import op
from notify_common.feeds.producer import Xid8

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    for table in ("receipts", "unmatched_receipts"):
        op.add_column(table, sa.Column("kind_after_pending", sa.Text))
    op.create_table(
        "inbound_sms_events",
        sa.Column("tx", Xid8, primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("create_time", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("sameness", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("source_number", sa.Text, nullable=False),
        sa.Column("destination_number", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("provider_time", instant),
        sa.Column("receive_time", instant, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("uq_inbound_sms_events_sameness", "inbound_sms_events", ["sameness"], unique=True)
