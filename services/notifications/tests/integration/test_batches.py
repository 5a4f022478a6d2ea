"""Batches: rows once each, whatever is repeated or dies; exactly what is answered is stored."""

from datetime import timedelta
from typing import Any

import pytest
from notify.notifications.v1 import batches_service_pb2 as pb
from notify.notifications.v1.batches_service_pb2_grpc import BatchesServiceStub
from notify.notifications.v1.notification_pb2 import Notification
from notify.notifications.v1.notifications_service_pb2 import ListNotificationsRequest
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import child_id, new_id
from notify_common.rpc import status
from notify_testing.waiting import until

from .conftest import World
from .requests import ADDRESS, KEY_TYPES, caller, email, letter, sms

CONTENT = b"c" * 32


@pytest.fixture
def stub(world: World) -> Any:
    return BatchesServiceStub(world.channel)


def opening(service: str, key: str = "k", **overrides: Any) -> pb.OpenBatchRequest:
    key_type = overrides.pop("key_type", "normal")
    given: dict[str, Any] = {
        "request_id": new_id(),
        "run_id": new_id(),
        "content_hash": CONTENT,
        "row_count": 3,
    } | overrides
    return pb.OpenBatchRequest(caller=caller(service, key_type), idempotency_key=key, **given)


def rows_of(*requests: Any, first: int = 1) -> list[pb.BatchRow]:
    """Return requests of any channel as rows, numbered from `first`."""
    rows = []
    for number, request in enumerate(requests, first):
        request.ClearField("request_id")
        request.ClearField("caller")
        kind = type(request).__name__.removeprefix("Send").removesuffix("Request").lower()
        rows.append(pb.BatchRow(number=number, **{kind: request}))
    return rows


def part(
    opened: pb.OpenBatchRequest, batch_id: str, rows: list[pb.BatchRow], **given: Any
) -> pb.BatchAcceptRowsRequest:
    return pb.BatchAcceptRowsRequest(
        batch_id=batch_id, run_id=opened.run_id, caller=opened.caller, rows=rows, **given
    )


def told(response: pb.BatchAcceptRowsResponse) -> dict[int, str]:
    return {one.number: status.from_bytes(one.error).reason for one in response.refusals}


def is_archived(world: World, service: str, template: str) -> bool:
    found = world.parts.snapshots.template(service, template)
    return found is not None and found.archived


def states(stub: Any, service: str, batch_id: str) -> dict[str, int]:
    found = stub.GetBatch(pb.GetBatchRequest(service_id=service, batch_id=batch_id))
    return {Notification.State.Name(one.state): one.message_count for one in found.counts}


def test_rows_of_all_channels_are_accepted_and_counted_by_state(world: World, stub: Any) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi ((x))")
    mail = world.admin.add_template(service, "email", "Dear ((x))", "On ((x))")
    post = world.admin.add_template(service, "letter", "Dear ((x))", "s")
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    rows = rows_of(
        sms(service, text, [("x", "1")]),
        email(service, mail, [("x", "2")]),
        letter(service, post, [*ADDRESS, ("x", "3")]),
        sms(service, text),
        sms(service, new_id()),
    )
    answer = stub.BatchAcceptRows(part(opened, batch.id, rows))
    assert told(answer) == {4: "MISSING_PERSONALISATION", 5: "TEMPLATE_NOT_FOUND"}
    stored = {row[0] for row in world.rows("SELECT id::text FROM notifications")}
    assert stored == {child_id(batch.id, number) for number in (1, 2, 3)}
    assert {row[0] for row in world.rows("SELECT lane FROM outbox")} == {"job"}
    assert states(stub, service, batch.id) == {"STATE_CREATED": 3}
    listed = world.stub.ListNotifications(
        ListNotificationsRequest(service_id=service, key_type=KEY_TYPES["normal"], batch_id=batch.id)
    )
    assert {one.id for one in listed.notifications} == stored
    world.relay()
    world.providers.tell(child_id(batch.id, 1), "sent", "delivered")
    world.apply_events()
    assert states(stub, service, batch.id)["STATE_DELIVERED"] == 1
    assert sum(states(stub, service, batch.id).values()) == 3


