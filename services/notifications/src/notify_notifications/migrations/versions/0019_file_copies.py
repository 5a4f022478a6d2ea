"""Contents of files of templates, shared by the emails that link to them."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and what leads to it."""
    op.create_table(
        "file_copies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("expire_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="file_copies_pkey"),
    )
    op.create_index("ix_file_copies_expire_time", "file_copies", ["expire_time"])
    op.add_column("files", sa.Column("copy_id", sa.Uuid()))
