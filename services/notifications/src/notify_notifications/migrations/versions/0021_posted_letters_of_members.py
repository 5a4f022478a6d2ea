"""Who sent the letters that the post may bring back after their retention."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; letters that are there already count as sent by a key."""
    op.add_column("posted_letters", sa.Column("created_by_id", sa.Uuid()))
