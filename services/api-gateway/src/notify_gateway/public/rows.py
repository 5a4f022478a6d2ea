"""Rows of a batch on their way in: from a body of any size to a file, in constant memory (docs/adr/0026).

The whole body is taken in before anything is done with it. So its hash is known when the batch is looked for
by its key, and what can't be a batch as a whole (cut off, no JSON array, too many rows) is refused while
nothing is stored.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final

from notify_common.errors import NotifyError

MOST_ROWS: Final = 100_000
LARGEST_BODY_BYTES: Final = 128 * 1024 * 1024
LARGEST_ROW_BYTES: Final = 64 * 1024

_READ_BYTES: Final = 256 * 1024
_ROWS_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 512 * 1024
"""Text of the rows in one call, in which a value takes up to five times the room."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_BOM: Final = codecs.BOM_UTF8
# Finds out where an element ends; what its numbers are, the decoder of single rows says.
_LENIENT: Final = json.JSONDecoder(parse_int=float, parse_float=float)

Read = Callable[[int], bytes]
"""Returns so many bytes, fewer at the end, none after it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in a file, a line each."""

    file: IO[bytes]
    count: int
    content_hash: bytes
    """Of the body as it came."""

    def parts(self) -> Iterator[list[tuple[int, bytes]]]:
        """Return the rows with their numbers, from 1, as many together as go into one call."""
        self.file.seek(0)
        part: list[tuple[int, bytes]] = []
        size = number = 0
        for line in self.file:
            row = line.strip()
            if not row:
                continue
            if part and (len(part) == _ROWS_AT_ONCE or size + len(row) > _BYTES_AT_ONCE):
                yield part
                part, size = [], 0
            number += 1
            part.append((number, row))
            size += len(row)
        if part:
            yield part


def take_lines(read: Read, file: IO[bytes], length: int) -> Rows:
    """Take in a JSON text a line (NDJSON); blank lines are no rows.

    Args:
        length: of the body in bytes: nothing else says whether a line is the last one.

    Raises:
        NotifyError: BODY_TOO_LARGE, BODY_INCOMPLETE, BATCH_EMPTY, BATCH_TOO_LONG, ROW_TOO_LARGE.
    """
    body = _Body(read)
    count = 0
    rest = b""
    while block := body.next():
        if body.size == len(block):
            block = block.removeprefix(_BOM)
        file.write(block)
        *lines, rest = (rest + block).split(b"\n")
        count = _counted(lines, count)
        _check_size(len(rest), count + 1)
    count = _counted([rest], count)
    if body.size < length:
        raise NotifyError("BODY_INCOMPLETE")
    return _rows(file, count, body)


def take_array(read: Read, file: IO[bytes], length: int | None) -> Rows:
    """Take in the elements of a JSON array.

    Args:
        length: of the body in bytes, where it is known.

    Raises:
        NotifyError: as `take_lines`, and JSON_INVALID.
    """
    body = _Body(read)
    try:
        count = _take_elements(body, file)
    except (ValueError, RecursionError):
        raise NotifyError("JSON_INVALID") from None
    except EOFError:
        cut = length is None or body.size < length
        raise NotifyError("BODY_INCOMPLETE" if cut else "JSON_INVALID") from None
    return _rows(file, count, body)


class _Body:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._hash = hashlib.sha256()
        self.size = 0

    def next(self) -> bytes:
        """Return what comes next; nothing at the end."""
        block = self._read(_READ_BYTES)
        self.size += len(block)
        if self.size > LARGEST_BODY_BYTES:
            raise NotifyError("BODY_TOO_LARGE", metadata={"limit": str(LARGEST_BODY_BYTES)})
        self._hash.update(block)
        return block

    def digest(self) -> bytes:
        return self._hash.digest()


class _Text:
    """The text of a body, of which what was read is forgotten."""

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("strict").decode
        self._ended = False
        self.text = ""
        self.at = 0

    def more(self) -> bool:
        """Read on; False at the end. Raises UnicodeDecodeError."""
        if self._ended:
            return False
        block = self._body.next()
        self._ended = not block
        self.text = self.text[self.at :] + self._decode(block, final=self._ended)
        self.at = 0
        return not self._ended

    def mark(self) -> str:
        """Return the next character that is no space, and stay in front of it. Raises EOFError."""
        while True:
            found = _SPACE.match(self.text, self.at)
            assert found is not None  # noqa: S101 - it matches nothing too
            self.at = found.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                raise EOFError

    def element(self, number: int) -> str:
        """Return the element that begins here, and pass it. Raises ValueError, NotifyError ROW_TOO_LARGE."""
        while True:
            try:
                _, end = _LENIENT.raw_decode(self.text, self.at)
            except json.JSONDecodeError:
                end = len(self.text)
            # what reaches as far as what was read may go on
            if end < len(self.text):
                _check_size(end - self.at, number)
                text = self.text[self.at : end]
                self.at = end
                return text
            _check_size(end - self.at, number)
            if not self.more():
                raise EOFError


def _take_elements(body: _Body, file: IO[bytes]) -> int:
    text = _Text(body)
    if not text.more() or text.mark() != "[":
        raise ValueError
    text.at += 1
    count = 0
    if text.mark() == "]":
        text.at += 1
    else:
        while True:
            element = text.element(count + 1)
            count = _counted([b"."], count)
            # between tokens alone: strings hold none
            line = element.replace("\n", " ").encode()
            file.write(line)
            file.write(b"\n")
            mark = text.mark()
            text.at += 1
            if mark == "]":
                break
            if mark != ",":
                raise ValueError
            text.mark()
    try:
        text.mark()
    except EOFError:
        return count
    raise ValueError


def _counted(lines: list[bytes], count: int) -> int:
    """Return the count with that of `lines`. Raises NotifyError BATCH_TOO_LONG, ROW_TOO_LARGE."""
    for line in lines:
        if line.strip():
            count += 1
            _check_size(len(line), count)
    if count > MOST_ROWS:
        raise NotifyError("BATCH_TOO_LONG", metadata={"limit": str(MOST_ROWS)})
    return count


def _check_size(size: int, number: int) -> None:
    if size > LARGEST_ROW_BYTES:
        facts = {"row": str(number), "limit": str(LARGEST_ROW_BYTES)}
        raise NotifyError("ROW_TOO_LARGE", metadata=facts)


def _rows(file: IO[bytes], count: int, body: _Body) -> Rows:
    if not count:
        raise NotifyError("BATCH_EMPTY")
    file.flush()
    return Rows(file, count, body.digest())
