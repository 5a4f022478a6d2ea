"""Messages that were deleted are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deleted_message_counts",
        sa.Column("service_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("template_id", sa.Uuid, primary_key=True),
        sa.Column("key_type", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("international", sa.Boolean, primary_key=True),
        sa.Column("rate_multiplier", sa.Integer, primary_key=True),
        sa.Column("postage", sa.Text, primary_key=True),
        sa.Column("sheet_count", sa.Integer, primary_key=True),
        sa.Column("message_count", sa.BigInteger, nullable=False),
        sa.Column("fragment_count", sa.BigInteger, nullable=False),
    )
