"""CSV text as a stream: decoding, trimming, rows with their places in the file (content.md §11.1).

Nothing here holds more of a file than one row and one piece of input, whatever the size of the file. A file
is a stream of chunks, bytes or text, cut anywhere.
"""

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

from notify_content.text import ALL_WHITESPACE, plain_spaces

Chunks = Iterable[bytes] | Iterable[str]

UTF_8: Final = "utf-8"
WINDOWS_1252: Final = "windows-1252"
_BYTE_ORDER_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_BYTE_ORDER_MARK_LENGTH: Final = 2

MAX_ROW_CHARACTERS: Final = 1_048_576
"""Longest row; a cell can hold no more than `csv.field_size_limit()` characters of it."""
MAX_COLUMNS: Final = 16_384
"""Most headings, as many as a spreadsheet has. Every row, however short, has a value for each of them."""

COMMA: Final = ","
_OTHER_DELIMITERS: Final = ("\t", ";")

_PIECE: Final = 65_536
_TAB: Final = "\t"
# Each double quote switches between inside and outside.
_FIRST_LINE: Final = re.compile(r'(?:[^"\r\n]|"[^"]*+(?:"|\Z))*+')
_QUOTED: Final = re.compile(r'"[^"]*+(?:"|\Z)')
# What spreadsheets write to name the delimiter: no letter, digit, space or double quote.
_DELIMITER_LINE: Final = re.compile(r"(?ai:sep)=((?![^\W_])[^ \"\r\n])(?=[\r\n]|\Z)")
_DELIMITER_LINE_LENGTH: Final = len("sep=;\n")


class InvalidCsv(ValueError):
    """A file that cannot be read as CSV.

    `code` is `not-text` (the bytes are not in the stated encoding), `row-too-long` (a row or cell beyond the
    limits), `too-many-columns` or `too-many-blank-rows` (a long run of
    blank rows, hardly two alike). The file's text is in none of its attributes.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def detect_encoding(chunks: Chunks) -> str:
    """Return the encoding of a file: UTF-16 if a byte order mark says so, else UTF-8, else Windows-1252.

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
    """Return the text of the file in pieces of bounded size, none of them empty."""
    return filter(None, _decoded(chunks, encoding))


def _decoded(chunks: Chunks, encoding: str) -> Iterator[str]:
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


def _encoded_size(encoding: str, text: str) -> int:
    return len(text.encode(encoding, "surrogatepass"))


def _utf_8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(UTF_8, "surrogatepass"))


_SIZES: Final[Mapping[str, Callable[[str], int]]] = {UTF_8: _utf_8_size, WINDOWS_1252: len}


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


class _Quotes:
    """Follows the lines of rows to know whether each ends inside a quoted cell."""

    def __init__(self, delimiter: str) -> None:
        other = f"[^{re.escape(delimiter)}]*+{re.escape(delimiter)}"
        inside = '[^"]*+(?:""[^"]*+)*+'
        self._line = re.compile(rf' *+(?:(?:"{inside}"|(?!")){other} *+)*+("{inside}\Z)?')
        self._rest_of_cell = re.compile(rf'{inside}"(?:{other})?+')
        self.are_open = False

    def pass_line(self, line: str) -> None:
        """Take note of the next line, with its line end, which has a double quote."""
        position = 0
        if self.are_open:
            rest = self._rest_of_cell.match(line)
            if rest is None:
                return
            position = rest.end()
        cells = self._line.match(line, position)
        self.are_open = cells is not None and cells[1] is not None


