"""Recipient files: rows with their recipient, personalisation and errors, and what is wrong with a file as a
whole (content.md §11).

A file is a stream of chunks; `csv_stream` reads it. Rows come out as chunks come in.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Final, NamedTuple, Protocol

from notify_content import email_address, phone
from notify_content.csv_stream import (
    COMMA,
    UTF_8,
    Chunks,
    CsvRows,
    detect_encoding,
    filled_width,
    split_chunks,
)
from notify_content.email_address import InvalidEmailAddress
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.phone import InvalidPhoneNumber
from notify_content.placeholders import Personalisation, unique_names
from notify_content.postal_address import PostalAddress
from notify_content.sms import SmsTemplate
from notify_content.text import clean_cell, insensitive_key, strip_obscure

MAX_ROWS: Final = 100_000
"""Rows a file may have; those beyond are counted, not read."""
MISSING: Final = "Missing"

CellValue = str | list[str | None] | None
Recipient = CellValue | list[CellValue]

_PHONE_COLUMN: Final = "phone number"
_EMAIL_COLUMN: Final = "email address"

_ADDRESS_LINES: Final = tuple(f"address line {number}" for number in range(1, 7))
_ADDRESS_COLUMNS: Final = (*_ADDRESS_LINES, "postcode", "address line 7")
_ENOUGH_ADDRESS_COLUMNS: Final = 3


class MessageProblems(NamedTuple):
    """What is wrong with the message that a row makes."""

    too_long: bool = False
    empty: bool = False
    qr_code_too_long: bool = False


NO_PROBLEMS: Final = MessageProblems()


class RowTemplate(Protocol):
    """What rows need to know of the template they are for; see SmsRows, EmailRows and LetterRows."""

    @property
    def recipient_columns(self) -> tuple[str, ...]:
        """Headings of the recipient's columns, in the order of content.md §11.3."""

    @property
    def placeholders(self) -> tuple[str, ...]: ...

    def problems(self, values: Personalisation) -> MessageProblems:
        """Check the message made with a row's own values."""


@dataclass(frozen=True)
class SmsRows:
    """Rows of a text message. `prefix` is the service name when the service shows it, otherwise None."""

    template: SmsTemplate
    prefix: str | None = None
    recipient_columns = (_PHONE_COLUMN,)

    @property
    def placeholders(self) -> tuple[str, ...]:
        return self.template.placeholders

    def problems(self, values: Personalisation) -> MessageProblems:
        message = self.template.render(values, self.prefix)
        if message.too_long or message.is_empty:
            return MessageProblems(too_long=message.too_long, empty=message.is_empty)
        return NO_PROBLEMS


@dataclass(frozen=True)
class EmailRows:
    """Rows of an email. Its size is not measured (content.md §11.5)."""

    template: EmailTemplate
    recipient_columns = (_EMAIL_COLUMN,)

    @property
    def placeholders(self) -> tuple[str, ...]:
        return self.template.placeholders

    def problems(self, values: Personalisation) -> MessageProblems:
        return MessageProblems(empty=True) if self.template.render(values).is_empty else NO_PROBLEMS


@dataclass(frozen=True)
class LetterRows:
    """Rows of a letter; of a bilingual one, with its Welsh half."""

    template: LetterTemplate
    welsh: LetterTemplate | None = None
    recipient_columns = _ADDRESS_COLUMNS

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        return unique_names(chain.from_iterable(half.placeholders for half in self._halves))

    @property
    def _halves(self) -> tuple[LetterTemplate, ...]:
        return (self.template,) if self.welsh is None else (self.welsh, self.template)

    def problems(self, values: Personalisation) -> MessageProblems:
        letters = [half.render(values) for half in self._halves]
        return MessageProblems(
            empty=all(letter.is_empty for letter in letters),
            qr_code_too_long=any(letter.qr_code_too_long for letter in letters),
        )


@dataclass(frozen=True, slots=True)
class RowRules:
    """What a service may send to, and which checks are made on rows."""

    allow_international_sms: bool = False
    allow_international_letters: bool = False
    allow_sms_to_uk_landline: bool = False
    should_validate: bool = True
    should_validate_phone_number: bool = True


class Cell(NamedTuple):
    """One cell: its value, what is wrong with it, and whether the template has no use for it."""

    data: CellValue
    error: str | None
    ignored: bool


