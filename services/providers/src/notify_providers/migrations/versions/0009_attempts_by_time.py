"""Attempts are found by the time of their beginning."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Attempts are appended in the order of their beginning: such an index costs next to nothing.
    with op.get_context().autocommit_block():
        op.drop_index("ix_attempts_start_time", "attempts", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_attempts_start_time",
            "attempts",
            ["start_time"],
            postgresql_using="brin",
            postgresql_concurrently=True,
        )
