"""Totals of days of the whole platform."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "platform_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("message_count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "processing_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("message_count", sa.BigInteger, nullable=False),
        sa.Column("prompt_count", sa.BigInteger, nullable=False),
    )
