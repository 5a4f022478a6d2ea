"""What calls to services are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("callbacks", sa.Column("signing_secret_id", sa.Uuid()))
    op.add_column("callbacks", sa.Column("encrypted_signing_secret", sa.LargeBinary()))
    op.add_column("callbacks", sa.Column("encrypted_previous_signing_secret", sa.LargeBinary()))
    op.add_column("callbacks", sa.Column("previous_signing_secret_end_time", sa.DateTime(timezone=True)))
