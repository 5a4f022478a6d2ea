"""The audit log: what was changed, by whom, in chains of hashes (ADR 0020)."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from notify_common import clock, current
from notify_common.db.unit_of_work import Tx
from notify_common.ids import child_id

from notify_admin.store.tables import audit_log

Row = Any
"""A record as it is stored."""
Action = Literal["create", "update", "delete"]
State = Mapping[str, Any]
"""What JSON can hold, by the names of fields."""

LEFT_OUT: Final = "(left out)"
"""Stands for what is personal or secret."""
_LONGEST: Final = 1_000
"""Characters of a value; of a longer one its SHA-256 is recorded."""
_AT_ONCE: Final = 500
_API_KEYS: Final = "api keys"
_c = audit_log.c
_HASHED: Final = [column for column in _c if column.name != "hash"]


@dataclass(frozen=True, slots=True)
class Audit:
    """How changes of a resource are recorded."""

    chain: str
    """Fields of which the first that is not empty names the chain. Names are parted by spaces, all here."""
    personal: str = ""
    """Fields whose values are left out."""
    noted: str = ""
    """Columns that no field has, of which is recorded that they were set."""
    unrecorded: str = ""
    """Fields whose changes are none, such as when somebody signed in."""
    of_api_keys: bool = False
    """Whether it is recorded in the chain of the service's keys, which waits for no other change."""


class Broken(NamedTuple):
    """The first record of a chain that is not as it was written."""

    chain_id: str
    number: int


def keys_chain(service_id: str) -> str:
    """Return the chain of a service's API keys."""
    return child_id(service_id, _API_KEYS)


def append(
    tx: Tx,
    chain_id: str,
    action: Action,
    resource: str,
    resource_ids: Collection[str],
    before: State | None,
    after: State | None,
) -> None:
    """Record a change in the transaction that makes it, of one thing or of several alike, at one cost.

    Those of one chain wait for one another.
    """
    if not resource_ids:
        return
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(chain_id, 0))))
    newest = sa.select(_c.number, _c.hash).where(_c.chain_id == chain_id).order_by(_c.number.desc()).limit(1)
    last = tx.execute(newest).first()
    newest_number, previous = (last.number, bytes(last.hash)) if last else (0, b"")
    shared: dict[str, Any] = {
        "chain_id": chain_id,
        "create_time": clock.now(),
        "actor_id": current.actor.get() or None,
        "request_id": current.request_id.get(),
        "action": action,
        "resource": resource,
        "before": _short(before),
        "after": _short(after),
    }
    rows = []
    for number, resource_id in enumerate(resource_ids, newest_number + 1):
        values = {**shared, "number": number, "resource_id": resource_id}
        previous = _hash(values, previous)
        rows.append({**values, "hash": previous})
    tx.execute(sa.insert(audit_log), rows)


def verify(tx: Tx, chain_id: str) -> Broken | None:
    """Return the first broken link of a chain; None if there is none.

    What is cut off its end can't be told from it alone.
    """
    previous = b""
    for number, row in enumerate(_rows(tx, chain_id), 1):
        if row.number != number or bytes(row.hash) != _hash(row._mapping, previous):
            return Broken(chain_id, number)
        previous = bytes(row.hash)
    return None


def chains(tx: Tx, after_id: str | None, limit: int) -> list[str]:
    """Return up to `limit` chains after one, by id."""
    further = sa.true() if after_id is None else _c.chain_id > after_id
    found = sa.select(_c.chain_id).where(further).distinct().order_by(_c.chain_id).limit(limit)
    return list(tx.execute(found).scalars())


def read(tx: Tx, chain_id: str, after: int, limit: int, resource: str = "") -> list[Row]:
    """Return up to `limit` records of a chain after one, in order; only of one kind where it is named."""
    kind = _c.resource == resource if resource else sa.true()
    found = sa.select(*_HASHED, _c.hash).where(_c.chain_id == chain_id, _c.number > after, kind)
    return list(tx.execute(found.order_by(_c.number).limit(limit)))


def _rows(tx: Tx, chain_id: str) -> Iterator[Row]:
    number = 0
    while rows := read(tx, chain_id, number, _AT_ONCE):
        yield from rows
        number = rows[-1].number


def _hash(values: Mapping[str, Any], previous: bytes) -> bytes:
    moment: datetime = values["create_time"]
    said = [[column.name, values[column.name]] for column in _HASHED if column.name != "create_time"]
    text = json.dumps([previous.hex(), moment.astimezone(UTC).isoformat(), said], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _short(state: State | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {name: _short_value(value) for name, value in state.items()}


def _short_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= _LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
