"""Shapes: a JSON object and a proto message, told apart once, mapped both ways.

    SMS_SENDER = Shape(SmsSender, "id service_id is_default archived", sms_sender="sender",
                       inbound_number_id=nullable("inbound_number_id"), created_at="create_time")

A key stands for the path of a field. Times are written with six decimals and a Z, enums as their short texts;
what is absent is null. Paths are compared with the descriptor when the shape is made.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from notify_common.rpc import enums
from werkzeug.http import http_date

M = TypeVar("M", bound=Message)

Json = Any
_Descriptor = Any


class Key(NamedTuple):
    """How one key is written."""

    path: str
    """Of the field, with full stops within messages."""
    nullable: bool = False
    """Whether an empty value is null."""
    write: Callable[[Any], Json] | None = None
    """The JSON of a value that is there; by default as its type is."""
    whole: Callable[[Any], Json] | None = None
    """What a key without a path is, given the message."""


def nullable(path: str, write: Callable[[Any], Json] | None = None) -> Key:
    """Return a key whose empty value is null."""
    return Key(path, nullable=True, write=write)


def each(path: str, shape: "Shape[Any]") -> Key:
    """Return a list of objects."""
    return Key(path, write=shape.list)


def as_(path: str, write: Callable[[Any], Json]) -> Key:
    """Return a key whose value is written by `write`."""
    return Key(path, write=write)


def always(value: Json) -> Key:
    """Return a key that no field stands for."""
    return Key("", whole=lambda message: value)


def whole(write: Callable[[Any], Json]) -> Key:
    """Return a key that is made of several fields."""
    return Key("", whole=write)


def z_time(moment: Timestamp) -> str:
    """Write a moment as `2024-05-17T15:58:38.342838Z`."""
    return moment.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def db_time(moment: Timestamp) -> str:
    """Write a moment as `2024-05-17 15:58:38.342838`."""
    return moment.ToDatetime().strftime("%Y-%m-%d %H:%M:%S.%f")


def http_time(moment: Timestamp) -> str:
    """Write a moment as `Fri, 17 May 2024 15:58:38 GMT`."""
    return http_date(moment.ToDatetime())


class Shape(Generic[M]):
    """A message as JSON, and back.

    Args:
        message: the class.
        same: keys that are called as their fields, parted by spaces.
        keys: the others: the path of a field, or a Key.
    """

    def __init__(self, message: type[M], same: str = "", /, **keys: str | Key) -> None:
        self._message = message
        self.descriptor: _Descriptor = message.DESCRIPTOR
        named: dict[str, str | Key] = {**{name: name for name in same.split()}, **keys}
        self.keys: Mapping[str, Key] = {
            name: key if isinstance(key, Key) else Key(key) for name, key in named.items()
        }
        self._writers = {name: _writer(message.DESCRIPTOR, key) for name, key in self.keys.items()}

    def json(self, message: M) -> dict[str, Json]:
        """Return the object."""
        return {name: write(message) for name, write in self._writers.items()}

    def list(self, messages: Iterable[M]) -> list[dict[str, Json]]:
        """Return the objects, in order."""
        return [self.json(message) for message in messages]

    def message(self, form: Mapping[str, Json], **fixed: Any) -> M:
        """Return a message of the keys that a checked form has, and of fields with fixed values."""
        made = self._message(**fixed)
        for name, value in form.items():
            if (key := self.keys.get(name)) is not None and key.path:
                fill(made, key.path, value)
        return made

    def mask(self, form: Mapping[str, Json]) -> FieldMask:
        """Return the paths of the keys that a form has."""
        return FieldMask(paths=[self.keys[name].path for name in form if name in self.keys])


def _writer(descriptor: _Descriptor, key: Key) -> Callable[[Message], Json]:
    if key.whole is not None:
        return key.whole
    *parents, name = key.path.split(".")
    for parent in parents:
        descriptor = descriptor.fields_by_name[parent].message_type
    field = descriptor.fields_by_name[name]
    write = key.write or _plain(field)
    absent = field.has_presence

    def of(message: Message) -> Json:
        for parent in parents:
            message = getattr(message, parent)
        if absent and not message.HasField(name):
            return None
        value = getattr(message, name)
        return None if key.nullable and not value else write(value)

    return of


def _plain(field: _Descriptor) -> Callable[[Any], Json]:
    if field.message_type is not None:
        return z_time
    if field.enum_type is not None:
        wrapper = EnumTypeWrapper(field.enum_type)
        return lambda value: enums.to_text(wrapper, value)
    return list if field.is_repeated else lambda value: value


def fill(message: Message, path: str, value: Json) -> None:
    """Set a field to what JSON has for it; None leaves it as it is when nothing is set."""
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    field: _Descriptor = message.DESCRIPTOR.fields_by_name[name]
    if value is None:
        message.ClearField(name)
    elif field.is_repeated:
        getattr(message, name)[:] = value
    elif field.message_type is not None:
        getattr(message, name).FromDatetime(value)
    elif field.enum_type is not None:
        setattr(message, name, enums.from_text(EnumTypeWrapper(field.enum_type), value))
    else:
        setattr(message, name, value)
