"""Messages say when they are to be sent, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns; what is there already has no such times."""
    for name in ("send_at", "deliver_by"):
        op.add_column("notifications", sa.Column(name, sa.DateTime(timezone=True)), if_not_exists=True)
