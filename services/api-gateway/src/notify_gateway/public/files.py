"""Files in personalisation (public-api.md §2.5): what may stand in the object with the key `file`."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from notify.common.v1.common_pb2 import File

from notify_gateway.answers import InvalidRequest

_KEYS: Final = frozenset({"file", "filename", "confirm_email_before_download", "retention_period", "is_csv"})
_WEEKS: Final = re.compile(r"\s*([0-9]{1,2})\s+weeks?\s*", re.IGNORECASE)
_LONGEST_WEEKS: Final = 78
_LARGEST_BYTES: Final = 2 * 1024 * 1024 + 1024
_NOT_DECODABLE: Final = -1


def is_file(value: object) -> bool:
    """Tell whether a value of the personalisation is a file."""
    return isinstance(value, dict) and "file" in value


def check_structure(files: Iterable[Mapping[str, Any]]) -> None:
    """Raise InvalidRequest with every structural fault of the first file that has one."""
    for file in files:
        messages = list(_faults(file))
        if messages:
            raise InvalidRequest(*messages)


def announce(value: Mapping[str, Any]) -> tuple[File, bytes]:
    """Return what is said of a file whose structure is right, and its content.

    Of what is no file that could be taken there is none. Decoding passes over characters outside of the
    alphabet, as the contract's does.
    """
    name, weeks = value.get("filename"), _weeks(value.get("retention_period"))
    file = File(
        name=name or "",
        open_to_all=value.get("confirm_email_before_download") is False,
        retention_weeks=weeks or 0,
        is_csv=bool(value.get("is_csv")),
    )
    try:
        content = base64.b64decode(value["file"])
    except (binascii.Error, ValueError):
        file.size_bytes = _NOT_DECODABLE
        content = value["file"].encode()
    else:
        file.size_bytes = len(content)
    file.sha256 = hashlib.sha256(content).hexdigest()
    return file, content if 0 < file.size_bytes <= _LARGEST_BYTES else b""


def _faults(file: Mapping[str, Any]) -> Iterable[str]:
    if not isinstance(file["file"], str):
        yield f"file {file['file']!r} is not of type string".replace("'", "")
    filename = file.get("filename")
    if filename is not None and (not isinstance(filename, str) or "." not in filename):
        yield "filename `filename` must end with a file extension. For example, filename.csv"
    confirm = file.get("confirm_email_before_download")
    if confirm is not None and not isinstance(confirm, bool):
        yield (
            "confirm_email_before_download Unsupported value for confirm_email_before_download: "
            f"{confirm}. Use a boolean true or false value."
        )
    period = file.get("retention_period")
    if period is not None and _weeks(period) is None:
        yield (
            f"retention_period Unsupported value for retention_period: {period}. "
            f"Supported periods are from 1 to {_LONGEST_WEEKS} weeks."
        )
    is_csv = file.get("is_csv")
    if is_csv is not None and not isinstance(is_csv, bool):
        yield f"is_csv Unsupported value for is_csv: {is_csv}. Use a boolean true or false value."
    if "is_csv" in file and "filename" in file:
        yield "Do not set a value for `is_csv` if `filename` is set."
    if unknown := sorted(file.keys() - _KEYS):
        verb = "was" if len(unknown) == 1 else "were"
        yield f"Additional properties are not allowed ({', '.join(unknown)} {verb} unexpected)"


def _weeks(value: object) -> int | None:
    """Return how many weeks a retention period has; None where it is none."""
    match = _WEEKS.fullmatch(value) if isinstance(value, str) else None
    weeks = int(match[1]) if match else 0
    return weeks if 1 <= weeks <= _LONGEST_WEEKS else None
