"""Many values in one statement: arrays, which PostgreSQL takes as rows (design.md §3.6).

However many values there are, the statement is the same text, and is planned and sent once.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Dialect, FromClause
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from notify_common.db.columns import id_type

Types: TypeAlias = Mapping[str, TypeEngine[Any]]
"""SQL types of columns, by name, in their order."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)
_WRITTEN_HERE: Final = (
    sa.Text,
    sa.Uuid,
    sa.Integer,
    sa.Float,
    sa.Boolean,
    sa.DateTime,
    sa.Date,
    sa.LargeBinary,
)
"""Types whose values this module writes (`array_text`); the driver writes the others."""


def array(kind: TypeEngine[Any], values: Sequence[object]) -> ColumnElement[Any]:
    """Return values of one type as one array parameter, such as `column == sa.any_(array(…))` takes."""
    return sa.cast(sa.bindparam(None, _plain(values), type_=_given_as(kind)), ARRAY(kind))


def array_later(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return one array parameter whose values are given when the statement runs, as the parameter `name`.

    A statement that is made once with it costs much less than one that is made each time.
    """
    return sa.cast(sa.bindparam(name, type_=_given_as(kind)), ARRAY(kind))


def unnest(name: str, types: Types, rows: Sequence[Sequence[object]]) -> FromClause:
    """Return rows, whose values come in the order of `types`, as a FROM item called `name`."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = [array(kind, column) for kind, column in zip(types.values(), columns, strict=True)]
    return _unnest(name, types, arrays)


def unnest_later(name: str, types: Types) -> FromClause:
    """Return a FROM item whose columns are given when the statement runs, as parameters `<name>_<column>`.

    A column of JSON travels as one JSON text: in an array each of its quotes would be escaped twice. What is
    None in it is JSON's null, not SQL's.
    """
    if any(isinstance(kind, sa.JSON) for kind in types.values()):
        given = (_elements_later(f"{name}_{key}", kind).label(key) for key, kind in types.items())
        return sa.select(*given).subquery(name)
    return _unnest(name, types, [array_later(f"{name}_{key}", kind) for key, kind in types.items()])


def one_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return what is true of rows whose column is among the values of the parameter `name`."""
    return column == sa.any_(array_later(name, column.type))


def _elements_later(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return what has a row for each value, side by side with others of its kind in one SELECT."""
    if isinstance(kind, sa.JSON):
        return sa.func.jsonb_array_elements(sa.cast(sa.bindparam(name, type_=sa.Text), JSONB), type_=kind)
    return sa.func.unnest(array_later(name, kind), type_=kind)


def columns_given(name: str, types: Types, rows: Sequence[Sequence[object]]) -> dict[str, object]:
    """Return rows, whose values come in the order of `types`, as the parameters of an `unnest_later`."""
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    return {
        f"{name}_{key}": _ENCODER.encode(column) if isinstance(kind, sa.JSON) else _plain(column)
        for (key, kind), column in zip(types.items(), columns, strict=True)
    }


def id_array(ids: Sequence[str]) -> ColumnElement[Any]:
    """Return ids as one array parameter."""
    return array(id_type(), ids)


def id_rows(name: str, ids: Sequence[str]) -> FromClause:
    """Return ids as a FROM item called `name` with the column `id`."""
    return _unnest(name, {"id": id_type()}, [id_array(ids)])


class _ArrayText(TypeDecorator[Sequence[object]]):
    """Values as one text in PostgreSQL's syntax for arrays.

    The driver would write an expression with a constant a value, which costs it and PostgreSQL half as much
    again (docs/streaming.md).
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[object] | None, dialect: Dialect) -> str | None:
        """See TypeDecorator."""
        return None if value is None else array_text(value)


def array_text(values: Sequence[object]) -> str:
    """Return texts, numbers, truth values, days, times, bytes and Nones as PostgreSQL writes an array of
    them.

    Raises:
        ValueError: a text holds the character NUL, which PostgreSQL knows in no text.
    """
    if not values:
        return "{}"
    if None in values or not isinstance(values[0], str):
        return "{" + ",".join(map(_element, values)) + "}"
    return "{" + text_elements(values) + "}"  # type: ignore[arg-type] # a column of texts


def text_elements(texts: Sequence[str]) -> str:
    """Return texts, at least one, as PostgreSQL writes the elements of an array.

    Raises:
        ValueError: a text holds the character NUL, which would divide it in two.
    """
    joined = _NUL.join(texts)
    if joined.count(_NUL) != len(texts) - 1:
        raise ValueError("a text holds the character NUL")
    return '"' + _escaped(joined).replace(_NUL, '","') + '"'


_NUL: Final = "\0"


def _element(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            if _NUL in value:
                raise ValueError("a text holds the character NUL")
            return f'"{_escaped(value)}"'
        case int() | float():
            return str(value)
        case date():  # a time is one too
            return f'"{value.isoformat()}"'
        case bytes() | memoryview():
            return f'"\\\\x{value.hex()}"'
    raise TypeError(f"no {type(value).__name__} in an array")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _given_as(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return _ArrayText() if isinstance(kind, _WRITTEN_HERE) else ARRAY(kind)


def _plain(values: Sequence[object]) -> list[object]:
    # most columns hold none, which their types tell at once
    if not any(issubclass(kind, Enum) for kind in set(map(type, values))):
        return list(values)
    return [value.value if isinstance(value, Enum) else value for value in values]


def _unnest(name: str, types: Types, arrays: Sequence[ColumnElement[Any]]) -> FromClause:
    typed = (sa.column(key, kind) for key, kind in types.items())
    return sa.func.unnest(*arrays).table_valued(*typed, name=name).render_derived()
