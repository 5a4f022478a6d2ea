"""Checks that every request gets, whatever its method."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from notify_common.rpc.validate import Checker, validating

REQUIRED: Final = {
    "Service": ("name",),
    "SmsSender": ("service_id", "sender"),
    "ReplyToAddress": ("service_id", "email_address"),
    "LetterContact": ("service_id", "contact_block"),
    "Template": ("service_id", "channel", "created_by_id"),
    "ApiKey": ("service_id", "name", "key_type", "created_by_id"),
    "User": ("name", "email_address"),
}
"""What a new resource needs."""
_ALWAYS: Final = {"SnapshotKey": ("service_id",), "TemplateVersionKey": ("service_id", "template_id")}
_NAMES_IT: Final = ("id", "service_id", "template_id")


def check(request: Message) -> None:
    """Raise NotifyError INVALID_FIELD unless ids are UUIDs, texts can be stored, and what is needed is there.

    A request needs all its ids that are not `optional`; a new resource what REQUIRED says, a changed one its
    own id and those of what it belongs to.
    """
    with validating() as checker:
        _check(checker, request, "", _required(request, None))


def _required(message: Message, request: Message | None) -> tuple[str, ...]:
    name = message.DESCRIPTOR.name
    fields = message.DESCRIPTOR.fields
    if request is None:
        return tuple(f.name for f in fields if f.name.endswith("_id") and not f.has_presence)
    if name in _ALWAYS:
        chosen = message.WhichOneof("key") if message.DESCRIPTOR.oneofs else None
        return () if chosen == "template_version" else _ALWAYS[name]
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        return REQUIRED.get(name, ())
    if request.DESCRIPTOR.name in (f"Set{name}Request", f"Update{name}Request"):
        return tuple(f.name for f in fields if f.name in _NAMES_IT)
    return ()


def _check(
    checker: Checker,
    message: Message,
    prefix: str,
    required: tuple[str, ...],
    request: Message | None = None,
) -> None:
    for field in message.DESCRIPTOR.fields:
        path = prefix + field.name
        if field.containing_oneof is not None and not message.HasField(field.name):
            if field.name in required:
                checker.fail(path, "is required")
            continue
        for inner, value in _values(message, field, path):
            _check_value(checker, field, inner, value, field.name in required)
            if isinstance(value, Message):
                root = request or message
                _check(checker, value, f"{inner}.", _required(value, root), root)


def _values(message: Message, field: Any, path: str) -> Iterator[tuple[str, object]]:
    value = getattr(message, field.name)
    if field.is_repeated:
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif field.message_type is None or message.HasField(field.name) or field.message_type.name in REQUIRED:
        yield path, value


def _check_value(checker: Checker, field: Any, path: str, value: object, required: bool) -> None:
    match value:
        case str() if field.name == "id" or field.name.endswith(("_id", "_ids")):
            if value or required:
                checker.uuid(path, value)
        case str():
            (checker.required if required else checker.text)(path, value)
        case int() if field.enum_type is not None:
            if value or required:
                checker.enum(path, EnumTypeWrapper(field.enum_type), value)
        case int() if field.name == "version" and value < 0:
            checker.fail(path, "should not be negative")
        case Timestamp():
            try:
                value.ToDatetime(UTC)
            except (ValueError, OverflowError):
                checker.fail(path, "is not a valid timestamp")
        case _:
            pass
