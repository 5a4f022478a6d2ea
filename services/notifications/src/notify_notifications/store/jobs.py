"""Jobs: what is kept of each, and who works it off."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel, Lane
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import insert

from notify_notifications.domain.job import HIDDEN_NAMES, UNSTARTED, Job, JobState
from notify_notifications.store.batches import delete_counted
from notify_notifications.store.tables import jobs

_j = jobs.c
_STATE: Final = sa.case((_j.parked_at.is_not(None), JobState.ERROR.value), else_=_j.state).label("state")
_COLUMNS: Final = [_STATE if field.name == "state" else _j[field.name] for field in fields(Job)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilters:
    """Which jobs of a service a list shows; None and empty mean all."""

    since: datetime | None = None
    """When the oldest was made."""
    states: Sequence[JobState] = ()
    contact_list_id: str = ""
    of_lists: bool = True
    """Whether those of contact lists are shown."""


def add(tx: Tx, job: Job) -> Job:
    """Store a job unless its id is taken; return the one that is kept, whichever service has it."""
    values = {field.name: getattr(job, field.name) for field in fields(Job)}
    due_at = job.scheduled_time or sa.func.now()
    tx.execute(insert(jobs).values(**values, lane=Lane.JOB.value, due_at=due_at).on_conflict_do_nothing())
    return _job(tx.execute(sa.select(*_COLUMNS).where(_j.id == job.id)).one())


def get(tx: Tx, service_id: str, job_id: str) -> Job | None:
    """Return a job, if the service has it."""
    row = tx.execute(sa.select(*_COLUMNS).where(_j.id == job_id, _j.service_id == service_id)).first()
    return None if row is None else _job(row)


def page(tx: Tx, service_id: str, filters: JobFilters, offset: int, limit: int) -> tuple[list[Job], int]:
    """Return jobs of a service, those that did not start first, then the latest first; and how many there
    are."""
    conditions: list[ColumnElement[bool]] = [_j.service_id == service_id, _j.file_name.not_in(HIDDEN_NAMES)]
    if filters.since is not None:
        conditions.append(_j.create_time >= filters.since)
    if filters.states:
        conditions.append(_STATE.element.in_(filters.states))
    if filters.contact_list_id:
        conditions.append(_j.contact_list_id == filters.contact_list_id)
    if not filters.of_lists:
        conditions.append(_j.contact_list_id.is_(None))
    count = tx.execute(sa.select(sa.func.count()).where(*conditions)).scalar_one()
    order = (_j.start_time.desc().nulls_first(), _j.create_time.desc(), _j.id.desc())
    rows = tx.execute(sa.select(*_COLUMNS).where(*conditions).order_by(*order).offset(offset).limit(limit))
    return [_job(row) for row in rows], count


def cancel(tx: Tx, service_id: str, job_id: str, states: Sequence[JobState], now: datetime) -> bool:
    """Cancel a job that stands in one of these states, whoever works at it; return whether it was so."""
    values = {"state": JobState.CANCELLED, "update_time": now, "due_at": None, "lease_token": None}
    its = (_j.id == job_id, _j.service_id == service_id, _j.state.in_(states), _j.parked_at.is_(None))
    return bool(tx.execute(sa.update(jobs).values(values).where(*its)).rowcount)


def schedule(tx: Tx, service_id: str) -> tuple[int, datetime | None]:
    """Return how many jobs of a service wait for their time, and the first of these times."""
    wanted = sa.select(sa.func.count(), sa.func.min(_j.scheduled_time))
    row = tx.execute(wanted.where(_j.service_id == service_id, _j.state == JobState.SCHEDULED)).one()
    return row[0], row[1]


def unstarted(row: Any) -> bool:
    """Tell whether nothing was done for a job that was claimed."""
    return row.state in UNSTARTED


def give_up(tx: Tx, job_ids: Sequence[str], now: datetime) -> None:
    """Cancel parked jobs."""
    ended = {"state": JobState.CANCELLED, "update_time": now, "finish_time": now}
    out = {"due_at": None, "parked_at": None, "park_reason": None}
    tx.execute(sa.update(jobs).values(ended | out).where(_j.id.in_(job_ids), _j.parked_at.is_not(None)))


def with_files(tx: Tx, before: datetime, after_id: str, limit: int) -> list[Job]:
    """Return ended jobs made before a time whose files are still there, by id."""
    wanted = sa.select(*_COLUMNS).where(
        _j.create_time < before,
        _j.delete_time.is_(None),
        sa.or_(_j.due_at.is_(None), _j.parked_at.is_not(None)),
        _j.id > after_id,
    )
    return [_job(row) for row in tx.execute(wanted.order_by(_j.id).limit(limit))]


def mark_deleted(tx: Tx, job_ids: Sequence[str], now: datetime) -> None:
    """Note that the files of jobs are gone."""
    tx.execute(sa.update(jobs).values(delete_time=now).where(_j.id.in_(job_ids)))


def delete_before(tx: Tx, time: datetime, limit: int) -> int:
    """Delete up to `limit` jobs made before `time` whose files are gone, with their counts; return how
    many."""
    return delete_counted(tx, jobs, limit, _j.create_time < time, _j.delete_time.is_not(None))


def _job(row: Any) -> Job:
    values = row._asdict()
    return Job(**{**values, "channel": Channel(row.channel), "state": JobState(row.state)})
