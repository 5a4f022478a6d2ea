"""Letters have their references in a table of their own, and are vacuumed without haste."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "letter_references",
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("letter_id", sa.Uuid, primary_key=True),
    )
    # A trigger, so that processes of the former version fill it as well. It has the owner's rights: those of
    # the role that they run as are given when all migrations are done.
    op.execute("""
        CREATE FUNCTION letters_have_references() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO letter_references (reference, letter_id)
            SELECT reference, id FROM added WHERE reference <> '' ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER letters_have_references AFTER INSERT ON letters REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION letters_have_references()
    """)
    op.execute("ALTER TABLE letters SET (autovacuum_vacuum_cost_delay = 20)")
