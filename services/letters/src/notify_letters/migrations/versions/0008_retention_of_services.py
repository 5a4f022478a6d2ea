"""Letters that ended are found by their service."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Concurrently, so that a large table goes on being written to meanwhile. What a migration that was broken
    # off has left may be invalid, and is made anew.
    with op.get_context().autocommit_block():
        op.drop_index("ix_letters_ended", "letters", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_letters_ended",
            "letters",
            ["service_id", "update_time"],
            postgresql_where=sa.text("remove_time IS NULL AND state NOT IN ('created', 'ready')"),
            postgresql_concurrently=True,
        )
        # without a service, it serves no query any more
        op.drop_index("ix_letters_to_remove", "letters", postgresql_concurrently=True, if_exists=True)
