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
from .conftest import House, eventually
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


def sent_through_mmg(house: House, mmg: FakeMmg) -> str:
    """Send a text that MMG takes."""
    message = sms()
    house.take_over(message)
    house.workers(house.parts(**mmg.settings)).settle()
    assert house.kinds(message.id) == ["sent"]
    return message.id


def test_a_repeated_receipt_changes_nothing(house: House, mmg: FakeMmg, server: InProcessServer) -> None:
    id = sent_through_mmg(house, mmg)
    assert record(server, id, "3", "5", "2026-11-24 10:00:00")
    assert not record(server, id, "3", "5", "2026-11-24 10:00:00")
    assert not record(server, id, 3, 5, "2026-11-24T10:00:00+00:00"), "the same in other words"
    assert house.kinds(id) == ["sent", "delivered"]


def test_a_repeated_receipt_without_a_time_changes_nothing(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(house, mmg)
    assert [record(server, id, "2"), record(server, id, "2", time="soon")] == [True, False]
    assert house.kinds(id) == ["sent", "permanent-failure"]


def test_a_status_of_any_length_and_script_is_stored_once(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(house, mmg)
    # four bytes each, and they don't compress: an entry of an index holds about 2,700 bytes
    status = "".join(chr(Random(number).randrange(0x20000, 0x2A000)) for number in range(2_000))
    assert record(server, id, status, status)
    assert not record(server, id, status, status)


def test_receipts_that_differ_are_all_news_in_the_order_they_came(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    id = sent_through_mmg(house, mmg)
    for status in ("3", "4", "9"):
        record(server, id, status)
    assert house.kinds(id) == ["sent", "delivered", "temporary-failure", "technical-failure"]


def test_a_receipt_that_overtakes_the_answer_waits_for_it(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    house.take_over(message)
    with house.workers(house.parts(**mmg.settings)).running():
        eventually(lambda: mmg.hanging == 1)
        assert record(server, message.id, "3")
        assert not record(server, message.id, "3")
        assert house.kinds(message.id) == []
        mmg.release()
        eventually(lambda: house.states() == {"sent": 1})
    assert house.kinds(message.id) == ["sent", "delivered"]
    assert not record(server, message.id, "3")
    assert house.value("SELECT count(*) FROM unmatched_receipts") == 0


def test_a_receipt_proves_a_hand_over_whose_answer_was_lost(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.CLOSE)
    house.take_over(message)
    house.workers(house.parts(**mmg.settings)).settle()
    assert house.states() == {"queued": 1}
    assert record(server, message.id, "3")
    assert house.states() == {"sent": 1}
    assert house.kinds(message.id) == ["sent", "delivered"]
    house.run("UPDATE dispatches SET due_at = now() WHERE due_at IS NOT NULL")
    house.workers(house.parts(**mmg.settings)).settle()
    assert len(mmg.ids) == 1, "it is not sent again"


def test_a_receipt_that_overtakes_a_failing_call_proves_it_too(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.HANG)
    house.take_over(message)
    house.run("UPDATE dispatches SET attempt = :tries", tries=MAX_RETRIES)  # this one is the last
    parts = house.parts(**mmg.settings, provider_timeout_seconds=1)
    with house.workers(parts).running():
        eventually(lambda: mmg.hanging == 1)
        assert record(server, message.id, "3")
        eventually(lambda: house.states() == {"sent": 1})
    assert house.kinds(message.id) == ["sent", "delivered"]
    assert mmg.ids == [message.id]


def test_a_receipt_of_a_provider_that_was_never_called_proves_nothing(
    house: House, mmg: FakeMmg, server: InProcessServer
) -> None:
    message = sms()
    house.take_over(message)
    assert record(server, message.id, "3")
    assert house.states() == {"queued": 1}
    house.workers(house.parts()).settle()
    assert house.kinds(message.id) == ["sent", "delivered"]
    assert house.rows("SELECT provider FROM delivery_events GROUP BY 1") == [("sandbox-sms",)]


def test_a_receipt_of_an_unknown_message_is_kept_apart(house: House, server: InProcessServer) -> None:
    unknown = new_id()
    assert record(server, unknown, "3")
    assert not record(server, unknown, "3")
    assert house.value("SELECT count(*) FROM unmatched_receipts") == 1
    assert house.kinds(unknown) == []


def test_a_turned_away_second_copy_is_no_news(house: House, mmg: FakeMmg, server: InProcessServer) -> None:
    message = sms()
    mmg.script("447700900123", fake_mmg.CLOSE)
    house.send_again_at_once("mmg")
    house.take_over(message)
    house.workers(house.parts(**mmg.settings)).settle()
    assert record(server, message.id, "5", "23")
    assert record(server, message.id, "3", "5")
    assert house.kinds(message.id) == ["sent", "delivered"]


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
    house: House, server: InProcessServer, body: bytes, sentences: list[str] | None
) -> None:
    answer = call_back(server, "mmg", body)
    assert (answer.new_receipt, answer.http_status) == (False, 400)
    said = json.loads(answer.http_body)
    assert said["result"] == "error"
    if sentences:
        assert said["message"] == [f"MMG callback failed: {name} missing" for name in sentences]
    assert house.value("SELECT count(*) FROM receipts") == 0
    assert house.value("SELECT count(*) FROM unmatched_receipts") == 0


def test_a_receipt_about_none_of_our_ids_is_dropped_with_a_yes(house: House, server: InProcessServer) -> None:
    answer = call_back(server, "mmg", b'{"CID": "not-an-id", "status": "3"}')
    assert (answer.new_receipt, answer.http_status) == (False, 200)
    assert house.value("SELECT count(*) FROM unmatched_receipts") == 0


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


def test_the_sandbox_can_repeat_and_mix_its_receipts(house: House) -> None:
    repeated, mixed, none = (
        email("repeated-receipt@sandbox.notify"),
        email("mixed-receipts@sandbox.notify"),
        email("no-receipt@sandbox.notify"),
    )
    house.take_over(repeated, mixed, none)
    house.workers(house.parts()).settle()
    assert house.kinds(repeated.id) == ["sent", "delivered"]
    assert house.kinds(mixed.id) == ["sent", "delivered", "pending"]
    assert house.kinds(none.id) == ["sent"]


def test_the_feed_is_read_in_pages_and_by_channel(house: House, server: InProcessServer) -> None:
    texts, letters = [sms() for _ in range(4)], [letter() for _ in range(3)]
    house.take_over(*texts, *letters)
    house.workers(house.parts()).settle()
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
