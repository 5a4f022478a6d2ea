"""Storing accepted messages: one prepared statement for 1 to 500 of them, one round trip (design.md §3.5 step
4).

It goes past SQLAlchemy on purpose: a connection of its own in autocommit, on which the statement is prepared
once, so that accepting a message costs little more than the database's own time.
"""

import hashlib
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from json.encoder import encode_basestring as _quoted
from typing import Any, Final, NamedTuple, cast

import psycopg2
import sqlalchemy as sa
from notify_common import clock
from notify_common.db.arrays import text_elements
from notify_common.db.engine import failure_reason, postgres_url
from notify_common.db.waiting import AFTER_STATEMENT_SECONDS, TCP, bounded_connections
from notify_common.enums import Channel, KeyType, Lane, Postage
from notify_common.errors import NotifyError
from notify_common.gathering import Gatherer
from notify_common.logging import describe_exception, get_logger
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from sqlalchemy.dialects import postgresql

from notify_notifications.domain.counts import BatchCountKey, CountKey
from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.notification import State
from notify_notifications.domain.personalisation import Pairs, Value
from notify_notifications.store.tables import (
    COUNTER_SHARDS,
    idempotency_keys,
    notifications,
    outbox,
    service_day_counters,
)

IDEMPOTENCY_KEY_LIFETIME: Final = timedelta(hours=24)

MOST_ROWS: Final = 500
"""Messages that are stored at once."""

STATEMENT_SECONDS: Final = 1.5
"""After this long PostgreSQL cancels the statement: sooner than a caller stops waiting (2 s)."""

_SILENCE_SECONDS: Final = STATEMENT_SECONDS + 0.3
"""After this long a database that does not answer is given up."""
_MOST_BYTES: Final = 8 * 1024 * 1024

_log = get_logger()


class NewMessage(NamedTuple):
    """A message that passed every check, as its rows will hold it.

    Each field is the column of its name in `notifications`, in `outbox`, or in both; the statement, its types
    and its parameters are made from the fields. `counters`, `day` and `key_hash` are what is stored beside.
    """

    id: str
    service_id: str
    api_key_id: str | None
    created_by_id: str | None
    batch_id: str | None
    row_number: int | None
    """Of a job's rows, from 0; None for all others."""
    key_type: KeyType
    channel: Channel
    template_id: str
    template_version: int
    reference: str | None
    recipient: str
    normalised_recipient: str
    sender: str
    personalisation: str
    """JSON made by `personalisation_json`."""
    unsubscribe_url: str
    content_hash: bytes
    state: State
    create_time: datetime
    international: bool
    phone_prefix: str
    rate_multiplier: int
    fragment_count: int | None
    """Texts: as they would be handed over at the moment; None for other channels."""
    postage: Postage | None
    send_at: datetime | None
    """When it comes up in the outbox; None for at once."""
    deliver_by: datetime | None
    destination: Destination
    lane: Lane
    request_id: str
    """Of the request that it came with, and so is the next."""
    traceparent: str
    counters: str
    """Names of the counters of its day that it adds one to, with commas between; empty for test keys."""
    day: date
    key_hash: bytes | None
    """Made by `key_hash`; None for a request without an idempotency key."""

    def __repr__(self) -> str:
        return f"NewMessage(id={self.id!r})"  # no recipient, no personalisation

    @property
    def size_bytes(self) -> int:
        """About what it takes on its way to the database."""
        return 512 + len(self.personalisation) + len(self.recipient) + len(self.unsubscribe_url)


class Earlier(NamedTuple):
    """The message that an earlier request with the same id or idempotency key stored."""

    notification_id: str
    content_hash: bytes
    template_version: int
    sender: str


class Asked(NamedTuple):
    """What a request is found again by."""

    id: str
    service_id: str
    key_hash: bytes | None
    """Made by `key_hash`; None for a request without an idempotency key."""