class RecipientRow(NamedTuple):
    """One row. Keys are column keys (content.md §1.7)."""

    row_index: int
    """From 0, the heading row not counted."""
    recipient: Recipient
    """The recipient cell; for letters the eight address cells in the order of content.md §11.3."""
    values: Mapping[str, CellValue]
    errors: Mapping[str, str]
    """What is wrong with a cell, in words for the user."""
    extra_values: list[str] | None
    """Cells beyond the headings up to the last that is not empty, as they stand in the file."""
    message: MessageProblems
    address: PostalAddress | None
    """For letters."""
    has_bad_postal_address: bool
    columns: "Columns"

    @property
    def cells(self) -> dict[str, Cell]:
        ignored = self.columns.ignored_keys
        return {key: Cell(data, self.errors.get(key), key in ignored) for key, data in self.values.items()}

    @property
    def personalisation(self) -> Mapping[str, CellValue]:
        """The values the template has a use for, the recipient's among them."""
        ignored = self.columns.ignored_keys
        if not ignored:
            return self.values
        return {key: data for key, data in self.values.items() if key not in ignored}

    @property
    def has_error(self) -> bool:
        return bool(self.errors) or self.has_bad_postal_address or self.message != NO_PROBLEMS

    @property
    def has_bad_recipient(self) -> bool:
        """A recipient that is there but cannot be sent to."""
        if self.address is not None:
            return self.has_bad_postal_address
        return self.errors.get(self.columns.recipient_keys[0], MISSING) != MISSING

    @property
    def has_missing_data(self) -> bool:
        return MISSING in self.errors.values()


class Columns:
    """A file's headings as a template sees them (content.md §11.3)."""

    def __init__(self, headers: Sequence[str], template: RowTemplate) -> None:
        self.headers = tuple(headers)
        self.keys = tuple(map(insensitive_key, self.headers))
        self._key_by_heading = dict(zip(self.headers, self.keys, strict=True))
        self.recipient_keys = tuple(map(insensitive_key, template.recipient_columns))
        placeholder_keys = set(map(insensitive_key, template.placeholders))
        self.are_for_letters = template.recipient_columns == _ADDRESS_COLUMNS
        self.are_for_sms = template.recipient_columns == (_PHONE_COLUMN,)
        address = None if self.are_for_letters or self.are_for_sms else self.recipient_keys[0]
        self._cleaners = tuple(strip_obscure if key == address else clean_cell for key in self.keys)
        self.ignored_keys = frozenset(self.keys) - placeholder_keys - set(self.recipient_keys)
        required = (
            template.placeholders
            if self.are_for_letters
            else (*template.placeholders, *template.recipient_columns)
        )
        present = set(self.keys) | (set(self.recipient_keys) if self.are_for_letters else set())
        self.missing = tuple(
            heading for heading in unique_names(required) if insensitive_key(heading) not in present
        )
        """Required headings that no column has."""
        repeated = {key for key in self.recipient_keys if self.keys.count(key) > 1}
        self.duplicate_recipients = tuple(
            dict.fromkeys(
                heading for heading, key in zip(self.headers, self.keys, strict=True) if key in repeated
            )
        )
        """Recipient headings that occur more than once, each spelling once, in order."""
        self.required_placeholder_keys = tuple(
            key for key in placeholder_keys & set(self.keys) if key not in self.recipient_keys
        )
        self.are_plain = len(set(self.keys)) == len(self.keys) and "" not in self.keys
        """Whether each cell of a row has a key of its own, whatever is in it."""

    @cached_property
    def have_recipient(self) -> bool:
        """Whether the file says whom to send to."""
        present = set(self.keys)
        if not self.are_for_letters:
            return self.recipient_keys[0] in present
        *lines, postcode, last_line = self.recipient_keys
        return any(
            len(present.intersection((*lines, last))) >= _ENOUGH_ADDRESS_COLUMNS
            for last in (postcode, last_line)
        )

    def values(self, cells: Sequence[str]) -> dict[str, CellValue]:
        """Return the values of a row by column key (content.md §11.2)."""
        if self.are_plain:
            values: dict[str, CellValue] = {
                key: clean(cell) or None
                for key, clean, cell in zip(self.keys, self._cleaners, cells, strict=False)
            }
            for key in self.keys[len(cells) :]:
                values[key] = None
            return values
        return self._merged_values(cells)

    def _merged_values(self, cells: Sequence[str]) -> dict[str, CellValue]:
        by_heading: dict[str, CellValue] = {}
        cleaned = (clean(cell) or None for clean, cell in zip(self._cleaners, cells, strict=False))
        given = chain(cleaned, repeat(None))
        for position, (heading, key, data) in enumerate(zip(self.headers, self.keys, given, strict=False)):
            if not heading and data is None:
                continue
            held = by_heading.get(heading)
            if held is None or (key in self.recipient_keys and position < len(cells)):
                by_heading[heading] = data
            elif isinstance(held, list):
                held.append(data)
            else:
                by_heading[heading] = [held, data]
        # Of spellings with one key the last wins, even with an empty cell.
        return {self._key_by_heading[heading]: data for heading, data in by_heading.items()}


