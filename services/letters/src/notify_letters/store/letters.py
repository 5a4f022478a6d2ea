"""Queries over letters and their events."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects.postgresql import ARRAY

from notify_letters.domain.letter import LetterState, NewLetter, Rendered
from notify_letters.store.tables import letters

# One statement for the letters and for the batches that render them: known ids change nothing, and a batch
# of which nothing is new is not made.
_CREATE = sa.text("""
WITH input AS (
    SELECT * FROM unnest(
        :ids, :service_ids, :key_types, :template_ids, :template_versions, :personalisations, :addresses,
        :postages, :references, :create_times, :render_batch_ids, :request_ids, :traceparents
    ) AS i (id, service_id, key_type, template_id, template_version, personalisation, address_lines,
            postage, reference, create_time, render_batch_id, request_id, traceparent)
), created AS (
    INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation,
                         address_lines, postage, reference, create_time,
                         render_batch_id, request_id, traceparent)
    SELECT id, service_id, key_type, template_id, template_version, personalisation::jsonb,
           address_lines::jsonb, postage, reference, create_time, render_batch_id, request_id, traceparent
    FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING render_batch_id
), batches AS (
    INSERT INTO render_batches (id, request_id, traceparent)
    SELECT DISTINCT render_batch_id, :request_id, :traceparent FROM created
)
SELECT count(*) FROM created
""").bindparams(
    sa.bindparam("ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("service_ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("template_ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("render_batch_ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("create_times", type_=ARRAY(sa.DateTime(timezone=True))),
)

# Rendering's outcome, its events, and the print batch of the test letters, which wait for no run.
_RECORD_RENDERED = sa.text("""
WITH outcome AS (
    SELECT * FROM unnest(:ids, :kinds, :page_counts, :sheet_counts) AS o (id, kind, page_count, sheet_count)
), changed AS (
    UPDATE letters l
    SET state = CASE WHEN o.kind = 'ready' AND l.key_type = 'test' THEN 'submitting' ELSE o.kind END,
        print_batch_id = CASE WHEN o.kind = 'ready' AND l.key_type = 'test' THEN :test_batch_id END,
        page_count = o.page_count, sheet_count = o.sheet_count, update_time = now()
    FROM outcome o
    WHERE l.id = o.id AND l.state = 'created'
    RETURNING l.id, l.state, o.kind, l.page_count, l.sheet_count
), events AS (
    INSERT INTO letter_events (letter_id, kind, page_count, sheet_count)
    SELECT id, kind, page_count, sheet_count FROM changed
)
INSERT INTO print_batches (id, letter_count, request_id, traceparent)
SELECT :test_batch_id, count(*), :request_id, :traceparent FROM changed WHERE state = 'submitting'
HAVING count(*) > 0
""").bindparams(
    sa.bindparam("ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("test_batch_id", type_=sa.Uuid),
)


def create(
    conn: Connection,
    batches: Sequence[tuple[UUID, Sequence[NewLetter]]],
    request_id: str,
    traceparent: str,
) -> int:
    """Insert letters with the batches that render them and return how many were new.

    Args:
        batches: id of each render batch and its letters, at most 500 letters in all.
        request_id: of the call that brought them; follows the batches.
        traceparent: likewise.
    """
    flat = [(batch_id, letter) for batch_id, batch in batches for letter in batch]
    each = [letter for _, letter in flat]
    return int(
        conn.execute(
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
                "request_id": request_id,
                "traceparent": traceparent,
            },
        ).scalar_one()
    )


def to_render(conn: Connection, render_batch_id: UUID) -> list[Row[Any]]:
    """The letters of a render batch that have no PDF yet, oldest first; at most a batch's size."""
    return list(
        conn.execute(
            sa.select(letters)
            .where(letters.c.render_batch_id == render_batch_id, letters.c.state == LetterState.CREATED.value)
            .order_by(letters.c.id)
        )
    )


def record_rendered(
    conn: Connection, outcomes: Sequence[Rendered], test_batch_id: UUID, request_id: str, traceparent: str
) -> None:
    """Record what rendering a batch came to, with the events that tell of it.

    Letters that are no longer `created` are left alone. Test letters that are ready go straight into the
    print batch `test_batch_id`, which is made when there are any.
    """
    conn.execute(
        _RECORD_RENDERED,
        {
            "ids": [outcome.letter_id for outcome in outcomes],
            "kinds": [outcome.kind.value for outcome in outcomes],
            "page_counts": [outcome.page_count for outcome in outcomes],
            "sheet_counts": [outcome.sheet_count for outcome in outcomes],
            "test_batch_id": test_batch_id,
            "request_id": request_id,
            "traceparent": traceparent,
        },
    )


def get(conn: Connection, service_id: UUID, letter_id: UUID) -> Row[Any] | None:
    """A service's letter, or None."""
    return conn.execute(
        sa.select(letters).where(letters.c.id == letter_id, letters.c.service_id == service_id)
    ).one_or_none()


def to_submit(conn: Connection, print_batch_id: UUID) -> list[Row[Any]]:
    """The letters of a print batch that providers don't have yet, at most 500, in the order of their ids."""
    return list(
        conn.execute(
            sa.select(
                letters.c.id,
                letters.c.service_id,
                letters.c.key_type,
                letters.c.address_lines,
                letters.c.postage,
                letters.c.reference,
                letters.c.sheet_count,
                letters.c.request_id,
                letters.c.traceparent,
            )
            .where(
                letters.c.print_batch_id == print_batch_id, letters.c.state == LetterState.SUBMITTING.value
            )
            .order_by(letters.c.id)
        )
    )


def mark_submitted(conn: Connection, print_batch_id: UUID) -> None:
    """Record that providers have the letters of a print batch."""
    conn.execute(
        sa.update(letters)
        .values(state=LetterState.SUBMITTED.value, update_time=sa.func.now())
        .where(letters.c.print_batch_id == print_batch_id, letters.c.state == LetterState.SUBMITTING.value)
    )
