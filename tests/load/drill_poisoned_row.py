"""What becomes of a row that its worker can't handle, and of those beside it: `make drill-poisoned-row`.

Starts the platform, pauses the queue of texts, sends one, makes what is stored of it unreadable, sends
TEXTS more, and lets the queue go on. Then finds the row as an operator does, mends it, and has it handed
over. Prints what the commands and calls say; ends with status 1 where one of the others did not arrive, or
the poisoned one was not given up, named, and handed over exactly once when it was mended.
"""

import sys
from contextlib import closing
from typing import Any, Final

from notify.common.v1 import ops_service_pb2 as pb
from notify.common.v1.ops_service_pb2_grpc import OpsServiceStub

from tests.chaos.faults import execute
from tests.chaos.run import senders
from tests.harness.drilling import drill_folder, drill_house, typed
from tests.harness.house import ASK_SECONDS, SETTLE_SECONDS, House, eventually

QUEUE: Final = "dispatches/sms"
TEXTS: Final = 40


def main() -> int:
    """Return the exit status: 0 where one row held up nobody and was handed over in the end."""
    with (
        drill_folder() as folder,
        drill_house(folder) as house,
        closing(house.channel("providers")) as channel,
    ):
        return _drill(house, OpsServiceStub(channel))


def _drill(house: House, ops: Any) -> int:
    with senders(house) as sender:
        ops.PauseQueue(pb.PauseQueueRequest(queue=QUEUE, reason="a drill"), timeout=ASK_SECONDS)
        poisoned = sender.send_text(0).id
        there = "SELECT count(*) FROM dispatches WHERE id = %s"
        if not eventually(lambda: house.query("providers", there, poisoned) == [(1,)], SETTLE_SECONDS):
            raise SystemExit("the text did not come to providers")
        # as a version would find it that does not know what another one has stored
        spoil = "UPDATE dispatches SET content = content || '{{\"colour\": 1}}' WHERE id = '{}'"
        execute(house, "providers", spoil.format(poisoned))
        others = [sender.send_text(number).id for number in range(1, TEXTS + 1)]
        ops.ResumeQueue(pb.ResumeQueueRequest(queue=QUEUE, reason="a drill"), timeout=ASK_SECONDS)
    house.wait_for_states(others, "delivered")
    print(f"{TEXTS} texts beside it were delivered")

    def parked() -> int:
        listed = ops.ListQueues(pb.ListQueuesRequest(), timeout=ASK_SECONDS).queues
        return next(int(queue.parked_count) for queue in listed if queue.name == QUEUE)

    given_up = eventually(lambda: parked() == 1, SETTLE_SECONDS)
    typed(house, "providers", "parked")
    causes = ops.ListParkedCauses(pb.ListParkedCausesRequest(queue=QUEUE), timeout=ASK_SECONDS).causes
    rows = ops.ListParkedRows(pb.ListParkedRowsRequest(queue=QUEUE), timeout=ASK_SECONDS).rows
    for row in rows:
        print(f"ListParkedRows: {row.key}, {row.cause}, attempt {row.attempt}")
    named = [cause.count for cause in causes] == [1] and [poisoned in row.key for row in rows] == [True]
    execute(house, "providers", f"UPDATE dispatches SET content = content - 'colour' WHERE id = '{poisoned}'")
    redrive = pb.RedriveParkedRowsRequest(queue=QUEUE, keys=[rows[0].key], reason="mended")
    again = ops.RedriveParkedRows(redrive, timeout=ASK_SECONDS)
    print(f"RedriveParkedRows: {again.redriven_count} put back, {again.parked_count} left")
    house.wait_for_states([poisoned], "delivered")
    copies = house.sandbox_copies()
    print(f"it was delivered, {copies[poisoned]} copy")
    actions = ops.ListActions(pb.ListActionsRequest(), timeout=ASK_SECONDS).actions
    for action in actions:
        print(f"ListActions: {action.action} of {action.queue} by {action.caller}: {action.reason}")
    once = all(copies[id] == 1 for id in (poisoned, *others))
    kept = given_up and named and once and [one.action for one in actions] == ["redrive", "resume", "pause"]
    print("nobody else was held up, and it was handed over once" if kept else "BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
