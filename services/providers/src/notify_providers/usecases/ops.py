"""The queues of this context, as operators know them."""

from collections.abc import Sequence
from typing import Any, Final

from notify_common.db.unit_of_work import Tx
from notify_common.enums import Channel
from notify_common.ops.queues import Ops, OpsQueue

from notify_providers.domain.dispatch import State
from notify_providers.domain.receipts import Kind
from notify_providers.store import dispatches
from notify_providers.store.dispatches import Change, Event
from notify_providers.store.tables import dispatch_queue, ops, sandbox_receipt_queue

_SHOWN: Final = frozenset({"service_id", "key_type", "state", "create_time", "expire_time", "lane"})


def _fail(tx: Tx, rows: Sequence[Any]) -> None:
    """End dispatches as failed; whoever handed them over is told so."""
    ids = [row.id for row in rows]
    dispatches.close_open_attempts(tx, ids)
    dispatches.change_states(tx, [Change(id, State.FAILED, None, keeps_content=False) for id in ids])
    failed = [Event(row.id, Channel(row.channel), Kind.TECHNICAL_FAILURE, "") for row in rows]
    dispatches.append_events(tx, failed)


OPS: Final = Ops(
    ops,
    [
        *(OpsQueue(dispatch_queue, {"channel": channel}, shown=_SHOWN, drop=_fail) for channel in Channel),
        OpsQueue(sandbox_receipt_queue, shown=frozenset({"provider"}), drop=sandbox_receipt_queue.drop),
    ],
)
