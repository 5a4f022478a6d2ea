"""Files that emails of a template link to."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _columns(table: str) -> "list[sa.schema.SchemaItem]":
    parents = {
        "service_id": "services",
        "template_id": "templates",
        "created_by_id": "users",
        "archived_by_id": "users",
    }
    return [
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("link_text", sa.Text()),
        sa.Column("retention_weeks", sa.Integer(), nullable=False),
        sa.Column("validates_email_address", sa.Boolean(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", _INSTANT),
        sa.Column("archive_time", _INSTANT),
        sa.Column("archived_by_id", sa.Uuid()),
        *(
            sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"{table}_{column}_fkey")
            for column, parent in parents.items()
        ),
    ]


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "template_email_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        *_columns("template_email_files"),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="template_email_files_pkey"),
    )
    op.create_index(
        "uq_template_email_files_filename",
        "template_email_files",
        ["template_id", sa.text("lower(filename)")],
        unique=True,
        postgresql_where=sa.text("archive_time IS NULL AND NOT pending"),
    )
    op.create_index("ix_template_email_files_service_id", "template_email_files", ["service_id"])
    op.create_table(
        "template_email_file_states",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *_columns("template_email_file_states"),
        sa.PrimaryKeyConstraint("id", "version", name="template_email_file_states_pkey"),
    )
    op.create_index(
        "ix_template_email_file_states_template_id", "template_email_file_states", ["template_id"]
    )
