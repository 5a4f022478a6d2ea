"""Every filter of lists has an index, and references are indexed by their hash."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NEWEST_FIRST = [sa.text("create_time DESC"), sa.text("id DESC")]


def upgrade() -> None:
    # Concurrently, so that a large table goes on being written to meanwhile. What a migration that was broken
    # off has left may be invalid, and is made anew.
    with op.get_context().autocommit_block():
        for name in ("ix_notifications_reference_hash", "ix_notifications_filtered"):
            op.drop_index(name, "notifications", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_notifications_reference_hash",
            "notifications",
            ["service_id", sa.text("md5(reference)"), *NEWEST_FIRST],
            postgresql_where=sa.text("reference IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_notifications_filtered",
            "notifications",
            ["service_id", "key_type", "channel", "state", *NEWEST_FIRST],
            postgresql_concurrently=True,
        )
        # it refuses references that are larger than an entry may be
        op.drop_index(
            "ix_notifications_reference", "notifications", postgresql_concurrently=True, if_exists=True
        )
