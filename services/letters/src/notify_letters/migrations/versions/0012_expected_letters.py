"""How many letters a print run expects."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("print_runs", sa.Column("expected_letter_count", sa.BigInteger))
