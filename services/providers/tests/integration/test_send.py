"""Handing messages over: provider calls that go well and wrong, tries, routing."""

import json

import pytest
from notify_common import current, tracing
from notify_common.enums import KeyType
from notify_providers.domain.dispatch import MAX_RETRIES
from notify_providers.usecases.dispatcher import MAX_EMAILS
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from . import fake_mmg
from .conftest import House, eventually
from .fake_mmg import FakeMmg
from .messages import TRACEPARENT, email, letter, sms


def test_every_channel_goes_through_its_sandbox_and_comes_back_delivered(house: House) -> None:
    messages = [sms(), email(), letter()]
    house.take_over(*messages)
    house.workers(house.parts()).settle()
    for message in messages:
        assert house.kinds(message.id) == ["sent", "delivered"]
        assert house.attempts(message.id) == [("accepted", "")]
    providers = house.rows("SELECT provider FROM delivery_events GROUP BY 1 ORDER BY 1")
    assert [name for (name,) in providers] == ["sandbox-email", "sandbox-print", "sandbox-sms"]
    assert house.value("SELECT max(copy_count) FROM sandbox_messages") == 1


def test_content_is_forgotten_once_it_is_sent_or_given_up(house: House) -> None:
    house.take_over(sms(), sms("447700900901"))
    house.workers(house.parts()).settle()
    assert house.states() == {"sent": 1, "failed": 1}
    assert house.value("SELECT count(content) FROM dispatches") == 0


def test_mmg_gets_what_its_protocol_asks_for(house: House, mmg: FakeMmg) -> None:
    message = sms()
    house.take_over(message)
    parts = house.parts(**mmg.with_receipts_to("https://user:secret@example.com/mmg"))
    house.workers(parts).settle()
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
    assert house.kinds(message.id) == ["sent"]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (fake_mmg.BUSY, "http_503"),
        (fake_mmg.BAD_REQUEST, "http_400"),
        (fake_mmg.ERROR_INSIDE, "provider_error"),
    ],
)
def test_a_message_that_was_surely_not_taken_is_sent_again(
    house: House, mmg: FakeMmg, behaviour: str, reason: str
) -> None:
    message = sms()
    mmg.script("447700900123", behaviour)
    house.take_over(message)
    house.workers(house.parts(**mmg.settings)).settle()
    assert house.attempts(message.id) == [("retryable", reason), ("accepted", "")]
    assert house.kinds(message.id) == ["sent"]
    assert mmg.ids == [message.id] * 2


def test_a_provider_that_can_not_be_reached_is_tried_again(house: House, mmg: FakeMmg) -> None:
    message = sms()
    house.take_over(message)
    mmg.close()
    house.run("UPDATE dispatches SET attempt = :n", n=MAX_RETRIES - 1)
    house.workers(house.parts(**mmg.settings)).settle()
    assert house.attempts(message.id) == [("retryable", "unreachable")] * 2
    assert house.kinds(message.id) == ["technical-failure"]


def test_the_second_try_of_a_text_is_at_once_and_the_third_waits(house: House, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.BUSY, fake_mmg.BUSY)
    house.take_over(message)
    house.workers(house.parts(**mmg.settings, retry_interval_seconds=300)).settle()
    assert len(mmg.ids) == 2
    wait = house.value("SELECT extract(epoch FROM due_at - now()) FROM dispatches")
    assert 290 < wait <= 330
    assert house.states() == {"queued": 1}
    assert house.kinds(message.id) == []


def test_after_48_retries_a_message_is_given_up(house: House) -> None:
    message = email("down@sandbox.notify")
    house.take_over(message)
    house.workers(house.parts()).settle()
    assert house.attempts(message.id) == [("unknown", "timeout")] * (MAX_RETRIES + 1)
    assert house.states() == {"failed": 1}
    assert house.kinds(message.id) == ["technical-failure"]


def test_a_refused_message_is_not_tried_again(house: House) -> None:
    message = letter("Sandbox Refused")
    house.take_over(message)
    house.workers(house.parts()).settle()
    assert house.attempts(message.id) == [("refused", "refused")]
    assert house.kinds(message.id) == ["technical-failure"]


def test_a_message_that_no_provider_takes_waits_and_is_then_given_up(house: House) -> None:
    message = email()
    house.take_over(message)
    parts = house.parts(sandbox_live_messages=False)
    house.workers(parts).settle()
    assert house.attempts(message.id) == []
    assert house.rows("SELECT kind, provider FROM delivery_events") == [("technical-failure", "")]


def test_messages_of_test_keys_go_to_the_sandbox_even_where_it_takes_no_others(
    house: House, mmg: FakeMmg
) -> None:
    message = sms("447700900002", key_type=KeyType.TEST)
    house.take_over(message)
    house.workers(house.parts(**mmg.settings, environment="production")).settle()
    assert house.kinds(message.id) == ["sent", "permanent-failure"]
    assert mmg.messages == []


def test_a_lost_answer_leaves_one_copy(house: House) -> None:
    message = sms("447700900902")
    house.take_over(message)
    house.workers(house.parts(sandbox_receipt_delay_seconds=3600), "dispatch").settle()
    assert house.attempts(message.id) == [("unknown", "timeout"), ("accepted", "")]
    assert house.value("SELECT copy_count FROM sandbox_messages") == 1
    assert house.kinds(message.id) == ["sent"]


