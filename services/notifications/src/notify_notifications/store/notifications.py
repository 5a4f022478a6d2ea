"""Notifications after they were accepted: reads, hand-over, events; in bulk by arrays (design.md §3.6)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from notify_common.clock import LONDON
from notify_common.db.arrays import Types, columns_given, one_of, unnest_later
from notify_common.db.columns import id_type
from notify_common.db.prepared import prepared
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_common.records import record
from notify_content.letter_timings import DEADLINE_TO_MIDNIGHT
from sqlalchemy import ColumnElement, Row, Select

from notify_notifications.domain.cost import Billable
from notify_notifications.domain.notification import Progress, State
from notify_notifications.domain.record import Notification, Outgoing
from notify_notifications.store.tables import (
    jobs,
    letter_rates,
    notifications,
    posted_letters,
    reference_hash,
    sms_rates,
)

_ROWS_AT_ONCE: Final = 25
"""Rows that the database hands out at once where only so many bytes are wanted."""

_READ_MS: Final = 1500
"""Milliseconds after which a list is given up."""

_NOT_AS_THEY_ARE: Final = (
    "id",
    "service_id",
    "template_id",
    "created_by_id",
    "api_key_id",
    "batch_id",
    "content_hash",
)
"""Columns that are read as texts, or not at all."""

_n = notifications.c
_PROGRESS: Final = [field.name for field in fields(Progress)]
_OUTGOING_NAMES: Final = [field.name for field in fields(Outgoing)]


def _members(kind: type[StrEnum]) -> Callable[[Any], Any]:
    """Return what finds the member of a value, or None of None."""
    known: dict[Any, Any] = {member.value: member for member in kind}
    return {None: None, **known}.__getitem__


_CONVERTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "channel": _members(Channel),
    "key_type": _members(KeyType),
    "state": _members(State),
    "postage": _members(Postage),
    "personalisation": lambda pairs: list(map(tuple, pairs)),
}
"""What is made of a column's value."""


def _conversions(names: Sequence[str]) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return which values of rows with these columns are converted, by their place."""
    return [(place, _CONVERTED[name]) for place, name in enumerate(names) if name in _CONVERTED]


_PROGRESS_CONVERSIONS: Final = _conversions(_PROGRESS)
_OUTGOING_CONVERSIONS: Final = _conversions(_OUTGOING_NAMES)


def _converted(row: Sequence[Any], conversions: Sequence[tuple[int, Callable[[Any], Any]]]) -> Sequence[Any]:
    """Return the values of a row as records have them, in their order."""
    values = list(row)
    for place, convert in conversions:
        values[place] = convert(values[place])
    return values


_SMS_RATE: Final = (
    sa.select(sms_rates.c.rate_micropounds)
    .where(_n.channel == Channel.SMS, sms_rates.c.valid_from <= _n.create_time)
    .order_by(sms_rates.c.valid_from.desc())
    .limit(1)
    .correlate(notifications)
    .scalar_subquery()
    .label("sms_rate")
)
_LETTER_RATE: Final = (
    sa.select(letter_rates.c.rate_micropounds)
    .where(
        letter_rates.c.postage == _n.postage,
        letter_rates.c.sheet_count == _n.sheet_count,
        letter_rates.c.valid_from <= _n.create_time,
    )
    .order_by(letter_rates.c.valid_from.desc())
    .limit(1)
    .correlate(notifications)
    .scalar_subquery()
    .label("letter_rate")
)
_OF_JOB: Final = _n.row_number.is_not(None)
_JOB_NAME: Final = sa.case(
    (
        _OF_JOB,
        sa.select(jobs.c.file_name)
        .where(jobs.c.id == _n.batch_id)
        .correlate(notifications)
        .scalar_subquery(),
    )
).label("job_name")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which notifications of a service a list shows; empty lists mean all."""

    key_type: KeyType
    channels: Sequence[Channel] = ()
    states: Sequence[State] = ()
    reference: str | None = field(default=None, repr=False)
    batch_id: str = ""
    """Empty for all."""


@dataclass(frozen=True, slots=True)
class ActivityFilters:
    """Which notifications of a service its members look for; empty lists mean all."""

    key_types: Sequence[KeyType]
    channels: Sequence[Channel] = ()
    states: Sequence[State] = ()
    since: datetime | None = None
    by_keys_alone: bool = False
    search: str = field(default="", repr=False)
    """Part of a recipient as it is normalised, or of a reference."""


