"""What all tables of this context do alike: rows made once, lists in pages."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from notify_common.errors import NotifyError
from sqlalchemy import ColumnElement, Connection, FromClause, Table
from sqlalchemy.dialects.postgresql import ARRAY, insert

_UNIQUE_VIOLATION: Final = "23505"

Position = tuple[str, ...]
"""Where a page ended: the values of the list's order as text."""


def request_hash(**content: object) -> bytes:
    """SHA-256 of what a request asks for: equal for its repeats, different for others of the same id."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=_as_json).encode()).digest()


def _as_json(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def insert_once(conn: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row whose id is the id of the request; returns False for a repeat of that request.

    Raises:
        NotifyError: REQUEST_ID_REUSED, the id belongs to another request; NAME_TAKEN, a row with this name
            exists.
    """
    # without a target: of requests at the same moment, the later ones wait for the first to commit
    statement = insert(table).values(**values).on_conflict_do_nothing()
    if conn.execute(statement).rowcount:
        return True
    stored = conn.execute(sa.select(table.c.request_hash).where(table.c.id == values["id"])).scalar()
    if stored is None:
        raise NotifyError("NAME_TAKEN")
    if bytes(stored) != values["request_hash"]:
        raise NotifyError("REQUEST_ID_REUSED")
    return False


def update_named(conn: Connection, statement: sa.Update) -> None:
    """Execute an update that may give a row a name that is taken.

    Raises:
        NotifyError: NAME_TAKEN.
    """
    try:
        conn.execute(statement)
    except sa.exc.IntegrityError as error:
        if getattr(error.orig, "pgcode", None) == _UNIQUE_VIOLATION:
            raise NotifyError("NAME_TAKEN") from None
        raise


def after(
    columns: Sequence[ColumnElement[Any]], position: Position | None, *, descending: bool = False
) -> ColumnElement[bool]:
    """The condition for rows that come after `position` in the order of `columns`."""
    if position is None:
        return sa.true()
    here = sa.tuple_(
        *(
            sa.cast(sa.literal(text, sa.Text), column.type)
            for text, column in zip(position, columns, strict=True)
        )
    )
    row = sa.tuple_(*columns)
    return row < here if descending else row > here


def id_array(ids: Sequence[UUID]) -> ColumnElement[Any]:
    """UUIDs as one array parameter."""
    return sa.cast(sa.bindparam(None, list(ids), type_=ARRAY(sa.Uuid)), ARRAY(sa.Uuid))


def id_rows(ids: Sequence[UUID]) -> FromClause:
    """UUIDs as a FROM item with the column `id`."""
    rows = sa.func.unnest(id_array(ids)).table_valued(sa.column("id", sa.Uuid), name="wanted")
    return rows.render_derived()
