"""PDFs that are printed behind the letters of templates."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table, and the column by which versions of templates name one."""
    parents = {
        "service_id": "services",
        "template_id": "templates",
        "created_by_id": "users",
        "archived_by_id": "users",
    }
    op.create_table(
        "letter_attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("original_filename", sa.Text(), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("create_time", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("archive_time", _INSTANT),
        sa.Column("archived_by_id", sa.Uuid()),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="letter_attachments_pkey"),
        *(
            sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"letter_attachments_{column}_fkey")
            for column, parent in parents.items()
        ),
    )
    op.add_column("template_versions", sa.Column("letter_attachment_id", sa.Uuid()))
