"""PDFs that are printed behind the letters of templates."""

from alembic import op
from notify_admin.store.columns import blobs, created, ids, instants, numbers, texts, within

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table, and the column by which versions of templates name one."""
    op.create_table(
        "letter_attachments",
        *within("services"),
        *ids("template_id", "templates"),
        *texts("original_filename"),
        *numbers("page_count"),
        *ids("created_by_id", "users"),
        *created(),
        *instants("archive_time", nullable=True),
        *ids("archived_by_id", "users", nullable=True),
        *blobs("request_hash"),
    )
    op.add_column("template_versions", *ids("letter_attachment_id", nullable=True))
