"""Jobs, and which row of one a message is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # the index concurrently, so that a large table goes on being written to meanwhile
    op.add_column("notifications", sa.Column("row_number", sa.Integer()), if_not_exists=True)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.Text, nullable=False, server_default="api"),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("sender_id", sa.Uuid()),
        sa.Column("contact_list_id", sa.Uuid()),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("scheduled_time", _INSTANT),
        sa.Column("start_time", _INSTANT),
        sa.Column("finish_time", _INSTANT),
        sa.Column("update_time", _INSTANT),
        sa.Column("delete_time", _INSTANT),
        sa.Column("parent_id", sa.Uuid()),
        sa.Column("headings", ARRAY(sa.Text)),
        sa.Column("delimiter", sa.Text),
        sa.Column("chunk_ends", ARRAY(sa.BigInteger)),
        sa.Column("chunk_rows", ARRAY(sa.Integer)),
        sa.Column("next_chunk", sa.Integer, nullable=False, server_default="0"),
        sa.Column("dropped_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("day", sa.Date),
        sa.Column("due_at", _INSTANT, server_default=sa.func.now()),
        sa.Column("leased_until", _INSTANT),
        sa.Column("lease_token", sa.Uuid()),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parked_at", _INSTANT),
        sa.Column("park_reason", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("traceparent", sa.Text),
        if_not_exists=True,
    )
    listed = ["service_id", sa.text("create_time DESC"), sa.text("id DESC")]
    op.create_index("ix_jobs_listed", "jobs", listed, if_not_exists=True)
    kept = sa.text("delete_time IS NULL")
    op.create_index("ix_jobs_kept", "jobs", ["create_time"], postgresql_where=kept, if_not_exists=True)
    waiting = sa.text("due_at IS NOT NULL AND parked_at IS NULL")
    for name, columns in (("due", ["due_at"]), ("fair", ["lane", "service_id", "due_at"])):
        op.create_index(f"ix_jobs_{name}", "jobs", columns, postgresql_where=waiting, if_not_exists=True)
    parked = sa.text("parked_at IS NOT NULL")
    op.create_index("ix_jobs_parked", "jobs", ["parked_at"], postgresql_where=parked, if_not_exists=True)
    with op.get_context().autocommit_block():
        name = "ix_notifications_job_rows"
        op.drop_index(name, "notifications", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "notifications",
            ["batch_id", "row_number"],
            postgresql_where=sa.text("row_number IS NOT NULL"),
            postgresql_concurrently=True,
        )
