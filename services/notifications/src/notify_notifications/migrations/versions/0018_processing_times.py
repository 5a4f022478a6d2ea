"""How long messages wait until a provider takes them, and how many services sent on a day."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column; days that are over have neither."""
    op.create_table(
        "processing_times",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("message_count", sa.BigInteger, nullable=False),
    )
    op.add_column(
        "platform_days",
        sa.Column("service_count", sa.Integer, nullable=False, server_default="0"),
        if_not_exists=True,
    )