Stored = Earlier | NotifyError | None
"""What became of a message: None once it is stored, what an earlier request stored, or why it is not."""


def personalisation_json(pairs: Pairs) -> str:
    """Return the pairs as the database keeps them: an array of [key, value] in the client's order."""
    return "[" + ",".join([f"[{_quoted(key)},{_value_json(value)}]" for key, value in pairs]) + "]"


def _value_json(value: Value) -> str:
    # an encoder is made anew for each text that it is given, which costs more than the text
    if isinstance(value, str):
        return _quoted(value)
    return "null" if value is None else "[" + ",".join(map(_quoted, value)) + "]"


def key_hash(idempotency_key: str) -> bytes | None:
    """Return what is stored of a client's key; None for the empty one, which is none."""
    return hashlib.sha256(idempotency_key.encode()).digest() if idempotency_key else None


# --- the statement ------------------------------------------------------------------------------------------


def _columns_of(table: sa.Table) -> list[str]:
    return [name for name in NewMessage._fields if name in table.c]


def _sql_type(name: str) -> str:
    if name == "counters":
        return "text"
    tables = (notifications, outbox, service_day_counters, idempotency_keys)
    column = next(table.c[name] for table in tables if name in table.c)
    return column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]


_FIELDS: Final = NewMessage._fields
_TYPES: Final = ", ".join([*(f"{_sql_type(name)}[]" for name in _FIELDS), "smallint", "timestamptz"])
_ARRAYS: Final = ", ".join(f"${number}" for number in range(1, len(_FIELDS) + 1))
_SHARD: Final = f"${len(_FIELDS) + 1}"
_OLDEST_KEY: Final = f"${len(_FIELDS) + 2}"
_NOTIFICATION: Final = ", ".join(_columns_of(notifications))
_OUTBOX: Final = ", ".join(_columns_of(outbox))
_TALLY: Final = ", ".join(CountKey._fields)
_BATCH_TALLY: Final = ", ".join(BatchCountKey._fields)

# Repeats are no errors here: PostgreSQL would log the failed statement with the message in it. Rows are
# written in one order by everybody, so that no two statements wait for each other.
_STORE: Final = f"""
WITH given AS (
    SELECT * FROM unnest({_ARRAYS}) AS given ({", ".join(_FIELDS)}) ORDER BY service_id, key_hash, id
), keyed AS (
    INSERT INTO idempotency_keys AS earlier (service_id, key_hash, notification_id, create_time)
    SELECT service_id, key_hash, id, create_time FROM given WHERE key_hash IS NOT NULL
    ON CONFLICT (service_id, key_hash) DO UPDATE
    SET notification_id = excluded.notification_id, create_time = excluded.create_time
    WHERE earlier.create_time <= {_OLDEST_KEY}
    RETURNING notification_id
), stored AS (
    INSERT INTO notifications ({_NOTIFICATION})
    SELECT {_NOTIFICATION} FROM given WHERE key_hash IS NULL OR id IN (SELECT notification_id FROM keyed)
    ON CONFLICT (id) DO NOTHING
    RETURNING id AS stored_id
), queued AS (
    INSERT INTO outbox (notification_id, {_OUTBOX}, due_at)
    SELECT id, {_OUTBOX}, coalesce(send_at, now()) FROM given
    WHERE id IN (SELECT stored_id FROM stored) AND state <> '{State.VALIDATION_FAILED}'
), counted AS (
    INSERT INTO service_day_counters AS counters (service_id, day, counter, shard, count)
    SELECT service_id, day, counter, {_SHARD}, count(*)
    FROM given, unnest(string_to_array(counters, ',')) AS counter
    WHERE id IN (SELECT stored_id FROM stored)
    GROUP BY service_id, day, counter
    ORDER BY service_id, day, counter
    ON CONFLICT (service_id, day, counter, shard) DO UPDATE SET count = counters.count + excluded.count
), tallied AS (
    INSERT INTO message_counts AS tally ({_TALLY}, shard, count)
    SELECT {_TALLY}, {_SHARD}, count(*)
    FROM (
        SELECT service_id, timezone('Europe/London', create_time)::date AS day,
            channel, template_id, key_type, state
        FROM given WHERE id IN (SELECT stored_id FROM stored)
    ) AS fresh
    GROUP BY {_TALLY}
    ORDER BY {_TALLY}
    ON CONFLICT ({_TALLY}, shard) DO UPDATE SET count = tally.count + excluded.count
), batched AS (
    INSERT INTO batch_counts AS tally ({_BATCH_TALLY}, count)
    SELECT {_BATCH_TALLY}, count(*)
    FROM given WHERE batch_id IS NOT NULL AND id IN (SELECT stored_id FROM stored)
    GROUP BY {_BATCH_TALLY}
    ORDER BY {_BATCH_TALLY}
    ON CONFLICT ({_BATCH_TALLY}) DO UPDATE SET count = tally.count + excluded.count
)
SELECT stored_id::text FROM stored
"""  # noqa: S608 - the names are those of fields and columns
_PREPARE: Final = f"PREPARE store_messages ({_TYPES}) AS {_STORE}"
_EXECUTE: Final = f"EXECUTE store_messages ({', '.join(['%s'] * (len(_FIELDS) + 2))})"

