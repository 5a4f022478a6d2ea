"""Handing messages over: provider calls that go well and wrong, tries, routing."""

import json

import pytest
from notify_common import current, tracing
from notify_common.enums import KeyType
from notify_providers.domain.dispatch import MAX_RETRIES
from notify_providers.usecases.dispatcher import MAX_EMAILS
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from . import fake_mmg
from .conftest import World, eventually
from .fake_mmg import FakeMmg
from .messages import TRACEPARENT, email, letter, sms


def test_every_channel_goes_through_its_sandbox_and_comes_back_delivered(world: World) -> None:
    messages = [sms(), email(), letter()]
    world.take_over(*messages)
    world.workers(world.parts()).settle()
    for message in messages:
        assert world.kinds(message.id) == ["sent", "delivered"]
        assert world.attempts(message.id) == [("accepted", "")]
    providers = world.rows("SELECT provider FROM delivery_events GROUP BY 1 ORDER BY 1")
    assert [name for (name,) in providers] == ["sandbox-email", "sandbox-print", "sandbox-sms"]
    assert world.value("SELECT max(copy_count) FROM sandbox_messages") == 1


def test_content_is_forgotten_once_it_is_sent_or_given_up(world: World) -> None:
    world.take_over(sms(), sms("447700900901"))
    world.workers(world.parts()).settle()
    assert world.states() == {"sent": 1, "failed": 1}
    assert world.value("SELECT count(content) FROM dispatches") == 0


def test_mmg_gets_what_its_protocol_asks_for(world: World, mmg: FakeMmg) -> None:
    message = sms()
    world.take_over(message)
    parts = world.parts(**mmg.with_receipts_to("https://user:secret@example.com/mmg"))
    world.workers(parts).settle()
    assert mmg.messages == [
        {
            "reqType": "BULK",
            "MSISDN": "447700900123",
            "msg": "Hello",
            "sender": "GOVUK",
            "cid": message.id,
            "multi": True,
            "delurl": "https://user:secret@example.com/mmg",
        }
    ]
    assert mmg.authorizations == ["Basic key"]
    assert world.kinds(message.id) == ["sent"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (fake_mmg.BUSY, "http_503"),
        (fake_mmg.BAD_REQUEST, "http_400"),
        (fake_mmg.ERROR_INSIDE, "provider_error"),
    ],
)
def test_a_message_that_was_surely_not_taken_is_sent_again(
    world: World, mmg: FakeMmg, behaviour: str, reason: str
) -> None:
    message = sms()
    mmg.script("447700900123", behaviour)
    world.take_over(message)
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.attempts(message.id) == [("retryable", reason), ("accepted", "")]
    assert world.kinds(message.id) == ["sent"]
    assert mmg.ids == [message.id] * 2


def test_a_provider_that_can_not_be_reached_is_tried_again(world: World, mmg: FakeMmg) -> None:
    message = sms()
    world.take_over(message)
    mmg.close()
    world.run("UPDATE dispatches SET attempt = :n", n=MAX_RETRIES - 1)
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.attempts(message.id) == [("retryable", "unreachable")] * 2
    assert world.kinds(message.id) == ["technical-failure"]


def test_the_second_try_of_a_text_is_at_once_and_the_third_waits(world: World, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.BUSY, fake_mmg.BUSY)
    world.take_over(message)
    world.workers(world.parts(**mmg.settings, retry_interval_seconds=300)).settle()
    assert len(mmg.ids) == 2
    wait = world.value("SELECT extract(epoch FROM due_at - now()) FROM dispatches")
    assert 290 < wait <= 330
    assert world.states() == {"queued": 1}
    assert world.kinds(message.id) == []


def test_after_48_retries_a_message_is_given_up(world: World) -> None:
    message = email("down@sandbox.notify")
    world.take_over(message)
    world.workers(world.parts()).settle()
    assert world.attempts(message.id) == [("unknown", "timeout")] * (MAX_RETRIES + 1)
    assert world.states() == {"failed": 1}
    assert world.kinds(message.id) == ["technical-failure"]


def test_a_refused_message_is_not_tried_again(world: World) -> None:
    message = letter("Sandbox Refused")
    world.take_over(message)
    world.workers(world.parts()).settle()
    assert world.attempts(message.id) == [("refused", "refused")]
    assert world.kinds(message.id) == ["technical-failure"]


def test_a_message_that_no_provider_takes_waits_and_is_then_given_up(world: World) -> None:
    message = email()
    world.take_over(message)
    parts = world.parts(sandbox_live_messages=False)
    world.workers(parts).settle()
    assert world.attempts(message.id) == []
    assert world.rows("SELECT kind, provider FROM delivery_events") == [("technical-failure", "")]


def test_messages_of_test_keys_go_to_the_sandbox_even_where_it_takes_no_others(
    world: World, mmg: FakeMmg
) -> None:
    message = sms("447700900002", key_type=KeyType.TEST)
    world.take_over(message)
    world.workers(world.parts(**mmg.settings, environment="production", suppression_secret="s" * 32)).settle()
    assert world.kinds(message.id) == ["sent", "permanent-failure"]
    assert mmg.messages == []


def test_a_lost_answer_leaves_one_copy(world: World) -> None:
    message = sms("447700900902")
    world.take_over(message)
    world.workers(world.parts(sandbox_receipt_delay_seconds=3600), "dispatch").settle()
    assert world.attempts(message.id) == [("unknown", "timeout"), ("accepted", "")]
    assert world.value("SELECT copy_count FROM sandbox_messages") == 1
    assert world.kinds(message.id) == ["sent"]


