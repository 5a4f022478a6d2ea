"""Contact lists, and which jobs were made of one."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "contact_lists",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("has_jobs", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("archive_time", _INSTANT),
        sa.Column("delete_time", _INSTANT),
        if_not_exists=True,
    )
    for name, columns, where in (
        ("listed", ["service_id", sa.text("create_time DESC"), sa.text("id DESC")], "IS NULL"),
        ("archived", ["archive_time"], "IS NOT NULL"),
    ):
        op.create_index(
            f"ix_contact_lists_{name}",
            "contact_lists",
            columns,
            postgresql_where=sa.text(f"archive_time {where}"),
            if_not_exists=True,
        )
    # concurrently, so that jobs are made and worked off meanwhile
    with op.get_context().autocommit_block():
        name = "ix_jobs_contact_list_id"
        op.drop_index(name, "jobs", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "jobs",
            ["contact_list_id"],
            postgresql_where=sa.text("contact_list_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
