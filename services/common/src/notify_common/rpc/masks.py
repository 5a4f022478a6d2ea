"""Field masks of Update calls (design.md §2.7)."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask

from notify_common.errors import FieldViolation, invalid_field


def check_mask(mask: FieldMask, allowed: Collection[str], field: str = "update_mask") -> list[str]:
    """Return the paths of `mask` in its order, each once.

    Raises NotifyError INVALID_FIELD when the mask is empty or names a path outside of `allowed`.
    """
    paths = list(dict.fromkeys(mask.paths))
    if not paths:
        raise invalid_field(FieldViolation(field, "is required"))
    if any(path not in allowed for path in paths):
        raise invalid_field(FieldViolation(field, f"may only name {', '.join(sorted(allowed))}"))
    return paths
