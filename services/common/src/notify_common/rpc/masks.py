"""Field masks of Update calls (design.md §2.7)."""

from collections.abc import Collection
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from notify_common.errors import FieldViolation, invalid_field

M = TypeVar("M", bound=Message)


def check_mask(mask: FieldMask, allowed: Collection[str], field: str = "update_mask") -> list[str]:
    """Returns the paths of `mask` in its order, each once.

    Raises NotifyError INVALID_FIELD when the mask is empty or names a path outside of `allowed`.
    """
    paths = list(dict.fromkeys(mask.paths))
    if not paths:
        raise invalid_field(FieldViolation(field, "is required"))
    if any(path not in allowed for path in paths):
        raise invalid_field(FieldViolation(field, f"may only name {', '.join(sorted(allowed))}"))
    return paths


def apply_mask(target: M, source: M, paths: Collection[str]) -> None:
    """Sets the fields that `paths` (checked before) name in `target` to those of `source`.

    Repeated, map and message fields are replaced, not merged; a field that `source` leaves out is cleared.
    """
    FieldMask(paths=paths).MergeMessage(
        source, target, replace_message_field=True, replace_repeated_field=True
    )
