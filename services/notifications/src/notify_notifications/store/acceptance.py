"""Storing an accepted message: one prepared statement, one round trip (design.md §3.5 step 4).

It goes past SQLAlchemy on purpose. Each thread keeps a connection of its own in autocommit, on which the
statement is prepared once, so that accepting a message costs little more than the database's own time.
"""

import hashlib
import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg2
from notify_common import clock
from notify_common.db.engine import postgres_url
from notify_common.enums import Lane
from notify_common.logging import get_logger
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.personalisation import Pairs

IDEMPOTENCY_KEY_LIFETIME: Final = timedelta(hours=24)

COUNTER_SHARDS: Final = 8
"""Rows that one counter of a day is spread over, so that threads don't wait for each other's commits."""

_log = get_logger()
_shards = itertools.count()


class NewNotification(NamedTuple):
    """A message that passed every check, in the order of the statement's first parameters."""

    id: str
    service_id: str
    api_key_id: str
    key_type: str
    channel: str
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
    create_time: datetime
    international: bool
    phone_prefix: str
    rate_multiplier: int
    postage: str | None


class HandOver(NamedTuple):
    """Where the message goes next, and what follows it there."""

    destination: Destination
    request_id: str
    traceparent: str
    lane: Lane


class Earlier(NamedTuple):
    """The message that an earlier request with the same id or idempotency key stored."""

    notification_id: str
    content_hash: bytes
    template_version: int
    sender: str


_TYPES: Final = (
    "uuid, uuid, uuid, text, text, uuid, int, text, text, text, text, jsonb, text, bytea, timestamptz, "
    "boolean, text, int, text, "  # NewNotification
    "text, text, text, text, "  # HandOver
    "date, text[], smallint, bytea, timestamptz"  # day, counters, shard, key's hash, time from which it holds
)
_PARAMETERS: Final = 28

# Repeats are no errors here: PostgreSQL would log the failed statement with the message in it.
_ACCEPT: Final = """
WITH keyed AS (
    INSERT INTO idempotency_keys AS earlier (service_id, key_hash, notification_id, create_time)
    SELECT $2, $27, $1, $15 WHERE $27 IS NOT NULL
    ON CONFLICT (service_id, key_hash) DO UPDATE
    SET notification_id = excluded.notification_id, create_time = excluded.create_time
    WHERE earlier.create_time <= $28
    RETURNING key_hash
), stored AS (
    INSERT INTO notifications (
        id, service_id, api_key_id, key_type, channel, template_id, template_version, reference, recipient,
        normalised_recipient, sender, personalisation, unsubscribe_url, content_hash, create_time,
        international, phone_prefix, rate_multiplier, postage, state
    )
    SELECT
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 'created'
    WHERE $27 IS NULL OR EXISTS (SELECT FROM keyed)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), queued AS (
    INSERT INTO outbox (notification_id, destination, request_id, traceparent, lane, service_id)
    SELECT id, $20, $21, $22, $23, $2 FROM stored
), counted AS (
    INSERT INTO service_day_counters AS counters (service_id, day, counter, shard, count)
    SELECT $2, $24, counter, $26, 1 FROM stored, unnest($25) AS counter
    ON CONFLICT (service_id, day, counter, shard) DO UPDATE SET count = counters.count + 1
)
SELECT count(*) FROM stored
"""
_PREPARE: Final = f"PREPARE accept_notification ({_TYPES}) AS {_ACCEPT}"
_EXECUTE: Final = f"EXECUTE accept_notification ({', '.join(['%s'] * _PARAMETERS)})"

_EARLIER: Final = """
SELECT id::text, content_hash, template_version, sender FROM notifications
WHERE id = %(id)s OR id = (
    SELECT notification_id FROM idempotency_keys
    WHERE service_id = %(service_id)s AND key_hash = %(key_hash)s AND create_time > %(oldest)s
)
ORDER BY id = %(id)s DESC
LIMIT 1
"""


def personalisation_json(pairs: Pairs) -> str:
    """The pairs as the database keeps them: an array of [key, value] in the client's order."""
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


class AcceptanceStore:
    """Stores accepted messages; safe to share between threads, each of which gets its own connection.

    Args:
        url: of the context's database.
        statement_timeout_ms: PostgreSQL cancels the statement after this long.
    """

    def __init__(self, url: str, statement_timeout_ms: int = 2000) -> None:
        self._dsn = postgres_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._options = f"-c statement_timeout={statement_timeout_ms} -c timezone=UTC -c jit=off"
        self._local = threading.local()

    def accept(
        self, new: NewNotification, hand_over: HandOver, day: date, counters: list[str], idempotency_key: str
    ) -> Earlier | None:
        """Store the message, its outbox row, the day's counters and the idempotency key, all or nothing.

        Returns None once it is stored, or what an earlier request stored: idempotent by the message's id,
        and by (service, idempotency key) for 24 hours, both unique in the database.

        Args:
            counters: names of the counters of `day` that it adds one to; empty for test keys.
            idempotency_key: as the client gave it; empty for none.
        """
        oldest = new.create_time - IDEMPOTENCY_KEY_LIFETIME
        key_hash = _hash(idempotency_key)
        parameters = (*new, *hand_over, day, counters, self._shard, key_hash, oldest)
        (stored,) = self._run(_EXECUTE, parameters).fetchone() or (0,)
        if stored:
            return None
        earlier = self.find_earlier(new.id, new.service_id, idempotency_key)
        if earlier is None:
            raise RuntimeError("the message that an idempotency key stands for is gone")
        return earlier

    def find_earlier(self, notification_id: str, service_id: str, idempotency_key: str) -> Earlier | None:
        """What a request with this id, or with this idempotency key in the last 24 hours, stored; or None."""
        parameters = {
            "id": notification_id,
            "service_id": service_id,
            "key_hash": _hash(idempotency_key),
            "oldest": clock.now() - IDEMPOTENCY_KEY_LIFETIME,
        }
        row = self._run(_EARLIER, parameters).fetchone()
        return None if row is None else Earlier(row[0], bytes(row[1]), row[2], row[3])

    def _run(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Cursor:
        """Run a statement on this thread's connection, on a new one if the database closed it.

        Running it twice is safe: if the lost first try was committed, its unique key stops the second.
        """
        try:
            cursor = self._cursor()
            cursor.execute(statement, parameters)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if not self._connection_lost():
                raise
            _log.warning("database connection lost, opening another", error_type=type(error).__name__)
            self._local.cursor = None
            cursor = self._cursor()
            cursor.execute(statement, parameters)
        return cursor

    def _connection_lost(self) -> bool:
        cursor: Cursor | None = getattr(self._local, "cursor", None)
        return cursor is not None and bool(cursor.closed or cursor.connection.closed)

    def _cursor(self) -> Cursor:
        cursor: Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None:
            connection: Connection = psycopg2.connect(
                self._dsn,
                options=self._options,
                connect_timeout=2,
                application_name="notify-notifications-accept",
            )
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(_PREPARE)
            self._local.cursor = cursor
        return cursor

    @property
    def _shard(self) -> int:
        shard: int | None = getattr(self._local, "shard", None)
        if shard is None:
            shard = self._local.shard = next(_shards) % COUNTER_SHARDS
        return shard


def _hash(idempotency_key: str) -> bytes | None:
    return hashlib.sha256(idempotency_key.encode()).digest() if idempotency_key else None
