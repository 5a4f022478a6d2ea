"""Dispatches say until when they may be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is there already has no such time."""
    op.add_column("dispatches", sa.Column("deliver_by", sa.DateTime(timezone=True)), if_not_exists=True)
