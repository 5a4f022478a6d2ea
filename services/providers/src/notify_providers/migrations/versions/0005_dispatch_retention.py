"""Dispatches say themselves until when they are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The column may be there already where a migration was broken off.
    # now() is one value for the whole statement: PostgreSQL keeps it once and rewrites no row.
    op.add_column(
        "dispatches",
        sa.Column(
            "expire_time",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now() + interval '7 days'"),
        ),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.drop_index("ix_dispatches_expire_time", "dispatches", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_dispatches_expire_time", "dispatches", ["expire_time"], postgresql_concurrently=True
        )
