"""Letters, their events, and the batches that render and print them."""

import sqlalchemy as sa
from alembic import op
from notify_common.feeds.producer import Xid8
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _lease_columns() -> list[sa.Column]:
    instant = sa.DateTime(timezone=True)
    return [
        sa.Column("enqueued_until", instant),
        sa.Column("due_at", instant, server_default=sa.func.now()),
        sa.Column("leased_until", instant),
        sa.Column("lease_token", sa.Uuid),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parked_at", instant),
        sa.Column("park_reason", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("traceparent", sa.Text),
    ]


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    waiting = sa.text("due_at IS NOT NULL AND parked_at IS NULL")

    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("service_id", sa.Uuid, nullable=False),
        sa.Column("key_type", sa.Text, nullable=False),
        sa.Column("template_id", sa.Uuid, nullable=False),
        sa.Column("template_version", sa.Integer, nullable=False),
        sa.Column("personalisation", JSONB, nullable=False),
        sa.Column("address_lines", JSONB, nullable=False),
        sa.Column("postage", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("create_time", instant, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="created"),
        sa.Column("page_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sheet_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("update_time", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("render_batch_id", sa.Uuid, nullable=False),
        sa.Column("print_batch_id", sa.Uuid),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.CheckConstraint("key_type IN ('normal', 'test')", name="ck_letters_key_type"),
        sa.CheckConstraint(
            "state IN ('created', 'ready', 'submitting', 'submitted', 'validation-failed',"
            " 'technical-failure')",
            name="ck_letters_state",
        ),
    )
    op.create_index(
        "ix_letters_to_render", "letters", ["render_batch_id"], postgresql_where=sa.text("state = 'created'")
    )
    op.create_index(
        "ix_letters_to_print", "letters", ["create_time"], postgresql_where=sa.text("state = 'ready'")
    )
    op.create_index(
        "ix_letters_to_submit",
        "letters",
        ["print_batch_id"],
        postgresql_where=sa.text("state = 'submitting'"),
    )

    op.create_table("render_batches", sa.Column("id", sa.Uuid, primary_key=True), *_lease_columns())
    op.create_index("ix_render_batches_due", "render_batches", ["due_at"], postgresql_where=waiting)

    op.create_table(
        "print_runs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("deadline", instant, nullable=False),
        sa.Column("create_time", instant, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_print_runs_newest", "print_runs", ["create_time", "id"])

    op.create_table(
        "print_batches",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("print_run_id", sa.Uuid, sa.ForeignKey("print_runs.id")),
        sa.Column("postage", sa.Text),
        sa.Column("letter_count", sa.Integer, nullable=False),
        sa.Column("submit_time", instant),
        *_lease_columns(),
        sa.CheckConstraint(
            "(print_run_id IS NULL) = (postage IS NULL)", name="ck_print_batches_run_has_postage"
        ),
    )
    op.create_index("ix_print_batches_due", "print_batches", ["due_at"], postgresql_where=waiting)
    op.create_index("ix_print_batches_print_run_id", "print_batches", ["print_run_id"])

    op.create_table(
        "letter_events",
        sa.Column("tx", Xid8, primary_key=True, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("create_time", instant, nullable=False, server_default=sa.func.now()),
        sa.Column("letter_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("page_count", sa.Integer, nullable=False),
        sa.Column("sheet_count", sa.Integer, nullable=False),
        sa.CheckConstraint(
            "kind IN ('ready', 'validation-failed', 'technical-failure')", name="ck_letter_events_kind"
        ),
    )
