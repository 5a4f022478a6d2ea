"""Receipts: repeated, reordered, early, of nobody; and the feed of delivery events (design.md §3.8)."""

import json
from random import Random
from typing import Any

import pytest
from notify.common.v1 import common_pb2
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceStub
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_providers.domain.dispatch import MAX_RETRIES
from notify_testing.rpc import InProcessServer

from . import fake_mmg
from .conftest import World, eventually
from .fake_mmg import FakeMmg
from .messages import email, letter, sms


def record(
    server: InProcessServer, dispatch_id: str, status: object, detail: object = None, time: str = ""
) -> bool:
    """Record a receipt of MMG as the gateway does; return whether it was new."""
    fields = {"CID": dispatch_id, "status": status, "substatus": detail, "deliverytime": time}
    return record_body(server, "mmg", json.dumps(fields).encode())


def record_body(server: InProcessServer, provider: str, body: bytes) -> bool:
    """Record a receipt of any provider and with any body."""
    return bool(call_back(server, provider, body).new_receipt)


def call_back(server: InProcessServer, provider: str, body: bytes, **around: Any) -> pb.RecordReceiptResponse:
    """Return how a callback is answered; `around` holds further fields of the request."""
    stub = ReceiptsServiceStub(server.channel())
    request = pb.RecordReceiptRequest(provider=provider, body=body, **around)
    answer: pb.RecordReceiptResponse = stub.RecordReceipt(request)
    return answer


def sent_through_mmg(world: World, mmg: FakeMmg) -> str:
    """Send a text that MMG takes."""
    message = sms()
    world.take_over(message)
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.kinds(message.id) == ["sent"]
    return message.id


def test_a_repeated_receipt_changes_nothing(world: World, mmg: FakeMmg, server: InProcessServer) -> None:
    id = sent_through_mmg(world, mmg)
    assert record(server, id, "3", "5", "2026-11-24 10:00:00")
    assert not record(server, id, "3", "5", "2026-11-24 10:00:00")
    assert not record(server, id, 3, 5, "2026-11-24T10:00:00+00:00"), "the same in other words"
    assert world.kinds(id) == ["sent", "delivered"]


