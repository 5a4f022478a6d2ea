"""Queries over letters and their events."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.arrays import Types, array, id_rows, unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.enums import KeyType, Postage
from notify_common.feeds.producer import read_feed, trim_feed
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import JSONB, insert

from notify_letters.domain.letter import (
    AwaitingLetter,
    EventKind,
    Letter,
    LetterEvent,
    LetterState,
    LetterToPrint,
    LetterToRender,
    NewLetter,
    Outcome,
    Source,
)
from notify_letters.store.tables import (
    ENDED,
    letter_events,
    letter_references,
    letters,
    pdf_checks,
    print_batches,
    render_batches,
    returned_letters,
)

_KEY_TYPES: Final = {member.value: member for member in KeyType}
_POSTAGES: Final = {member.value: member for member in Postage}

_NEW: Types = {
    "id": id_type(),
    "service_id": id_type(),
    "key_type": sa.Text(),
    "template_id": id_type(),
    "template_version": sa.Integer(),
    "personalisation": sa.Text(),
    "address_lines": sa.Text(),
    "postage": sa.Text(),
    "reference": sa.Text(),
    "create_time": sa.DateTime(timezone=True),
    "render_batch_id": id_type(),
    "request_id": sa.Text(),
    "traceparent": sa.Text(),
    "lane": sa.Text(),
}

_NO_TEMPLATE: Final = "00000000-0000-0000-0000-000000000000"
_OF_TEMPLATES: Final = ("personalisation", "address_lines", "render_batch_id")
_NEW_PRECOMPILED: Types = {
    **{name: kind for name, kind in _NEW.items() if name not in _OF_TEMPLATES},
    "allow_international": sa.Boolean(),
    "uploaded": sa.Boolean(),
}
_OF_THE_CHECK: Final = ("lane", "allow_international", "uploaded")

_EVENT_COLUMNS: Final = ["letter_id", "kind", "page_count", "sheet_count"]

_OUTCOME: Types = {
    "id": id_type(),
    "kind": sa.Text(),
    "page_count": sa.Integer(),
    "sheet_count": sa.Integer(),
    "pdf_bytes": sa.Integer(),
    "pdf_sha256": sa.Text(),
    "failure": sa.Text(),
    "failure_detail": sa.Text(),
    "failure_pages": sa.Text(),
    "address_lines": sa.Text(),
    "postage": sa.Text(),
}


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
    rows = [
        (
            letter.id,
            letter.service_id,
            letter.key_type,
            letter.template_id,
            letter.template_version,
            json.dumps(letter.personalisation),
            json.dumps(letter.address_lines),
            letter.postage,
            letter.reference,
            letter.create_time,
            batch_id,
            letter.origin_request_id,
            letter.traceparent,
            letter.lane,
        )
        for batch_id, batch in batches
        for letter in batch
    ]
    # one statement: known ids change nothing, and a batch of which nothing is new is not made
    given = unnest("given", _NEW, rows)
    values: dict[str, ColumnElement[Any]] = {column.key: column for column in given.c if column.key != "lane"}
    values |= {name: sa.cast(given.c[name], JSONB) for name in ("personalisation", "address_lines")}
    created = (
        insert(letters)
        .from_select(list(values), sa.select(*values.values()))
        .on_conflict_do_nothing()
        .returning(letters.c.id)
        .cte("created")
    )
    made = (
        sa.select(
            given.c.render_batch_id,
            given.c.lane,
            given.c.service_id,
            sa.literal(request_id),
            sa.literal(traceparent),
        )
        .where(given.c.id.in_(sa.select(created.c.id)))
        .distinct()
    )
    columns = ["id", "lane", "service_id", "request_id", "traceparent"]
    in_batches = sa.insert(render_batches).from_select(columns, made).cte("in_batches")
    count = sa.select(sa.func.count()).select_from(created).add_cte(in_batches)
    return int(tx.execute(count).scalar_one())


def create_precompiled(tx: Tx, new: Sequence[NewLetter]) -> int:
    """Insert letters whose PDF came ready made, to be checked, and return how many were new; at most 500."""
    rows = [
        (
            letter.id,
            letter.service_id,
            letter.key_type,
            letter.template_id,
            letter.template_version,
            letter.postage,
            letter.reference,
            letter.create_time,
            letter.origin_request_id,
            letter.traceparent,
            letter.lane,
            letter.precompiled is not None and letter.precompiled.allow_international,
            letter.precompiled is not None and letter.precompiled.uploaded,
        )
        for letter in new
    ]
    # one statement: known ids change nothing
    given = unnest("given", _NEW_PRECOMPILED, rows)
    values: dict[str, ColumnElement[Any]] = {
        name: given.c[name] for name in _NEW_PRECOMPILED if name not in _OF_THE_CHECK
    }
    values |= {
        "personalisation": sa.literal([], JSONB),
        "address_lines": sa.literal([], JSONB),
        "state": sa.literal(LetterState.PENDING_VIRUS_CHECK.value),
        "source": sa.literal(Source.PRECOMPILED.value),
    }
    created = (
        insert(letters)
        .from_select(list(values), sa.select(*values.values()))
        .on_conflict_do_nothing()
        .returning(letters.c.id)
        .cte("created")
    )
    shared = ["service_id", *_OF_THE_CHECK, "request_id", "traceparent"]
    columns = ["letter_id", *shared]
    waiting = sa.select(given.c.id, *(given.c[name] for name in shared)).where(
        given.c.id.in_(sa.select(created.c.id))
    )
    checks = sa.insert(pdf_checks).from_select(columns, waiting).cte("checks")
    count = sa.select(sa.func.count()).select_from(created).add_cte(checks)
    return int(tx.execute(count).scalar_one())


def to_render(tx: Tx, render_batch_id: str) -> list[LetterToRender]:
    """Return the letters of a render batch that have no PDF yet, oldest first; at most a batch's size."""
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


