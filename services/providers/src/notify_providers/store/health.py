"""Statements on how providers do: their calls and receipts, and what was found of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
from notify_common.db.arrays import unnest
from notify_common.db.unit_of_work import Tx
from sqlalchemy.dialects.postgresql import insert

from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.health import (
    BUCKET_SECONDS,
    FIRST_PROBE_SECONDS,
    LATE_SECONDS,
    Calls,
    Health,
    probe_seconds,
)
from notify_providers.domain.receipts import Kind
from notify_providers.domain.routing import Condition
from notify_providers.store.tables import attempts, provider_calls, provider_health, receipts

_SAMPLE = 2_000


def count_calls(conn: Tx, calls: Mapping[str, Calls]) -> None:
    """Count calls that ended, by the clock of the database."""
    if not calls:
        return
    new = unnest(
        "new",
        {"provider": sa.Text(), "ended": sa.Integer(), "failed": sa.Integer(), "slow": sa.Integer()},
        [(name, one.ended, one.failed, one.slow) for name, one in sorted(calls.items())],
    )
    width = sa.literal_column(f"interval '{BUCKET_SECONDS} seconds'", sa.Interval)
    begin = sa.func.date_bin(width, sa.func.now(), sa.literal_column("timestamptz 'epoch'"))
    statement = insert(provider_calls).from_select(
        ["provider", "begin_time", "ended", "failed", "slow"],
        sa.select(new.c.provider, begin, new.c.ended, new.c.failed, new.c.slow).order_by(new.c.provider),
    )
    counted = statement.excluded
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "begin_time"],
            set_={name: provider_calls.c[name] + counted[name] for name in ("ended", "failed", "slow")},
        )
    )


def recent_calls(conn: Tx, seconds: float, *, since_found: bool) -> dict[str, Calls]:
    """Return the calls of the last seconds by provider.

    Args:
        since_found: whether those from before the provider was last found healthy are left out.
    """
    t, h = provider_calls, provider_health
    statement = sa.select(
        t.c.provider,
        sa.func.sum(t.c.ended).label("ended"),
        sa.func.sum(t.c.failed).label("failed"),
        sa.func.sum(t.c.slow).label("slow"),
    ).where(t.c.begin_time > sa.func.now() - timedelta(seconds=seconds))
    if since_found:
        statement = statement.outerjoin_from(t, h, h.c.provider == t.c.provider).where(
            sa.or_(h.c.provider.is_(None), h.c.condition != Condition.HEALTHY, t.c.begin_time >= h.c.since)
        )
    rows = conn.execute(statement.group_by(t.c.provider))
    return {row.provider: Calls(int(row.ended), int(row.failed), int(row.slow)) for row in rows}


def list_all(conn: Tx, *, lock: bool = False) -> dict[str, Health]:
    """Return how providers were found to do; one that never did badly is not among them.

    Args:
        lock: whether nobody else shall change that until the transaction ends.
    """
    statement = sa.select(provider_health).order_by(provider_health.c.provider)
    rows = conn.execute(statement.with_for_update() if lock else statement)
    return {row.provider: Health(Condition(row.condition), row.passed, row.probes) for row in rows}


def save(conn: Tx, provider: str, health: Health, *, changed: bool) -> None:
    """Write how a provider does. `changed` says whether its condition did, from when on it then counts.

    The next probe follows soon after one that went well, however long the ones before had been apart.
    """
    values = {"condition": health.condition, "passed": health.passed, "probes": health.probes}
    first = sa.func.now() + timedelta(seconds=FIRST_PROBE_SECONDS)
    statement = insert(provider_health).values(provider=provider, **values, probe_at=first)
    since = {"since": sa.func.now()} if changed else {}
    probe = {"probe_at": first} if changed or health.passed else {}
    conn.execute(
        statement.on_conflict_do_update(index_elements=["provider"], set_={**values, **since, **probe})
    )


def claim_probes(conn: Tx, names: Collection[str]) -> set[str]:
    """Take the probes that are due of these providers; return of which this transaction may make one."""
    taken = conn.execute(
        sa.select(provider_health.c.provider, provider_health.c.probes)
        .where(
            provider_health.c.provider.in_(sorted(names)),
            provider_health.c.condition != Condition.HEALTHY,
            provider_health.c.probe_at <= sa.func.now(),
        )
        .with_for_update(skip_locked=True)
    ).all()
    for row in taken:
        conn.execute(
            sa.update(provider_health)
            .where(provider_health.c.provider == row.provider)
            .values(
                probes=row.probes + 1,
                probe_at=sa.func.now() + timedelta(seconds=probe_seconds(row.probes)),
            )
        )
    return {row.provider for row in taken}


def late_receipts(conn: Tx, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return how many messages each provider reported late or not yet, and how many were looked at.

    Looked at are up to 2,000 of each that it took between 15 and 5 minutes ago: old enough to be judged.
    """
    found: dict[str, tuple[int, int]] = {}
    for name in names:
        taken = (
            sa.select(attempts.c.dispatch_id, attempts.c.end_time)
            .where(
                attempts.c.start_time > sa.func.now() - timedelta(seconds=3 * LATE_SECONDS),
                attempts.c.start_time < sa.func.now() - timedelta(seconds=LATE_SECONDS),
                attempts.c.end_time < sa.func.now() - timedelta(seconds=LATE_SECONDS),
                attempts.c.provider == name,
                attempts.c.outcome == Outcome.ACCEPTED,
            )
            .limit(_SAMPLE)
            .subquery()
        )
        in_time = (
            sa.select(receipts.c.id)
            .where(
                receipts.c.dispatch_id == taken.c.dispatch_id,
                receipts.c.provider == name,
                receipts.c.kind != Kind.PENDING,
                receipts.c.receive_time < taken.c.end_time + timedelta(seconds=LATE_SECONDS),
            )
            .exists()
        )
        late, looked_at = conn.execute(
            sa.select(sa.func.count().filter(~in_time), sa.func.count()).select_from(taken)
        ).one()
        found[name] = late, looked_at
    return found


def trim_calls(conn: Tx, limit: int = 5000) -> int:
    """Delete up to `limit` counts of calls of more than an hour ago; return how many."""
    old = (
        sa.select(provider_calls.c.provider, provider_calls.c.begin_time)
        .where(provider_calls.c.begin_time < sa.func.now() - timedelta(hours=1))
        .limit(limit)
        .subquery()
    )
    return conn.execute(
        sa.delete(provider_calls).where(
            provider_calls.c.provider == old.c.provider, provider_calls.c.begin_time == old.c.begin_time
        )
    ).rowcount