class NotificationStore:
    """Reads of single notifications and of lists."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def get(self, service_id: str, notification_id: str) -> Notification | None:
        """Return the notification, if the service has it."""
        query = _whole().where(_n.id == notification_id, _n.service_id == service_id)
        with self._uow.autocommit() as conn:
            row = conn.execute(query).first()
        return None if row is None else _notification(row)

    def page(
        self,
        service_id: str,
        filters: Filters,
        before: tuple[datetime, str] | None,
        limit: int,
        most_bytes: int,
    ) -> tuple[list[Notification], bool]:
        """Return up to `limit` notifications, newest first, and whether there are more.

        Args:
            before: position (create time, id) after which they begin in that order; None for the newest.
            most_bytes: size of what clients wrote up to which they are read; a larger first one comes alone.
        """
        query = _page_query(service_id, filters, before, limit + 1)
        found: list[Notification] = []
        size = 0
        with self._uow.begin() as conn:
            # what a read may cost others, should it find no index that fits
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")
            streamed = conn.execution_options(yield_per=_ROWS_AT_ONCE)
            with streamed.execute(query) as rows:
                for row in rows:
                    one = _notification(row)
                    size += one.size_bytes
                    if len(found) == limit or (found and size > most_bytes):
                        return found, True
                    found.append(one)
        return found, False

    def uploaded_letters(
        self,
        service_id: str,
        template_id: str,
        between: tuple[datetime, datetime],
        page_number: int,
        size: int,
    ) -> tuple[list[Notification], int]:
        """Return a page, from 1, of letters that members uploaded in a time, newest first, and how many there
        are on all pages. Cancelled ones are left out.
        """
        start, end = between
        conditions = [*_uploaded_letters(service_id, template_id, start), _n.create_time < end]
        order = (_n.create_time.desc(), _n.id.desc())
        page = _whole().where(*conditions).order_by(*order).limit(size).offset((page_number - 1) * size)
        with self._uow.begin() as conn:
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")
            count = conn.execute(sa.select(sa.func.count()).where(*conditions)).scalar_one()
            return [_notification(row) for row in conn.execute(page)], count

    def uploaded_letter_counts(
        self, service_id: str, template_id: str, start: datetime
    ) -> list[tuple[date, int]]:
        """Return how many letters members uploaded since a time, by the London day of their print run, the
        latest first. Cancelled ones are left out.
        """
        wall_clock = sa.func.timezone(LONDON.key, _n.create_time)
        day = sa.cast(wall_clock + DEADLINE_TO_MIDNIGHT, sa.Date).label("day")
        query = (
            sa.select(day, sa.func.count())
            .where(*_uploaded_letters(service_id, template_id, start))
            .group_by(day)
            .order_by(day.desc())
        )
        with self._uow.begin() as conn:
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")
            return [(row[0], row[1]) for row in conn.execute(query)]

    def activity(
        self,
        service_id: str,
        filters: ActivityFilters,
        before: tuple[datetime, str] | None,
        offset: int,
        limit: int,
    ) -> tuple[list[Notification], bool]:
        """Return up to `limit` notifications, newest first, after the first `offset`, and whether there are
        more.

        Each combination of the filters is one index scan, as in lists of clients.
        """
        query = _activity_query(service_id, filters, before, offset, limit + 1)
        with self._uow.begin() as conn:
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")
            found = [_notification(row) for row in conn.execute(query)]
        return found[:limit], len(found) > limit

    def returned_letters(self, service_id: str) -> list[tuple[date, int]]:
        """Return the London days on which letters of a service came back, the latest first, and how many are
        known of each, those past their retention included.
        """
        times = [
            sa.select(table.c.update_time).where(
                table.c.service_id == service_id,
                table.c.key_type == KeyType.NORMAL,
                table.c.state == State.RETURNED_LETTER,
                *conditions,
            )
            for table, conditions in (
                (notifications, [_n.channel == Channel.LETTER]),
                (posted_letters, []),
            )
        ]
        returned = sa.union_all(*times).subquery("returned")
        day = sa.cast(sa.func.timezone(LONDON.key, returned.c.update_time), sa.Date).label("day")
        query = sa.select(day, sa.func.count()).group_by(day).order_by(day.desc())
        with self._uow.autocommit() as conn:
            return [(row[0], row[1]) for row in conn.execute(query)]

    def rows_of_job(
        self, service_id: str, job_id: str, states: Sequence[State], offset: int, limit: int
    ) -> tuple[list[Notification], int]:
        """Return messages of a job in the order of its rows, and how many there are in all; empty `states`
        mean all."""
        conditions = [_n.batch_id == job_id, _OF_JOB, _n.service_id == service_id]
        if states:
            conditions.append(_n.state.in_(states))
        page = _whole().where(*conditions).order_by(_n.row_number).offset(offset).limit(limit)
        with self._uow.begin() as conn:
            conn.exec_driver_sql(f"SET LOCAL statement_timeout = {_READ_MS}")
            count = conn.execute(sa.select(sa.func.count()).where(*conditions)).scalar_one()
            rows = conn.execute(page)
            return [_notification(row) for row in rows], count

    def cancellable_rows(self, job_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
        """Return (id, row_number) of letters of a job that are not printed or failed, after a row, in its
        order."""
        waiting = (State.CREATED, State.PENDING_VIRUS_CHECK)
        wanted = sa.select(sa.cast(_n.id, sa.Text).label("id"), _n.row_number).where(
            _n.batch_id == job_id, _n.row_number > after, _n.state.in_(waiting)
        )
        with self._uow.autocommit() as conn:
            return conn.execute(wanted.order_by(_n.row_number).limit(limit)).all()

    def position(self, service_id: str, notification_id: str) -> tuple[datetime, str] | None:
        """Return where a notification of the service stands in lists, or None if there is none."""
        query = sa.select(_n.create_time, sa.cast(_n.id, sa.Text)).where(
            _n.id == notification_id, _n.service_id == service_id
        )
        with self._uow.autocommit() as conn:
            row = conn.execute(query).first()
        return None if row is None else (row[0], row[1])


def _uploaded_letters(service_id: str, template_id: str, start: datetime) -> list[ColumnElement[bool]]:
    """What is true of letters that members uploaded as PDFs, all but cancelled ones."""
    return [
        _n.service_id == service_id,
        _n.created_by_id.is_not(None),
        _n.channel == Channel.LETTER.value,
        _n.template_id == template_id,
        _n.state != State.CANCELLED.value,
        _n.create_time >= start,
    ]


def _page_query(
    service_id: str, filters: Filters, before: tuple[datetime, str] | None, limit: int
) -> Select[Any]:
    """Return the newest notifications that pass the filters, each combination of which has an index in this
    order.

    Lists of channels or states become one index scan for each of their combinations, of which each ends after
    `limit` rows: a scan for several values at once would not be in the order of time.
    """
    conditions = [_n.service_id == service_id, _n.key_type == filters.key_type]
    if before is not None:
        conditions.append(sa.tuple_(_n.create_time, _n.id) < sa.tuple_(*map(sa.literal, before)))
    order = (_n.create_time.desc(), _n.id.desc())
    if filters.reference is not None or filters.batch_id:
        if filters.reference is not None:
            conditions += [reference_hash(_n.reference) == reference_hash(filters.reference)]
            conditions += [_n.reference == filters.reference]
        if filters.batch_id:
            conditions.append(_n.batch_id == filters.batch_id)
        if filters.channels:
            conditions.append(_n.channel.in_(filters.channels))
        if filters.states:
            conditions.append(_n.state.in_(filters.states))
        return _whole().where(*conditions).order_by(*order).limit(limit)
    if not filters.channels and not filters.states:
        return _whole().where(*conditions).order_by(*order).limit(limit)
    scans = [
        sa.select(_n.id, _n.create_time)
        .where(*conditions, _n.channel == channel, _n.state == state)
        .order_by(*order)
        .limit(limit)
        .subquery()
        .select()
        for channel in filters.channels or list(Channel)
        for state in filters.states or list(State)
    ]
    every = sa.union_all(*scans).subquery()
    newest = (
        sa.select(every.c.id).order_by(every.c.create_time.desc(), every.c.id.desc()).limit(limit).subquery()
    )
    return _whole().join(newest, _n.id == newest.c.id).order_by(*order)


_STORED_SIZES: Final = prepared(
    sa.select(
        sa.cast(_n.id, sa.Text).label("id"), sa.func.pg_column_size(_n.personalisation).label("size")
    ).where(one_of(_n.id, "ids"))
)


def stored_sizes(conn: Tx, ids: Sequence[str]) -> dict[str, int]:
    """Return how many bytes what clients wrote takes as it is stored, by id, without reading it."""
    return {row.id: row.size for row in conn.execute(_STORED_SIZES, {"ids": list(ids)})}


def outgoing(conn: Tx, ids: Sequence[str]) -> dict[str, Outgoing]:
    """Return what the next context is given of notifications, by id; those that don't exist are left out."""
    return _outgoing_by_id(conn, _OUTGOING, ids)


