"""Why each provider was chosen, how providers do, their shares and modes, and tables of countries."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("attempts", sa.Column("choice", sa.Text, nullable=False, server_default=""))
    op.add_column("provider_settings", sa.Column("mode", sa.Text, nullable=False, server_default="shared"))
    op.add_column("provider_settings", sa.Column("share", sa.Double))
    op.create_table(
        "provider_health",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("since", _instant(), nullable=False, server_default=sa.func.now()),
        sa.Column("passed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("probes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("probe_at", _instant(), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "provider_calls",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("begin_time", _instant(), primary_key=True),
        sa.Column("ended", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("slow", sa.Integer, nullable=False),
    )
    op.create_table(
        "provider_changes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("create_time", _instant(), nullable=False, server_default=sa.func.now()),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("share", sa.Double),
    )
    op.create_index("ix_provider_changes_provider", "provider_changes", ["provider", "id"])
    op.create_table(
        "country_routes",
        sa.Column("prefix", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("weight", sa.Integer, nullable=False),
    )