class CsvRows:
    """The rows of a file, or of a range of one, as lists of cells.

    A whole file is trimmed, white space at its start, white space and delimiters at its end, and shows its
    delimiter itself. A range, as `split_chunks` gives it, is taken as it is. `row_count` is how many rows
    have been returned, the heading row among them.

    A row in which a quoted cell opens that is never closed ends the rows: it is not returned, and
    `ends_in_quotes` is true. Iterating raises InvalidCsv.
    """

    def __init__(
        self, chunks: Chunks, encoding: str = UTF_8, *, whole_file: bool, delimiter: str = COMMA
    ) -> None:
        self.row_count = 0
        self.ends_in_quotes = False
        self.delimiter = delimiter
        self._size = _SIZES.get(encoding) or partial(_encoded_size, encoding)
        self.byte_offset = 0
        """Where in the stream the row last returned ends."""
        pieces = _pieces(chunks, encoding)
        text = self._trimmed_start(pieces) if whole_file else pieces
        lines = self._trimmed_end(text) if whole_file else _lines(text)
        self._lines = iter(lines)
        self._row_characters = 0
        self._quotes = _Quotes(self.delimiter)
        self._read_on()

    def __iter__(self) -> "CsvRows":
        return self

    def __next__(self) -> list[str]:
        if self.ends_in_quotes:
            raise StopIteration
        self._row_characters = 0
        try:
            row = next(self._reader)
        except (csv.Error, InvalidCsv) as error:
            self._pass_cell()
            self._read_on()
            raise InvalidCsv("row-too-long") if isinstance(error, csv.Error) else error from None
        if self._quotes.are_open:
            self.ends_in_quotes = True
            raise StopIteration
        self.row_count += 1
        return row

    def _read_on(self) -> None:
        """Read rows from the next line on: what has raised gives no more."""
        self._reader = csv.reader(self._counted(), skipinitialspace=True, delimiter=self.delimiter)

    def _counted(self) -> Iterator[str]:
        size, quotes = self._size, self._quotes
        for line in self._lines:
            if '"' in line:
                quotes.pass_line(line)
            self.byte_offset += size(line)
            self._row_characters += len(line)
            if self._row_characters > MAX_ROW_CHARACTERS:
                raise InvalidCsv("row-too-long")
            yield line

    def _pass_cell(self) -> None:
        """Pass the rest of a quoted cell that is too long; one that is never closed ends the rows."""
        while self._quotes.are_open:
            line = next(self._lines, None)
            if line is None:
                self.ends_in_quotes = True
                raise StopIteration
            self.byte_offset += self._size(line)
            if '"' in line:
                self._quotes.pass_line(line)

    def headings(self) -> list[str]:
        """Return the cells of the heading row, which must be the next; none if the file is empty."""
        headings = next(self, [])
        if len(headings) > MAX_COLUMNS:
            raise InvalidCsv("too-many-columns")
        return list(map(plain_spaces, headings))

    def _trimmed_end(self, pieces: Iterable[str]) -> Iterator[str]:
        blank = ALL_WHITESPACE + self.delimiter
        blanks = _Blanks()
        content = ""
        for line in _lines(pieces):
            if not line.strip(blank):
                blanks.add(line)
                continue
            if content:
                yield content
            yield from blanks.take()
            content = line
        if content:
            yield content.rstrip(blank)

    def _trimmed_start(self, pieces: Iterator[str]) -> Iterator[str]:
        """Return the text from its headings on; find the delimiter out."""
        text, tabs = self._skip_whitespace("", pieces)
        while len(text) < _DELIMITER_LINE_LENGTH and (piece := next(pieces, "")):
            text += piece
        line = _DELIMITER_LINE.match(text)
        if line:
            self.delimiter = line[1]
            self.byte_offset += self._size(line[0])
            text, tabs = self._skip_whitespace(text[line.end() :], pieces)
        else:
            self.delimiter, text = _shown_delimiter(text, pieces)
        if self.delimiter == _TAB:
            # Empty headings.
            if tabs > MAX_COLUMNS:
                raise InvalidCsv("too-many-columns")
            text = _TAB * tabs + text
            self.byte_offset -= self._size(_TAB * tabs)
        return chain((text,), pieces)

    def _skip_whitespace(self, text: str, pieces: Iterator[str]) -> tuple[str, int]:
        """Return the first text that is no white space, with the rest of its piece, and how many tabs lead
        to it.
        """
        tabs = 0
        while True:
            rest = text.lstrip(ALL_WHITESPACE)
            skipped = text[: len(text) - len(rest)]
            self.byte_offset += self._size(skipped)
            tabs = len(skipped) - len(skipped.rstrip(_TAB)) + (0 if skipped.strip(_TAB) else tabs)
            if rest:
                return rest, tabs
            text = next(pieces, "")
            if not text:
                return "", 0


def _shown_delimiter(text: str, pieces: Iterator[str]) -> tuple[str, str]:
    """Return the delimiter that the first line shows, and `text` with what had to be read to see it."""
    while True:
        line = _first_line(text)
        is_whole = text[len(line) :].strip(ALL_WHITESPACE) or len(text) > MAX_ROW_CHARACTERS
        more = "" if is_whole or COMMA in _QUOTED.sub("", line) else _as_much_again(len(text), pieces)
        if not more:
            break
        text += more
    outside = _QUOTED.sub("", _first_line(text.rstrip(ALL_WHITESPACE)))
    return next((one for one in (COMMA, *_OTHER_DELIMITERS) if one in outside), COMMA), text


def _first_line(text: str) -> str:
    """Up to the first line end outside double quotes."""
    line = _FIRST_LINE.match(text)
    return line[0] if line else ""


def _as_much_again(size: int, pieces: Iterator[str]) -> str:
    read = []
    while size > 0 and (piece := next(pieces, "")):
        read.append(piece)
        size -= len(piece)
    return "".join(read)


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
    range must be read with (content.md §11.1 "Column positions"), `row_count` the number of rows and
    `unclosed_quote_row` the index of the row in which a quoted cell opens that is never closed (-1 for the
    heading row, None without one). `delimiter` is known from the start.
    """

    def __init__(self, rows: CsvRows, rows_per_chunk: int, bytes_per_chunk: int | None) -> None:
        self._rows = rows
        self._rows_per_chunk = rows_per_chunk
        self._bytes_per_chunk = math.inf if bytes_per_chunk is None else bytes_per_chunk
        self.headers: tuple[str, ...] = ()
        self.row_count = 0
        self.delimiter = rows.delimiter
        self.unclosed_quote_row: int | None = None

    def __iter__(self) -> Iterator[RowRange]:
        rows = self._rows
        headings = rows.headings()
        widest = 0
        start, first_row = rows.byte_offset, 0
        for row in rows:
            self.row_count += 1
            if len(row) > widest:
                widest = max(widest, filled_width(row))
            count = self.row_count - first_row
            if count == self._rows_per_chunk or rows.byte_offset - start >= self._bytes_per_chunk:
                yield RowRange(start, rows.byte_offset, first_row, count)
                start, first_row = rows.byte_offset, self.row_count
        self.headers = _kept_headings(headings, widest)
        self.unclosed_quote_row = rows.row_count - 1 if rows.ends_in_quotes else None
        if self.row_count > first_row:
            yield RowRange(start, rows.byte_offset, first_row, self.row_count - first_row)


def split_chunks(
    stream: Chunks,
    rows_per_chunk: int = 500,
    encoding: str = UTF_8,
    bytes_per_chunk: int | None = None,
) -> RowRanges:
    """Cut a file into ranges of at most `rows_per_chunk` rows, each readable on its own. A range ends too
    with the row that takes it to `bytes_per_chunk`.

    Cells may hold line ends; a range never ends inside one. Raises InvalidCsv; iterating the answer does too.
    """
    return RowRanges(CsvRows(stream, encoding, whole_file=True), rows_per_chunk, bytes_per_chunk)


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