def record_outcomes(
    tx: Tx, outcomes: Sequence[Outcome], test_batch_id: str, request_id: str, traceparent: str
) -> None:
    """Record what making or checking PDFs came to, with the events that tell of it.

    Letters that no longer wait for that, such as cancelled ones, are left alone. Test letters that are ready
    go straight into the print batch `test_batch_id`, which is made when there are any.
    """
    rows = [
        (
            outcome.letter_id,
            outcome.kind,
            outcome.pdf.page_count,
            outcome.sheet_count,
            outcome.pdf.size_bytes,
            outcome.pdf.sha256,
            outcome.failure,
            outcome.failure_detail,
            json.dumps(outcome.failure_pages),
            None if outcome.address_lines is None else json.dumps(outcome.address_lines),
            outcome.postage,
        )
        for outcome in outcomes
    ]
    given = unnest("outcome", _OUTCOME, rows)
    for_sandbox = sa.and_(given.c.kind == EventKind.READY, letters.c.key_type == KeyType.TEST)
    facts: dict[str, ColumnElement[Any]] = {
        name: given.c[name] for name in _OUTCOME if name not in ("id", "kind")
    }
    facts |= {
        "failure_pages": sa.cast(given.c.failure_pages, JSONB),
        "address_lines": sa.func.coalesce(sa.cast(given.c.address_lines, JSONB), letters.c.address_lines),
        "postage": sa.func.coalesce(given.c.postage, letters.c.postage),
    }
    waits = sa.case(
        (letters.c.source == Source.TEMPLATE, LetterState.CREATED), else_=LetterState.PENDING_VIRUS_CHECK
    )
    changed = (
        sa.update(letters)
        .values(
            state=sa.case((for_sandbox, LetterState.SUBMITTING), else_=given.c.kind),
            print_batch_id=sa.case((for_sandbox, sa.literal(test_batch_id, id_type()))),
            update_time=sa.func.now(),
            **facts,
        )
        .where(letters.c.id == given.c.id, letters.c.state == waits)
        .returning(
            letters.c.id,
            letters.c.state,
            given.c.kind,
            letters.c.page_count,
            letters.c.sheet_count,
            given.c.postage,
        )
        .cte("changed")
    )
    told = sa.select(
        changed.c.id, changed.c.kind, changed.c.page_count, changed.c.sheet_count, changed.c.postage
    )
    events = sa.insert(letter_events).from_select([*_EVENT_COLUMNS, "postage"], told).cte("events")
    batch: dict[str, ColumnElement[Any]] = {
        "id": sa.literal(test_batch_id, id_type()),
        "letter_count": sa.func.count(),
        "page_count": sa.func.sum(changed.c.page_count),
        "sheet_count": sa.func.sum(changed.c.sheet_count),
        "request_id": sa.literal(request_id),
        "traceparent": sa.literal(traceparent),
    }
    held = (
        sa.select(*batch.values())
        .where(changed.c.state == LetterState.SUBMITTING)
        .having(sa.func.count() > 0)
    )
    tx.execute(sa.insert(print_batches).from_select(list(batch), held).add_cte(events))


def get(tx: Tx, service_id: str, letter_id: str) -> Letter | None:
    """Return a service's letter, or None."""
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
            letters.c.failure,
            letters.c.failure_detail,
            letters.c.failure_pages,
            letters.c.source,
            letters.c.pdf_sha256,
            letters.c.remove_time,
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
        "source": Source(row.source),
    }
    return Letter(**fields)


