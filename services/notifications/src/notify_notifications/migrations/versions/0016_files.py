"""Files that emails link to."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        sa.Column("address_check", sa.LargeBinary()),
        sa.Column("create_time", _INSTANT, nullable=False),
        sa.Column("expire_time", _INSTANT, nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("tries_since", _INSTANT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="files_pkey"),
    )
    op.create_index("ix_files_expire_time", "files", ["expire_time"])
    op.create_index("ix_files_unsettled", "files", ["create_time"], postgresql_where=sa.text("NOT settled"))
