"""Requests to join services, events of the web app, and names that no text may come from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _created() -> "sa.Column[object]":
    return sa.Column("create_time", _INSTANT, server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "join_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("requester_id", sa.Uuid(), nullable=False),
        sa.Column("contacted_user_ids", ARRAY(sa.Uuid()), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("status_changed_time", _INSTANT),
        sa.Column("status_changed_by_id", sa.Uuid()),
        _created(),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="join_requests_service_id_fkey"),
        sa.ForeignKeyConstraint(["requester_id"], ["users.id"], name="join_requests_requester_id_fkey"),
        sa.ForeignKeyConstraint(
            ["status_changed_by_id"], ["users.id"], name="join_requests_status_changed_by_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="join_requests_pkey"),
    )
    op.create_index("ix_join_requests_service_id", "join_requests", ["service_id", "requester_id"])
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        _created(),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="events_pkey"),
    )
    op.create_index("ix_events_create_time", "events", ["create_time"])
    op.create_table(
        "protected_sender_ids",
        sa.Column("sender_id", sa.Text(), nullable=False),
        _created(),
        sa.PrimaryKeyConstraint("sender_id", name="protected_sender_ids_pkey"),
    )
