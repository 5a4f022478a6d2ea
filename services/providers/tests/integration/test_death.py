"""Workers that die in the middle: nothing is lost or doubled unseen, doubts are listed (design.md §3.10)."""

import os
import sys
from pathlib import Path

from notify.providers.v1 import dispatch_pb2
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_local.backing import ChildProcess
from notify_providers.domain.message import NewDispatch
from notify_testing.rpc import InProcessServer, certificates

from . import fake_mmg
from .conftest import PAGE_SECRET, World, eventually
from .fake_mmg import FakeMmg
from .messages import SERVICE_ID, sms
from .test_receipts import record

COUNT = 40


def worker_process(world: World, folder: Path, **settings: object) -> ChildProcess:
    """Return a worker as it is deployed."""
    files = certificates()["providers"]
    values: dict[str, object] = {
        "database_url": world.url,
        "page_token_secret": PAGE_SECRET,
        "tls_ca_file": files.ca,
        "tls_cert_file": files.cert,
        "tls_key_file": files.key,
        "sandbox_receipt_delay_seconds": 0,
        **settings,
    }
    environment = {f"NOTIFY_PROVIDERS_{name.upper()}": str(value) for name, value in values.items()}
    command = [sys.executable, "-m", "notify_providers", "work", "--queues", "dispatch,sandbox"]
    return ChildProcess("worker", command, folder / "worker.log", {**os.environ, **environment})


def die(process: ChildProcess) -> None:
    """Die as by kill -9."""
    assert process.alive(), process.last_lines()
    process.kill()


def test_death_between_the_mark_and_the_call_loses_nothing(world: World, tmp_path: Path) -> None:
    messages = [sms() for _ in range(COUNT)]
    world.take_over(*messages)
    process = worker_process(world, tmp_path)
    with world.locked("sandbox_messages"):
        process.start()
        eventually(lambda: world.value("SELECT count(*) FROM attempts") == COUNT)
        die(process)
    assert world.states() == {"queued": COUNT}
    recover(world, [("unknown", "process_died"), ("accepted", "")], messages[0])


def test_death_between_the_call_and_its_record_doubles_nothing(world: World, tmp_path: Path) -> None:
    messages = [sms() for _ in range(COUNT)]
    world.take_over(*messages)
    process = worker_process(world, tmp_path, sandbox_receipt_delay_seconds=3600)
    with world.locked("delivery_events"):
        process.start()
        eventually(lambda: world.value("SELECT count(*) FROM sandbox_messages") == COUNT)
        die(process)
    assert world.states() == {"queued": COUNT}
    world.run("UPDATE sandbox_receipts SET due_at = now()")
    world.run("UPDATE dispatches SET leased_until = now() + interval '1 hour'")
    recover(world, [("unknown", "process_died"), ("accepted", "")], messages[0])


def recover(world: World, attempts: list[tuple[str | None, str]], sample: NewDispatch) -> None:
    """Let another worker come a minute later."""
    world.expire_leases()
    world.workers(world.parts(), "dispatch").settle()
    assert world.states() == {"sent": COUNT}
    world.workers(world.parts(), "sandbox").settle()
    copies = world.rows("SELECT copy_count, count(*) FROM sandbox_messages GROUP BY 1")
    assert copies == [(1, COUNT)]
    kinds = world.rows(
        "SELECT kind, count(*), count(DISTINCT dispatch_id) FROM delivery_events GROUP BY 1 ORDER BY 1"
    )
    assert kinds == [("delivered", COUNT, COUNT), ("sent", COUNT, COUNT)]
    assert world.attempts(sample.id) == attempts


