"""Letters that people uploaded in the admin web app."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("pdf_checks", sa.Column("uploaded", sa.Boolean, nullable=False, server_default=sa.false()))
