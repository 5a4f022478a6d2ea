"""Notifications dies while it stores batches: what is asked for again until it is answered is there once."""

import threading

import grpc
from notify.common.v1.common_pb2 import KeyType, PersonalisationField
from notify.notifications.v1.notifications_service_pb2 import (
    BatchSendRequest,
    BatchSendResponse,
    Caller,
    SendItem,
    SendSmsRequest,
)
from notify.notifications.v1.notifications_service_pb2_grpc import NotificationsServiceStub
from notify_common.ids import new_id
from notify_common.rpc import status
from notify_testing.waiting import WAIT_SECONDS, until

from tests.harness.house import ACCEPT_SECONDS, House

BATCHES = 3
MESSAGES = 60
PAUSE_SECONDS = 0.2


def batch(house: House) -> BatchSendRequest:
    """Texts of the demo service; every fifth has an idempotency key besides its id."""
    seeded = house.seeded
    (key,) = house.query(
        "admin", "SELECT id::text FROM api_keys WHERE service_id = %s LIMIT 1", seeded.service_id
    )
    caller = Caller(service_id=seeded.service_id, api_key_id=str(key[0]), key_type=KeyType.KEY_TYPE_NORMAL)
    values = [PersonalisationField(key=name, text="x") for name in ("name", "date")]
    requests = [
        SendSmsRequest(
            request_id=new_id(),
            caller=caller,
            template_id=seeded.templates["sms"],
            phone_number=f"07400{number:06d}",
            personalisation=values,
            idempotency_key=new_id() if number % 5 == 0 else "",
        )
        for number in range(MESSAGES)
    ]
    return BatchSendRequest(items=[SendItem(sms=request, is_repeat=True) for request in requests])


def store(house: House, asked: BatchSendRequest, after_try: threading.Event) -> None:
    """Ask until every message is accepted."""

    def is_stored() -> bool:
        with house.channel("notifications") as channel:
            stub = NotificationsServiceStub(channel)
            try:
                answer: BatchSendResponse = stub.BatchSend(asked, timeout=2)
            except grpc.RpcError:
                answer = BatchSendResponse()
        after_try.set()
        errors = [status.from_bytes(result.error) for result in answer.results if result.HasField("error")]
        assert {error.reason for error in errors} <= {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RATE_LIMITED"}
        return bool(answer.results) and not errors

    until(is_stored, ACCEPT_SECONDS, PAUSE_SECONDS)


def test_a_death_loses_and_doubles_nothing_of_a_batch(house: House) -> None:
    before = counts(house)
    batches = [batch(house) for _ in range(BATCHES)]
    begun = threading.Event()
    senders = [threading.Thread(target=store, args=(house, one, begun)) for one in batches]
    for sender in senders:
        sender.start()
    for _ in range(2):
        assert begun.wait(WAIT_SECONDS)
        begun.clear()
        house.stack.kill("notifications")
        house.stack.restart("notifications")
    for sender in senders:
        sender.join(ACCEPT_SECONDS)
        assert not sender.is_alive()
    # asked for once more when all is over
    for one in batches:
        store(house, one, begun)
    ids = [item.sms.request_id for one in batches for item in one.items]
    house.wait_for_states(ids, "delivered")
    copies = house.sandbox_copies()
    assert {id: copies[id] for id in ids} == dict.fromkeys(ids, 1)
    after = counts(house)
    assert [new - old for new, old in zip(after, before, strict=True)] == [BATCHES * MESSAGES] * 2


def counts(house: House) -> tuple[int, int]:
    """Messages that count, and what the day's counters say."""
    (row,) = house.query(
        "notifications",
        "SELECT (SELECT count(*) FROM notifications WHERE key_type <> 'test'), "
        "(SELECT coalesce(sum(count), 0) FROM service_day_counters WHERE counter = 'sms')",
    )
    return int(str(row[0])), int(str(row[1]))
