"""Letters that fail validation say which rule they break, and what of them does."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("failure", "failure_detail"):
        op.add_column("letters", sa.Column(name, sa.Text, nullable=False, server_default=""))
