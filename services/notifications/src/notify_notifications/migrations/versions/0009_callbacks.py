"""What services are told of over HTTP, and each attempt to tell them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_WAITING = sa.text("due_at IS NOT NULL AND parked_at IS NULL")


def upgrade() -> None:
    """Add the tables, with their indexes."""
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False, server_default="api"),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False, server_default=sa.func.now()),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("end_time", _INSTANT),
        sa.Column("earlier_attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", _INSTANT, server_default=sa.func.now()),
        sa.Column("leased_until", _INSTANT),
        sa.Column("lease_token", sa.Uuid()),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("parked_at", _INSTANT),
        sa.Column("park_reason", sa.Text()),
        sa.Column("request_id", sa.Text()),
        sa.Column("traceparent", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="callbacks_pkey"),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "1000"},
    )
    op.create_index("ix_callbacks_type_due", "callbacks", ["type", "due_at"], postgresql_where=_WAITING)
    fair = ["type", "lane", "service_id", "due_at"]
    op.create_index("ix_callbacks_fair", "callbacks", fair, postgresql_where=_WAITING)
    parked = sa.text("parked_at IS NOT NULL")
    op.create_index("ix_callbacks_parked", "callbacks", ["parked_at"], postgresql_where=parked)
    listed = ["service_id", sa.text("create_time DESC"), sa.text("id DESC")]
    op.create_index("ix_callbacks_listed", "callbacks", listed)
    op.create_index("ix_callbacks_subject_id", "callbacks", ["subject_id"])
    op.create_index("ix_callbacks_create_time", "callbacks", ["create_time"])
    op.create_table(
        "callback_attempts",
        sa.Column("callback_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("start_time", _INSTANT, nullable=False, server_default=sa.func.now()),
        sa.Column("end_time", _INSTANT),
        sa.Column("status", sa.Integer()),
        sa.Column("failure", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(
            ["callback_id"], ["callbacks.id"], name="callback_attempts_callback_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("callback_id", "number", name="callback_attempts_pkey"),
    )
