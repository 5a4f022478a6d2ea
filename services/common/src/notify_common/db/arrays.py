"""Many values in one statement: arrays, which PostgreSQL takes as rows (design.md §3.6).

However many values there are, the statement is the same text, and is planned and sent once.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import ColumnElement, FromClause
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from notify_common.db.columns import id_type

Types: TypeAlias = Mapping[str, TypeEngine[Any]]
"""SQL types of columns, by name, in their order."""


def array(kind: TypeEngine[Any], values: Sequence[object]) -> ColumnElement[Any]:
    """Return values of one type as one array parameter, such as `column == sa.any_(array(…))` takes."""
    return sa.cast(sa.bindparam(None, _plain(values), type_=ARRAY(kind)), ARRAY(kind))


def unnest(name: str, types: Types, rows: Sequence[Sequence[object]]) -> FromClause:
    """Return rows, whose values come in the order of `types`, as a FROM item called `name`."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [array(kind, column) for kind, column in zip(types.values(), columns, strict=True)]
    return _unnest(name, types, arrays)


def unnest_later(name: str, types: Types) -> FromClause:
    """Return a FROM item whose columns are given when the statement runs, as parameters `<name>_<column>`."""
    given = ((sa.bindparam(f"{name}_{key}", type_=ARRAY(kind)), ARRAY(kind)) for key, kind in types.items())
    return _unnest(name, types, [sa.cast(*each) for each in given])


def columns_given(name: str, types: Types, rows: Sequence[Sequence[object]]) -> dict[str, list[object]]:
    """Return rows, whose values come in the order of `types`, as the parameters of an `unnest_later`."""
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    return {f"{name}_{key}": _plain(column) for key, column in zip(types, columns, strict=True)}


def id_array(ids: Sequence[str]) -> ColumnElement[Any]:
    """Return ids as one array parameter."""
    return array(id_type(), ids)


def id_rows(name: str, ids: Sequence[str]) -> FromClause:
    """Return ids as a FROM item called `name` with the column `id`."""
    return _unnest(name, {"id": id_type()}, [id_array(ids)])


def _plain(values: Sequence[object]) -> list[object]:
    # the driver writes plain text several times as fast as members of enums
    return [value.value if isinstance(value, Enum) else value for value in values]


def _unnest(name: str, types: Types, arrays: Sequence[ColumnElement[Any]]) -> FromClause:
    typed = (sa.column(key, kind) for key, kind in types.items())
    return sa.func.unnest(*arrays).table_valued(*typed, name=name).render_derived()
