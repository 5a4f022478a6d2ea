"""`csv_recipients.json`: recipient spreadsheets."""

from typing import Any, Final

from notify_content.csv_stream import Chunks
from notify_content.emails import EmailTemplate
from notify_content.letters import LetterTemplate
from notify_content.recipients_csv import (
    MAX_ROWS,
    Allowances,
    EmailRows,
    LetterRows,
    RecipientRow,
    RecipientRows,
    RowRules,
    RowTemplate,
    SmsRows,
    check_file,
)
from notify_content.sms import SmsTemplate

INPUT_FIELDS: Final = frozenset({"csv", "template_type", "content"})


def _template(case_input: dict[str, Any]) -> RowTemplate:
    content = case_input["content"]
    match case_input["template_type"]:
        case "sms":
            return SmsRows(SmsTemplate(content), case_input.get("prefix"))
        case "email":
            return EmailRows(EmailTemplate(case_input["subject"], content))
        case _:
            return LetterRows(LetterTemplate(case_input["subject"], content, case_input.get("contact_block")))


def _row(row: RecipientRow, *, validated: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "index": row.row_index,
        "recipient": row.recipient,
        "personalisation": row.personalisation,
        "cells": {key: cell._asdict() for key, cell in row.cells.items()},
        "extra_values": row.extra_values,
    }
    if not validated:
        return answer
    answer |= {
        "has_error": row.has_error,
        "has_bad_recipient": row.has_bad_recipient,
        "has_missing_data": row.has_missing_data,
        "message_too_long": row.message.too_long,
        "message_empty": row.message.empty,
        "qr_code_too_long": row.message.qr_code_too_long,
    }
    if row.address is not None:
        answer["postal_address_lines"] = list(row.address.normalised_lines)
        answer["postal_address_valid"] = not row.has_bad_postal_address
    return answer


def actual(case_input: dict[str, Any]) -> dict[str, Any]:
    template = _template(case_input)
    rules = RowRules(
        allow_international_sms=case_input.get("allow_international_sms", False),
        allow_international_letters=case_input.get("allow_international_letters", False),
        allow_sms_to_uk_landline=case_input.get("allow_sms_to_uk_landline", False),
        should_validate=case_input.get("should_validate", True),
        should_validate_phone_number=case_input.get("should_validate_phone_number", True),
    )
    allowances = Allowances(
        remaining_messages=case_input.get("remaining_messages"),
        remaining_international_sms_messages=case_input.get("remaining_international_sms_messages"),
        guest_list=case_input.get("guestlist") or (),
    )
    max_rows = case_input.get("max_rows", MAX_ROWS)

    encoding = case_input.get("encoding")
    chunks = [case_input["csv"].encode(encoding) if encoding else case_input["csv"]]

    def open_file() -> Chunks:
        return chunks

    rows = [
        _row(row, validated=rules.should_validate)
        for row in RecipientRows.of_file(open_file, template, rules, max_rows=max_rows)
    ]
    results = check_file(
        open_file,
        template,
        rules,
        allowances,
        max_rows=max_rows,
        max_errors_shown=case_input.get("max_errors_shown", 20),
        max_initial_rows_shown=case_input.get("max_initial_rows_shown", 10),
    )
    row = results.unclosed_quote_row
    unclosed = {} if row is None else {"unclosed_quote_row": row}
    answer: dict[str, Any] = {
        "row_count": results.row_count,
        "column_headers": list(results.column_headers),
        "missing_column_headers": sorted(results.missing_column_headers),
        "duplicate_recipient_column_headers": list(results.duplicate_recipient_column_headers),
        "has_recipient_columns": results.has_recipient_columns,
        **unclosed,
        "too_many_rows": results.too_many_rows,
        "more_rows_than_can_send": results.more_rows_than_can_send,
        "allowed_to_send_to": results.allowed_to_send_to,
        "rows": rows + [None] * (results.row_count - len(rows)),
    }
    if rules.should_validate:
        answer["has_errors"] = results.has_errors
    if rules.should_validate and not results.too_many_rows:
        undefined = case_input["template_type"] == "sms" and any(
            not isinstance(row["recipient"], str) for row in rows
        )
        answer["international_sms_count"] = None if undefined else results.international_sms_count
        answer["more_international_sms_than_can_send"] = (
            None if undefined else results.more_international_sms_than_can_send
        )
        answer["displayed_row_indexes"] = [row.row_index for row in results.displayed_rows]
    return answer
