"""Parked rows are counted on an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("outbox",)


def upgrade() -> None:
    # Concurrently, so that a large table goes on being written to meanwhile. What a migration that was broken
    # off has left may be invalid, and is made anew.
    with op.get_context().autocommit_block():
        for table in TABLES:
            op.drop_index(f"ix_{table}_parked", table, postgresql_concurrently=True, if_exists=True)
            op.create_index(
                f"ix_{table}_parked",
                table,
                ["parked_at"],
                postgresql_where=sa.text("parked_at IS NOT NULL"),
                postgresql_concurrently=True,
            )