def test_a_repeated_receipt_without_a_time_changes_nothing(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(world, mmg)
    assert [record(server, id, "2"), record(server, id, "2", time="soon")] == [True, False]
    assert world.kinds(id) == ["sent", "permanent-failure"]


def test_a_status_of_any_length_and_script_is_stored_once(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(world, mmg)
    # four bytes each, and they don't compress: an entry of an index holds about 2,700 bytes
    status = "".join(chr(Random(number).randrange(0x20000, 0x2A000)) for number in range(2_000))
    assert record(server, id, status, status)
    assert not record(server, id, status, status)


def test_receipts_that_differ_are_all_news_in_the_order_they_came(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(world, mmg)
    for status in ("3", "4", "9"):
        record(server, id, status)
    assert world.kinds(id) == ["sent", "delivered", "temporary-failure", "technical-failure"]


def test_a_receipt_that_overtakes_the_answer_waits_for_it(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    with world.workers(world.parts(**mmg.settings)).running():
        eventually(lambda: mmg.hanging == 1)
        assert record(server, message.id, "3")
        assert not record(server, message.id, "3")
        assert world.kinds(message.id) == []
        mmg.release()
        eventually(lambda: world.states() == {"sent": 1})
    assert world.kinds(message.id) == ["sent", "delivered"]
    assert not record(server, message.id, "3")
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


def test_a_receipt_proves_a_hand_over_whose_answer_was_lost(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.CLOSE)
    world.take_over(message)
    world.workers(world.parts(**mmg.settings)).settle()
    assert world.states() == {"queued": 1}
    assert record(server, message.id, "3")
    assert world.states() == {"sent": 1}
    assert world.kinds(message.id) == ["sent", "delivered"]
    world.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    world.workers(world.parts(**mmg.settings)).settle()
    assert len(mmg.ids) == 1, "it is not sent again"


def test_a_receipt_that_overtakes_a_failing_call_proves_it_too(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    world.take_over(message)
    world.run("UPDATE dispatches SET attempt = :tries", tries=MAX_RETRIES)  # this one is the last
    parts = world.parts(**mmg.settings, provider_timeout_seconds=1)
    with world.workers(parts).running():
        eventually(lambda: mmg.hanging == 1)
        assert record(server, message.id, "3")
        eventually(lambda: world.states() == {"sent": 1})
    assert world.kinds(message.id) == ["sent", "delivered"]
    assert mmg.ids == [message.id]


def test_a_receipt_of_a_provider_that_was_never_called_proves_nothing(
    world: World, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    world.take_over(message)
    assert record(server, message.id, "3")
    assert world.states() == {"queued": 1}
    world.workers(world.parts()).settle()
    assert world.kinds(message.id) == ["sent", "delivered"]
    assert world.rows("SELECT provider FROM delivery_events GROUP BY 1") == [("sandbox-sms",)]


def test_a_receipt_of_an_unknown_message_is_kept_apart(world: World, server: InProcessServer) -> None:
    unknown = new_id()
    assert record(server, unknown, "3")
    assert not record(server, unknown, "3")
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 1
    assert world.kinds(unknown) == []


def test_a_turned_away_second_copy_is_no_news(world: World, mmg: FakeMmg, server: InProcessServer) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.CLOSE)
    world.send_again_at_once("mmg")
    world.take_over(message)
    world.workers(world.parts(**mmg.settings)).settle()
    assert record(server, message.id, "5", "23")
    assert record(server, message.id, "3", "5")
    assert world.kinds(message.id) == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("body", "sentences"),
    [
        (b"", None),
        (b"{", None),
        (b"[" * 60_000, None),
        (b"\xff\xfe", None),
        (b"[]", ["status", "CID"]),
        (b'{"status": "3"}', ["CID"]),
        (b'{"CID": "", "status": ""}', ["status", "CID"]),
        (b'{"CID": {"a": 1}, "status": true}', ["status", "CID"]),
    ],
)
def test_a_receipt_that_can_not_be_read_is_refused_and_leaves_nothing(
    world: World, server: InProcessServer, body: bytes, sentences: list[str] | None
) -> None:
    answer = call_back(server, "mmg", body)
    assert (answer.new_receipt, answer.http_status) == (False, 400)
    said = json.loads(answer.http_body)
    assert said["result"] == "error"
    if sentences:
        assert said["message"] == [f"MMG callback failed: {name} missing" for name in sentences]
    assert world.value("SELECT count(*) FROM receipts") == 0
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


def test_a_receipt_about_none_of_our_ids_is_dropped_with_a_yes(world: World, server: InProcessServer) -> None:
    answer = call_back(server, "mmg", b'{"CID": "not-an-id", "status": "3"}')
    assert (answer.new_receipt, answer.http_status) == (False, 200)
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


@pytest.mark.parametrize(
    "request_",
    [
        pb.RecordReceiptRequest(body=b"{}"),
        pb.RecordReceiptRequest(provider="mmg", body=b"x" * 70_000),
        pb.RecordReceiptRequest(provider="mmg", headers={"x": "x" * 9_000}),
        pb.RecordReceiptRequest(provider="mmg", headers={str(n): "x" for n in range(40)}),
    ],
)
def test_a_callback_beyond_its_bounds_is_refused(
    server: InProcessServer, request_: pb.RecordReceiptRequest
) -> None:
    with pytest.raises(NotifyError) as caught:
        ReceiptsServiceStub(server.channel()).RecordReceipt(request_)
    assert caught.value.reason == "INVALID_FIELD"


@pytest.mark.parametrize("provider", ["pigeon", "sandbox-sms"])
def test_a_receipt_of_a_provider_that_sends_none_is_refused(server: InProcessServer, provider: str) -> None:
    with pytest.raises(NotifyError) as caught:
        record_body(server, provider, b"{}")
    assert caught.value.reason == "PROVIDER_NOT_FOUND"


def test_the_sandbox_can_repeat_and_mix_its_receipts(world: World) -> None:
    repeated, mixed, none = (
        email("repeated-receipt@sandbox.notify"),
        email("mixed-receipts@sandbox.notify"),
        email("no-receipt@sandbox.notify"),
    )
    world.take_over(repeated, mixed, none)
    world.workers(world.parts()).settle()
    assert world.kinds(repeated.id) == ["sent", "delivered"]
    assert world.kinds(mixed.id) == ["sent", "delivered", "pending"]
    assert world.kinds(none.id) == ["sent"]


def test_the_feed_is_read_in_pages_and_by_channel(world: World, server: InProcessServer) -> None:
    texts, letters = [sms() for _ in range(4)], [letter() for _ in range(3)]
    world.take_over(*texts, *letters)
    world.workers(world.parts()).settle()
    stub = ReceiptsServiceStub(server.channel("notifications"))

    def read(page_size: int, *channels: common_pb2.Channel) -> list[pb.DeliveryEvent]:
        events: list[pb.DeliveryEvent] = []
        cursor = ""
        while True:
            page = stub.ListDeliveryEvents(
                pb.ListDeliveryEventsRequest(cursor=cursor, page_size=page_size, channels=channels)
            )
            if page.next_cursor == cursor:
                return events
            assert len(page.events) <= page_size
            events += page.events
            cursor = page.next_cursor

    # transactions of other tests on the same server hold the feed back for a moment
    eventually(lambda: len(read(3)) == 14)
    only = read(3, common_pb2.CHANNEL_LETTER)
    assert {event.dispatch_id for event in only} == {one.id for one in letters}
    assert {event.channel for event in only} == {common_pb2.CHANNEL_LETTER}
    assert {event.kind for event in only} == {pb.DeliveryEvent.KIND_SENT, pb.DeliveryEvent.KIND_DELIVERED}
    assert {event.provider for event in only} == {"sandbox-print"}
    with pytest.raises(NotifyError) as caught:
        stub.ListDeliveryEvents(pb.ListDeliveryEventsRequest(cursor="nonsense"))
    assert caught.value.reason == "INVALID_FIELD"
