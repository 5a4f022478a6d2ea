"""Statements on the messages that the sandbox keeps and the receipts it owes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from notify_common.db.arrays import unnest
from notify_common.db.columns import id_type
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, KeyType
from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from notify_providers.domain.message import (
    Content,
    Message,
    content_from_json,
    content_to_json,
    recipient_of,
)
from notify_providers.domain.receipts import Kind
from notify_providers.domain.sandbox import KeptMessage, Wanted
from notify_providers.store.tables import receipts, sandbox_messages, sandbox_receipt_queue, sandbox_receipts

_ID = id_type()
_SECOND: sa.ColumnElement[timedelta] = sa.literal_column("interval '1 second'", sa.Interval)


DatabaseError = SQLAlchemyError
"""What a transaction raises that the database refused, lost or could not be asked for."""

NO_OUTCOME = "none"
"""Asks for messages without a receipt."""

# The last word on a message; that it is pending is none while there is another.
_OUTCOME = (
    sa.select(receipts.c.kind)
    .where(receipts.c.dispatch_id == sandbox_messages.c.id)
    .order_by((receipts.c.kind == Kind.PENDING), receipts.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_NOT_IN_NUMBERS = str.maketrans("", "", "+()-.")
_WORDINGS = [
    sa.func.coalesce(sandbox_messages.c.content[key].astext, "") for key in ("body", "subject", "plain_body")
]


@dataclass(frozen=True, slots=True)
class OwedReceipt:
    """A receipt that the sandbox will issue `delay` seconds from now."""

    message_id: str
    number: int
    provider: str
    body: str
    delay: float
    request_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class DueReceipt:
    """A receipt that is due, as the sandbox words it. `row` is the claimed row, for the queue."""

    provider: str
    body: bytes
    row: Any


def keep(conn: Tx, messages: Sequence[Message], summaries: Sequence[str]) -> set[str]:
    """Keep messages once per id and return the ids that were new.

    A message that is here already and comes again in a call that does not say it may be a repeat is a second
    copy, and counted; one that says so is the same hand-over again, and changes nothing.
    """
    rows = unnest(
        "new",
        {
            "id": _ID,
            "service_id": _ID,
            "key_type": sa.Text(),
            "channel": sa.Text(),
            "recipient": sa.Text(),
            "recipient_search": sa.Text(),
            "summary": sa.Text(),
            "content": sa.Text(),
            "request_id": sa.Text(),
            "traceparent": sa.Text(),
        },
        [
            (
                m.id,
                m.service_id,
                m.key_type,
                m.channel,
                recipient_of(m.content),
                searchable(recipient_of(m.content)),
                summary,
                json.dumps(content_to_json(m.content), ensure_ascii=False),
                m.request_id,
                m.traceparent,
            )
            for m, summary in zip(messages, summaries, strict=True)
        ],
    )
    columns = [
        sa.cast(column, sandbox_messages.c.content.type) if column.key == "content" else column
        for column in rows.c
    ]
    statement = insert(sandbox_messages).from_select(
        [column.key for column in rows.c], sa.select(*columns).order_by(rows.c.id)
    )
    inserted = conn.execute(statement.on_conflict_do_nothing().returning(sandbox_messages.c.id)).scalars()
    new = set(inserted)
    copies = [m.id for m in messages if m.id not in new and not m.repeat]
    if copies:
        conn.execute(
            sa.update(sandbox_messages)
            .values(copy_count=sandbox_messages.c.copy_count + 1)
            .where(sandbox_messages.c.id.in_(copies))
        )
    return new


def owe(conn: Tx, owed: Sequence[OwedReceipt]) -> None:
    """Queue receipts."""
    if not owed:
        return
    rows = unnest(
        "new",
        {
            "message_id": _ID,
            "number": sa.Integer(),
            "provider": sa.Text(),
            "body": sa.Text(),
            "delay": sa.Float(),
            "request_id": sa.Text(),
            "traceparent": sa.Text(),
        },
        [(o.message_id, o.number, o.provider, o.body, o.delay, o.request_id, o.traceparent) for o in owed],
    )
    names = ["message_id", "number", "provider", "body", "due_at", "request_id", "traceparent"]
    columns = [
        (sa.func.now() + rows.c.delay * _SECOND) if name == "due_at" else rows.c[name] for name in names
    ]
    conn.execute(insert(sandbox_receipts).from_select(names, sa.select(*columns)).on_conflict_do_nothing())


def claim_owed(conn: Tx, limit: int) -> list[DueReceipt]:
    """Lease up to `limit` receipts that are due."""
    rows = sandbox_receipt_queue.claim(conn, limit)
    return [DueReceipt(row.provider, row.body.encode(), row) for row in rows]


def finish_owed(conn: Tx, issued: Sequence[DueReceipt]) -> int:
    """Remove issued receipts that are still leased by us; return how many."""
    return sandbox_receipt_queue.finish(conn, [receipt.row for receipt in issued])


def get(conn: Tx, message_id: str) -> tuple[KeptMessage, Content] | None:
    """Return a kept message with its content."""
    statement = sa.select(sandbox_messages, _OUTCOME.label("outcome"))
    row = conn.execute(statement.where(sandbox_messages.c.id == message_id)).one_or_none()
    if row is None:
        return None
    return _kept(row), content_from_json(Channel(row.channel), row.content)


def list_newest(
    conn: Tx, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> list[KeptMessage]:
    """Return kept messages, newest first, from behind `before` on."""
    t = sandbox_messages
    statement: sa.Select[Any] = sa.select(
        *(column for column in t.c if column.key != "content"), _OUTCOME.label("outcome")
    )
    if recipient := searched(wanted.recipient_contains):
        statement = statement.where(sa.func.strpos(t.c.recipient_search, recipient) > 0)
    if words := wanted.contains.lower():
        found = [sa.func.strpos(sa.func.lower(text), words) > 0 for text in (t.c.summary, *_WORDINGS)]
        if recipient := searched(words):
            found.append(sa.func.strpos(t.c.recipient_search, recipient) > 0)
        statement = statement.where(sa.or_(*found))
    if wanted.channel is not None:
        statement = statement.where(t.c.channel == wanted.channel)
    if wanted.outcome:
        outcome = None if wanted.outcome == NO_OUTCOME else wanted.outcome
        statement = statement.where(_OUTCOME.is_not_distinct_from(outcome))
    if before is not None:
        position = sa.tuple_(sa.literal(before[0]), sa.literal(before[1], _ID))
        statement = statement.where(sa.tuple_(t.c.receive_time, t.c.id) < position)
    rows = conn.execute(statement.order_by(t.c.receive_time.desc(), t.c.id.desc()).limit(limit))
    return [_kept(row) for row in rows]


def trim(conn: Tx, keep_count: int, keep_days: float, limit: int = 5000) -> int:
    """Delete up to `limit` messages beyond the newest `keep_count` or older than `keep_days`."""
    t = sandbox_messages
    newest = (
        sa.select(t.c.id).order_by(t.c.receive_time.desc(), t.c.id.desc()).offset(keep_count).limit(limit)
    )
    old = sa.select(t.c.id).where(t.c.receive_time < sa.func.now() - timedelta(days=keep_days)).limit(limit)
    return conn.execute(sa.delete(t).where(sa.or_(t.c.id.in_(newest), t.c.id.in_(old)))).rowcount


def searchable(text: str) -> str:
    """Return a recipient or a part of one in the form that is searched: lower case, without spaces."""
    return "".join(text.lower().split())


def searched(text: str) -> str:
    """Return a part of a recipient as it is searched: of numbers what all ways to write them share."""
    wanted = searchable(text)
    digits = wanted.translate(_NOT_IN_NUMBERS)
    if digits.isascii() and digits.isdecimal():
        return digits.removeprefix("00").removeprefix("0") or wanted
    return wanted


def _kept(row: Row[Any]) -> KeptMessage:
    return KeptMessage(
        id=row.id,
        service_id=row.service_id,
        key_type=KeyType(row.key_type),
        channel=Channel(row.channel),
        recipient=row.recipient,
        summary=row.summary,
        receive_time=row.receive_time,
        copy_count=row.copy_count,
        request_id=row.request_id,
        traceparent=row.traceparent,
        outcome=Kind(row.outcome) if row.outcome is not None else None,
    )
