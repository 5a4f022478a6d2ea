"""Types of columns that all contexts share."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column


def id_type() -> "sa.Uuid[str]":
    """Return the type of a column of ids: `uuid` in the database, lower-case text in Python."""
    return sa.Uuid(as_uuid=False)


def id_column(name: str, *constraints: Any, **options: Any) -> "Column[str]":
    """Return a column of ids; `constraints` and `options` are those of `sqlalchemy.Column`."""
    return Column(name, id_type(), *constraints, **options)
