"""Scratch files: what is too large for memory on its way through a process."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from notify_common.errors import NotifyError
from notify_common.logging import get_logger

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY_AFTER: Final = timedelta(seconds=5)


@contextmanager
def needs_room() -> Iterator[None]:
    """Say that the process takes no more for now where the disk of scratch files is full inside the block.

    It goes around where the file is opened too, as what is left in its buffer is written when it is closed.

    Raises:
        NotifyError: OVERLOADED.
    """
    try:
        yield
    except OSError as error:
        # Python names no file where it looked for a folder for the first of them and none took one.
        nowhere = error.errno == errno.ENOENT and error.filename is None
        if not nowhere and error.errno not in _NO_ROOM:
            raise
        get_logger().error("no room for scratch files", reason=errno.errorcode.get(error.errno or 0))
        raise NotifyError("OVERLOADED", "no room for scratch files", retry_after=_RETRY_AFTER) from error