_EARLIER: Final = """
SELECT given.place, earlier.id::text, earlier.content_hash, earlier.template_version, earlier.sender
FROM unnest(%(ids)s::uuid[], %(service_ids)s::uuid[], %(key_hashes)s::bytea[])
    WITH ORDINALITY AS given (id, service_id, key_hash, place)
CROSS JOIN LATERAL (
    SELECT n.id, n.content_hash, n.template_version, n.sender, 1 AS choice
    FROM notifications n WHERE n.id = given.id
    UNION ALL
    SELECT n.id, n.content_hash, n.template_version, n.sender, 2
    FROM idempotency_keys k JOIN notifications n ON n.id = k.notification_id
    WHERE k.service_id = given.service_id AND k.key_hash = given.key_hash AND k.create_time > %(oldest)s
    ORDER BY choice
    LIMIT 1
) AS earlier
"""

_PERSONALISATION: Final = "SELECT personalisation FROM notifications WHERE id = %(id)s::uuid"


Column = Sequence[Any]
"""The values of one field, without NULLs."""


def _bytes(column: Column) -> str:
    return ",".join(f'"\\\\x{value.hex()}"' for value in column)


def _times(column: Column) -> str:
    return ",".join(map(datetime.isoformat, column))


def _plain(column: Column) -> str:
    return ",".join(map(str, column))


def _writer(name: str) -> Callable[[Column], str]:
    """Return what writes a column as the elements of an array."""
    kind = _sql_type(name)
    if kind == "BYTEA":
        return _bytes
    if kind == "UUID":
        return ",".join
    if kind in ("INTEGER", "BOOLEAN", "DATE"):
        return _plain
    return _times if kind.startswith("TIMESTAMP") else text_elements


_WRITERS: Final = [_writer(name) for name in _FIELDS]


def _arrays(messages: Sequence[NewMessage]) -> list[str]:
    """Return the parameters of the statement: for each field the array of its values, as PostgreSQL writes
    arrays.
    """
    columns = zip(*messages, strict=True)
    return ["{" + _elements(column, write) + "}" for column, write in zip(columns, _WRITERS, strict=True)]


def _elements(column: Sequence[Any], write: Callable[[Column], str]) -> str:
    first = column[0]
    # most of what the rows of a batch say is the same in all of them
    if column.count(first) == len(column):
        return ",".join(["NULL" if first is None else write([first])] * len(column))
    if None in column:
        return ",".join("NULL" if value is None else write([value]) for value in column)
    return write(column)


