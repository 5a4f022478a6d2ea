"""How long a message waits for a receipt after a call of unknown outcome."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "provider_settings",
        sa.Column("unknown_outcome_wait_seconds", sa.Integer, nullable=False, server_default="0"),
    )
    op.execute("UPDATE provider_settings SET unknown_outcome_wait_seconds = 300 WHERE name = 'mmg'")