def test_a_repeat_goes_on_with_the_same_ids_and_doubles_nothing(world: World, stub: Any) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi ((x))")
    requests = [sms(service, text, [("x", str(number))]) for number in range(4)]
    first = opening(service)
    batch = stub.OpenBatch(first).batch
    stub.BatchAcceptRows(part(first, batch.id, rows_of(*requests[:2])))
    with pytest.raises(NotifyError) as running:
        stub.OpenBatch(opening(service))
    assert running.value.reason == "BATCH_RUNNING"
    assert running.value.retry_after is not None
    stub.LeaveBatch(pb.LeaveBatchRequest(batch_id=batch.id, run_id=first.run_id))
    second = opening(service)
    again = stub.OpenBatch(second)
    assert (again.batch.id, again.replayed) == (batch.id, True)
    # the template is gone meanwhile: what was stored is accepted, what was not is refused
    world.admin.archive_template(service, text)
    world.parts.snapshots.poller.start()
    until(lambda: is_archived(world, service, text))
    world.parts.snapshots.poller.stop()
    answer = stub.BatchAcceptRows(part(second, batch.id, rows_of(*requests), is_repeat=True))
    assert told(answer) == {3: "TEMPLATE_ARCHIVED", 4: "TEMPLATE_ARCHIVED"}
    assert world.counts() == (2, 2, 2)
    with pytest.raises(NotifyError, match="worked off"):
        stub.BatchAcceptRows(part(first, batch.id, rows_of(*requests)))


def test_a_process_whose_clock_is_ahead_takes_a_batch_over_and_doubles_nothing(
    world: World, stub: Any
) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi ((x))")
    requests = [sms(service, text, [("x", str(number))]) for number in range(2)]
    first, second = opening(service), opening(service)
    batch = stub.OpenBatch(first).batch
    stub.BatchAcceptRows(part(first, batch.id, rows_of(*requests)))
    with clock.set_for_tests(clock.now() + timedelta(minutes=5)):
        assert stub.OpenBatch(second).batch.id == batch.id
    with pytest.raises(NotifyError) as lost:
        stub.BatchAcceptRows(part(first, batch.id, rows_of(*requests)))
    assert lost.value.reason == "BATCH_RUNNING"
    assert told(stub.BatchAcceptRows(part(second, batch.id, rows_of(*requests), is_repeat=True))) == {}
    assert world.counts() == (2, 2, 2)


def test_other_content_or_another_type_of_key_is_another_request(world: World, stub: Any) -> None:
    service, other = world.admin.add_service(), world.admin.add_service()
    batch = stub.OpenBatch(opening(service)).batch
    for changed in ({"content_hash": b"d" * 32}, {"key_type": "test"}):
        with pytest.raises(NotifyError) as refused:
            stub.OpenBatch(opening(service, **changed))
        assert refused.value.reason == "REQUEST_ID_REUSED"
    assert stub.OpenBatch(opening(other)).batch.id != batch.id
    with pytest.raises(NotifyError) as unknown:
        stub.GetBatch(pb.GetBatchRequest(service_id=other, batch_id=batch.id))
    assert unknown.value.reason == "BATCH_NOT_FOUND"
    world.execute("UPDATE batches SET create_time = create_time - interval '25 hours'")
    assert stub.OpenBatch(opening(service, content_hash=b"d" * 32)).batch.id != batch.id


def test_a_complete_batch_answers_as_it_did_and_takes_nothing_more(world: World, stub: Any) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi")
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    stub.BatchAcceptRows(part(opened, batch.id, rows_of(sms(service, text))))
    finishing = pb.FinishBatchRequest(batch_id=batch.id, run_id=opened.run_id, accepted_count=1, answer=b"{}")
    ended = stub.FinishBatch(finishing).batch
    assert ended == stub.FinishBatch(finishing).batch
    again = stub.OpenBatch(opening(service))
    assert (again.replayed, again.answer, again.batch) == (True, b"{}", ended)
    with pytest.raises(NotifyError, match="worked off"):
        stub.BatchAcceptRows(part(opened, batch.id, rows_of(sms(service, text), first=2)))
    with pytest.raises(NotifyError, match="worked off"):
        stub.FinishBatch(pb.FinishBatchRequest(batch_id=batch.id, run_id=new_id()))
    assert world.counts() == (1, 1, 1)


