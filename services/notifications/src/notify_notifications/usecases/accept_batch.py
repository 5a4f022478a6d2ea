"""Accepting up to 100,000 messages of one request, a part at a time (docs/adr/0026)."""

from collections.abc import Sequence

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.logging import get_logger

from notify_notifications.domain.batch import LEASE, Batch, check_repeat
from notify_notifications.domain.cost import too_dear
from notify_notifications.domain.notification import State
from notify_notifications.store import batches
from notify_notifications.store.acceptance import IDEMPOTENCY_KEY_LIFETIME, Asked, key_hash
from notify_notifications.usecases.prepare import SendCommand
from notify_notifications.usecases.pricing import most_cost
from notify_notifications.usecases.reserve import admit_batch
from notify_notifications.usecases.send import (
    UNKNOWN_OUTCOMES,
    Looked,
    SendingParts,
    find_service,
    prepare,
    send_messages,
)
from notify_notifications.usecases.usage import get_prices


def open_batch(
    uow: UnitOfWork,
    parts: SendingParts,
    asked: Batch,
    idempotency_key: str,
    cost_micropounds: int = 0,
    max_cost_micropounds: int | None = None,
) -> tuple[Batch, bytes | None]:
    """Begin a batch or go on with the one that its key began; return it, and for a complete one its answer.

    Idempotent by (service, idempotency key) for 24 hours, and by run. One that was begun goes on whatever it
    would cost by now: some of it may be stored.

    Raises:
        NotifyError: SERVICE_NOT_FOUND, RATE_LIMITED, REQUEST_ID_REUSED, BATCH_RUNNING; COST_ABOVE_MAXIMUM,
            and no batch is begun.
    """
    service = find_service(parts.snapshots, asked.service_id)
    admit_batch(parts.limits, service, asked.key_type)
    hashed = key_hash(idempotency_key)
    assert hashed is not None  # noqa: S101 - the proto's rule
    now = clock.now()
    with uow.begin() as tx:
        kept = batches.begin(tx, asked, hashed, now - IDEMPOTENCY_KEY_LIFETIME)
        if kept is None:
            if max_cost_micropounds is not None and cost_micropounds > max_cost_micropounds:
                # nothing of this transaction stays
                raise too_dear(cost_micropounds, max_cost_micropounds)
            return asked, None
        check_repeat(kept, asked, now)
        if kept.complete_time is not None:
            return kept, batches.answer_of(tx, kept.id)
        batches.take_over(tx, kept.id, asked.run_id, now + LEASE)
    return kept, None


def accept_rows(
    uow: UnitOfWork,
    parts: SendingParts,
    batch_id: str,
    run_id: str,
    commands: Sequence[SendCommand],
    *,
    is_repeat: bool,
    max_cost_micropounds: int | None = None,
) -> list[NotifyError | None]:
    """Accept messages of a batch; return for each why it is refused, or None.

    Idempotent by the messages' ids, which are made of batch and row: what an earlier call stored is accepted
    whatever the rules and limits say now.

    Args:
        commands: 1 to 500, of the batch's service.
        is_repeat: whether an earlier call may have stored some of them.
        max_cost_micropounds: of all of them together, those included that an earlier call stored.

    Raises:
        NotifyError: BATCH_RUNNING where the run has lost the batch; UNAVAILABLE or DEADLINE_EXCEEDED where
            some may be stored and some not.
    """
    service_id = commands[0].caller.service_id
    with uow.begin() as tx:
        if not batches.renew(tx, service_id, batch_id, run_id, clock.now() + LEASE):
            raise NotifyError("BATCH_RUNNING", retry_after=LEASE)
    refusals: list[NotifyError | None] = [None] * len(commands)
    waiting = list(range(len(commands)))
    if is_repeat:
        asked = [Asked(one.request_id, service_id, None) for one in commands]
        earlier = parts.store.find_earlier(asked)
        waiting = [number for number in waiting if earlier[number] is None]
    if max_cost_micropounds is not None and len(waiting) < len(commands):
        left = set(waiting)
        stored = [command for number, command in enumerate(commands) if number not in left]
        max_cost_micropounds = max(0, max_cost_micropounds - price_rows(parts, stored))
    if waiting:
        decisions = send_messages(
            parts, [commands[number] for number in waiting], max_cost_micropounds=max_cost_micropounds
        )
        for number, decision in zip(waiting, decisions, strict=True):
            if isinstance(decision.result, NotifyError):
                if decision.result.reason in UNKNOWN_OUTCOMES:
                    raise decision.result
                refusals[number] = decision.result
    refused = sum(refusal is not None for refusal in refusals)
    get_logger().info(
        "rows of a batch decided", batch_id=batch_id, count=len(commands), refused_count=refused
    )
    return refusals


def price_rows(parts: SendingParts, commands: Sequence[SendCommand]) -> int:
    """Return what messages could cost together, in millionths of a pound: of those that would be refused
    nothing, limits left aside.

    Raises:
        NotifyError: SERVICE_NOT_FOUND; UNAVAILABLE or DEADLINE_EXCEEDED where that can't be told now.

    Args:
        commands: of one service.
    """
    looked = Looked(parts.snapshots)
    service = looked.service(commands[0].caller.service_id)
    prices = get_prices(parts.uow)
    total = 0
    for command in commands:
        prepared = prepare(parts, looked, service, command)
        if prepared.refusal is not None and prepared.refusal.reason in UNKNOWN_OUTCOMES:
            raise prepared.refusal
        cost = most_cost(prices, service, command, prepared)
        if command.max_cost_micropounds is None or cost <= command.max_cost_micropounds:
            total += cost
    return total


def finish_batch(uow: UnitOfWork, batch_id: str, run_id: str, accepted_count: int, answer: bytes) -> Batch:
    """Keep how a batch ended. Repeating it changes nothing. Raises NotifyError BATCH_RUNNING."""
    with uow.begin() as tx:
        kept = batches.complete(tx, batch_id, run_id, clock.now(), accepted_count, answer)
    if kept is None:
        raise NotifyError("BATCH_RUNNING", retry_after=LEASE)
    return kept


def leave_batch(uow: UnitOfWork, batch_id: str, run_id: str) -> None:
    """Let others take over a run's batch. Repeating it changes nothing."""
    with uow.begin() as tx:
        batches.end_lease(tx, batch_id, run_id, clock.now())


def get_batch(uow: UnitOfWork, service_id: str, batch_id: str) -> tuple[Batch, dict[State, int]]:
    """Return a batch and how many of its messages stand in each state. Raises NotifyError BATCH_NOT_FOUND."""
    with uow.begin() as tx:
        found = batches.batch_of(tx, service_id, batch_id)
        if found is None:
            raise NotifyError("BATCH_NOT_FOUND")
        return found, batches.state_counts(tx, [batch_id])[batch_id]
