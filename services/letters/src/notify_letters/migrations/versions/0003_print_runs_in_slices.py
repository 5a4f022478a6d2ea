"""Print runs are collected in slices, paused, reconciled; PDFs are known by size and hash."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)

    op.add_column("letters", sa.Column("pdf_bytes", sa.Integer, nullable=False, server_default="0"))
    op.add_column("letters", sa.Column("pdf_sha256", sa.Text, nullable=False, server_default=""))

    # the default is for runs of the version before, which nothing more is to be done for
    op.add_column("print_runs", sa.Column("state", sa.Text, nullable=False, server_default="submitted"))
    for name in ("pause_time", "collect_time", "complete_time", "last_create_time"):
        op.add_column("print_runs", sa.Column(name, instant))
    for name in ("last_service_id", "last_letter_id"):
        op.add_column("print_runs", sa.Column(name, sa.Uuid))
    op.add_column("print_runs", sa.Column("last_postage", sa.Text))
    for name in ("round_letter_count", "letter_count"):
        op.add_column("print_runs", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("print_runs", sa.Column("batch_count", sa.Integer, nullable=False, server_default="0"))
    for name in ("request_id", "traceparent"):
        op.add_column("print_runs", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_check_constraint(
        "ck_print_runs_state",
        "print_runs",
        "state IN ('collecting', 'submitting', 'submitted', 'unreconciled')",
    )
    op.create_index(
        "ix_print_runs_open",
        "print_runs",
        ["create_time"],
        postgresql_where=sa.text("state IN ('collecting', 'submitting')"),
    )

    op.add_column("print_batches", sa.Column("service_id", sa.Uuid))
    for name in ("number", "page_count", "sheet_count"):
        op.add_column("print_batches", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.add_column("print_batches", sa.Column("taken_count", sa.Integer))
    op.add_column("print_batches", sa.Column("manifest_sha256", sa.Text, nullable=False, server_default=""))

    # Concurrently, so that large tables go on being written to meanwhile. What a migration that was broken
    # off has left may be invalid, and is made anew.
    with op.get_context().autocommit_block():
        op.drop_index("ix_letters_print_order", "letters", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_letters_print_order",
            "letters",
            ["postage", "service_id", "create_time", "id"],
            postgresql_where=sa.text("state = 'ready' AND key_type = 'normal'"),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_letters_to_print", "letters", postgresql_concurrently=True, if_exists=True)
        op.drop_index(
            "ix_print_batches_unsubmitted", "print_batches", postgresql_concurrently=True, if_exists=True
        )
        op.create_index(
            "ix_print_batches_unsubmitted",
            "print_batches",
            ["print_run_id"],
            postgresql_where=sa.text("submit_time IS NULL"),
            postgresql_concurrently=True,
        )