def small_outgoing(conn: Tx, ids: Sequence[str]) -> dict[str, Outgoing]:
    """Return the same of those whose clients wrote at most 2 kB: all of a claim may be read at once."""
    return _outgoing_by_id(conn, _SMALL_OUTGOING, ids)


def _outgoing_by_id(conn: Tx, query: Select[Any], ids: Sequence[str]) -> dict[str, Outgoing]:
    rows = conn.execute(query, {"ids": list(ids)}).all()
    found = (Outgoing(*_converted(row, _OUTGOING_CONVERSIONS)) for row in rows)
    return {one.id: one for one in found}


def _activity_query(
    service_id: str,
    filters: ActivityFilters,
    before: tuple[datetime, str] | None,
    offset: int,
    limit: int,
) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [_n.service_id == service_id]
    if before is not None:
        conditions.append(sa.tuple_(_n.create_time, _n.id) < sa.tuple_(*map(sa.literal, before)))
    if filters.since is not None:
        conditions.append(_n.create_time >= filters.since)
    if filters.by_keys_alone:
        conditions.append(_n.api_key_id.is_not(None))
    if filters.search:
        written = (_n.normalised_recipient, _n.reference)
        conditions.append(sa.or_(*(column.icontains(filters.search, autoescape=True) for column in written)))
    kinds: list[list[ColumnElement[bool]]] = [[]]
    if filters.channels or filters.states:
        kinds = [
            [_n.channel == channel, _n.state == state]
            for channel in filters.channels or list(Channel)
            for state in filters.states or list(State)
        ]
    scans = [
        sa.select(_n.id, _n.create_time)
        .where(*conditions, _n.key_type == key_type, *kind)
        .order_by(_n.create_time.desc(), _n.id.desc())
        .limit(offset + limit)
        .subquery()
        .select()
        for key_type in filters.key_types
        for kind in kinds
    ]
    every = sa.union_all(*scans).subquery()
    wanted = sa.select(every.c.id).order_by(every.c.create_time.desc(), every.c.id.desc())
    newest = wanted.offset(offset).limit(limit).subquery()
    return _whole().join(newest, _n.id == newest.c.id).order_by(_n.create_time.desc(), _n.id.desc())


