"""Messages for which no provider is called after a time (design.md §3.5)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common import clock
from notify_common.enums import Channel
from notify_providers.clients.base import Report
from notify_providers.domain.message import Message, NewDispatch
from notify_providers.domain.suppression import address_hash
from notify_providers.usecases.dispatcher import Dispatcher
from notify_testing.rpc import InProcessServer

from . import fake_mmg
from .conftest import World
from .fake_mmg import FakeMmg
from .messages import sms, sms_proto
from .test_receipts import record


def text(seconds: float) -> NewDispatch:
    """Return a text that may be sent for so long from now."""
    return replace(sms(), deliver_by=clock.now() + timedelta(seconds=seconds))


def its_time_is_over(world: World) -> None:
    world.run("UPDATE dispatches SET deliver_by = now(), due_at = least(due_at, now())")


def test_nobody_is_called_for_what_is_over(world: World, mmg: FakeMmg) -> None:
    over, other = text(-1), text(60)
    world.take_over(over, other)
    workers = world.workers(world.parts(**mmg.settings))
    workers.settle()
    assert mmg.ids == [other.id]
    assert world.kinds(over.id) == ["expired"]
    assert world.attempts(over.id) == [("refused", "expired")]
    assert world.value("SELECT count(content) FROM dispatches") == 0
    workers.settle()
    assert (world.kinds(over.id), world.kinds(other.id)) == (["expired"], ["sent"])


def test_what_waits_for_another_try_ends_when_its_time_does(world: World, mmg: FakeMmg) -> None:
    message = text(100)
    mmg.script("447700900123", fake_mmg.BUSY, fake_mmg.BUSY)
    world.take_over(message)
    workers = world.workers(world.parts(**mmg.settings, retry_interval_seconds=300))
    workers.settle()
    assert mmg.ids == [message.id] * 2, "the second try is at once"
    assert world.value("SELECT due_at = deliver_by FROM dispatches")
    its_time_is_over(world)
    workers.settle()
    assert mmg.ids == [message.id] * 2
    assert world.kinds(message.id) == ["expired"]
    assert world.attempts(message.id)[-1] == ("refused", "expired")


def test_what_a_provider_may_have_is_held_and_a_receipt_says_that_it_was_sent(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = text(100)
    mmg.script("447700900123", fake_mmg.GARBAGE)
    world.run("UPDATE provider_settings SET unknown_outcome_rule = 'retry'")
    world.take_over(message)
    workers = world.workers(world.parts(**mmg.settings))
    workers.settle()
    its_time_is_over(world)
    workers.settle()
    assert world.states() == {"queued": 1}, "it waits for a receipt, whatever the time"
    assert 290 < world.value("SELECT extract(epoch FROM due_at - now()) FROM dispatches") <= 300
    world.run("UPDATE attempts SET start_time = now() - interval '301 seconds'")
    world.run("UPDATE dispatches SET due_at = now()")
    workers.settle()
    assert (world.states(), world.kinds(message.id)) == ({"in-doubt": 1}, []), "nobody guesses"
    assert mmg.ids == [message.id]
    assert record(server, message.id, "3")
    assert world.kinds(message.id) == ["sent", "delivered"]


def test_a_call_does_not_begin_after_the_time(world: World) -> None:
    """The client is told until when it may begin, however long what it gets waits before that."""
    handed: list[Message] = []

    class Client:
        def send(self, messages: Sequence[Message], report: Report) -> None:
            handed.extend(messages)

        def close(self) -> None:
            pass

    soon, never = text(5), sms()
    world.take_over(soon, never)
    dispatcher = Dispatcher(
        world.uow,
        Channel.SMS,
        {"mmg": Client()},
        {"mmg"},
        address_hash(b"secret"),
        window=10,
        call_seconds=10,
        retry_interval=300,
        least_calls=20,
    )
    begun = clock.monotonic()
    dispatcher._start_due()
    until = {message.id: message.start_before for message in handed}
    assert until[soon.id] <= begun + 5
    assert until[never.id] > begun + 20


def test_the_relay_says_until_when(world: World, server: InProcessServer) -> None:
    proto = sms_proto()
    time = clock.now() + timedelta(hours=1)
    proto.deliver_by.FromDatetime(time)
    other = sms_proto()
    stub = DispatchServiceStub(server.channel("notifications"))
    stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[proto, other]))
    assert world.value("SELECT deliver_by FROM dispatches WHERE id = :id", id=proto.id) == time
    assert world.value("SELECT deliver_by FROM dispatches WHERE id = :id", id=other.id) is None
