"""Queries over letters and their events."""

import json
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.enums import KeyType, Postage
from notify_common.feeds.producer import read_feed, trim_feed
from sqlalchemy.dialects.postgresql import ARRAY

from notify_letters.domain.letter import (
    EventKind,
    Letter,
    LetterEvent,
    LetterState,
    LetterToPrint,
    LetterToRender,
    NewLetter,
    Rendered,
)
from notify_letters.store.tables import letter_events, letters, print_batches

# One statement for the letters and for the batches that render them: known ids change nothing, and a batch
# of which nothing is new is not made.
_CREATE = sa.text("""
WITH input AS (
    SELECT * FROM unnest(
        :ids, :service_ids, :key_types, :template_ids, :template_versions, :personalisations, :addresses,
        :postages, :references, :create_times, :render_batch_ids, :request_ids, :traceparents,
        :lanes
    ) AS i (id, service_id, key_type, template_id, template_version, personalisation, address_lines,
            postage, reference, create_time, render_batch_id, request_id, traceparent, lane)
), created AS (
    INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation,
                         address_lines, postage, reference, create_time,
                         render_batch_id, request_id, traceparent)
    SELECT id, service_id, key_type, template_id, template_version, personalisation::jsonb,
           address_lines::jsonb, postage, reference, create_time, render_batch_id, request_id, traceparent
    FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), batches AS (
    INSERT INTO render_batches (id, lane, service_id, request_id, traceparent)
    SELECT DISTINCT render_batch_id, lane, service_id, :request_id, :traceparent
    FROM input WHERE id IN (SELECT id FROM created)
)
SELECT count(*) FROM created
""").bindparams(
    sa.bindparam("ids", type_=ARRAY(id_type())),
    sa.bindparam("service_ids", type_=ARRAY(id_type())),
    sa.bindparam("template_ids", type_=ARRAY(id_type())),
    sa.bindparam("render_batch_ids", type_=ARRAY(id_type())),
    sa.bindparam("create_times", type_=ARRAY(sa.DateTime(timezone=True))),
)

# Rendering's outcome, its events, and the print batch of the test letters, which wait for no run.
_RECORD_RENDERED = sa.text("""
WITH outcome AS (
    SELECT * FROM unnest(:ids, :kinds, :page_counts, :sheet_counts, :pdf_bytes, :pdf_sha256s)
        AS o (id, kind, page_count, sheet_count, pdf_bytes, pdf_sha256)
), changed AS (
    UPDATE letters l
    SET state = CASE WHEN o.kind = 'ready' AND l.key_type = 'test' THEN 'submitting' ELSE o.kind END,
        print_batch_id = CASE WHEN o.kind = 'ready' AND l.key_type = 'test' THEN :test_batch_id END,
        page_count = o.page_count, sheet_count = o.sheet_count,
        pdf_bytes = o.pdf_bytes, pdf_sha256 = o.pdf_sha256, update_time = now()
    FROM outcome o
    WHERE l.id = o.id AND l.state = 'created'
    RETURNING l.id, l.state, o.kind, l.page_count, l.sheet_count
), events AS (
    INSERT INTO letter_events (letter_id, kind, page_count, sheet_count)
    SELECT id, kind, page_count, sheet_count FROM changed
)
INSERT INTO print_batches (id, letter_count, page_count, sheet_count, request_id, traceparent)
SELECT :test_batch_id, count(*), sum(page_count), sum(sheet_count), :request_id, :traceparent
FROM changed WHERE state = 'submitting'
HAVING count(*) > 0
""").bindparams(
    sa.bindparam("ids", type_=ARRAY(id_type())),
    sa.bindparam("test_batch_id", type_=id_type()),
)


def create(
    tx: Tx,
    batches: Sequence[tuple[str, Sequence[NewLetter]]],
    request_id: str,
    traceparent: str,
) -> int:
    """Insert letters with the batches that render them and return how many were new.

    Args:
        batches: id of each render batch and its letters, which are of one service and lane; at most 500
            letters in all.
        request_id: of the call that brought them; follows the batches.
        traceparent: likewise.
    """
    flat = [(batch_id, letter) for batch_id, batch in batches for letter in batch]
    each = [letter for _, letter in flat]
    return int(
        tx.execute(
            _CREATE,
            {
                "ids": [letter.id for letter in each],
                "service_ids": [letter.service_id for letter in each],
                "key_types": [letter.key_type for letter in each],
                "template_ids": [letter.template_id for letter in each],
                "template_versions": [letter.template_version for letter in each],
                "personalisations": [json.dumps(letter.personalisation) for letter in each],
                "addresses": [json.dumps(letter.address_lines) for letter in each],
                "postages": [letter.postage for letter in each],
                "references": [letter.reference for letter in each],
                "create_times": [letter.create_time for letter in each],
                "render_batch_ids": [batch_id for batch_id, _ in flat],
                "request_ids": [letter.origin_request_id for letter in each],
                "traceparents": [letter.traceparent for letter in each],
                "lanes": [letter.lane.value for letter in each],
                "request_id": request_id,
                "traceparent": traceparent,
            },
        ).scalar_one()
    )


