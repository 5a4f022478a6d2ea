"""Letters whose PDF comes ready made: uploads, and the queue in which they wait to be checked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATES = (
    "pending-virus-check",
    "created",
    "ready",
    "submitting",
    "submitted",
    "validation-failed",
    "technical-failure",
    "virus-scan-failed",
    "cancelled",
)
KINDS = ("ready", "validation-failed", "technical-failure", "cancelled", "returned", "virus-scan-failed")


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)

    op.alter_column("letters", "render_batch_id", nullable=True)
    op.add_column("letters", sa.Column("source", sa.Text, nullable=False, server_default="template"))
    op.add_column("letters", sa.Column("failure_pages", JSONB, nullable=False, server_default="[]"))
    op.add_column("letter_events", sa.Column("postage", sa.Text))
    _one_of("letters", "state", STATES)
    _one_of("letters", "source", ("template", "precompiled"))
    _one_of("letter_events", "kind", KINDS)

    op.create_table(
        "pdf_uploads",
        sa.Column("letter_id", sa.Uuid, primary_key=True),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("create_time", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("store_time", instant),
    )
    op.create_index("ix_pdf_uploads_create_time", "pdf_uploads", ["create_time"])

    waiting = sa.text("due_at IS NOT NULL AND parked_at IS NULL")
    op.create_table(
        "pdf_checks",
        sa.Column("letter_id", sa.Uuid, primary_key=True),
        sa.Column("lane", sa.Text, nullable=False, server_default="api"),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("allow_international", sa.Boolean, nullable=False),
        sa.Column("due_at", instant, server_default=sa.func.now()),
        sa.Column("leased_until", instant),
        sa.Column("lease_token", sa.Uuid),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parked_at", instant),
        sa.Column("park_reason", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("traceparent", sa.Text),
    )
    op.create_index("ix_pdf_checks_due", "pdf_checks", ["due_at"], postgresql_where=waiting)
    op.create_index(
        "ix_pdf_checks_fair", "pdf_checks", ["lane", "service_id", "due_at"], postgresql_where=waiting
    )
    op.create_index(
        "ix_pdf_checks_parked", "pdf_checks", ["parked_at"], postgresql_where=sa.text("parked_at IS NOT NULL")
    )


def _one_of(table: str, column: str, values: tuple[str, ...]) -> None:
    """Allow more values: the rows that exist have none but the former ones, so they need not be looked at."""
    name = f"ck_{table}_{column}"
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    listed = ", ".join(repr(value) for value in values)
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({listed})) NOT VALID")