def to_print(tx: Tx, print_batch_id: str) -> list[LetterToPrint]:
    """Return the letters of a print batch, at most 500, in the order in which they are printed."""
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
        LetterToPrint(id, service_id, _KEY_TYPES[key_type], lines, _POSTAGES[postage], *rest)
        for id, service_id, key_type, lines, postage, *rest in rows.all()
    ]


def read_events(tx: Tx, cursor: str, limit: int) -> tuple[list[LetterEvent], str]:
    """Return events after a cursor, oldest first, and where to go on (design.md §3.4)."""
    rows, next_cursor = read_feed(tx, letter_events, cursor, limit)
    events = [
        LetterEvent(
            str(row.letter_id),
            EventKind(row.kind),
            row.create_time,
            row.page_count,
            row.sheet_count,
            None if row.postage is None else Postage(row.postage),
        )
        for row in rows
    ]
    return events, next_cursor


def trim_events(tx: Tx, keep: timedelta) -> int:
    """Delete a bounded number of events that are older than `keep`; return how many."""
    return trim_feed(tx, letter_events, keep)


def lock(tx: Tx, service_id: str, letter_ids: Sequence[str]) -> dict[str, tuple[LetterState, datetime]]:
    """Lock a service's letters until the transaction ends; return state and create time by id.

    It waits for a slice of a print run that is taking them, and then sees what that made of them.
    """
    rows = tx.execute(
        sa.select(letters.c.id, letters.c.state, letters.c.create_time)
        .where(letters.c.id.in_(letter_ids), letters.c.service_id == service_id)
        .order_by(letters.c.id)
        .with_for_update()
    )
    return {row.id: (LetterState(row.state), row.create_time) for row in rows}


def cancel(tx: Tx, letter_ids: Sequence[str]) -> None:
    """Cancel locked letters, with the events that tell of it."""
    cancelled = (
        sa.update(letters)
        .values(state=LetterState.CANCELLED.value, update_time=sa.func.now())
        .where(letters.c.id.in_(letter_ids))
        .returning(letters.c.id, letters.c.page_count, letters.c.sheet_count)
        .cte("cancelled")
    )
    told = sa.select(
        cancelled.c.id, sa.literal(EventKind.CANCELLED.value), cancelled.c.page_count, cancelled.c.sheet_count
    )
    tx.execute(sa.insert(letter_events).from_select(_EVENT_COLUMNS, told))


def add_cancelled(tx: Tx, service_id: str, letter_ids: Sequence[str]) -> list[str]:
    """Insert letters that nobody handed over as cancelled ones, so that handing them over changes nothing;
    return those that were new.

    It waits for whoever is taking one of them over, and is then told that it is known. They are removed for
    age as all that ended, together with a PDF that may have been uploaded.
    """
    ids = id_rows("given", letter_ids)
    values = {
        "id": ids.c.id,
        "service_id": sa.literal(service_id, id_type()),
        "key_type": sa.literal(KeyType.NORMAL.value),
        "template_id": sa.literal(_NO_TEMPLATE, id_type()),
        "template_version": sa.literal(0),
        "personalisation": sa.literal([], JSONB),
        "address_lines": sa.literal([], JSONB),
        "postage": sa.literal(Postage.SECOND.value),
        "reference": sa.literal(""),
        "create_time": sa.func.now(),
        "state": sa.literal(LetterState.CANCELLED.value),
        "source": sa.literal(Source.PRECOMPILED.value),
        "request_id": sa.literal(""),
        "traceparent": sa.literal(""),
    }
    added = insert(letters).from_select(list(values), sa.select(*values.values()).order_by(ids.c.id))
    return list(tx.execute(added.on_conflict_do_nothing().returning(letters.c.id)).scalars())


def render_again(
    tx: Tx, service_id: str, letter_ids: Sequence[str], batch_id: str, request_id: str, traceparent: str
) -> int:
    """Put those of a service's letters that are ready into a new render batch; return how many."""
    changed = tx.execute(
        sa.update(letters)
        .values(state=LetterState.CREATED.value, render_batch_id=batch_id, update_time=sa.func.now())
        .where(
            letters.c.id.in_(letter_ids),
            letters.c.service_id == service_id,
            letters.c.state == LetterState.READY.value,
            letters.c.source == Source.TEMPLATE.value,
        )
    ).rowcount
    if changed:
        tx.execute(
            sa.insert(render_batches).values(
                id=batch_id, service_id=service_id, request_id=request_id, traceparent=traceparent
            )
        )
    return changed


