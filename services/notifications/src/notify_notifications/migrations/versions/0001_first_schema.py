"""Notifications with their outbox, counters, idempotency keys, rates and feed cursors."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Rates in force, internal-api.md §4.15; pounds a text fragment, and a letter of 1, 2, 3, 4, 5 sheets.
SMS_RATES = {
    "2016-05-18T00:00": 16_500,
    "2017-03-31T23:00": 15_800,
    "2021-03-31T23:00": 16_000,
    "2022-03-31T23:00": 16_100,
    "2022-04-30T23:00": 17_200,
    "2023-03-31T23:00": 19_700,
    "2024-03-31T23:00": 22_700,
    "2025-03-31T23:00": 23_300,
    "2026-03-31T23:00": 24_000,
}
LETTER_RATES = {
    "economy": ("2026-06-30T23:00", (638_000, 684_000, 724_000, 779_000, 823_000)),
    "second": ("2026-01-05T00:00", (730_000, 770_000, 820_000, 870_000, 910_000)),
    "first": ("2026-04-06T23:00", (1_560_000, 1_610_000, 1_660_000, 1_710_000, 1_760_000)),
    "europe": ("2026-05-02T23:00", (1_800_000, 1_840_000, 1_880_000, 1_920_000, 1_960_000)),
    "rest-of-world": ("2026-05-02T23:00", (1_800_000, 1_840_000, 1_880_000, 1_920_000, 1_960_000)),
}


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("api_key_id", sa.Uuid, nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("normalised_recipient", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("personalisation", JSONB, nullable=False),
        sa.Column("unsubscribe_url", sa.Text, nullable=False),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", instant, nullable=False),
        sa.Column("hand_over_time", instant),
        sa.Column("sent_time", instant),
        sa.Column("update_time", instant),
        sa.Column("provider", sa.Text, nullable=False, server_default=""),
        sa.Column("international", sa.Boolean, nullable=False),
        sa.Column("phone_prefix", sa.Text, nullable=False),
        sa.Column("rate_multiplier", sa.Integer, nullable=False),
        sa.Column("fragment_count", sa.Integer),
        sa.Column("postage", sa.Text),
        sa.Column("sheet_count", sa.Integer),
    )
    newest_first = [sa.text("create_time DESC"), sa.text("id DESC")]
    op.create_index("ix_notifications_listed", "notifications", ["service_id", "key_type", *newest_first])
    op.create_index(
        "ix_notifications_reference",
        "notifications",
        ["service_id", "reference", *newest_first],
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("notification_id", sa.Uuid, primary_key=True),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("due_at", instant, server_default=sa.func.now()),
        sa.Column("leased_until", instant),
        sa.Column("lease_token", sa.Uuid),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parked_at", instant),
        sa.Column("park_reason", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("traceparent", sa.Text),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "1000"},
    )
    op.create_index(
        "ix_outbox_destination_due",
        "outbox",
        ["destination", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL AND parked_at IS NULL"),
    )
    op.create_table(
        "service_day_counters",
        sa.Column("service_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("counter", sa.Text, primary_key=True),
        sa.Column("shard", sa.SmallInteger, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_service_day_counters_day", "service_day_counters", ["day"])
    op.create_table(
        "idempotency_keys",
        sa.Column("service_id", sa.Uuid, primary_key=True),
        sa.Column("key_hash", sa.LargeBinary, primary_key=True),
        sa.Column("notification_id", sa.Uuid, nullable=False),
        sa.Column("create_time", instant, nullable=False),
    )
    op.create_index("ix_idempotency_keys_create_time", "idempotency_keys", ["create_time"])
    op.create_table(
        "feed_cursors",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("update_time", instant, nullable=False, server_default=sa.func.now()),
    )
    sms_rates = op.create_table(
        "sms_rates",
        sa.Column("valid_from", instant, primary_key=True),
        sa.Column("rate_micropounds", sa.BigInteger, nullable=False),
    )
    letter_rates = op.create_table(
        "letter_rates",
        sa.Column("postage", sa.Text, primary_key=True),
        sa.Column("sheet_count", sa.Integer, primary_key=True),
        sa.Column("valid_from", instant, primary_key=True),
        sa.Column("rate_micropounds", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(
        sms_rates,
        [{"valid_from": _utc(start), "rate_micropounds": rate} for start, rate in SMS_RATES.items()],
    )
    op.bulk_insert(
        letter_rates,
        [
            {"postage": postage, "sheet_count": sheets, "valid_from": _utc(start), "rate_micropounds": rate}
            for postage, (start, rates) in LETTER_RATES.items()
            for sheets, rate in enumerate(rates, start=1)
        ],
    )


def downgrade() -> None:
    for table in (
        "letter_rates",
        "sms_rates",
        "feed_cursors",
        "idempotency_keys",
        "service_day_counters",
        "outbox",
        "notifications",
    ):
        op.drop_table(table)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
