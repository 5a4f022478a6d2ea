"""Recipient files: bounded memory, ranges that add up to the file, encodings, errors of rows and files."""

import csv
import io
import re
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from notify_content.csv_stream import (
    MAX_COLUMNS,
    MAX_ROW_CHARACTERS,
    CsvRows,
    InvalidCsv,
    RowRange,
    detect_encoding,
    split_chunks,
)
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.recipients_csv import (
    Allowances,
    EmailRows,
    LetterRows,
    RecipientRow,
    RecipientRows,
    RowRules,
    SmsRows,
    check_file,
    comparable_recipient,
)
from notify_content.sms import SmsTemplate
from notify_content.text import ALL_WHITESPACE

SMS = SmsRows(SmsTemplate("Hi ((name)), see you on ((day))"))
HEADING = "phone number,name,day\n"
CSV_TEXT = st.text('ab,;\t"\n\r \u00a0\u200b\u00e9\U0001f600', max_size=60)
MARK = "the row that is added"
CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        for size in sizes:
            yield data[start : start + size]
            start += size


def read(text: str, template: SmsRows = SMS, **options: object) -> list[RecipientRow]:
    rules = RowRules(**options)  # type: ignore[arg-type]
    return list(RecipientRows.of_file(lambda: [text], template, rules))


def rows_of(text: str) -> list[list[str]]:
    return list(CsvRows([text], whole_file=True))


def peak_memory(chunks: Iterable[bytes], consume: object) -> int:
    tracemalloc.start()
    try:
        consume(chunks)  # type: ignore[operator]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def large_file(rows: int) -> Iterator[bytes]:
    yield HEADING.encode()
    for start in range(0, rows, 500):
        yield "".join(
            f'07400 {row % 1_000_000:06d},"Ada\n""{row}""",Monday\r\n' for row in range(start, start + 500)
        ).encode()


def test_a_file_of_a_hundred_thousand_rows_is_split_within_a_few_pieces_of_memory() -> None:
    seen: list[RowRange] = []

    def split(chunks: Iterable[bytes]) -> None:
        ranges = split_chunks(chunks)
        for one in ranges:
            seen[:] = [one]
        assert ranges.row_count == 100_000

    assert peak_memory(large_file(100_000), split) < 2_000_000
    assert seen[0].first_row == 99_500


def test_rows_of_a_file_of_a_hundred_thousand_rows_come_out_within_a_few_pieces_of_memory() -> None:
    # The rows of the file are read in full; validating each would only slow the count down.
    def consume(chunks: Iterable[bytes]) -> None:
        rows = RecipientRows(chunks, SMS, RowRules(should_validate=False), max_rows=100_000)
        last = None
        for last in rows:  # noqa: B007
            pass
        assert last is not None
        assert last.row_index == 99_999
        assert last.values["name"] == 'Ada\n"99999"'

    assert peak_memory(large_file(100_000), consume) < 2_000_000


def test_rows_come_out_before_the_file_has_ended() -> None:
    def chunks() -> Iterator[bytes]:
        yield HEADING.encode()
        yield b"07400123456,Ada,Monday\n07400123457,Bo,Tuesday\n07400123458,"
        raise AssertionError("read further than needed")

    assert next(iter(RecipientRows(chunks(), SMS))).recipient == "07400123456"


