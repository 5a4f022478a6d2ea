"""Personalisation on its way to the services: JSON values as text (public-api.md §2.2)."""

from collections.abc import Mapping
from typing import Any

from notify.common.v1.common_pb2 import File, PersonalisationField, TextList
from notify_content.text import text_of

from notify_gateway.public.files import is_file


def to_fields(personalisation: Mapping[str, Any], *, sending: bool) -> list[PersonalisationField]:
    """Return the entries in the client's order.

    Scalars and objects become Python's text of them (`True`, `1.5`), null leaves the value unset, items of a
    list that are null are left out. Files (§2.5) are marked when `sending`; previews show them as any object.
    Raises RecursionError for values nested deeper than Python prints.
    """
    return [_field(key, value, sending) for key, value in personalisation.items()]


def _field(key: str, value: Any, sending: bool) -> PersonalisationField:
    if isinstance(value, str):
        return PersonalisationField(key=key, text=value)
    if value is None:
        return PersonalisationField(key=key)
    if isinstance(value, list):
        items = [text_of(item) for item in value if item is not None]
        return PersonalisationField(key=key, list=TextList(items=items))
    if sending and is_file(value):
        return PersonalisationField(key=key, file=File())
    return PersonalisationField(key=key, text=text_of(value))