# --- the store ----------------------------------------------------------------------------------------------


class AcceptanceStore:
    """Stores accepted messages; safe to share between threads, which share commits.

    Args:
        url: of the context's database.
    """

    def __init__(self, url: str) -> None:
        self._dsn = postgres_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._shard = random.randrange(COUNTER_SHARDS)
        self._writing = _Database(self._dsn, _PREPARE)
        self._reading = _Database(self._dsn)
        self._gatherer: Gatherer[NewMessage, Stored] = Gatherer(
            self._store_all, most_items=MOST_ROWS, most_weight=_MOST_BYTES, weigh=lambda one: one.size_bytes
        )

    def store(self, messages: Sequence[NewMessage], timeout: float | None = None) -> Sequence[Stored]:
        """Store messages, their outbox rows, counts of the day and their idempotency keys: each all or
        nothing.

        Idempotent by a message's id, and by (service, idempotency key) for 24 hours, both unique in the
        database. Of messages with the same id or key, in one call or in several at once, one is stored and is
        what the others are told of as earlier. What is answered as stored is committed; an error says that it
        is not, unless the database could not be asked in the end (UNAVAILABLE, DEADLINE_EXCEEDED), after
        which the same messages may be stored again.

        Args:
            messages: 1 to 500.
            timeout: seconds to wait for one's turn.

        Raises:
            NotifyError: DEADLINE_EXCEEDED or UNAVAILABLE.
        """
        return self._gatherer.submit(messages, timeout)

    def find_earlier(self, asked: Sequence[Asked]) -> list[Earlier | None]:
        """Return what each request stored before, by its id or by its key in the last 24 hours; None for
        nothing.

        Raises NotifyError DEADLINE_EXCEEDED or UNAVAILABLE.
        """
        parameters = {
            "ids": [one.id for one in asked],
            "service_ids": [one.service_id for one in asked],
            "key_hashes": [one.key_hash for one in asked],
            "oldest": clock.now() - IDEMPOTENCY_KEY_LIFETIME,
        }
        found: list[Earlier | None] = [None] * len(asked)
        for place, *earlier in self._reading.run(_EARLIER, parameters):
            found[place - 1] = Earlier(earlier[0], bytes(earlier[1]), *earlier[2:])
        return found

    def personalisation_of(self, notification_id: str) -> Pairs:
        """Return the personalisation that was stored with a message; empty where it is gone.

        Raises NotifyError DEADLINE_EXCEEDED or UNAVAILABLE.
        """
        rows = self._reading.run(_PERSONALISATION, {"id": notification_id})
        return [(key, value) for key, value in rows[0][0]] if rows else []

    def close(self) -> None:
        """Close the connections."""
        self._writing.close()
        self._reading.close()

    def _store_all(self, messages: list[NewMessage]) -> list[Stored]:
        first, repeats = _first_of_each(messages)
        outcomes = self._store_distinct(first)
        missing = object()
        told = [
            missing if number in repeats else outcomes.get(message.id, missing)
            for number, message in enumerate(messages)
        ]
        asked = [
            Asked(message.id, message.service_id, message.key_hash)
            for message, one in zip(messages, told, strict=True)
            if one is missing
        ]
        # None means that its twin in the same call failed, or that what its key stands for is gone
        earlier = iter(self.find_earlier(asked) if asked else [])
        return [
            (next(earlier) or NotifyError("UNAVAILABLE")) if one is missing else cast(Stored, one)
            for one in told
        ]

    def _store_distinct(self, messages: list[NewMessage]) -> dict[str, NotifyError | None]:
        """Return what became of messages by id; those that were stored earlier are left out.

        Where one of them makes the statement fail, the others are stored all the same.
        """
        oldest = clock.now() - IDEMPOTENCY_KEY_LIFETIME
        try:
            rows = self._writing.run(_EXECUTE, [*_arrays(messages), self._shard, oldest])
        except (psycopg2.Error, ValueError) as error:
            if len(messages) == 1:
                id = messages[0].id
                _log.error("message not stored", notification_id=id, **describe_exception(error))
                return {messages[0].id: NotifyError("INTERNAL")}
            half = len(messages) // 2
            return self._store_distinct(messages[:half]) | self._store_distinct(messages[half:])
        return {row[0]: None for row in rows}


