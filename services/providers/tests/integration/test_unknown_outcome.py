"""Calls after which nobody knows whether the provider has the message: no second copy (design.md §3.10)."""

import socket

import pytest
from notify_providers.clients.mmg import MmgSettings
from notify_testing.rpc import InProcessServer

from . import fake_mmg
from .configured import provider_settings
from .conftest import World
from .ends import NO_ANSWER, hand_over, text
from .fake_mmg import FakeMmg
from .messages import sms
from .test_receipts import record


def due_again(world: World) -> None:
    """End the wait for a receipt."""
    world.run("UPDATE attempts SET start_time = now() - interval '301 seconds'")
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")


def test_it_waits_for_a_receipt_and_is_then_held(world: World, mmg: FakeMmg) -> None:
    ids = hand_over(world, mmg, NO_ANSWER, text)
    workers = world.workers(world.parts(**mmg.settings, provider_timeout_seconds=0.3))
    workers.settle()
    assert {end: world.attempts(id) for end, id in ids.items()} == {end: [o] for end, o in NO_ANSWER.items()}
    assert world.states() == {"queued": len(ids)}
    waits = [wait for (wait,) in world.rows("SELECT extract(epoch FROM due_at - now()) FROM dispatches")]
    assert 290 < min(waits) <= max(waits) <= 300
    due_again(world)
    workers.settle()
    assert world.states() == {"in-doubt": len(ids)}
    assert world.value("SELECT count(content) FROM dispatches") == len(ids), "they can still be sent"
    assert sorted(mmg.ids) == sorted(ids.values())
    assert [world.kinds(id) for id in ids.values()] == [[]] * len(ids)


@pytest.mark.parametrize("provider_time", ["2026-11-24 10:00:00", ""])
def test_a_receipt_ends_the_wait(
    world: World, mmg: FakeMmg, server: InProcessServer, provider_time: str
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.GARBAGE)
    world.take_over(message)
    workers = world.workers(world.parts(**mmg.settings))
    workers.settle()
    assert record(server, message.id, "3", time=provider_time)
    assert world.states() == {"sent": 1}
    due_again(world)
    workers.settle()
    assert world.kinds(message.id) == ["sent", "delivered"]
    assert mmg.ids == [message.id]


def test_the_rule_retry_sends_it_again_after_the_wait_and_no_sooner(world: World, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.GARBAGE)
    world.run("UPDATE provider_settings SET unknown_outcome_rule = 'retry'")
    world.take_over(message)
    workers = world.workers(world.parts(**mmg.settings))
    workers.settle()
    assert (world.states(), mmg.ids) == ({"queued": 1}, [message.id])
    world.run("UPDATE dispatches SET due_at = now()")
    workers.settle()
    assert (world.states(), mmg.ids) == ({"queued": 1}, [message.id]), "a row that is due early waits on"
    due_again(world)
    workers.settle()
    assert (world.states(), mmg.ids) == ({"sent": 1}, [message.id] * 2)


def test_an_operator_who_shortens_the_wait_is_heard(world: World, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.GARBAGE)
    world.take_over(message)
    workers = world.workers(world.parts(**mmg.settings))
    workers.settle()
    world.send_again_at_once("mmg")
    world.run("UPDATE dispatches SET due_at = now()")
    workers.settle()
    assert (world.states(), mmg.ids) == ({"sent": 1}, [message.id] * 2)


def test_a_provider_that_refuses_connections_has_surely_not_got_it(world: World, mmg: FakeMmg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    closed = MmgSettings.model_validate({"url": f"http://127.0.0.1:{port}/", "api_key": "key"})
    message = sms()
    world.take_over(message)
    away = world.parts(
        providers=provider_settings(mmg=closed), sandbox_live_messages=False, retry_interval_seconds=300
    )
    world.workers(away).settle()
    assert world.attempts(message.id) == [("retryable", "unreachable")] * 2, "the second try is at once"
    world.run("UPDATE dispatches SET due_at = now()")
    world.workers(world.parts(**mmg.settings)).settle()
    assert (world.states(), mmg.ids) == ({"sent": 1}, [message.id])


def test_a_connection_that_dies_before_tls_is_up_has_surely_not_carried_it(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        speaks_no_tls = MmgSettings.model_validate({"url": f"https://127.0.0.1:{port}/", "api_key": "key"})
        message = sms()
        world.take_over(message)
        parts = world.parts(
            providers=provider_settings(mmg=speaks_no_tls),
            sandbox_live_messages=False,
            retry_interval_seconds=300,
            provider_timeout_seconds=0.5,
        )
        world.workers(parts).settle()
    assert world.attempts(message.id) == [("retryable", "unreachable")] * 2
