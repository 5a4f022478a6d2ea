"""Two of each process behind the edge and sidecars: no process is missed."""

from pathlib import Path

from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_local.stack import CONTEXTS

from tests.chaos.faults import NOTHING, Fault, killed
from tests.chaos.run import run, table
from tests.harness.house import running_house

MESSAGES = 60
SERVERS = (*CONTEXTS, PUBLIC_GATEWAY, INTERNAL_GATEWAY, "letters-beat")


def test_one_of_two_may_die_and_nothing_is_lost_or_doubled(stack_folder: Path) -> None:
    said: list[str] = []
    with running_house(stack_folder / "house", said.append, copies=2) as house:
        assert all(len(house.stack.copies_of(name)) == 2 for name in SERVERS)
        fault = Fault("kill-one-of-two", SERVERS, NOTHING, killed(*SERVERS), lasts=True)
        done, verdict = run(house, [fault], MESSAGES, 3.0, redis_too=False, say=said.append)
    assert verdict.clean, "\n".join([*said, table(done, verdict)])