def record_returned(tx: Tx, references: Sequence[str]) -> tuple[int, set[str]]:
    """Record the letters of these references as returned, with events for those that were not before.

    Returns how many those were, and the references that letters have.
    """
    wanted = array(sa.Text(), references)
    known = letter_references.c
    found = tx.execute(
        sa.select(known.letter_id, known.reference)
        .join(letters, letters.c.id == known.letter_id)
        .where(known.reference == sa.any_(wanted))
    ).all()
    if not found:
        return 0, set()
    ids = id_rows("found", [row.letter_id for row in found])
    new = (
        insert(returned_letters)
        .from_select(["letter_id"], sa.select(ids.c.id))
        .on_conflict_do_nothing()
        .returning(returned_letters.c.letter_id)
        .cte("new")
    )
    told = sa.select(
        letters.c.id, sa.literal(EventKind.RETURNED.value), letters.c.page_count, letters.c.sheet_count
    ).join(new, new.c.letter_id == letters.c.id)
    recorded = tx.execute(sa.insert(letter_events).from_select(_EVENT_COLUMNS, told)).rowcount
    return recorded, {row.reference for row in found}


def awaiting_print(
    tx: Tx, deadline: datetime | None, after: tuple[str, str, datetime, str] | None, limit: int
) -> list[AwaitingLetter]:
    """Return letters that a run would take, after the position (postage, service, create time, id): a page by
    keyset."""
    order = (letters.c.postage, letters.c.service_id, letters.c.create_time, letters.c.id)
    found = (
        sa.select(
            letters.c.id,
            letters.c.service_id,
            letters.c.postage,
            letters.c.create_time,
            letters.c.page_count,
            letters.c.sheet_count,
        )
        .where(sa.text("state = 'ready' AND key_type = 'normal'"))
        .order_by(*order)
        .limit(limit)
    )
    if deadline is not None:
        found = found.where(letters.c.create_time < deadline)
    if after is not None:
        position = (sa.literal(value, column.type) for value, column in zip(after, order, strict=True))
        found = found.where(sa.tuple_(*order) > sa.tuple_(*position))
    return [
        AwaitingLetter(row.id, row.service_id, Postage(row.postage), *row[3:]) for row in tx.execute(found)
    ]


def next_service_to_remove_of(tx: Tx, after: str) -> str | None:
    """Return the first service after `after`, in the order of ids, that has letters which ended and were not
    removed; None at the end.
    """
    query = (
        sa.select(letters.c.service_id)
        .where(ENDED, letters.c.service_id > after)
        .order_by(letters.c.service_id)
        .limit(1)
    )
    found: str | None = tx.execute(query).scalar()
    return found


def to_remove(tx: Tx, service_id: str, before: datetime, limit: int) -> list[tuple[str, Source]]:
    """Return id and source of a service's letters that ended before an instant, and whose PDF and values are
    still there.
    """
    waiting = sa.select(print_batches.c.id).where(
        print_batches.c.id == letters.c.print_batch_id,
        sa.or_(print_batches.c.submit_time.is_(None), print_batches.c.submit_time >= before),
    )
    rows = tx.execute(
        sa.select(letters.c.id, letters.c.source)
        .where(
            ENDED,
            # not of the index's words, so that it need not be made anew: such letters are few
            letters.c.state != LetterState.PENDING_VIRUS_CHECK.value,
            letters.c.service_id == service_id,
            letters.c.update_time < before,
            ~waiting.exists(),
        )
        .order_by(letters.c.update_time)
        .limit(limit)
    )
    return [(row.id, Source(row.source)) for row in rows]


def empty(tx: Tx, letter_ids: Sequence[str]) -> None:
    """Forget what letters said and to whom; what they were, and their references, stay."""
    tx.execute(
        sa.update(letters)
        .values(
            personalisation=sa.text("'[]'"),
            address_lines=sa.text("'[]'"),
            failure_detail="",
            failure_pages=sa.text("'[]'"),
            remove_time=sa.func.now(),
        )
        .where(letters.c.id.in_(letter_ids))
    )


def delete_removed(tx: Tx, keep: timedelta, limit: int) -> int:
    """Delete up to `limit` letters that were emptied longer than `keep` ago; return how many."""
    old = (
        sa.select(letters.c.id)
        .where(letters.c.remove_time < sa.func.now() - keep)
        .order_by(letters.c.remove_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    deleted = (
        sa.delete(letters)
        .where(letters.c.id == old.c.id)
        .returning(letters.c.id, letters.c.reference)
        .cte("deleted")
    )
    unknown = (
        sa.delete(letter_references)
        .where(
            letter_references.c.reference == deleted.c.reference,
            letter_references.c.letter_id == deleted.c.id,
        )
        .returning(letter_references.c.letter_id)
        .cte("unknown")
    )
    forgotten = (
        sa.delete(returned_letters)
        .where(returned_letters.c.letter_id == deleted.c.id)
        .returning(returned_letters.c.letter_id)
        .cte("forgotten")
    )
    return int(
        tx.execute(sa.select(sa.func.count()).select_from(deleted).add_cte(forgotten, unknown)).scalar_one()
    )
