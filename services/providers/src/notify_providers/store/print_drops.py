"""Statements on print drops and the letters in them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.arrays import id_rows, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.print_drop import Drop, DropLetter, DropState
from notify_providers.store.tables import print_drop_letters, print_drops

_TRIM = 100


def find(conn: Tx, dispatch_ids: Sequence[str]) -> list[Drop]:
    """Return the drops that any of these letters are in."""
    d, wanted = print_drops, id_rows("wanted", dispatch_ids)
    holding = (
        sa.select(print_drop_letters.c.drop_id)
        .join(wanted, wanted.c.id == print_drop_letters.c.dispatch_id)
        .distinct()
    )
    rows = conn.execute(sa.select(d).where(d.c.id.in_(holding)).order_by(d.c.id))
    return [
        Drop(
            id=row.id,
            provider=row.provider,
            file_name=row.file_name,
            manifest=row.manifest,
            letters=[DropLetter(**letter) for letter in row.letters],
            state=DropState(row.state),
        )
        for row in rows
    ]


def insert_new(conn: Tx, drop: Drop) -> bool:
    """Insert a drop with its letters; False where one of them is in a drop already: roll back then."""
    conn.execute(
        insert(print_drops).values(
            id=drop.id,
            provider=drop.provider,
            file_name=drop.file_name,
            manifest=drop.manifest,
            letters=[asdict(letter) for letter in drop.letters],
            state=drop.state.value,
        )
    )
    new = unnest("new", {"dispatch_id": id_type()}, [(letter.id,) for letter in drop.letters])
    rows = sa.select(new.c.dispatch_id, sa.literal(drop.id, id_type()))
    inserted = conn.execute(
        insert(print_drop_letters).from_select(["dispatch_id", "drop_id"], rows).on_conflict_do_nothing()
    )
    return inserted.rowcount == len(drop.letters)


def move(conn: Tx, drop_id: str, to: DropState, come_from: Sequence[DropState]) -> bool:
    """Write a drop's state; False where it is in none of those that it may come from, or is no more."""
    moved = conn.execute(
        sa.update(print_drops)
        .values(state=to.value)
        .where(print_drops.c.id == drop_id, print_drops.c.state.in_([state.value for state in come_from]))
    )
    return moved.rowcount == 1


def delete_planned(conn: Tx, drop_id: str) -> bool:
    """Delete a drop, so that its letters are in none; False where it is further than planned."""
    deleted = conn.execute(
        sa.delete(print_drops).where(
            print_drops.c.id == drop_id, print_drops.c.state == DropState.PLANNED.value
        )
    )
    return deleted.rowcount == 1


def trim(conn: Tx, days: float) -> int:
    """Delete a bounded number of drops that are older than `days`, with their letters; return how many."""
    d = print_drops
    old = sa.select(d.c.id).where(d.c.create_time < sa.func.now() - timedelta(days=days)).limit(_TRIM)
    return conn.execute(sa.delete(d).where(d.c.id.in_(old))).rowcount
