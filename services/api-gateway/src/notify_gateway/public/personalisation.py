"""Personalisation on its way to the services: JSON values as text (public-api.md §2.2)."""

from collections.abc import Mapping
from typing import Any

from notify.common.v1.common_pb2 import PersonalisationField, TextList
from notify_content.text import text_of


def to_fields(personalisation: Mapping[str, Any]) -> list[PersonalisationField]:
    """Returns the entries in the client's order.

    Scalars and objects become Python's text of them (`True`, `1.5`), null leaves the value unset, items of a
    list that are null are left out. Raises RecursionError for values nested deeper than Python prints.
    """
    return [_field(key, value) for key, value in personalisation.items()]


def _field(key: str, value: Any) -> PersonalisationField:
    if isinstance(value, str):
        return PersonalisationField(key=key, text=value)
    if value is None:
        return PersonalisationField(key=key)
    if isinstance(value, list):
        items = [text_of(item) for item in value if item is not None]
        return PersonalisationField(key=key, list=TextList(items=items))
    return PersonalisationField(key=key, text=text_of(value))