def test_repeated_deaths_under_load_lose_and_double_nothing(world: World, tmp_path: Path) -> None:
    total = 2_000
    for _ in range(total // 500):
        world.take_over(*(sms() for _ in range(500)))
    for share in (0, 1, 2, 3):
        process = worker_process(world, tmp_path, dispatch_window=50)
        process.start()
        wanted = 1 + share * total // 5
        eventually(lambda wanted=wanted: world.states().get("sent", 0) >= wanted)
        die(process)
        world.expire_leases()
    process = worker_process(world, tmp_path)
    process.start()
    delivered = "SELECT count(*) FROM delivery_events WHERE kind = 'delivered'"
    eventually(lambda: world.value(delivered) == total)
    process.stop()
    assert process.exit_status() == 0
    assert world.states() == {"sent": total}
    assert world.rows("SELECT copy_count, count(*) FROM sandbox_messages GROUP BY 1") == [(1, total)]
    assert world.rows("SELECT kind, count(*) FROM delivery_events GROUP BY 1 ORDER BY 1") == [
        ("delivered", total),
        ("sent", total),
    ]


def test_calls_under_way_at_a_death_are_held_listed_and_resolved(
    world: World, mmg: FakeMmg, server: InProcessServer, tmp_path: Path
) -> None:
    hanging = [sms("447700900001") for _ in range(3)]
    quick = [sms("447700900002") for _ in range(20)]
    mmg.script("447700900001", *[fake_mmg.HANG] * 3)
    world.take_over(*quick, *hanging)
    settings = {**mmg.variables, "provider_timeout_seconds": 30}
    process = worker_process(world, tmp_path, **settings)
    process.start()
    eventually(lambda: mmg.hanging == 3 and world.states() == {"sent": 20, "queued": 3})
    die(process)
    mmg.release()
    later = [sms("447700900003") for _ in range(5)]
    world.take_over(*later)

    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"sent": 25, "queued": 3}, "the leases still last"
    world.expire_leases()
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"sent": 25, "queued": 3}, "receipts are waited for"
    world.hold_at_once("mmg")
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"sent": 25, "in-doubt": 3}
    assert len(mmg.ids) == len(set(mmg.ids)) == 28

    stub = DispatchServiceStub(server.channel("operator"))
    listed = stub.ListDispatches(pb.ListDispatchesRequest(state=dispatch_pb2.Dispatch.STATE_IN_DOUBT))
    ids = [message.id for message in hanging]
    assert sorted(dispatch.id for dispatch in listed.dispatches) == sorted(ids)
    for dispatch_id, resolution in zip(
        ids,
        (
            pb.ResolveDispatchRequest.RESOLUTION_MARK_SENT,
            pb.ResolveDispatchRequest.RESOLUTION_RETRY,
            pb.ResolveDispatchRequest.RESOLUTION_RETRY,
        ),
        strict=True,
    ):
        stub.ResolveDispatch(
            pb.ResolveDispatchRequest(service_id=SERVICE_ID, dispatch_id=dispatch_id, resolution=resolution)
        )
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"sent": 28}
    assert [mmg.ids.count(dispatch_id) for dispatch_id in ids] == [1, 2, 2]
    assert all(world.kinds(message.id) == ["sent"] for message in hanging)
    assert world.attempts(hanging[0].id) == [("unknown", "process_died")]
    assert world.attempts(hanging[1].id) == [("unknown", "released"), ("accepted", "")]


def test_a_receipt_settles_what_the_death_of_a_worker_left_open(
    world: World, mmg: FakeMmg, server: InProcessServer, tmp_path: Path
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    process = worker_process(world, tmp_path, **{**mmg.variables, "provider_timeout_seconds": 30})
    process.start()
    eventually(lambda: mmg.hanging == 1)
    die(process)
    assert record(server, message.id, status="3")
    world.expire_leases()
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"sent": 1}
    assert world.kinds(message.id) == ["sent", "delivered"]
    assert mmg.ids == [message.id]


def test_an_outcome_that_comes_after_the_lease_was_lost_still_counts(world: World, mmg: FakeMmg) -> None:
    world.hold_at_once("mmg")
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    slow = world.parts(**mmg.settings, dispatch_window=1)  # no room to claim it again itself
    with world.workers(slow).running():
        eventually(lambda: mmg.hanging == 1)
        world.expire_leases()
        world.workers(world.parts(**mmg.settings)).settle()
        assert world.states() == {"in-doubt": 1}
        mmg.release()
        eventually(lambda: world.states() == {"sent": 1})
    assert world.kinds(message.id) == ["sent"]
    assert world.attempts(message.id) == [("accepted", "")]
    assert mmg.ids == [message.id]


def test_a_failure_that_comes_after_the_lease_was_lost_decides_nothing(world: World, mmg: FakeMmg) -> None:
    world.hold_at_once("mmg")
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    slow = world.parts(**mmg.settings, provider_timeout_seconds=1, dispatch_window=1)
    with world.workers(slow).running():
        eventually(lambda: mmg.hanging == 1)
        world.expire_leases()
        world.workers(world.parts(**mmg.settings)).settle()
        assert world.states() == {"in-doubt": 1}
        eventually(lambda: world.attempts(message.id) == [("unknown", "timeout")])
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"in-doubt": 1}
    assert mmg.ids == [message.id]


def test_a_worker_does_not_begin_a_call_again_that_it_is_still_making(world: World, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.send_again_at_once("mmg")
    world.take_over(message)
    with world.workers(world.parts(**mmg.settings)).running():
        eventually(lambda: mmg.hanging == 1)
        world.expire_leases()
        eventually(lambda: world.value("SELECT attempt FROM dispatches") == 2)
        mmg.release()
        eventually(lambda: world.states() == {"sent": 1})
    assert mmg.ids == [message.id]
    assert world.attempts(message.id) == [("accepted", "")]
    assert world.kinds(message.id) == ["sent"]