def test_a_second_hand_over_that_does_not_say_so_is_counted(house: House) -> None:
    message = sms()
    house.take_over(message)
    house.workers(house.parts(), "dispatch").settle()
    content = json.dumps({"phone_number": "447700900123", "sender": "GOVUK", "body": "Hello"})
    house.run(
        "UPDATE dispatches SET state = 'queued', due_at = now(), content = CAST(:content AS jsonb)",
        content=content,
    )
    house.workers(house.parts(), "dispatch").settle()
    assert house.value("SELECT copy_count FROM sandbox_messages") == 2


def test_a_slow_call_holds_up_no_other(house: House, mmg: FakeMmg) -> None:
    slow = sms("447700900001")
    mmg.script("447700900001", fake_mmg.HANG)
    house.take_over(slow)
    parts = house.parts(**mmg.settings)
    with house.workers(parts).running():
        eventually(lambda: mmg.hanging == 1)
        quick = [sms() for _ in range(5)]
        house.take_over(*quick)
        eventually(lambda: house.states() == {"queued": 1, "sent": 5})
        mmg.release()
        eventually(lambda: house.states() == {"sent": 6})


def test_outcomes_outlive_a_database_that_fails_while_they_are_recorded(house: House, mmg: FakeMmg) -> None:
    message = sms()
    house.take_over(message)
    parts = house.parts(**mmg.settings)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with house.workers(parts).running():
        with house.locked("delivery_events"):
            eventually(lambda: house.value(waiting) == 1)
            house.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        eventually(lambda: house.states() == {"sent": 1})
    assert house.kinds(message.id) == ["sent"]
    assert mmg.ids == [message.id]


def test_two_workers_share_the_work_and_send_nothing_twice(house: House, mmg: FakeMmg) -> None:
    messages = [sms() for _ in range(300)]
    house.take_over(*messages)
    first, second = house.parts(**mmg.settings), house.parts(**mmg.settings)
    with house.workers(first).running(), house.workers(second).running():
        eventually(lambda: house.states() == {"sent": 300})
    assert sorted(mmg.ids) == sorted(message.id for message in messages)


def test_a_worker_that_is_told_to_stop_records_the_calls_under_way(house: House, mmg: FakeMmg) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    house.take_over(message)
    parts = house.parts(**mmg.settings)
    house.workers(parts).step()
    eventually(lambda: mmg.hanging == 1)
    mmg.release()
    parts.close()
    assert house.attempts(message.id) == [("accepted", "")]
    assert house.kinds(message.id) == ["sent"]


def test_a_provider_call_is_a_span_of_the_message_s_trace(house: House, mmg: FakeMmg) -> None:
    exporter = InMemorySpanExporter()
    tracing.configure_tracing("providers", None, exporter)
    try:
        messages = [sms(), sms()]
        house.take_over(*messages)
        house.workers(house.parts(**mmg.settings)).settle()
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


def test_a_dispatch_that_can_t_be_read_is_parked_alone(house: House) -> None:
    bad, good = sms(), sms()
    house.take_over(bad, good)
    house.run("UPDATE dispatches SET content = '{\"colour\": 1}' WHERE id = :id", id=bad.id)
    house.workers(house.parts()).settle()
    assert house.states() == {"queued": 1, "sent": 1}
    assert house.kinds(good.id) == ["sent", "delivered"]
    [(reason, attempts)] = house.rows(
        "SELECT park_reason, (SELECT count(*) FROM attempts WHERE dispatch_id = d.id)"
        " FROM dispatches d WHERE parked_at IS NOT NULL"
    )
    assert (reason, attempts) == ("can't be planned: TypeError", 0)


def test_a_client_that_breaks_keeps_no_other_provider_from_being_called(house: House, mmg: FakeMmg) -> None:
    broken, fine = sms(key_type=KeyType.TEST), sms()
    house.take_over(broken)
    house.take_over(fine)
    parts = house.parts(**mmg.settings)
    working = parts.clients["sandbox-sms"]

    class Broken:
        name = "sandbox-sms"

        def send(self, messages: object, report: object) -> None:
            raise RuntimeError

        def close(self) -> None:
            return

    parts.clients["sandbox-sms"] = Broken()
    workers = house.workers(parts)
    with pytest.raises(RuntimeError):
        workers.step()
    eventually(lambda: workers.step() == 0 and house.kinds(fine.id) == ["sent"])
    assert mmg.ids == [fine.id]
    parts.clients["sandbox-sms"] = working
    house.expire_leases()
    workers.settle()
    assert house.kinds(broken.id) == ["sent", "delivered"]


def test_only_so_many_emails_are_in_memory_at_once(house: House) -> None:
    messages = [email() for _ in range(MAX_EMAILS + 8)]
    house.take_over(*messages)
    workers = house.workers(house.parts(), "dispatch")
    workers.step()
    assert house.value("SELECT count(*) FROM attempts") == MAX_EMAILS
    workers.settle()
    assert house.states() == {"sent": len(messages)}
