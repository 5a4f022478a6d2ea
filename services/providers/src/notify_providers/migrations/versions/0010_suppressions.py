"""Addresses that get no more messages."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("address_hash", sa.LargeBinary))
    for table in ("receipts", "unmatched_receipts"):
        op.add_column(table, sa.Column("suppression", sa.Text))
    op.create_table(
        "suppressions",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("address_hash", sa.LargeBinary, primary_key=True),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("dispatch_id", sa.Uuid),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_suppressions_create_time", "suppressions", ["channel", "create_time"])
