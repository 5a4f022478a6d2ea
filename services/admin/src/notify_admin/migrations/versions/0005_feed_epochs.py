"""The epochs of the feeds: the lives of the database before and after each restore."""

from alembic import op
from notify_admin.store.columns import instants, numbers, texts

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "feed_epochs",
        *numbers("number", primary_key=True, autoincrement=False),
        *texts("system_identifier", nullable=True),
        *instants("begin_time", nullable=True),
    )
