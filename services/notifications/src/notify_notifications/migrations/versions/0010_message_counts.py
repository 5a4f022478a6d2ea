"""Counts of messages, and usage facts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables; `recount` counts what was accepted before."""
    op.create_table(
        "message_counts",
        sa.Column("service_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("template_id", sa.Uuid, primary_key=True),
        sa.Column("key_type", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("shard", sa.SmallInteger, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_message_counts_day", "message_counts", ["day"])
    op.create_table(
        "usage_facts",
        sa.Column("service_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("template_id", sa.Uuid, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("rate_micropounds", sa.BigInteger, primary_key=True),
        sa.Column("rate_multiplier", sa.Integer, primary_key=True),
        sa.Column("postage", sa.Text, primary_key=True),
        sa.Column("message_count", sa.BigInteger, nullable=False),
        sa.Column("unit_count", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_usage_facts_day", "usage_facts", ["day"])
