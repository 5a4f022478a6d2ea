"""What is scripted in the sandbox happens, and ends as it is declared."""

import pytest
from notify.providers.v1 import sandbox_service_pb2 as pb
from notify.providers.v1.sandbox_service_pb2_grpc import SandboxServiceStub
from notify_providers.domain import sandbox
from notify_providers.domain.sandbox import FAULTS, Fault
from notify_testing.rpc import InProcessServer

from .conftest import World, eventually
from .messages import email, letter, sms

KINDS = {
    Fault.REFUSED: ["technical-failure"],
    Fault.LOST_ANSWER: ["sent", "delivered"],
    Fault.BUSY_TWICE: ["sent", "delivered"],
    Fault.DOWN: ["technical-failure"],
    Fault.NO_RECEIPT: ["sent"],
    Fault.REPEATED_RECEIPT: ["sent", "delivered"],
    Fault.MIXED_RECEIPTS: ["sent", "delivered", "pending"],
    Fault.TEMPORARY_FAILURE: ["sent", "temporary-failure"],
    Fault.PERMANENT_FAILURE: ["sent", "permanent-failure"],
    Fault.DELAYED: ["sent", "pending", "delivered"],
    Fault.LATE_RECEIPT: ["sent", "delivered"],
    Fault.SLOW: ["sent", "delivered"],
}
LATE = {Fault.DELAYED: 30, Fault.LATE_RECEIPT: 60}


def test_each_fault_gives_its_events_on_every_channel(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SLOW_SECONDS", 0.05)
    sent = {
        one.fault: [sms(f"44{one.number}"), email(one.address.upper()), letter(one.line)] for one in FAULTS
    }
    world.take_over(*(message for messages in sent.values() for message in messages))
    workers = world.workers(world.parts())
    workers.settle()
    for fault, seconds in LATE.items():
        for message in sent[fault]:
            assert world.kinds(message.id) == KINDS[fault][:-1]
            due = world.value(
                "SELECT extract(epoch FROM due_at - now()) FROM sandbox_receipts WHERE message_id = :id",
                id=message.id,
            )
            assert seconds - 20 < due <= seconds
    world.run("UPDATE sandbox_receipts SET due_at = now()")
    workers.settle()
    found = {fault: [world.kinds(message.id) for message in messages] for fault, messages in sent.items()}
    assert found == {fault: [kinds] * 3 for fault, kinds in KINDS.items()}
    assert world.value("SELECT max(copy_count) FROM sandbox_messages") == 1


def test_a_slow_answer_keeps_nobody_else_waiting(world: World) -> None:
    slow, other = sms("447700900912"), sms()
    world.take_over(slow, other)
    workers = world.workers(world.parts(), "dispatch")
    eventually(lambda: workers.step() > 0 and world.states().get("sent") == 1)
    assert world.attempts(slow.id) == [(None, "")]
    assert world.kinds(other.id) == ["sent"]


def test_the_faults_are_listed_for_people(server: InProcessServer) -> None:
    stub = SandboxServiceStub(server.channel("gateway-internal"))
    listed = stub.ListSandboxFaults(pb.ListSandboxFaultsRequest()).faults
    assert [(one.name, one.email_address, one.status) for one in listed] == [
        (one.fault, one.address, one.status) for one in FAULTS
    ]
