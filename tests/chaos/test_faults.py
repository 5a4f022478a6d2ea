"""Almost all faults in a row, with few messages each: nothing is lost, nothing is doubled (design.md §3.10).

`make chaos` does all of them, with more messages and for longer.
"""

import os
import signal
import uuid
from contextlib import closing

import psycopg2
from notify_local.stack import LOAD_BALANCER, SIDECAR, original
from notify_testing.waiting import until

from tests.chaos.faults import FAULTS, ROLLING, execute, faults_of, superuser_url
from tests.chaos.run import Census, Sent, run, senders, table
from tests.harness.house import Accepted, House

MESSAGES = 30
HOLD_SECONDS = 1.0


def test_no_process_and_no_server_is_left_out(house: House) -> None:
    faults = faults_of(house)
    processes = {original(name) for name in house.stack.processes}
    parts = processes | {server.name for server in house.stack.backing}
    assert parts <= {name for fault in faults for name in fault.hits}
    assert {f"kill-{name}" for name in parts} <= {fault.name for fault in faults}
    released = {name for name in processes if not name.startswith((SIDECAR, LOAD_BALANCER))}
    assert {name for names in ROLLING for name in names} == released
    assert len({fault.name for fault in faults}) == len(faults)


def test_whatever_fails_nothing_is_lost_and_nothing_doubled(house: House) -> None:
    said: list[str] = []
    quick = [fault for fault in faults_of(house) if not fault.slow]
    done, verdict = run(house, quick, MESSAGES, HOLD_SECONDS, redis_too=False, say=said.append)
    assert verdict.clean, "\n".join([*said, table(done, verdict)])


def test_the_census_sees_what_is_lost_doubled_unasked_and_miscounted(house: House) -> None:
    census = Census(house, settle_seconds=0)
    with senders(house) as sender:
        arrived, doubled, unasked = (sender.send_text(number) for number in range(3))
    house.wait_for_states([arrived.id, doubled.id, unasked.id], "delivered")
    lost = Accepted(str(uuid.uuid4()), tries=1, seconds=0)
    sent = [Sent(FAULTS[0], [arrived, doubled, lost])]
    miscount = (
        "UPDATE service_day_counters SET count = count {} 1 WHERE (service_id, day, counter, shard) = "
        "(SELECT service_id, day, counter, shard FROM service_day_counters ORDER BY 1, 2, 3, 4 LIMIT 1)"
    )
    house.mmg.taken[doubled.id] += 1
    execute(house, "notifications", miscount.format("+"))
    try:
        verdict = census.take(sent, redis_too=False)
    finally:
        execute(house, "notifications", miscount.format("-"))
        del house.mmg.taken[doubled.id]
    assert (verdict.lost, verdict.doubled) == ({FAULTS[0].name: [lost.id]}, {FAULTS[0].name: [doubled.id]})
    assert verdict.unasked == {unasked.id}
    assert [found - wanted for wanted, found in verdict.counters.values()] == [1]
    assert not verdict.clean
    sent[0].accepted = [arrived, doubled, unasked]
    assert census.take(sent, redis_too=False).clean


def test_a_database_that_crashes_logs_nothing_of_a_message(house: House) -> None:
    mark = f"of a person {uuid.uuid4()}"
    log = house.stack.folder / "postgres" / "log"
    with closing(psycopg2.connect(superuser_url(house, "notifications"))) as connection:
        connection.cursor().execute("SELECT %s", (mark,))
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: f"(PID {pid}) was terminated by signal 9" in log.read_text(errors="replace"))
    assert mark not in log.read_text(errors="replace")
    with senders(house) as sender:
        house.wait_for_states([sender.send_text(0).id], "delivered")
