"""Secrets of providers that are changed here."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "provider_secrets",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary),
        sa.Column("next_value", sa.LargeBinary),
        sa.Column("change_time", instant),
        sa.Column("locked_until", instant),
    )