class RecipientRows:
    """The rows of a file, or of a range of one, one by one: an iterator of RecipientRow.

    Without `headers` the stream is a whole file that starts with its heading row, whose headings are taken as
    they stand. With `headers` and `delimiter`, from `csv_stream.split_chunks`, it is the bytes of one range
    and `first_row` the index of its first row. At most `max_rows` rows of a file are read; `row_count` counts
    all that pass.

    Raises InvalidCsv; iterating does too.
    """

    def __init__(
        self,
        stream: Chunks,
        template: RowTemplate,
        rules: RowRules | None = None,
        *,
        headers: Sequence[str] | None = None,
        delimiter: str = COMMA,
        first_row: int = 0,
        encoding: str = UTF_8,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._rows = CsvRows(stream, encoding, whole_file=headers is None, delimiter=delimiter)
        self._first_index = first_row - (headers is None)
        self._template = template
        self._rules = rules or RowRules()
        self._first_row = first_row
        self._max_rows = max_rows
        self.row_count = 0
        self.columns = Columns(self._rows.headings() if headers is None else headers, template)

    @classmethod
    def of_file(
        cls,
        open_file: Callable[[], Chunks],
        template: RowTemplate,
        rules: RowRules | None = None,
        *,
        max_rows: int = MAX_ROWS,
    ) -> "RecipientRows":
        """Return the rows of a whole file in any accepted encoding, its empty trailing columns left out.

        `open_file` starts the file from its beginning each time it is called, which is three times. Raises
        InvalidCsv; iterating does too.
        """
        encoding = detect_encoding(open_file())
        ranges = split_chunks(open_file(), encoding=encoding)
        for _ in ranges:
            pass
        rows = cls(open_file(), template, rules, encoding=encoding, max_rows=max_rows)
        rows.columns = Columns(ranges.headers, template)
        return rows

    @property
    def unclosed_quote_row(self) -> int | None:
        """The row in which a quoted cell opens that is never closed, once the rows before it have gone by.

        -1 is the heading row. Such a file must not be sent: the rows that follow are in no row.
        """
        return self._first_index + self._rows.row_count if self._rows.ends_in_quotes else None

    def __iter__(self) -> Iterator[RecipientRow]:
        for index, cells in enumerate(self._rows, start=self._first_row):
            self.row_count += 1
            if index < self._max_rows:
                yield self._read(index, cells)

    def _read(self, index: int, cells: list[str]) -> RecipientRow:
        columns = self.columns
        values = columns.values(cells)
        recipient: Recipient = (
            [values.get(key) for key in columns.recipient_keys]
            if columns.are_for_letters
            else values.get(columns.recipient_keys[0])
        )
        personalisation = Personalisation.by_column(values)
        address = PostalAddress.from_personalisation(personalisation) if columns.are_for_letters else None
        errors: dict[str, str] = {}
        problems = NO_PROBLEMS
        bad_address = False
        if self._rules.should_validate:
            errors = self._cell_errors(values)
            problems = self._template.problems(personalisation)
            bad_address = address is not None and not address.is_valid(
                allow_international=self._rules.allow_international_letters
            )
        extra = cells[len(columns.headers) : filled_width(cells)] or None
        return RecipientRow(index, recipient, values, errors, extra, problems, address, bad_address, columns)

    def _cell_errors(self, values: Mapping[str, CellValue]) -> dict[str, str]:
        columns = self.columns
        errors = {key: MISSING for key in columns.required_placeholder_keys if values.get(key) is None}
        if columns.are_for_letters:
            return errors
        key = columns.recipient_keys[0]
        if key in values:
            error = self._recipient_error(values[key])
            if error is not None:
                errors[key] = error
        return errors

    def _recipient_error(self, recipient: CellValue) -> str | None:
        if not isinstance(recipient, str):
            return None if self.columns.duplicate_recipients else MISSING
        rules = self._rules
        try:
            if not self.columns.are_for_sms:
                email_address.parse(recipient)
            elif rules.should_validate_phone_number:
                phone.parse(
                    recipient,
                    allow_international=rules.allow_international_sms,
                    allow_uk_landline=rules.allow_sms_to_uk_landline,
                )
        except (InvalidPhoneNumber, InvalidEmailAddress) as error:
            return error.message
        return None


@dataclass(frozen=True)
class Allowances:
    """What a service may still send today; None is without limit. An empty guest list allows everyone."""

    remaining_messages: int | None = None
    remaining_international_sms_messages: int | None = None
    guest_list: Collection[object] = ()


@dataclass(frozen=True)
class FileResults:
    """What is wrong with a file as a whole (content.md §11.6).

    A file with too many rows is not judged by its rows: then `allowed_to_send_to`, `international_sms_count`
    and `more_international_sms_than_can_send` are None and no rows are displayed.
    """

    column_headers: tuple[str, ...]
    missing_column_headers: tuple[str, ...]
    duplicate_recipient_column_headers: tuple[str, ...]
    unclosed_quote_row: int | None
    """The row in which a quoted cell opens that is never closed, -1 for the heading row. No row counts from
    there on."""
    has_recipient_columns: bool
    row_count: int
    too_many_rows: bool
    more_rows_than_can_send: bool
    allowed_to_send_to: bool | None
    international_sms_count: int | None
    """Rows whose number parses and has a country code other than 44. Rows without a number do not count."""
    more_international_sms_than_can_send: bool | None
    rows_with_errors: int
    displayed_rows: tuple[RecipientRow, ...]
    has_errors: bool


def check_file(
    open_file: Callable[[], Chunks],
    template: RowTemplate,
    rules: RowRules | None = None,
    allowances: Allowances | None = None,
    *,
    max_rows: int = MAX_ROWS,
    max_errors_shown: int = 20,
    max_initial_rows_shown: int = 10,
) -> FileResults:
    """Read a whole file and tell whether it can be sent (content.md §11.6).

    `open_file` starts the file from its beginning each time it is called. Holds no rows but those to display.
    Raises InvalidCsv.
    """
    allowances = allowances or Allowances()
    rows = RecipientRows.of_file(open_file, template, rules, max_rows=max_rows)
    guests = frozenset(map(comparable_recipient, allowances.guest_list))
    initial: list[RecipientRow] = []
    with_errors: list[RecipientRow] = []
    error_count = international = 0
    allowed = True
    for row in rows:
        if len(initial) < max_initial_rows_shown:
            initial.append(row)
        if row.has_error:
            error_count += 1
            if len(with_errors) < max_errors_shown:
                with_errors.append(row)
        if rows.columns.are_for_sms and isinstance(row.recipient, str) and phone.is_foreign(row.recipient):
            international += 1
        if guests and not rows.columns.are_for_letters:
            allowed = allowed and comparable_recipient(row.recipient) in guests

    columns = rows.columns
    too_many = rows.row_count > max_rows
    remaining = allowances.remaining_messages
    more_rows = remaining is not None and rows.row_count > remaining
    remaining_international = allowances.remaining_international_sms_messages
    more_international = remaining_international is not None and international > max(
        0, remaining_international
    )
    displayed = with_errors if with_errors and not columns.missing else initial
    return FileResults(
        column_headers=tuple(dict.fromkeys(columns.headers)),
        missing_column_headers=columns.missing,
        duplicate_recipient_column_headers=columns.duplicate_recipients,
        unclosed_quote_row=rows.unclosed_quote_row,
        has_recipient_columns=columns.have_recipient,
        row_count=rows.row_count,
        too_many_rows=too_many,
        more_rows_than_can_send=more_rows,
        allowed_to_send_to=None if too_many else allowed,
        international_sms_count=None if too_many else international,
        more_international_sms_than_can_send=None if too_many else more_international,
        rows_with_errors=error_count,
        displayed_rows=() if too_many else tuple(displayed),
        has_errors=bool(
            columns.missing
            or columns.duplicate_recipients
            or rows.unclosed_quote_row is not None
            or too_many
            or more_rows
            or not allowed
            or more_international
            or error_count
        ),
    )


def comparable_recipient(recipient: object) -> str:
    """Return the form in which recipients are compared with a guest list (content.md §11.6)."""
    if not isinstance(recipient, str):
        return ""
    try:
        return phone.normalise(recipient)
    except InvalidPhoneNumber:
        pass
    try:
        return email_address.parse(recipient).normalised
    except InvalidEmailAddress:
        return recipient
