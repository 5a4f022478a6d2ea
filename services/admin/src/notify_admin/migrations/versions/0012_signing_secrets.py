"""What calls to services are signed with."""

from alembic import op
from notify_admin.store.columns import blobs, ids, instants

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    for column in (
        *ids("signing_secret_id", nullable=True),
        *blobs("encrypted_signing_secret encrypted_previous_signing_secret", nullable=True),
        *instants("previous_signing_secret_end_time", nullable=True),
    ):
        op.add_column("callbacks", column)
