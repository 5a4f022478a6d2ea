"""Messages that no API key asked for: the platform's own mail."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let api_key_id be absent."""
    op.alter_column("notifications", "api_key_id", nullable=True)