def _first_of_each(messages: Sequence[NewMessage]) -> tuple[list[NewMessage], set[int]]:
    """Return the messages that no other before them has the id or idempotency key of, and the places of the
    rest.
    """
    ids: set[str] = set()
    keys: set[tuple[str, bytes]] = set()
    first: list[NewMessage] = []
    repeats: set[int] = set()
    for number, message in enumerate(messages):
        key = None if message.key_hash is None else (message.service_id, message.key_hash)
        if message.id in ids or key in keys:
            repeats.add(number)
            continue
        ids.add(message.id)
        if key is not None:
            keys.add(key)
        first.append(message)
    return first, repeats


class _Database:
    """A connection in autocommit for one statement at a time, made anew when it was lost."""

    def __init__(self, dsn: str, prepare: str = "") -> None:
        self._dsn = dsn
        self._options = f"-c statement_timeout={round(STATEMENT_SECONDS * 1000)} -c timezone=UTC -c jit=off"
        # planning would cost more than the statement, and has nothing to find out
        self._options += " -c plan_cache_mode=force_generic_plan"
        self._prepare = prepare
        self._lock = threading.Lock()
        self._cursor: Cursor | None = None

    def run(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement, on a new connection if the database closed the one at hand.

        Running it twice is safe: if the lost first try was committed, its unique key stops the second. A
        database that was silent is not asked twice: nobody would wait for its answer.

        Raises:
            NotifyError: DEADLINE_EXCEEDED for a statement that took too long, UNAVAILABLE where the database
                can't be asked.
            psycopg2.Error: the statement's own fault.
        """
        until = clock.monotonic() + STATEMENT_SECONDS
        with self._lock:
            while True:
                fresh = self._cursor is None
                try:
                    return self._try(statement, parameters)
                except psycopg2.Error as error:
                    reason = failure_reason(error)
                    if not self._is_lost(error, reason):
                        if reason is None:
                            raise
                        raise NotifyError(reason) from None
                    self._drop()
                    if fresh or clock.monotonic() > until:
                        raise _unknown(reason or "UNAVAILABLE") from None
                    _log.warning("database connection lost, opening another", error_type=type(error).__name__)

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        with self._lock:
            self._drop()

    def _is_lost(self, error: psycopg2.Error, reason: str | None) -> bool:
        """Tell whether the connection is of no more use, or was never made."""
        cursor = self._cursor
        if cursor is None:
            return reason is not None
        if cursor.connection.closed:
            return True
        return error.pgcode is None or reason == "UNAVAILABLE"

    def _try(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._cursor is None:
            self._cursor = self._connect()
        self._cursor.execute(statement, parameters)
        return self._cursor.fetchall()

    def _connect(self) -> Cursor:
        """Return a cursor of a new connection, which has what is prepared or is none."""
        connection: Connection = psycopg2.connect(
            self._dsn,
            options=self._options,
            application_name="notify-notifications-accept",
            connection_factory=bounded_connections(_SILENCE_SECONDS - AFTER_STATEMENT_SECONDS),
            **TCP,  # type: ignore[call-overload] # keywords that go to libpq
        )
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            if self._prepare:
                cursor.execute(self._prepare)  # waits where a table is locked
        except BaseException:
            connection.close()
            raise
        return cursor

    def _drop(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.connection.close()


def _unknown(reason: str) -> NotifyError:
    """Return the error of a statement of which nobody knows whether it was committed."""
    return NotifyError(reason, metadata={"outcome": "unknown"})
