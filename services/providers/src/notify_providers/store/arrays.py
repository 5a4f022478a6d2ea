"""Rows as one statement: parallel arrays that PostgreSQL unnests (design.md §3.6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import FromClause
from sqlalchemy.dialects.postgresql import ARRAY


def unnest(name: str, **columns: tuple[Any, Sequence[object]]) -> FromClause:
    """Return a FROM item called `name` with one row per array element.

    Args:
        columns: by name, the SQL type and the values; all of one length.
    """
    arrays = [
        sa.cast(sa.bindparam(None, _plain(sql_type, values), type_=ARRAY(sql_type)), ARRAY(sql_type))
        for sql_type, values in columns.values()
    ]
    typed = (sa.column(column, sql_type) for column, (sql_type, _) in columns.items())
    return sa.func.unnest(*arrays).table_valued(*typed, name=name).render_derived()


def unnest_rows(name: str, types: Mapping[str, Any], rows: Sequence[Sequence[object]]) -> FromClause:
    """Make the FROM item of `unnest`, from rows whose values come in the order of `types`."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return unnest(
        name, **{key: (kind, values) for (key, kind), values in zip(types.items(), columns, strict=True)}
    )


def _plain(sql_type: Any, values: Sequence[object]) -> list[object]:
    """Return enum members as plain text, which the driver writes several times as fast."""
    if isinstance(sql_type, sa.Text):
        return [value if value is None else str(value) for value in values]
    return list(values)
