"""Enum values of protos as the texts that databases store: `CHANNEL_SMS` <-> `sms` (design.md §2.4 rule 6).

Shared enums are members of `notify_common.enums`, converted by `from_proto` and `to_proto`; those of one
context alone are texts, converted by `to_text` and `from_text`.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from notify.common.v1 import common_pb2

from notify_common.enums import Channel, KeyType, Lane, Postage

E = TypeVar("E", bound=StrEnum)

PROTOS: Final[Mapping[type[StrEnum], EnumTypeWrapper]] = {
    Channel: common_pb2.Channel,
    KeyType: common_pb2.KeyType,
    Lane: common_pb2.Lane,
    Postage: common_pb2.Postage,
}
"""The proto enum of each shared one."""


def from_proto(kind: type[E], value: int) -> E:
    """Return the member of a shared enum that `value` stands for, such as `from_proto(Channel, 1)`.

    Raises ValueError for the unspecified value and for numbers that the enum does not have.
    """
    member: E | None = _members(kind).get(value)
    if member is None:
        raise ValueError(f"{kind.__name__} has no value {value}")
    return member


def optional_from_proto(kind: type[E], value: int) -> E | None:
    """Return what `from_proto` does, or None for the unspecified value."""
    return from_proto(kind, value) if value else None


def to_proto(member: StrEnum | None) -> Any:
    """Return the proto value of a shared enum's member, that of None being the unspecified one (0).

    The type is Any because generated code takes each enum's own type alone.
    """
    return 0 if member is None else _numbers(type(member))[member]


def to_text(enum: EnumTypeWrapper, value: int) -> str:
    """Return the text of `value`: its name without the enum's prefix, lower case, hyphens for underscores.

    Raises ValueError for the unspecified value and for numbers that the enum does not have.
    """
    text = _texts(enum).get(value)
    if text is None:
        raise ValueError(f"{enum.DESCRIPTOR.full_name} has no value {value} to store")
    return text


def from_text(enum: EnumTypeWrapper, text: str) -> int:
    """Return the value whose text is `text`. Raises ValueError where there is none."""
    value = _values(enum).get(text)
    if value is None:
        raise ValueError(f"{enum.DESCRIPTOR.full_name} has no value with the text {text!r}")
    return value


def is_specified(enum: EnumTypeWrapper, value: int) -> bool:
    """Tell whether `value` is one of the enum's values other than the unspecified one."""
    return value in _texts(enum)


@cache
def _members(kind: type[StrEnum]) -> dict[int, Any]:
    return {value: kind(text) for value, text in _texts(PROTOS[kind]).items()}


@cache
def _numbers(kind: type[StrEnum]) -> dict[str, int]:
    return dict(_values(PROTOS[kind]))


@cache
def _texts(enum: EnumTypeWrapper) -> dict[int, str]:
    name = enum.DESCRIPTOR.name
    prefix = (
        "".join(f"_{letter}" if letter.isupper() else letter for letter in name).lstrip("_").upper() + "_"
    )
    return {
        value.number: value.name.removeprefix(prefix).lower().replace("_", "-")
        for value in enum.DESCRIPTOR.values
        if value.number != 0
    }


@cache
def _values(enum: EnumTypeWrapper) -> dict[str, int]:
    return {text: value for value, text in _texts(enum).items()}
