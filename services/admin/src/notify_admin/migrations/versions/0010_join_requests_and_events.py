"""Requests to join services, events of the web app, and names that no text may come from."""

from alembic import op
from notify_admin.store.columns import columns, created, ids, instants, made, texts, within
from notify_common.db.columns import id_type
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "join_requests",
        *within("services"),
        *ids("requester_id", "users"),
        *columns(ARRAY(id_type()), "contacted_user_ids"),
        *texts("reason", nullable=True),
        *texts("status", server_default="pending"),
        *instants("status_changed_time", nullable=True),
        *ids("status_changed_by_id", "users", nullable=True),
        *made(),
        Index(None, "service_id", "requester_id"),
    )
    op.create_table(
        "events", *ids("id", primary_key=True), *texts("type data"), *made(), Index(None, "create_time")
    )
    op.create_table("protected_sender_ids", *texts("sender_id", primary_key=True), *created())