def test_a_second_hand_over_that_does_not_say_so_is_counted(world: World) -> None:
    message = sms()
    world.take_over(message)
    world.workers(world.parts(), "dispatch").settle()
    content = json.dumps({"phone_number": "447700900123", "sender": "GOVUK", "body": "Hello"})
    world.run(
        "UPDATE dispatches SET state = 'queued', due_at = now(), content = CAST(:content AS jsonb)",
        content=content,
    )
    world.workers(world.parts(), "dispatch").settle()
    assert world.value("SELECT copy_count FROM sandbox_messages") == 2


def test_a_slow_call_holds_up_no_other(world: World, mmg: FakeMmg) -> None:
    slow = sms("447700900001")
    mmg.script("447700900001", fake_mmg.HANG)
    world.take_over(slow)
    parts = world.parts(**mmg.settings)
    with world.workers(parts).running():
        eventually(lambda: mmg.hanging == 1)
        quick = [sms() for _ in range(5)]
        world.take_over(*quick)
        eventually(lambda: world.states() == {"queued": 1, "sent": 5})
        mmg.release()
        eventually(lambda: world.states() == {"sent": 6})


def test_outcomes_outlive_a_database_that_fails_while_they_are_recorded(world: World, mmg: FakeMmg) -> None:
    message = sms()
    world.take_over(message)
    parts = world.parts(**mmg.settings)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with world.workers(parts).running():
        with world.locked("delivery_events"):
            eventually(lambda: world.value(waiting) == 1)
            world.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        eventually(lambda: world.states() == {"sent": 1})
    assert world.kinds(message.id) == ["sent"]
    assert mmg.ids == [message.id]


def test_two_workers_share_the_work_and_send_nothing_twice(world: World, mmg: FakeMmg) -> None:
    messages = [sms() for _ in range(300)]
    world.take_over(*messages)
    first, second = world.parts(**mmg.settings), world.parts(**mmg.settings)
    with world.workers(first).running(), world.workers(second).running():
        eventually(lambda: world.states() == {"sent": 300})
    assert sorted(mmg.ids) == sorted(message.id for message in messages)


def test_a_worker_that_is_told_to_stop_records_the_calls_under_way(world: World, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    parts = world.parts(**mmg.settings)
    world.workers(parts).step()
    eventually(lambda: mmg.hanging == 1)
    mmg.release()
    parts.close()
    assert world.attempts(message.id) == [("accepted", "")]
    assert world.kinds(message.id) == ["sent"]


def test_a_provider_call_is_a_span_of_the_message_s_trace(world: World, mmg: FakeMmg) -> None:
    exporter = InMemorySpanExporter()
    tracing.configure_tracing("providers", None, exporter)
    try:
        messages = [sms(), sms()]
        world.take_over(*messages)
        world.workers(world.parts(**mmg.settings)).settle()
    finally:
        tracing.shutdown_tracing()
    spans = [span for span in exporter.get_finished_spans() if span.name == "provider call"]
    assert len(spans) == 2
    assert {span.attributes["dispatch_id"] for span in spans if span.attributes} == {
        message.id for message in messages
    }
    for span in spans:
        assert span.parent is not None
        assert f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-01" == TRACEPARENT
    assert current.traceparent.get() == ""


def test_a_dispatch_that_can_t_be_read_is_parked_alone(world: World) -> None:
    bad, good = sms(), sms()
    world.take_over(bad, good)
    world.run("UPDATE dispatches SET content = '{\"colour\": 1}' WHERE id = :id", id=bad.id)
    world.workers(world.parts()).settle()
    assert world.states() == {"queued": 1, "sent": 1}
    assert world.kinds(good.id) == ["sent", "delivered"]
    [(reason, attempts)] = world.rows(
        "SELECT park_reason, (SELECT count(*) FROM attempts WHERE dispatch_id = d.id)"
        " FROM dispatches d WHERE parked_at IS NOT NULL"
    )
    assert (reason, attempts) == ("can't be planned: TypeError", 0)


def test_a_client_that_breaks_keeps_no_other_provider_from_being_called(world: World, mmg: FakeMmg) -> None:
    broken, fine = sms(key_type=KeyType.TEST), sms()
    world.take_over(broken)
    world.take_over(fine)
    parts = world.parts(**mmg.settings)
    working = parts.clients["sandbox-sms"]

    class Broken:
        name = "sandbox-sms"

        def send(self, messages: object, report: object) -> None:
            raise RuntimeError

        def close(self) -> None:
            return

    parts.clients["sandbox-sms"] = Broken()
    workers = world.workers(parts)
    with pytest.raises(RuntimeError):
        workers.step()
    eventually(lambda: workers.step() == 0 and world.kinds(fine.id) == ["sent"])
    assert mmg.ids == [fine.id]
    parts.clients["sandbox-sms"] = working
    world.expire_leases()
    workers.settle()
    assert world.kinds(broken.id) == ["sent", "delivered"]


def test_only_so_many_emails_are_in_memory_at_once(world: World) -> None:
    messages = [email() for _ in range(MAX_EMAILS + 8)]
    world.take_over(*messages)
    workers = world.workers(world.parts(), "dispatch")
    workers.step()
    assert world.value("SELECT count(*) FROM attempts") == MAX_EMAILS
    workers.settle()
    assert world.states() == {"sent": len(messages)}