@record()
class HandedOver:
    """A notification that the next context took."""

    id: str
    fragment_count: int | None
    """Texts: fragments that it is billed as."""


_HANDED: Final[Types] = {"id": id_type(), "fragment_count": sa.Integer()}


def _mark_handed_over() -> Select[Any]:
    given = unnest_later("given", _HANDED)
    # locked in the order of ids, as everywhere, so that the consumers of events never wait in a circle
    wanted = sa.select(_n.id, _n.fragment_count.label("known"), given.c.fragment_count)
    found = wanted.where(_n.id == given.c.id).order_by(_n.id)
    locked = found.with_for_update(of=notifications).cte("locked")
    given_or_known = sa.func.coalesce(locked.c.fragment_count, _n.fragment_count)
    marked = (
        sa.update(notifications)
        .values(
            hand_over_time=sa.func.coalesce(_n.hand_over_time, sa.func.now()),
            # 0: no provider was asked for it
            fragment_count=sa.case((_n.fragment_count == 0, 0), else_=given_or_known),
        )
        .where(_n.id == locked.c.id)
        .returning(_n.id, _n.state, _n.fragment_count, locked.c.known)
        .cte("marked")
    )
    c = marked.c
    changed = c.fragment_count.is_distinct_from(c.known)
    return sa.select(c.id, c.known).where(c.state != State.CREATED, changed)


_MARK_HANDED_OVER: Final = prepared(_mark_handed_over())


