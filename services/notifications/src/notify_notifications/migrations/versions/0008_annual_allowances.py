"""Texts that services may send without paying, where that was set."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "annual_allowances",
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("fragment_count", sa.Integer()),
        sa.PrimaryKeyConstraint("service_id", "year", name="annual_allowances_pkey"),
    )
