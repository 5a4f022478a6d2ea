"""Letters are cancelled, returned, and emptied and deleted for age."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = (
    "created",
    "ready",
    "submitting",
    "submitted",
    "validation-failed",
    "technical-failure",
    "cancelled",
)
KINDS = ("ready", "validation-failed", "technical-failure", "cancelled", "returned")


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)

    op.add_column("letters", sa.Column("remove_time", instant))
    _one_of("letters", "state", STATES)
    _one_of("letter_events", "kind", KINDS)

    op.create_table(
        "returned_letters",
        sa.Column("letter_id", sa.Uuid, primary_key=True),
        sa.Column("create_time", instant, nullable=False, server_default=sa.func.now()),
    )

    # Concurrently, so that large tables go on being written to meanwhile. What a migration that was broken
    # off has left may be invalid, and is made anew.
    with op.get_context().autocommit_block():
        for name, column, where in (
            ("ix_letters_reference", "reference", None),
            (
                "ix_letters_to_remove",
                "update_time",
                "remove_time IS NULL AND state NOT IN ('created', 'ready')",
            ),
            ("ix_letters_removed", "remove_time", "remove_time IS NOT NULL"),
        ):
            op.drop_index(name, "letters", postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name,
                "letters",
                [column],
                postgresql_where=None if where is None else sa.text(where),
                postgresql_concurrently=True,
            )


def _one_of(table: str, column: str, values: tuple[str, ...]) -> None:
    """Allow more values: the rows that exist have none but the former ones, so they need not be looked at."""
    name = f"ck_{table}_{column}"
    op.drop_constraint(name, table)
    listed = ", ".join(repr(value) for value in values)
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({listed})) NOT VALID")
