"""The queues of this context, as operators know them."""

from collections.abc import Sequence
from typing import Any, Final

from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.leases.table import FairQueue, Queue
from notify_common.ops.queues import Ops, OpsQueue

from notify_letters.domain.letter import not_rendered
from notify_letters.store import letters
from notify_letters.store.tables import ops, pdf_checks, print_batches, render_batches

_RENDERS: Final = FairQueue(render_batches, ["id"], pauses=ops.pauses)
_CHECKS: Final = FairQueue(pdf_checks, ["letter_id"], pauses=ops.pauses)
_SHOWN: Final = frozenset(
    {"service_id", "lane", "enqueued_until", "print_run_id", "number", "postage", "allow_international"}
    | {"letter_count", "page_count", "sheet_count", "taken_count", "manifest_sha256", "submit_time"}
)


def _fail_batches(tx: Tx, rows: Sequence[Any]) -> None:
    """Drop batches; those of their letters that wait for a PDF end as technical failures."""
    for row in rows:
        waiting = [letter.id for letter in letters.to_render(tx, row.id)]
        _fail(tx, waiting, row)
    _RENDERS.drop(tx, rows)


def _fail_checks(tx: Tx, rows: Sequence[Any]) -> None:
    """Drop checks; their letters end as technical failures."""
    for row in rows:
        _fail(tx, [row.letter_id], row)
    _CHECKS.drop(tx, rows)


def _fail(tx: Tx, letter_ids: Sequence[str], row: Any) -> None:
    outcomes = [not_rendered(id) for id in letter_ids]
    letters.record_outcomes(tx, outcomes, ids.new_id(), row.request_id or "", row.traceparent or "")


OPS: Final = Ops(
    ops,
    [
        OpsQueue(_RENDERS, shown=_SHOWN, drop=_fail_batches),
        OpsQueue(_CHECKS, shown=_SHOWN, drop=_fail_checks),
        # a run's letters are printed or stay: none is given up on the way
        OpsQueue(Queue(print_batches, ["id"], pauses=ops.pauses), shown=_SHOWN),
    ],
)
