"""Render batches are sent to Celery by fair shares of lanes and services."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # any of it may be there already where a migration was broken off
    lane = sa.Column("lane", sa.Text, nullable=False, server_default="api")
    nobody = "00000000-0000-0000-0000-000000000000"
    service_id = sa.Column("service_id", sa.Uuid, nullable=False, server_default=nobody)
    for column in (lane, service_id):
        op.add_column("render_batches", column, if_not_exists=True)
    # concurrently, so that the table is written to meanwhile; an index left half built is made anew
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_render_batches_fair", "render_batches", postgresql_concurrently=True, if_exists=True
        )
        op.create_index(
            "ix_render_batches_fair",
            "render_batches",
            ["lane", "service_id", "due_at"],
            postgresql_where=sa.text("due_at IS NOT NULL AND parked_at IS NULL"),
            postgresql_concurrently=True,
        )
