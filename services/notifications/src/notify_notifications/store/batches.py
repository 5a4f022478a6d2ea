"""Batches: who works one off, what became of it, how many of its messages stand where."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import KeyType
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.batch import Batch
from notify_notifications.domain.notification import State
from notify_notifications.store.tables import batch_counts, batches

_b, _c = batches.c, batch_counts.c
_FIELDS: Final = [field.name for field in fields(Batch)]
_COLUMNS: Final = [_b[name] for name in _FIELDS]
_RENEW: Final = (
    sa.update(batches)
    .where(
        _b.id == sa.bindparam("its_id"),
        _b.service_id == sa.bindparam("its_service"),
        _b.run_id == sa.bindparam("its_run"),
        _b.complete_time.is_(None),
    )
    .values(lease_time=sa.bindparam("until"))
)


def begin(tx: Tx, batch: Batch, key_hash: bytes, oldest: datetime) -> Batch | None:
    """Store a batch under a client's key, unless the key began one after `oldest`: return it, locked."""
    of_key = (_b.service_id == batch.service_id, _b.key_hash == key_hash)
    tx.execute(sa.update(batches).where(*of_key, _b.create_time <= oldest).values(key_hash=None))
    values = {name: getattr(batch, name) for name in _FIELDS}
    adding = insert(batches).values(**values, key_hash=key_hash).on_conflict_do_nothing()
    if tx.execute(adding).rowcount:
        return None
    return _batch(tx.execute(sa.select(*_COLUMNS).where(*of_key).with_for_update()).one())


def take_over(tx: Tx, batch_id: str, run_id: str, lease_time: datetime) -> None:
    """Let a run work a batch off."""
    tx.execute(sa.update(batches).where(_b.id == batch_id).values(run_id=run_id, lease_time=lease_time))


def renew(tx: Tx, service_id: str, batch_id: str, run_id: str, lease_time: datetime) -> bool:
    """Set until when a run keeps its batch; False where it is not its own, or complete.

    A lease that a crash loses ends sooner, so nobody waits for the disk.
    """
    tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
    given = {"its_id": batch_id, "its_service": service_id, "its_run": run_id, "until": lease_time}
    return bool(tx.execute(_RENEW, given).rowcount)


def end_lease(tx: Tx, batch_id: str, run_id: str, now: datetime) -> None:
    """Let others take over a run's batch."""
    mine = (_b.id == batch_id, _b.run_id == run_id, _b.lease_time > now)
    tx.execute(sa.update(batches).where(*mine).values(lease_time=now))


def complete(
    tx: Tx, batch_id: str, run_id: str, now: datetime, accepted_count: int, answer: bytes
) -> Batch | None:
    """Keep how a batch ended, unless it has; return it as it is kept then, None where it is not the run's."""
    mine = (_b.id == batch_id, _b.run_id == run_id)
    values = {"complete_time": now, "accepted_count": accepted_count, "answer": answer}
    tx.execute(sa.update(batches).where(*mine, _b.complete_time.is_(None)).values(**values))
    row = tx.execute(sa.select(*_COLUMNS).where(*mine)).first()
    return None if row is None else _batch(row)


def answer_of(tx: Tx, batch_id: str) -> bytes:
    """Return what the client of a complete batch was answered."""
    return bytes(tx.execute(sa.select(_b.answer).where(_b.id == batch_id)).scalar_one())


def batch_of(tx: Tx, service_id: str, batch_id: str) -> Batch | None:
    """Return a batch, if the service has it."""
    row = tx.execute(sa.select(*_COLUMNS).where(_b.id == batch_id, _b.service_id == service_id)).first()
    return None if row is None else _batch(row)


def state_counts(tx: Tx, batch_ids: Sequence[str]) -> dict[str, dict[State, int]]:
    """Return how many messages of batches or jobs stand in each state that has any, by batch."""
    found: dict[str, dict[State, int]] = {id: {} for id in batch_ids}
    wanted = sa.select(_c.batch_id, _c.state, _c.count)
    for id, state, count in tx.execute(wanted.where(_c.batch_id.in_(batch_ids), _c.count != 0)):
        found[id][State(state)] = count
    return found


def delete_before(tx: Tx, time: datetime, limit: int) -> int:
    """Delete up to `limit` batches that began before `time`, with their counts; return how many."""
    return delete_counted(tx, batches, limit, _b.create_time < time)


def delete_counted(tx: Tx, table: sa.Table, limit: int, *conditions: "sa.ColumnElement[bool]") -> int:
    """Delete up to `limit` rows of batches or jobs, with the counts of their messages; return how many."""
    old = sa.select(table.c.id).where(*conditions).limit(limit).subquery()
    gone = sa.delete(table).where(table.c.id == old.c.id).returning(table.c.id).cte("gone")
    counts = sa.delete(batch_counts).where(_c.batch_id == gone.c.id).returning(_c.batch_id).cte("counts")
    return int(tx.execute(sa.select(sa.func.count()).select_from(gone).add_cte(counts)).scalar_one())


def _batch(row: Any) -> Batch:
    found = Batch(**row._asdict())
    return replace(found, key_type=KeyType(row.key_type), content_hash=bytes(row.content_hash))
