"""Enum values as the short text that databases store: `CHANNEL_SMS` <-> `sms` (design.md §2.4 rule 6)."""

from functools import cache

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def to_text(enum: EnumTypeWrapper, value: int) -> str:
    """Returns the text of `value`: its name without the enum's prefix, lower case, hyphens for underscores.

    Raises ValueError for the unspecified value and for numbers that the enum does not have.
    """
    text = _texts(enum).get(value)
    if text is None:
        raise ValueError(f"{enum.DESCRIPTOR.full_name} has no value {value} to store")
    return text


def from_text(enum: EnumTypeWrapper, text: str) -> int:
    """Returns the value whose text is `text`. Raises ValueError where there is none."""
    value = _values(enum).get(text)
    if value is None:
        raise ValueError(f"{enum.DESCRIPTOR.full_name} has no value with the text {text!r}")
    return value


def is_specified(enum: EnumTypeWrapper, value: int) -> bool:
    """Tells whether `value` is one of the enum's values other than the unspecified one."""
    return value in _texts(enum)


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
