"""What members of services send in the admin web app."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # the index concurrently, so that a large table goes on being written to meanwhile
    op.add_column("notifications", sa.Column("created_by_id", sa.Uuid()), if_not_exists=True)
    with op.get_context().autocommit_block():
        name = "ix_notifications_letters_of_members"
        op.drop_index(name, "notifications", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "notifications",
            ["service_id", sa.text("create_time DESC"), sa.text("id DESC")],
            postgresql_where=sa.text("created_by_id IS NOT NULL AND channel = 'letter'"),
            postgresql_concurrently=True,
        )
