"""Letters that travel to a printer together in one file."""

import sqlalchemy as sa
from alembic import op
from notify_common.db.columns import id_column
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "print_drops",
        id_column("id", primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("letters", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("state IN ('planned', 'file-stands', 'done')", name="ck_print_drops_state"),
    )
    op.create_index("ix_print_drops_create_time", "print_drops", ["create_time"])
    op.create_table(
        "print_drop_letters",
        id_column("dispatch_id", primary_key=True),
        id_column("drop_id", sa.ForeignKey("print_drops.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_print_drop_letters_drop_id", "print_drop_letters", ["drop_id"])
