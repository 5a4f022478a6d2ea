"""Files that emails of a template link to."""

import sqlalchemy as sa
from alembic import op
from notify_admin.store.columns import Columns, blobs, created, flags, ids, instants, numbers, texts
from sqlalchemy import Index

revision = "0011"
down_revision = "0010"


def _columns() -> Columns:
    return [
        *ids("service_id", "services"),
        *ids("template_id", "templates"),
        *texts("filename"),
        *texts("link_text", nullable=True),
        *numbers("retention_weeks"),
        *flags("validates_email_address pending"),
        *numbers("template_version"),
        *ids("created_by_id", "users"),
        *created(),
        *instants("update_time archive_time", nullable=True),
        *ids("archived_by_id", "users", nullable=True),
    ]


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "template_email_files",
        *ids("id", primary_key=True),
        *numbers("version", server_default="0"),
        *_columns(),
        *blobs("request_hash"),
        Index(
            "uq_template_email_files_filename",
            "template_id",
            sa.text("lower(filename)"),
            unique=True,
            postgresql_where=sa.text("archive_time IS NULL AND NOT pending"),
        ),
        Index(None, "service_id"),
    )
    op.create_table(
        "template_email_file_states",
        *ids("id", primary_key=True),
        *numbers("version", primary_key=True),
        *_columns(),
        Index(None, "template_id"),
    )
