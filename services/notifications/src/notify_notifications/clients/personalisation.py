"""Personalisation as the protos carry it, to and from pairs."""

from collections.abc import Iterable
from typing import Final

from notify.common.v1 import common_pb2
from notify_common.ids import new_id

from notify_notifications.domain.files import DEFAULT_WEEKS, NewFile, new_secret
from notify_notifications.domain.personalisation import Pairs, Value

FILE_TEXT: Final = "file"
"""What a file is until its link takes its place, or its message is refused: no missing and no empty value."""


def from_proto(fields: Iterable[common_pb2.PersonalisationField]) -> Pairs:
    """Return the pairs in the order of the fields; files as FILE_TEXT."""
    return [(field.key, _value(field)) for field in fields]


def _value(field: common_pb2.PersonalisationField) -> Value:
    kind = field.WhichOneof("value")
    if kind == "text":
        return field.text
    if kind == "list":
        return list(field.list.items)
    return FILE_TEXT if kind == "file" else None


def new_files(fields: Iterable[common_pb2.PersonalisationField]) -> tuple[NewFile, ...]:
    """Return the files among the fields, each with an id and a key of its own."""
    return tuple(
        NewFile(
            key=field.key,
            id=new_id(),
            secret=new_secret(),
            name=field.file.name,
            size_bytes=field.file.size_bytes,
            sha256=field.file.sha256,
            open_to_all=field.file.open_to_all,
            retention_weeks=field.file.retention_weeks or DEFAULT_WEEKS,
            is_csv=field.file.is_csv,
        )
        for field in fields
        if field.HasField("file")
    )


def to_proto(pairs: Pairs) -> list[common_pb2.PersonalisationField]:
    """Return the fields in the order of the pairs."""
    fields = []
    for key, value in pairs:
        field = common_pb2.PersonalisationField(key=key)
        if isinstance(value, str):
            field.text = value
        elif value is not None:
            field.list.CopyFrom(common_pb2.TextList(items=value))
        fields.append(field)
    return fields
