"""Checks of request fields that collect what is wrong, so that one answer names every field (design.md §2.4).

    with validating() as check:
        service_id = check.id("service_id", request.service_id)
        reference = check.text("reference", request.reference, max_length=1000)

The block's end raises INVALID_FIELD if any check failed; until then a failed check returns a stand-in value.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from notify_common import ids
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc import enums

_NIL = UUID(int=0)


class Checker:
    """Collects violations; made by `validating`."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def fail(self, field: str, description: str) -> None:
        """Note that `field` breaks a rule; `description` follows the field's name and repeats no value."""
        self.violations.append(FieldViolation(field, description))

    def uuid(self, field: str, text: str) -> UUID:
        """Return a UUID that must be there."""
        if not text:
            self.fail(field, "is required")
        elif ids.is_uuid(text):
            return UUID(text)
        else:
            self.fail(field, "is not a valid UUID")
        return _NIL

    def optional_uuid(self, field: str, text: str) -> UUID | None:
        """Return a UUID, or None for an empty text."""
        return self.uuid(field, text) if text else None

    def id(self, field: str, text: str) -> str:
        """Return an id (a UUID in lower case) that must be there."""
        if not text:
            self.fail(field, "is required")
        elif not ids.is_uuid(text):
            self.fail(field, "is not a valid UUID")
        return text

    def optional_id(self, field: str, text: str) -> str | None:
        """Return an id, or None for an empty text."""
        return self.id(field, text) if text else None

    def required(self, field: str, text: str, max_length: int | None = None) -> str:
        """Return a text that must not be empty, of at most `max_length` characters."""
        if not text:
            self.fail(field, "is required")
        return self.text(field, text, max_length)

    def text(self, field: str, text: str, max_length: int | None = None) -> str:
        """Return a text of at most `max_length` characters, without NUL, which databases refuse."""
        if max_length is not None and len(text) > max_length:
            self.fail(field, f"is longer than {max_length} characters")
        elif "\0" in text:
            self.fail(field, "holds a NUL character")
        return text

    def enum(self, field: str, enum: EnumTypeWrapper, value: int) -> str:
        """Return a value of `enum` other than the unspecified one, as the text that databases store."""
        if enums.is_specified(enum, value):
            return enums.to_text(enum, value)
        self.fail(field, "is required" if value == 0 else "is not a known value")
        return ""

    def optional_enum(self, field: str, enum: EnumTypeWrapper, value: int) -> str | None:
        """Return a value of `enum` as text, or None for the unspecified one."""
        return self.enum(field, enum, value) if value else None

    def enums(self, field: str, enum: EnumTypeWrapper, values: Sequence[int]) -> list[str]:
        """Return values of `enum` as texts, each once, in the order given."""
        return list(
            dict.fromkeys(self.enum(f"{field}[{index}]", enum, value) for index, value in enumerate(values))
        )

    def timestamp(self, field: str, message: Message, name: str | None = None) -> datetime:
        """Return the timestamp in the field `name` (by default the last part of `field`) of `message`, in
        UTC.
        """
        moment = self.optional_timestamp(field, message, name)
        if moment is None:
            self.fail(field, "is required")
            return datetime.min.replace(tzinfo=UTC)
        return moment

    def optional_timestamp(self, field: str, message: Message, name: str | None = None) -> datetime | None:
        """Check as `timestamp` does; return None where the field is absent."""
        name = name or field.rpartition(".")[2]
        if not message.HasField(name):
            return None
        value: Timestamp = getattr(message, name)
        try:
            return value.ToDatetime(UTC)
        except (ValueError, OverflowError):
            self.fail(field, "is not a valid timestamp")
            return datetime.min.replace(tzinfo=UTC)

    def message(self, field: str, message: Message, name: str | None = None) -> None:
        """Check that a message is there: the field `name` (by default the last of `field`) of `message`."""
        if not message.HasField(name or field.rpartition(".")[2]):
            self.fail(field, "is required")

    def number(self, field: str, value: int, at_least: int, at_most: int) -> int:
        """Return a number within its bounds, both included."""
        if not at_least <= value <= at_most:
            self.fail(field, f"should be between {at_least} and {at_most}")
        return value

    def size(self, field: str, items: Sequence[object] | bytes, at_least: int, at_most: int) -> None:
        """Check that the length of a repeated field or of bytes is within its bounds, both included."""
        if not at_least <= len(items) <= at_most:
            unit = "bytes" if isinstance(items, bytes) else "items"
            self.fail(field, f"should have between {at_least} and {at_most} {unit}")


@contextmanager
def validating() -> Iterator[Checker]:
    """Give a Checker and raises INVALID_FIELD with all its violations at the end of the block."""
    checker = Checker()
    yield checker
    if checker.violations:
        raise invalid_field(*checker.violations)
