"""Text senders, reply-to addresses and contact blocks can be changed; text senders may be inbound numbers."""

from alembic import op
from notify_admin.store.columns import ids, instants

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add nullable columns."""
    for table in ("sms_senders", "reply_to_addresses", "letter_contacts"):
        op.add_column(table, *instants("update_time", nullable=True))
    op.add_column("sms_senders", *ids("inbound_number_id", nullable=True))
    op.create_index("uq_sms_senders_inbound_number_id", "sms_senders", ["inbound_number_id"], unique=True)
