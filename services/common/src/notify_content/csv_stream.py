"""CSV text as a stream: decoding, trimming, rows with their places in the file (content.md §11.1).

Nothing here holds more of a file than one row and one piece of input, whatever the size of the file. A file
is a stream of chunks, bytes or text, cut anywhere.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from notify_content.text import ALL_WHITESPACE

Chunks = Iterable[bytes] | Iterable[str]

UTF_8: Final = "utf-8"
WINDOWS_1252: Final = "windows-1252"
_BYTE_ORDER_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_BYTE_ORDER_MARK_LENGTH: Final = 2

MAX_ROW_CHARACTERS: Final = 1_048_576
"""Longest row; a cell can hold no more than `csv.field_size_limit()` characters of it."""
MAX_COLUMNS: Final = 16_384
"""Most headings, as many as a spreadsheet has. Every row, however short, has a value for each of them."""

_PIECE: Final = 65_536
_BLANK: Final = ALL_WHITESPACE + ","


class InvalidCsv(ValueError):
    """A file that cannot be read as CSV.

    `code` is `not-text` (the bytes are not in the stated encoding), `row-too-long` (a row or cell beyond the
    limits, as after an unclosed quotation mark), `too-many-columns` or `too-many-blank-rows` (a long run of
    blank rows, hardly two alike). The file's text is in none of its attributes.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def detect_encoding(chunks: Chunks) -> str:
    """The encoding of a file: UTF-16 if a byte order mark says so, else UTF-8, else Windows-1252.

    Reads the whole stream unless it finds out earlier. Text counts as UTF-8.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)()
    head = b""
    try:
        for chunk in chunks:
            if isinstance(chunk, str):
                return UTF_8
            if len(head) < _BYTE_ORDER_MARK_LENGTH:
                chunk = head + chunk
                head = chunk[:_BYTE_ORDER_MARK_LENGTH]
                if head in _BYTE_ORDER_MARKS:
                    return _BYTE_ORDER_MARKS[head]
                if len(head) < _BYTE_ORDER_MARK_LENGTH:
                    continue
            decoder.decode(chunk)
        decoder.decode(head if len(head) < _BYTE_ORDER_MARK_LENGTH else b"", final=True)
    except UnicodeDecodeError:
        return WINDOWS_1252
    return UTF_8


def _pieces(chunks: Chunks, encoding: str) -> Iterator[str]:
    """The text of the file in pieces of bounded size."""
    # Windows-1252 leaves five bytes undefined; the others refuse what is not theirs.
    errors = "replace" if encoding == WINDOWS_1252 else "strict"
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _PIECE):
                piece = chunk[start : start + _PIECE]
                yield piece if isinstance(piece, str) else decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InvalidCsv("not-text") from None


def _split_lines(text: str) -> list[str]:
    """Lines with their ends: a line feed and any carriage returns before it, or a carriage return alone."""
    lines = io.StringIO(text, newline="").readlines()
    if "\r\r" not in text:
        return lines
    joined: list[str] = []
    for line in lines:
        ending = [line]
        if line == "\r\n":
            while joined and joined[-1].endswith("\r"):
                ending.append(joined.pop())
                if ending[-1] != "\r":
                    break
        joined.append("".join(reversed(ending)))
    return joined


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    unfinished: list[str] = []
    size = 0
    for piece in pieces:
        unfinished.append(piece)
        size += len(piece)
        if "\n" in piece or "\r" in piece:
            lines = _split_lines("".join(unfinished))
            unfinished = _take_unfinished(lines)
            size = sum(map(len, unfinished))
            yield from lines
        if size > MAX_ROW_CHARACTERS:
            raise InvalidCsv("row-too-long")
    yield from _split_lines("".join(unfinished))


def _take_unfinished(lines: list[str]) -> list[str]:
    """Take from the end of `lines` what the next piece may add to: it may start with a line feed."""
    taken: list[str] = []
    while lines and not lines[-1].endswith("\n"):
        ends_here = lines[-1] != "\r"
        taken.append(lines.pop())
        if ends_here:
            break
    return taken[::-1]


class _Blanks:
    """A run of blank lines held back until it is known whether text follows."""

    def __init__(self) -> None:
        self._runs: list[tuple[str, int]] = []
        self._size = 0

    def add(self, line: str) -> None:
        last, count = self._runs[-1] if self._runs else ("", 0)
        if line == last:
            self._runs[-1] = (line, count + 1)
            return
        self._size += len(line)
        if self._size > MAX_ROW_CHARACTERS:
            raise InvalidCsv("too-many-blank-rows")
        self._runs.append((line, 1))

    def take(self) -> Iterator[str]:
        runs, self._runs, self._size = self._runs, [], 0
        for line, count in runs:
            for _ in range(count):
                yield line


class CsvRows:
    """The rows of a file, or of a range of one, as lists of cells.

    A whole file is trimmed: white space at its start, white space and commas at its end. A range, as
    `split_chunks` gives it, is taken as it is. `byte_offset` is where in the stream the row last returned
    ends.

    Iterating raises InvalidCsv.
    """

    def __init__(self, chunks: Chunks, encoding: str = UTF_8, *, whole_file: bool) -> None:
        self.byte_offset = 0
        self._row_characters = 0
        self._encoding = encoding
        pieces = _pieces(chunks, encoding)
        lines = self._trimmed(pieces) if whole_file else _lines(pieces)
        self._reader = csv.reader(self._counted(lines), skipinitialspace=True)

    def __iter__(self) -> "CsvRows":
        return self

    def __next__(self) -> list[str]:
        self._row_characters = 0
        try:
            return next(self._reader)
        except csv.Error:
            raise InvalidCsv("row-too-long") from None

    def headings(self) -> list[str]:
        """The cells of the heading row, which must be the next; none if the file is empty."""
        headings = next(self, [])
        if len(headings) > MAX_COLUMNS:
            raise InvalidCsv("too-many-columns")
        return headings

    def _counted(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._row_characters += len(line)
            if self._row_characters > MAX_ROW_CHARACTERS:
                raise InvalidCsv("row-too-long")
            self.byte_offset += self._size(line)
            yield line

    def _size(self, text: str) -> int:
        if self._encoding == WINDOWS_1252 or (self._encoding == UTF_8 and text.isascii()):
            return len(text)
        return len(text.encode(self._encoding, "surrogatepass"))

    def _trimmed(self, pieces: Iterable[str]) -> Iterator[str]:
        blanks = _Blanks()
        content = ""
        for line in _lines(self._trimmed_start(pieces)):
            if not line.strip(_BLANK):
                blanks.add(line)
                continue
            if content:
                yield content
            yield from blanks.take()
            content = line
        if content:
            yield content.rstrip(_BLANK)

    def _trimmed_start(self, pieces: Iterable[str]) -> Iterator[str]:
        started = False
        for piece in pieces:
            text = piece if started else piece.lstrip(ALL_WHITESPACE)
            if not started:
                self.byte_offset += self._size(piece[: len(piece) - len(text)])
                started = bool(text)
            if text:
                yield text


class RowRange(NamedTuple):
    """Neighbouring rows of a file and the bytes that hold them; the heading row is in no range."""

    byte_start: int
    byte_end: int
    first_row: int
    """Index of the first of the rows, from 0."""
    rows: int


class RowRanges:
    """Ranges of a file's rows, to be iterated once; made by `split_chunks`.

    A range comes out as soon as its rows have gone by. When all have, `headers` holds the headings that every
    range must be read with (content.md §11.1 "Column positions") and `row_count` the number of rows.
    """

    def __init__(self, rows: CsvRows, rows_per_chunk: int) -> None:
        self._rows = rows
        self._rows_per_chunk = rows_per_chunk
        self.headers: tuple[str, ...] = ()
        self.row_count = 0

    def __iter__(self) -> Iterator[RowRange]:
        rows = self._rows
        headings = rows.headings()
        widest = 0
        start, first_row = rows.byte_offset, 0
        for row in rows:
            self.row_count += 1
            if len(row) > widest:
                widest = max(widest, filled_width(row))
            if self.row_count - first_row == self._rows_per_chunk:
                yield RowRange(start, rows.byte_offset, first_row, self._rows_per_chunk)
                start, first_row = rows.byte_offset, self.row_count
        self.headers = _kept_headings(headings, widest)
        if self.row_count > first_row:
            yield RowRange(start, rows.byte_offset, first_row, self.row_count - first_row)


def split_chunks(stream: Chunks, rows_per_chunk: int = 500, encoding: str = UTF_8) -> RowRanges:
    """Cut a file into ranges of at most `rows_per_chunk` rows, each readable on its own.

    Cells may hold line ends; a range never ends inside one. Iterating the answer raises InvalidCsv.
    """
    return RowRanges(CsvRows(stream, encoding, whole_file=True), rows_per_chunk)


def filled_width(row: Sequence[str]) -> int:
    """How many cells a row has up to its last that is not empty."""
    return next((width for width in range(len(row), 0, -1) if row[width - 1]), 0)


def _kept_headings(headings: Sequence[str], widest: int) -> tuple[str, ...]:
    """Headings of columns with a cell in any row, and of empty ones each text not seen before."""
    kept = list(headings[:widest])
    seen = set(kept)
    for heading in headings[widest:]:
        if heading not in seen:
            seen.add(heading)
            kept.append(heading)
    return tuple(kept)
