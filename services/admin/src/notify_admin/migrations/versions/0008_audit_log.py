"""The audit log."""

import sqlalchemy as sa
from alembic import op
from notify_admin.store.columns import blobs, columns, ids, instants, texts
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table, and what keeps it from being changed."""
    op.create_table(
        "audit_log",
        *ids("chain_id", primary_key=True),
        *columns(sa.BigInteger, "number", primary_key=True, autoincrement=False),
        *instants("create_time"),
        *ids("actor_id", nullable=True),
        *texts("request_id action resource"),
        *ids("resource_id"),
        *columns(JSONB, "before after", nullable=True),
        *blobs("hash"),
    )
    op.execute(
        "CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()"
    )
