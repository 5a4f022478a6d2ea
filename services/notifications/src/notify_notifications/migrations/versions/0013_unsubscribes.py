"""Requests to get no more emails, and the reports by which services take note of them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "unsubscribe_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("earliest_time", _INSTANT, nullable=False),
        sa.Column("latest_time", _INSTANT, nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("process_time", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="unsubscribe_reports_pkey"),
    )
    newest = [sa.text("create_time DESC"), sa.text("id DESC")]
    op.create_index("ix_unsubscribe_reports_listed", "unsubscribe_reports", ["service_id", *newest])
    op.create_table(
        "unsubscribe_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("send_time", _INSTANT, nullable=False),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("report_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name="unsubscribe_requests_pkey"),
    )
    op.create_index("ix_unsubscribe_requests_notification_id", "unsubscribe_requests", ["notification_id"])
    op.create_index("ix_unsubscribe_requests_service_id", "unsubscribe_requests", ["service_id"])
    op.create_index("ix_unsubscribe_requests_listed", "unsubscribe_requests", ["report_id", *newest])
