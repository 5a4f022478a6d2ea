"""The references of letters that were there before."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROWS_A_TRANSACTION = 10_000


def upgrade() -> None:
    # Whoever was broken off begins again: what is there already stays as it is.
    with op.get_context().autocommit_block():
        _fill()
        # serves no query any more; processes of the former version go through the table meanwhile
        op.drop_index("ix_letters_reference", "letters", postgresql_concurrently=True, if_exists=True)


def _fill() -> None:
    some = sa.text("""
        WITH page AS MATERIALIZED (
            SELECT id, reference FROM letters WHERE id > CAST(:last AS uuid) ORDER BY id LIMIT :rows
        ), filled AS (
            INSERT INTO letter_references (reference, letter_id)
            SELECT reference, id FROM page WHERE reference <> '' ON CONFLICT DO NOTHING
        )
        SELECT CAST(id AS text) FROM page ORDER BY page.id DESC LIMIT 1
    """).bindparams(rows=ROWS_A_TRANSACTION)
    last = "00000000-0000-0000-0000-000000000000"
    while last is not None:
        last = op.get_bind().execute(some, {"last": last}).scalar_one_or_none()