def to_render(tx: Tx, render_batch_id: str) -> list[LetterToRender]:
    """The letters of a render batch that have no PDF yet, oldest first; at most a batch's size."""
    rows = tx.execute(
        sa.select(
            letters.c.id,
            letters.c.service_id,
            letters.c.template_id,
            letters.c.template_version,
            letters.c.personalisation,
            letters.c.address_lines,
            letters.c.create_time,
        )
        .where(letters.c.render_batch_id == render_batch_id, letters.c.state == LetterState.CREATED.value)
        .order_by(letters.c.id)
    )
    return [LetterToRender(*row) for row in rows]


def record_rendered(
    tx: Tx, outcomes: Sequence[Rendered], test_batch_id: str, request_id: str, traceparent: str
) -> None:
    """Record what rendering a batch came to, with the events that tell of it.

    Letters that are no longer `created` are left alone. Test letters that are ready go straight into the
    print batch `test_batch_id`, which is made when there are any.
    """
    tx.execute(
        _RECORD_RENDERED,
        {
            "ids": [outcome.letter_id for outcome in outcomes],
            "kinds": [outcome.kind.value for outcome in outcomes],
            "page_counts": [outcome.pdf.page_count for outcome in outcomes],
            "sheet_counts": [outcome.sheet_count for outcome in outcomes],
            "pdf_bytes": [outcome.pdf.size_bytes for outcome in outcomes],
            "pdf_sha256s": [outcome.pdf.sha256 for outcome in outcomes],
            "test_batch_id": test_batch_id,
            "request_id": request_id,
            "traceparent": traceparent,
        },
    )


def get(tx: Tx, service_id: str, letter_id: str) -> Letter | None:
    """A service's letter, or None."""
    # a batch that providers have makes its letters submitted, without a write to each of them
    submitted = sa.and_(
        letters.c.state == LetterState.SUBMITTING.value, print_batches.c.submit_time.is_not(None)
    )
    row = tx.execute(
        sa.select(
            letters.c.id,
            letters.c.service_id,
            letters.c.key_type,
            letters.c.template_id,
            letters.c.template_version,
            letters.c.address_lines,
            letters.c.postage,
            letters.c.reference,
            letters.c.create_time,
            letters.c.request_id.label("origin_request_id"),
            letters.c.traceparent,
            sa.case((submitted, LetterState.SUBMITTED.value), else_=letters.c.state).label("state"),
            letters.c.page_count,
            letters.c.sheet_count,
        )
        .select_from(letters.outerjoin(print_batches, print_batches.c.id == letters.c.print_batch_id))
        .where(letters.c.id == letter_id, letters.c.service_id == service_id)
    ).one_or_none()
    if row is None:
        return None
    fields = dict(row._mapping)
    fields |= {
        "key_type": KeyType(row.key_type),
        "postage": Postage(row.postage),
        "state": LetterState(row.state),
    }
    return Letter(**fields)


def to_print(tx: Tx, print_batch_id: str) -> list[LetterToPrint]:
    """The letters of a print batch, at most 500, in the order in which they are printed."""
    rows = tx.execute(
        sa.select(
            letters.c.id,
            letters.c.service_id,
            letters.c.key_type,
            letters.c.address_lines,
            letters.c.postage,
            letters.c.reference,
            letters.c.page_count,
            letters.c.sheet_count,
            letters.c.pdf_sha256,
            letters.c.request_id,
            letters.c.traceparent,
        )
        .where(letters.c.print_batch_id == print_batch_id, letters.c.state == LetterState.SUBMITTING.value)
        .order_by(letters.c.create_time, letters.c.id)
    )
    return [
        LetterToPrint(
            row.id,
            row.service_id,
            KeyType(row.key_type),
            row.address_lines,
            Postage(row.postage),
            row.reference,
            row.page_count,
            row.sheet_count,
            row.pdf_sha256,
            row.request_id,
            row.traceparent,
        )
        for row in rows
    ]


def read_events(tx: Tx, cursor: str, limit: int) -> tuple[list[LetterEvent], str]:
    """Events after a cursor, oldest first, and where to go on (design.md §3.4)."""
    rows, next_cursor = read_feed(tx, letter_events, cursor, limit)
    events = [
        LetterEvent(str(row.letter_id), EventKind(row.kind), row.create_time, row.page_count, row.sheet_count)
        for row in rows
    ]
    return events, next_cursor


def trim_events(tx: Tx, keep: timedelta) -> int:
    """Delete a bounded number of events that are older than `keep`; returns how many."""
    return trim_feed(tx, letter_events, keep)
