"""Batches, and which messages came in one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # the index concurrently, so that a large table goes on being written to meanwhile
    op.add_column("notifications", sa.Column("batch_id", sa.Uuid()), if_not_exists=True)
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("key_hash", sa.LargeBinary),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("lease_time", _INSTANT, nullable=False),
        sa.Column("complete_time", _INSTANT),
        sa.Column("accepted_count", sa.Integer),
        sa.Column("answer", sa.LargeBinary),
        if_not_exists=True,
    )
    op.create_index(
        "ix_batches_key_hash", "batches", ["service_id", "key_hash"], unique=True, if_not_exists=True
    )
    op.create_index("ix_batches_create_time", "batches", ["create_time"], if_not_exists=True)
    op.create_table(
        "batch_counts",
        sa.Column("batch_id", sa.Uuid(), primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        postgresql_with={"fillfactor": "50"},
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        name = "ix_notifications_batch_id"
        op.drop_index(name, "notifications", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            name,
            "notifications",
            ["batch_id", sa.text("create_time DESC"), sa.text("id DESC")],
            postgresql_where=sa.text("batch_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
