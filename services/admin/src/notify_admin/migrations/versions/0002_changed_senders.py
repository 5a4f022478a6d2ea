"""Text senders, reply-to addresses and contact blocks can be changed; text senders may be inbound numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns."""
    for table in ("sms_senders", "reply_to_addresses", "letter_contacts"):
        op.add_column(table, sa.Column("update_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sms_senders", sa.Column("inbound_number_id", sa.Uuid(), nullable=True))
    op.create_index("uq_sms_senders_inbound_number_id", "sms_senders", ["inbound_number_id"], unique=True)
