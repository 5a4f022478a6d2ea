"""Services are counted by organisation."""

from alembic import op

revision = "0007"
down_revision = "0006"

_INDEX = "ix_services_organisation_id"


def upgrade() -> None:
    """Add the index, concurrently; what a migration that was broken off has left is made anew."""
    with op.get_context().autocommit_block():
        op.drop_index(_INDEX, "services", postgresql_concurrently=True, if_exists=True)
        op.create_index(_INDEX, "services", ["organisation_id"], postgresql_concurrently=True)