@pytest.mark.parametrize(
    ("start", "filler", "end"),
    [('x\n"', "a", '"'), ('x\n"', "\n", '"'), ("x\n", "a", ""), ("x\n", "a,", ""), ('x\n"a\n', '","\n', '"')],
    ids=["quote", "quote-lines", "no-line-end", "cells", "quoted-lines"],
)
def test_a_row_that_is_too_long_is_refused_within_bounded_memory(start: str, filler: str, end: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield start.encode()
        for _ in range(40):
            yield (filler * 65_536)[:65_536].encode()
        yield b"a" + end.encode()

    def consume(chunks: Iterable[bytes]) -> None:
        with pytest.raises(InvalidCsv) as raised:
            for _ in CsvRows(chunks, whole_file=True):
                pass
        assert raised.value.code == "row-too-long"

    assert peak_memory(chunks(), consume) < 30_000_000


@pytest.mark.parametrize("filler", ["\n", "07400123457,Bo,Tue\n", '07400123457,""Bo"",Tue\n'])
def test_a_quote_that_is_never_closed_is_found_however_much_follows(filler: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield HEADING.encode() + b'07400123456,Ada,Mon\n07400123456,"Ada,Mon\n'
        for _ in range(40):
            yield (filler * 4096).encode()
        yield b"a"

    def consume(chunks: Iterable[bytes]) -> None:
        rows = RecipientRows(chunks, SMS)
        assert [row.values["name"] for row in rows] == ["Ada"]
        assert (rows.unclosed_quote_row, rows.row_count) == (1, 1)

    assert peak_memory(chunks(), consume) < 30_000_000


def test_a_spreadsheet_s_million_blank_rows_at_the_end_are_dropped_within_bounded_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x\na\n"
        for _ in range(100):
            yield b",,,,\r\n" * 10_000

    def consume(chunks: Iterable[bytes]) -> None:
        assert list(CsvRows(chunks, whole_file=True)) == [["x"], ["a"]]

    assert peak_memory(chunks(), consume) < 30_000_000


def test_blank_rows_hardly_two_alike_are_refused() -> None:
    rows = ["x\na\n", *("," * (1 + row % 2000) + "\n" for row in range(5000)), "b"]
    with pytest.raises(InvalidCsv) as raised:
        list(CsvRows(rows, whole_file=True))
    assert raised.value.code == "too-many-blank-rows"
    assert sum(map(len, rows)) > MAX_ROW_CHARACTERS


def test_more_headings_than_a_spreadsheet_has_are_refused() -> None:
    heading = "phone number," + ",".join(map(str, range(MAX_COLUMNS - 1)))
    assert len(RecipientRows([heading + "\na"], SMS).columns.headers) == MAX_COLUMNS
    for read_headings in (lambda text: RecipientRows([text], SMS), lambda text: list(split_chunks([text]))):
        with pytest.raises(InvalidCsv) as raised:
            read_headings(heading + ",x\na")
        assert raised.value.code == "too-many-columns"


def test_blank_rows_in_the_middle_are_rows() -> None:
    assert len(rows_of("x\n" + "\n" * 300_000 + "a")) == 300_002


@given(CSV_TEXT, CUTS)
@example("x\r\r\r\ny\r\r\n", [1])
@example("a\rb\r\rc", [1])
def test_where_chunks_are_cut_makes_no_difference(text: str, sizes: list[int]) -> None:
    assert list(CsvRows(cut(text.encode(), sizes), whole_file=True)) == rows_of(text)


def delimiter_of(text: str) -> str:
    """Return the delimiter of a trimmed text that names none, by its first line outside quotes."""
    outside = "".join(part if index % 2 == 0 else "" for index, part in enumerate(text.split('"')))
    first_line = re.split(r"[\r\n]", outside)[0]
    return next((one for one in ",\t;" if one in first_line), ",")


@given(CSV_TEXT)
@example('a,b\nc,"d')
@example('"a')
@example("\n\t\ta\tb\nc\td\te")
@example(" \ta\tb;\n;")
def test_a_whole_file_is_read_as_trimmed_csv(text: str) -> None:
    # A carriage return alone is no row end to the csv module, which refuses it.
    text = text.replace("\r", "\r\n")
    trimmed = text.strip(ALL_WHITESPACE)
    delimiter = delimiter_of(trimmed)
    if delimiter == "\t":
        before = text[: len(text) - len(text.lstrip(ALL_WHITESPACE))]
        trimmed = "\t" * (len(before) - len(before.rstrip("\t"))) + trimmed
    trimmed = trimmed.rstrip(ALL_WHITESPACE + delimiter)
    # A row that is added last is one of its own unless a quoted cell is open.
    lines = io.StringIO(f"{trimmed}\n{MARK}" if trimmed else MARK)
    *rows, last = csv.reader(lines, skipinitialspace=True, delimiter=delimiter)
    rows[:1] = [[heading.replace("\u00a0", " ") for heading in row] for row in rows[:1]]
    read = CsvRows([text], whole_file=True)
    headings = read.headings()
    assert ([headings, *read] if read.row_count else []) == rows
    assert (read.delimiter, read.ends_in_quotes) == (delimiter, last != [MARK])


@given(
    st.sampled_from(["sep={}", "SEP={}", "\ufeff\n sEp={}"]),
    st.sampled_from(",;|\t^:_\\\U0001f600"),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n \n"]),
)
def test_a_first_line_may_name_the_delimiter(line: str, delimiter: str, end: str) -> None:
    text = (
        line.format(delimiter) + end + delimiter.join(["a", '"b,;\t^"', "c"]) + f"\n{delimiter}{delimiter}d"
    )
    rows = CsvRows([*text], whole_file=True)
    assert list(rows) == [["a", "b,;\t^", "c"], ["", "", "d"]]
    assert rows.delimiter == delimiter


@pytest.mark.parametrize(
    "line", ["sep=", "sep=a", "sep=1", "sep= ", 'sep="', "sep=;;", "sep=;a", "sep=; ", "xsep=;", "sep ;"]
)
def test_other_first_lines_are_headings(line: str) -> None:
    assert CsvRows([f"{line}\na\n"], whole_file=True).headings()[0][:3] in {"sep", "xse"}


def test_a_tab_may_be_named_and_leave_the_first_headings_empty() -> None:
    rows = CsvRows(["sep=\t\n\t\tname\nx\ty\tz\n\t\t\n"], whole_file=True)
    assert list(rows) == [["", "", "name"], ["x", "y", "z"]]


def test_more_leading_tabs_than_columns_are_refused() -> None:
    def chunks() -> Iterator[str]:
        yield from ("\t" * 65_536 for _ in range(100))
        yield "a\tb"

    with pytest.raises(InvalidCsv):
        CsvRows(chunks(), whole_file=True)


@pytest.mark.parametrize(
    ("text", "unclosed"),
    [
        (HEADING + '07400123456,"Ada\n07400123457,Bo,Tue\n', 0),
        (HEADING + '07400123456,Ada,Mon\n"07400123457,Bo,Tue\n', 1),
        ('phone number,"name\n07400123456,Ada\n', -1),
        (HEADING + '07400123456,"Ada"",Mon', 0),
        (HEADING + '07400123456,"Ada","Mon"\n', None),
        (HEADING + '07400123456,A"da,Mon\n', None),
        (HEADING + '07400123456,"A"d"a",Mon\n', None),
    ],
)
def test_a_file_with_a_quote_that_is_never_closed_cannot_be_sent(text: str, unclosed: int | None) -> None:
    results = check_file(lambda: [text], SMS)
    assert results.unclosed_quote_row == unclosed
    assert results.has_errors is (unclosed is not None)
    ranges = split_chunks([text], 1)
    assert sum(part.rows for part in ranges) == max(0, 1 if unclosed is None else unclosed)
    assert ranges.unclosed_quote_row == unclosed


def test_a_range_is_read_with_the_delimiter_of_its_file() -> None:
    data = "\ufeffphone number;name;day\r\n07400123456;Lovelace, Ada;Mon\r\n".encode("utf-16-le")
    ranges = split_chunks([data], encoding="utf-16-le")
    (part,) = ranges
    rows = RecipientRows(
        [data[part.byte_start : part.byte_end]],
        SMS,
        headers=ranges.headers,
        delimiter=ranges.delimiter,
        encoding="utf-16-le",
    )
    assert [row.values["name"] for row in rows] == ["Lovelace, Ada"]


def test_spaces_of_every_kind_are_spaces_in_headings_and_cells() -> None:
    (row,) = read("phone\u2003number,name,day\n07400\u00a0123456,Ana\u00a0Maria,\u00a0")
    assert row.values == {"phonenumber": "07400 123456", "name": "Ana Maria", "day": None}
    template = EmailRows(EmailTemplate("s", "((name))"))
    (row,) = RecipientRows.of_file(
        lambda: ["email\u00a0address,name\na@exam\u00a0ple.com,A\u00a0B"], template
    )
    assert row.values == {"emailaddress": "a@example.com", "name": "A B"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_rows_may_end_as_any_spreadsheet_ends_them(end: str) -> None:
    text = f'x,y{end}a,"b{end}c"{end}{end}d,{end}'
    assert rows_of(text) == [["x", "y"], ["a", f"b{end}c"], [], ["d"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "windows-1252"])
@given(text=CSV_TEXT, rows_per_chunk=st.integers(1, 3), sizes=CUTS)
def test_ranges_read_on_their_own_add_up_to_the_file(
    encoding: str, text: str, rows_per_chunk: int, sizes: list[int]
) -> None:
    if encoding == "windows-1252":
        text = text.encode("cp1252", "ignore").decode("cp1252")
    # A byte order mark, as UTF-16 files have one, is white space.
    data = ("\ufeff" + text if encoding != "windows-1252" else text).encode(encoding)
    ranges = split_chunks(cut(data, sizes), rows_per_chunk, encoding)
    together: list[list[str]] = []
    for part in ranges:
        assert part.first_row == len(together)
        chunk = data[part.byte_start : part.byte_end]
        rows = list(CsvRows([chunk], encoding, whole_file=False, delimiter=ranges.delimiter))
        assert len(rows) == part.rows <= rows_per_chunk
        together += rows
    assert together == list(CsvRows([data], encoding, whole_file=True))[1:]
    assert ranges.row_count == len(together)


def test_a_range_is_read_with_the_headings_and_row_numbers_of_its_file() -> None:
    data = b'\xef\xbb\xbfphone number,name,day,name\n07400123456,"A\nda",Mon,\n\n07400123457,Bo,Tue,,\n,,'
    ranges = split_chunks([data], 1)
    parts = list(ranges)
    assert ranges.headers == ("phone number", "name", "day")
    whole = list(RecipientRows.of_file(lambda: [data], SMS))
    apart = [
        row
        for part in parts
        for row in RecipientRows(
            [data[part.byte_start : part.byte_end]], SMS, headers=ranges.headers, first_row=part.first_row
        )
    ]
    assert [(row.row_index, row.values, row.errors) for row in apart] == [
        (row.row_index, row.values, row.errors) for row in whole
    ]
    assert [row.values["name"] for row in apart] == ["A\nda", None, "Bo"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        (b"plain", "utf-8"),
        ("\ufeffZo\u00eb".encode(), "utf-8"),
        ("Zo\u00eb".encode("cp1252"), "windows-1252"),
        (b"Zo\xc3", "windows-1252"),
        (b"\xff\xfeZ\x00", "utf-16-le"),
        (b"\xfe\xff\x00Z", "utf-16-be"),
        (b"\xff", "windows-1252"),
    ],
)
def test_encodings_are_detected(data: bytes, encoding: str) -> None:
    assert detect_encoding(data[i : i + 1] for i in range(len(data))) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_in_each_encoding_read_the_same(encoding: str) -> None:
    data = (HEADING + "07400123456,Zo\u00eb,M\u00e1rdi\r\n").encode(encoding)
    (row,) = RecipientRows.of_file(lambda: [data], SMS)
    assert row.personalisation == {"phonenumber": "07400123456", "name": "Zo\u00eb", "day": "M\u00e1rdi"}
    assert not row.has_error


def test_bytes_of_another_encoding_are_refused() -> None:
    for data, encoding in ((b"a\xff\nb", "utf-8"), (b"a", "utf-16-le"), (b"\x00\xd8\x00\xd8", "utf-16-le")):
        with pytest.raises(InvalidCsv) as raised:
            list(CsvRows([data], encoding, whole_file=True))
        assert raised.value.code == "not-text"


@settings(max_examples=300)
@given(st.binary(max_size=80) | CSV_TEXT.map(str.encode), CUTS)
def test_no_bytes_raise_anything_but_invalid_csv(data: bytes, sizes: list[int]) -> None:
    emails, letters = EmailRows(EmailTemplate("((a))", "((b))")), LetterRows(LetterTemplate("s", "((b))"))
    for template in (SMS, emails, letters):
        try:
            results = check_file(lambda: cut(data, sizes), template)
        except InvalidCsv:
            continue
        assert results.row_count >= len(results.displayed_rows)


@given(st.text(st.characters() | st.sampled_from(list(',\n"\r')), max_size=60))
@example("\ud800,\udfff\n\ud800")
def test_no_text_raises_anything_but_invalid_csv(text: str) -> None:
    heading = "phone number,name,name,,\n"
    try:
        results = check_file(lambda: [heading, text], SMS)
    except InvalidCsv:
        return
    for row in results.displayed_rows:
        assert row.cells.keys() == row.values.keys()


def test_a_second_spelling_of_a_heading_wins_and_the_same_spelling_makes_a_list() -> None:
    (row,) = read("phone number,name,name,Day,D_A_Y\n07400123456,Ada,,Mon,x")
    assert row.values == {"phonenumber": "07400123456", "name": ["Ada", None], "day": "x"}
    assert not row.has_error


def test_a_row_says_what_is_wrong_with_it() -> None:
    missing, unknown, good = read(HEADING + ",Ada,\n0740012345x,Ada,Mon\n07400123456,Ada,Mon,extra,,\n")
    assert missing.errors == {"phonenumber": "Missing", "day": "Missing"}
    assert (missing.has_error, missing.has_bad_recipient, missing.has_missing_data) == (True, False, True)
    assert "only include" in unknown.errors["phonenumber"]
    assert (unknown.has_error, unknown.has_bad_recipient, unknown.has_missing_data) == (True, True, False)
    assert (good.has_error, good.extra_values) == (False, ["extra"])


def test_permissions_decide_about_numbers() -> None:
    text = HEADING + "+33612345678,Ada,Mon\n0161 496 0123,Bo,Tue"
    assert [row.has_error for row in read(text)] == [True, True]
    assert [row.has_error for row in read(text, allow_international_sms=True)] == [False, True]
    assert [row.has_error for row in read(text, allow_sms_to_uk_landline=True)] == [True, False]
    assert not any(row.has_error for row in read(text, should_validate_phone_number=False))


def test_columns_the_template_has_no_use_for_are_ignored() -> None:
    (row,) = read("phone number,name,day,shoe size\n07400123456,Ada,Mon,")
    assert row.cells["shoesize"].ignored
    assert "shoesize" not in row.personalisation
    assert not row.has_error


def test_a_message_is_measured_with_the_values_of_its_row() -> None:
    template = SmsRows(SmsTemplate("((show??Hi ((x)))"))
    empty, long = read(
        f"phone number,show,x\n07400123456,no,\n07400123457,yes,{'z' * 919}", SmsRows(SmsTemplate("((x))"))
    )
    assert (empty.message.empty, empty.has_missing_data) == (False, True)
    assert long.message.too_long
    assert long.has_error
    (hidden,) = read("phone number,show\n07400123456,no", SmsRows(SmsTemplate("((show??Hi))")))
    assert hidden.message.empty
    assert template.placeholders == ("x",)


def test_a_letter_row_is_judged_by_its_address() -> None:
    template = LetterRows(LetterTemplate("s", "Hello ((name))"))
    text = "address line 1,address line 2,postcode,name\nA,B,LS1 4AP,Ria\nA,B,France,Ria\nA,,LS1 4AP,\n"
    good, abroad, short = RecipientRows.of_file(lambda: [text], template)
    assert good.recipient == ["A", "B", None, None, None, None, "LS1 4AP", None]
    assert not good.has_error
    assert (abroad.has_bad_recipient, short.has_bad_recipient) == (True, True)
    assert short.errors == {"name": "Missing"}
    allowed = RowRules(allow_international_letters=True)
    assert [row.has_error for row in RecipientRows.of_file(lambda: [text], template, allowed)] == [
        False,
        False,
        True,
    ]


def test_a_bilingual_letter_needs_the_columns_of_both_halves() -> None:
    template = LetterRows(LetterTemplate("s", "Hello ((name))"), LetterTemplate("p", "Helo ((enw))"))
    results = check_file(lambda: ["address line 1,address line 2,postcode,name\n"], template)
    assert results.missing_column_headers == ("enw",)
    assert results.has_recipient_columns


def test_rows_beyond_the_most_allowed_are_counted_only() -> None:
    text = HEADING + "07400123456,Ada,Mon\n" * 5
    rows = RecipientRows.of_file(lambda: [text], SMS, max_rows=2)
    assert len(list(rows)) == 2
    assert rows.row_count == 5
    results = check_file(lambda: [text], SMS, max_rows=2)
    assert results.too_many_rows
    assert results.has_errors
    assert results.allowed_to_send_to is None
    assert not check_file(lambda: [text], SMS, max_rows=5).has_errors


@pytest.mark.parametrize(
    ("allowances", "field"),
    [
        (Allowances(remaining_messages=1), "more_rows_than_can_send"),
        (Allowances(remaining_international_sms_messages=-1), "more_international_sms_than_can_send"),
    ],
)
def test_allowances_are_of_the_file(allowances: Allowances, field: str) -> None:
    text = HEADING + "07400123456,Ada,Mon\n+33612345678,Bo,Tue\n"
    rules = RowRules(allow_international_sms=True)
    without = check_file(lambda: [text], SMS, rules)
    assert (without.has_errors, without.international_sms_count) == (False, 1)
    results = check_file(lambda: [text], SMS, rules, allowances)
    assert getattr(results, field)
    assert results.has_errors


def test_only_recipients_on_the_guest_list_are_allowed() -> None:
    text = HEADING + "07400 123456,Ada,Mon\n"

    def allowed(*guests: object) -> bool | None:
        return check_file(lambda: [text], SMS, None, Allowances(guest_list=guests)).allowed_to_send_to

    assert allowed()
    assert allowed("+44 (0)7400 123456", None)
    assert not allowed("ada@example.com")


def test_recipients_are_compared_in_one_form() -> None:
    assert comparable_recipient("07400-123 456") == comparable_recipient("+447400123456") == "447400123456"
    assert comparable_recipient(" ADA@example.com") == "ada@example.com"
    assert comparable_recipient("12") == "12"
    assert comparable_recipient(["07400123456"]) == ""


def test_the_last_of_repeated_recipient_columns_is_the_recipient() -> None:
    (row,) = read("phone number,phone number,name,day\n07400123456,07400123457,Ada,Mon")
    assert row.recipient == "07400123457"


def test_repeated_recipient_columns_are_an_error_of_the_file_not_of_rows() -> None:
    text = "phone number,Phone_Number,name,day\n07400123456,,Ada,Mon"
    results = check_file(lambda: [text], SMS)
    assert results.duplicate_recipient_column_headers == ("phone number", "Phone_Number")
    assert (results.rows_with_errors, results.has_errors) == (0, True)