def test_a_limit_in_the_middle_ends_at_the_row_that_the_answer_names(world: World, stub: Any) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 5})
    text = world.admin.add_template(service, "sms", "Hi")
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    answer = stub.BatchAcceptRows(part(opened, batch.id, rows_of(*(sms(service, text) for _ in range(8)))))
    assert told(answer) == dict.fromkeys((6, 7, 8), "DAILY_LIMIT_REACHED")
    assert world.counts() == (5, 5, 5)


def test_a_batch_takes_one_token_of_the_rate_limit(world: World, stub: Any) -> None:
    service = world.admin.add_service(
        limits={"rate_limit_per_minute": 6}
    )  # a bucket of three, of which the last stays
    text = world.admin.add_template(service, "sms", "Hi")
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    rows = rows_of(*(sms(service, text) for _ in range(50)))
    assert told(stub.BatchAcceptRows(part(opened, batch.id, rows))) == {}
    stub.OpenBatch(opening(service, "other"))
    with pytest.raises(NotifyError) as limited:
        stub.OpenBatch(opening(service, "third"))
    assert limited.value.reason == "RATE_LIMITED"


def test_rows_that_break_rules_of_fields_are_refused_alone(world: World, stub: Any) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi")
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    rows = [*rows_of(sms(service, "x"), sms(service, text)), pb.BatchRow(number=3)]
    assert told(stub.BatchAcceptRows(part(opened, batch.id, rows))) == {
        1: "INVALID_FIELD",
        3: "INVALID_FIELD",
    }
    assert world.counts() == (1, 1, 1)


def test_a_preview_says_what_would_come_of_rows_and_stores_and_counts_nothing(
    world: World, stub: Any
) -> None:
    limits = {"sms_per_day": 1, "rate_limit_per_minute": 6}
    service = world.admin.add_service(limits=limits, permissions=["sms", "email", "letter"])
    text = world.admin.add_template(service, "sms", "Ŵyn ((x))")
    mail = world.admin.add_template(service, "email", "Dear ((x))", "On ((x))")
    post = world.admin.add_template(service, "letter", "Dear ((x))", "s")
    rows = rows_of(
        sms(service, text, [("x", "a" * 70)]),
        email(service, mail, [("x", "2")]),
        letter(service, post, [*ADDRESS, ("x", "3")]),
        sms(service, text),
        sms(service, text, [("x", "1")], phone_number="+33 6 12 34 56 78"),
    )
    rows.append(pb.BatchRow(number=6))
    ask = pb.PreviewRowsRequest(caller=caller(service), rows=rows)
    for _ in range(5):  # more than the bucket holds
        first, second, third, fourth, fifth, sixth = stub.PreviewRows(ask).previews
    assert (first.sms.is_unicode, first.sms.fragment_count) == (True, 2)
    assert first.sms.unicode_characters == ["Ŵ"]
    assert (first.error, list(first.limits)) == (b"", [])
    assert first.cost_micropounds > 0
    assert (second.subject, second.body, second.cost_micropounds) == ("On 2", "Dear 2", 0)
    assert "Dear 2" in second.html
    assert (third.page_count, third.sheet_count) == (1, 1)
    assert third.cost_micropounds > 0
    assert third.postage
    reasons = [status.from_bytes(one.error).reason for one in (fourth, fifth, sixth)]
    assert reasons == ["MISSING_PERSONALISATION", "INTERNATIONAL_NOT_ALLOWED", "INVALID_FIELD"]
    assert world.counts() == (0, 0, 0)
    world.stub.SendSms(sms(service, text, [("x", "1")]))
    (limited,) = stub.PreviewRows(pb.PreviewRowsRequest(caller=caller(service), rows=rows[:1])).previews
    assert [status.from_bytes(one).reason for one in limited.limits] == ["DAILY_LIMIT_REACHED"]
