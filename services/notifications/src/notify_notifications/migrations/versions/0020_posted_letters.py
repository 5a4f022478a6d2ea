"""Letters that the post may bring back after their retention."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table; letters that are deleted already are not in it."""
    op.create_table(
        "posted_letters",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("sent_time", _INSTANT),
        sa.Column("update_time", _INSTANT),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("sheet_count", sa.Integer),
        sa.Column("postage", sa.Text),
        sa.Column("batch_id", sa.Uuid()),
        sa.Column("delete_time", _INSTANT, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_posted_letters_delete_time", "posted_letters", ["delete_time"])
    op.create_index(
        "ix_posted_letters_returned",
        "posted_letters",
        ["service_id", "update_time"],
        postgresql_where=sa.text("state = 'returned-letter'"),
    )
