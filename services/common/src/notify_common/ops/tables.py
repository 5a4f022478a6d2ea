"""The tables behind OpsService: pauses, which claims look at, workers that run, and what operators did."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import JSONB

from notify_common.db.columns import id_column
from notify_common.leases.table import NO_SERVICE

_INSTANT = sa.DateTime(timezone=True)


@dataclass(frozen=True, slots=True)
class OpsTables:
    """The tables of one context.

    Attributes:
        pauses: one row a pause: of a whole queue, where the service is NO_SERVICE, or of one service in it.
        workers: one row a worker that runs, or died without saying so.
        actions: one row for each change that somebody made; kept for good, as nothing else says who did it.
    """

    pauses: Table
    workers: Table
    actions: Table


def ops_tables(metadata: MetaData) -> OpsTables:
    """Return the tables, added to a context's own. Its migration makes them with `create_ops_tables`."""
    tables = OpsTables(
        Table("queue_pauses", metadata, *_pause_columns()),
        Table("workers", metadata, *_worker_columns()),
        Table("ops_actions", metadata, *_action_columns()),
    )
    Index("ix_workers_beat_time", tables.workers.c.beat_time)
    return tables


def create_ops_tables(op: Any) -> None:
    """Make the tables in a migration; `op` is Alembic's."""
    op.create_table("queue_pauses", *_pause_columns())
    op.create_table("workers", *_worker_columns())
    op.create_table("ops_actions", *_action_columns())
    op.create_index("ix_workers_beat_time", "workers", ["beat_time"])


def _pause_columns() -> list[Column[Any]]:
    return [
        Column("queue", sa.Text, primary_key=True),
        id_column("service_id", primary_key=True, server_default=NO_SERVICE),
        Column("create_time", _INSTANT, nullable=False, server_default=sa.func.now()),
    ]


def _worker_columns() -> list[Column[Any]]:
    return [
        Column("process", sa.Text, primary_key=True),
        Column("name", sa.Text, primary_key=True),
        Column("start_time", _INSTANT, nullable=False, server_default=sa.func.now()),
        Column("beat_time", _INSTANT, nullable=False, server_default=sa.func.now()),
        Column("busy_seconds", sa.Double, nullable=False),
        Column("handled_count", sa.BigInteger, nullable=False),
        Column("failing", sa.Boolean, nullable=False),
    ]


def _action_columns() -> list[Column[Any]]:
    return [
        Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        Column("create_time", _INSTANT, nullable=False, server_default=sa.func.now()),
        Column("action", sa.Text, nullable=False),
        Column("queue", sa.Text, nullable=False),
        Column("caller", sa.Text, nullable=False),
        Column("request_id", sa.Text, nullable=False),
        Column("reason", sa.Text, nullable=False),
        id_column("service_id"),
        Column("keys", JSONB, nullable=False),
        Column("cause", sa.Text, nullable=False),
        Column("count", sa.Integer, nullable=False),
    ]
