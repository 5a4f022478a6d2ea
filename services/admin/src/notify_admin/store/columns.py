"""Columns as tables and migrations declare them: those of one type at once, by names parted by spaces.

They take no null unless told otherwise; `options` are those of `sqlalchemy.Column`. Migrations that operators
have applied are made of these too: for the same arguments a function returns the same for good.
"""

from functools import partial
from typing import Any

import sqlalchemy as sa
from notify_common.db.columns import id_type
from sqlalchemy import Column

Columns = list["Column[Any]"]


def columns(type_: Any, names: str, parent: str = "", **options: Any) -> Columns:
    """Return columns of a type; where there is a `parent`, they name rows of this table."""
    given = {"nullable": False, **options}
    return [
        Column(name, type_, *([sa.ForeignKey(f"{parent}.id")] if parent else []), **given)
        for name in names.split()
    ]


def ids(names: str, parent: str = "", **options: Any) -> Columns:
    """Return columns of ids."""
    return columns(id_type(), names, parent, **options)


def within(parent: str) -> Columns:
    """Return the id of a row, and that of the row of the table `parent` that it belongs to."""
    return [*ids("id", primary_key=True), *ids(f"{parent.removesuffix('s')}_id", parent)]


texts = partial(columns, sa.Text)
numbers = partial(columns, sa.Integer)
flags = partial(columns, sa.Boolean)
instants = partial(columns, sa.DateTime(timezone=True))
blobs = partial(columns, sa.LargeBinary)


def created() -> Columns:
    """Return when a row was made."""
    return instants("create_time", server_default=sa.func.now())


def made(times: str = "") -> Columns:
    """Return when and by which request a row was made, and `times` of which it may have none.

    `request_hash` is SHA-256 of the request: a repeat is told from another request of the same id by it.
    """
    return [*created(), *instants(times, nullable=True), *blobs("request_hash")]
