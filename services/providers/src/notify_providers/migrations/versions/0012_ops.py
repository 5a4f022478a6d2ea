"""What operators see and do of queues."""

from alembic import op
from notify_common.ops.tables import create_ops_tables

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_ops_tables(op)
