"""Dispatches with their attempts and receipts, provider settings, delivery events and the sandbox."""

import sqlalchemy as sa
from alembic import op
from notify_common.feeds.producer import Xid8
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# name, channel, priority, rule: what each provider does with an id that it knows already decides the rule.
# The sandbox takes an id once. The supplier of mmg speaks of a "duplicate id" failure without saying when it
# is raised, so that a person decides.
PROVIDERS = (
    ("sandbox-sms", "sms", 0, "retry"),
    ("sandbox-email", "email", 0, "retry"),
    ("sandbox-print", "letter", 0, "retry"),
    ("mmg", "sms", 100, "hold"),
)


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _lease_columns() -> list[sa.Column]:
    return [
        sa.Column("due_at", _instant(), server_default=sa.func.now()),
        sa.Column("leased_until", _instant()),
        sa.Column("lease_token", sa.Uuid),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parked_at", _instant()),
        sa.Column("park_reason", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("traceparent", sa.Text),
    ]


def _create_receipts(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("dispatch_id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("second_copy", sa.Boolean, nullable=False),
        sa.Column("provider_time", _instant()),
        sa.Column("receive_time", _instant(), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint(
            "provider",
            "reference",
            "status",
            "provider_time",
            name=f"uq_{name}_same",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(f"ix_{name}_dispatch_id", name, ["dispatch_id"])


def upgrade() -> None:
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="queued"),
        sa.Column("content", JSONB),
        sa.Column("create_time", _instant(), nullable=False, server_default=sa.func.now()),
        *_lease_columns(),
    )
    op.create_index(
        "ix_dispatches_channel_due",
        "dispatches",
        ["channel", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL AND parked_at IS NULL"),
    )
    op.create_index(
        "ix_dispatches_held",
        "dispatches",
        ["state", "create_time", "id"],
        postgresql_where=sa.text("state IN ('failed', 'in-doubt')"),
    )
    op.create_table(
        "attempts",
        sa.Column("dispatch_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("start_time", _instant(), nullable=False, server_default=sa.func.now()),
        sa.Column("end_time", _instant()),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
    )
    _create_receipts("receipts")
    _create_receipts("unmatched_receipts")
    op.create_index("ix_unmatched_receipts_receive_time", "unmatched_receipts", ["receive_time"])
    settings = op.create_table(
        "provider_settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("supports_international", sa.Boolean, nullable=False),
        sa.Column("unknown_outcome_rule", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    )
    op.bulk_insert(
        settings,
        [
            {
                "name": name,
                "channel": channel,
                "active": True,
                "priority": priority,
                "supports_international": True,
                "unknown_outcome_rule": rule,
            }
            for name, channel, priority, rule in PROVIDERS
        ],
    )
    op.create_table(
        "delivery_events",
        sa.Column("tx", Xid8, primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("create_time", _instant(), nullable=False, server_default=sa.func.now()),
        sa.Column("dispatch_id", sa.Uuid, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("event_time", _instant(), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_delivery_events_create_time", "delivery_events", ["create_time"])
    op.create_table(
        "sandbox_messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("recipient_search", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("copy_count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("receive_time", _instant(), nullable=False, server_default=sa.func.now()),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
    )
    op.create_index(
        "ix_sandbox_messages_newest", "sandbox_messages", [sa.text("receive_time DESC"), sa.text("id DESC")]
    )
    op.create_table(
        "sandbox_receipts",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        *_lease_columns(),
    )
    op.create_index(
        "ix_sandbox_receipts_due",
        "sandbox_receipts",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL AND parked_at IS NULL"),
    )
