"""The epochs of the feeds: the lives of the database before and after each restore."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed_epochs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("system_identifier", sa.Text),
        sa.Column("begin_time", sa.DateTime(timezone=True)),
    )