def mark_handed_over(conn: Tx, handed: Sequence[HandedOver]) -> dict[str, int | None]:
    """Set the time of the hand-over and the fragments; doing it again keeps the first time.

    Returns the texts that events had moved on before, by id, with the fragments that they were counted with.
    """
    given = columns_given("given", _HANDED, [(one.id, one.fragment_count) for one in handed])
    return {row.id: row.known for row in conn.execute(_MARK_HANDED_OVER, given)}


_LOCK_PROGRESS: Final = prepared(
    sa.select(*(_n[name] for name in _PROGRESS)).where(one_of(_n.id, "ids")).order_by(_n.id).with_for_update()
)


def lock_progress(conn: Tx, ids: Sequence[str]) -> dict[str, Progress]:
    """Return where notifications stand, locked until the transaction ends; those that don't exist are left
    out.
    """
    rows = conn.execute(_LOCK_PROGRESS, {"ids": list(ids)}).all()
    return {row[0]: Progress(*_converted(row, _PROGRESS_CONVERSIONS)) for row in rows}


def set_send_at(tx: Tx, notification_id: str, time: datetime) -> None:
    """Write another time at which a locked notification is to be sent."""
    tx.execute(sa.update(notifications).values(send_at=time).where(_n.id == notification_id))


_SAVED: Final[Types] = {
    name: _n[name].type
    for name in (
        "id",
        "state",
        "sent_time",
        "update_time",
        "provider",
        "fragment_count",
        "sheet_count",
        "postage",
    )
}


def _save_progress() -> sa.Update:
    given = unnest_later("given", _SAVED)
    changes = {name: given.c[name] for name in _SAVED if name != "id"}
    return sa.update(notifications).values(changes).where(_n.id == given.c.id)


_SAVE_PROGRESS: Final = prepared(_save_progress())


def save_progress(conn: Tx, progress: Sequence[Progress]) -> None:
    """Write back what events changed, in one statement."""
    if progress:
        rows = [[getattr(one, name) for name in _SAVED] for one in progress]
        conn.execute(_SAVE_PROGRESS, columns_given("given", _SAVED, rows))


def _whole() -> Select[Any]:
    return sa.select(
        sa.cast(_n.id, sa.Text).label("id"),
        sa.cast(_n.service_id, sa.Text).label("service_id"),
        sa.cast(_n.template_id, sa.Text).label("template_id"),
        sa.cast(_n.created_by_id, sa.Text).label("created_by_id"),
        sa.cast(_n.api_key_id, sa.Text).label("api_key_id"),
        *(column for column in notifications.c if column.name not in _NOT_AS_THEY_ARE),
        sa.case((_OF_JOB, sa.cast(_n.batch_id, sa.Text))).label("job_id"),
        _JOB_NAME,
        _SMS_RATE,
        _LETTER_RATE,
    )


_FEW_BYTES: Final = 2048
_OUTGOING: Final = prepared(sa.select(*(_n[name] for name in _OUTGOING_NAMES)).where(one_of(_n.id, "ids")))
_SMALL_OUTGOING: Final = prepared(
    sa.select(*(_n[name] for name in _OUTGOING_NAMES)).where(
        one_of(_n.id, "ids"),
        # not compressed, so that its stored size is its own
        sa.func.pg_column_compression(_n.personalisation).is_(None),
        sa.func.pg_column_size(_n.personalisation) <= _FEW_BYTES,
    )
)


def _notification(row: Row[Any]) -> Notification:
    read = [row._mapping[name] for name in _OUTGOING_NAMES]
    values = dict(zip(_OUTGOING_NAMES, _converted(read, _OUTGOING_CONVERSIONS), strict=True))
    return Notification(
        **values,
        reference=row.reference,
        hand_over_time=row.hand_over_time,
        sent_time=row.sent_time,
        update_time=row.update_time,
        provider=row.provider,
        phone_prefix=row.phone_prefix,
        api_key_id=row.api_key_id,
        billable=Billable(
            channel=values["channel"],
            key_type=values["key_type"],
            state=values["state"],
            fragment_count=row.fragment_count,
            rate_multiplier=row.rate_multiplier,
            sms_rate_micropounds=row.sms_rate,
            sheet_count=row.sheet_count,
            letter_rate_micropounds=row.letter_rate,
        ),
        send_at=row.send_at,
        job_id=row.job_id,
        job_name=row.job_name,
        row_number=row.row_number,
    )
