"""The relay: nothing lost, nothing doubled, one bad message holds up no other (design.md §3.5, §3.10)."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from notify.common.v1 import common_pb2
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_SERVICE_ID
from notify_common.ops import queues
from notify_notifications.usecases import hand_over
from notify_notifications.usecases.ops import OPS

from .conftest import World
from .neighbours import at_once
from .requests import ADDRESS, email, letter, sms


def send_texts(world: World, count: int, **service: Any) -> tuple[str, list[str]]:
    service_id = world.admin.add_service(**service)
    template = world.admin.add_template(service_id, "sms", "Hi ((x))")
    requests = [sms(service_id, template, [("x", str(number))]) for number in range(count)]
    for request in requests:
        world.stub.SendSms(request)
    return service_id, [request.request_id for request in requests]


def make_due(world: World) -> None:
    world.execute("UPDATE outbox SET due_at = now(), leased_until = NULL")


def test_messages_wait_in_their_lanes_and_of_their_services(world: World) -> None:
    world.admin.add_service(id=PLATFORM_SERVICE_ID)
    other, (sent,) = send_texts(world, 1)
    template = world.admin.add_template(PLATFORM_SERVICE_ID, "sms", "Your code")
    code = sms(PLATFORM_SERVICE_ID, template)
    world.stub.SendSms(code)

    rows = world.rows("SELECT notification_id::text, lane, service_id::text FROM outbox")
    assert {tuple(row) for row in rows} == {
        (sent, "api", other),
        (code.request_id, "platform", PLATFORM_SERVICE_ID),
    }
    world.relay()
    assert list(world.providers.dispatches) == [code.request_id, sent], "the platform's own mail goes first"
    assert world.providers.dispatches[sent].lane == common_pb2.LANE_API
    assert world.providers.dispatches[code.request_id].lane == common_pb2.LANE_PLATFORM


def test_a_text_is_handed_over_as_it_will_be_sent(world: World) -> None:
    service = world.admin.add_service(name="Pigeons", prefix_sms=True)
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    request = sms(service, template, [("x", "ü€" * 80)], phone_number="+33 6 12 34 56 78", key_type="test")
    world.stub.SendSms(request)
    assert not world.get(service, request.request_id).HasField("cost")

    assert world.relay() == 1
    dispatch = world.providers.dispatches[request.request_id]
    assert dispatch.sms.phone_number == "33612345678"
    assert dispatch.sms.phone_number_as_typed == "+33 6 12 34 56 78"
    assert dispatch.sms.international
    assert dispatch.sms.sender == "TESTGOV"
    assert dispatch.sms.body == "Pigeons: Hi " + "ü€" * 80
    assert dispatch.service_id == service
    assert dispatch.key_type == common_pb2.KEY_TYPE_TEST
    assert dispatch.origin_request_id
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", dispatch.traceparent)
    assert world.counts()[1] == 0
    assert world.rows("SELECT fragment_count FROM notifications")[0][0] == 2
    assert world.relay() == 0


def test_what_is_handed_over_as_it_was_accepted_is_not_written_again(world: World) -> None:
    send_texts(world, 2)
    versions = "SELECT id::text, xmin::text FROM notifications ORDER BY id"
    before = [tuple(row) for row in world.rows(versions)]
    assert world.relay() == 2
    assert [tuple(row) for row in world.rows(versions)] == before


def test_an_email_is_handed_over_as_a_page_and_as_text(world: World) -> None:
    service = world.admin.add_service(custom_email_sender_name="The Pigeons")
    world.admin.add_reply_to_address(service, "reply@example.gov.uk")
    template = world.admin.add_template(service, "email", "# Hello\n\n((x))", "For ((x))")
    request = email(service, template, [("x", "<b>")], one_click_unsubscribe_url="https://example.gov.uk/u")
    world.stub.SendEmail(request)
    world.relay()
    content = world.providers.dispatches[request.request_id].email
    assert content.to_address == "Reader@example.com"
    assert (content.from_name, content.from_address) == (
        "The Pigeons",
        "the.pigeons@notifications.example.gov.uk",
    )
    assert content.reply_to_address == "reply@example.gov.uk"
    assert content.subject == "For <b>"
    assert "<b>" in content.plain_body
    assert "&lt;b&gt;" in content.html_body
    assert content.html_body.lower().startswith("<!doctype html")
    assert content.unsubscribe_url == "https://example.gov.uk/u"


def test_a_letter_is_handed_over_with_its_address_and_reference(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "Dear ((x))", "s")
    values = [*ADDRESS, ("x", ["a", "b"]), ("extra", None)]
    request = letter(service, template, values)
    world.stub.SendLetter(request)
    world.relay()
    handed = world.letters.letters[request.request_id]
    assert list(handed.address_lines) == ["Ann Other", "1 Example Street", "SW1A 1AA"]
    assert handed.personalisation == request.personalisation
    assert handed.postage == common_pb2.POSTAGE_SECOND
    assert re.fullmatch("[A-Z0-9]{16}", handed.reference)
    assert handed.reference == hand_over.print_reference(request.request_id)
    assert (handed.template_id, handed.template_version) == (template, 1)
    found = world.get(service, request.request_id)
    assert handed.create_time == found.create_time
    assert found.HasField("hand_over_time")
    assert world.counts()[1] == 0
    assert not world.providers.dispatches


def test_a_relay_that_dies_after_the_hand_over_hands_over_again_and_nothing_doubles(world: World) -> None:
    send_texts(world, 3)

    def die() -> None:
        # the lease ends while the answer is on its way: as if the process had died and another taken over
        world.providers.after_commit = lambda: None
        world.execute("UPDATE outbox SET due_at = now(), leased_until = now(), lease_token = NULL")

    world.providers.after_commit = die
    world.relay()
    assert len(world.providers.dispatches) == 3
    assert world.counts()[1] == 3
    assert world.relay() == 3
    assert len(world.providers.dispatches) == 3
    assert world.providers.duplicates == 3
    assert world.counts()[1] == 0


def test_a_failed_commit_after_the_hand_over_leaves_the_rows_to_be_handed_over_again(world: World) -> None:
    send_texts(world, 2)
    # as versions before accepted them, so that something is noted with the hand-over
    world.execute("UPDATE notifications SET fragment_count = NULL")
    with world.failing_updates(), pytest.raises(sa.exc.DBAPIError):
        world.relay()
    assert world.counts()[1] == 2
    make_due(world)
    world.relay()
    assert (len(world.providers.dispatches), world.providers.duplicates) == (2, 2)
    assert world.counts()[1] == 0


def test_while_providers_is_away_rows_wait_without_using_up_attempts(world: World) -> None:
    send_texts(world, 3)
    world.providers.away = True
    for _ in range(3):
        with pytest.raises(NotifyError):
            world.relay()
    assert {tuple(row) for row in world.rows("SELECT attempt, parked_at FROM outbox")} == {(0, None)}
    world.providers.away = False
    assert world.relay() == 3
    assert len(world.providers.dispatches) == 3


def test_an_error_that_no_message_can_be_blamed_for_uses_up_no_attempts(world: World) -> None:
    send_texts(world, 3)
    world.providers.fails_with = "UNIMPLEMENTED"
    for _ in range(3):
        with pytest.raises(NotifyError):
            world.relay()
    assert len(world.providers.calls) == 3
    assert {tuple(row) for row in world.rows("SELECT attempt, parked_at FROM outbox")} == {(0, None)}
    world.providers.fails_with = ""
    assert world.relay() == 3
    assert len(world.providers.dispatches) == 3


def test_rows_stay_leased_however_long_their_batch_takes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "HEARTBEAT_SECONDS", 0)
    monkeypatch.setattr(hand_over, "MOST_BYTES", 0)
    send_texts(world, 4)
    second: list[int] = []

    def meanwhile() -> None:
        # half a minute goes by in the middle of the first hand-over; the next row takes its time as well
        world.providers.after_commit = lambda: second.append(world.relay())
        world.execute("UPDATE outbox SET due_at = now(), leased_until = now()")

    world.providers.after_commit = meanwhile
    assert world.relay() == 4
    assert second == [0, 0, 0]
    assert (len(world.providers.dispatches), world.providers.duplicates) == (4, 0)


def test_a_row_that_another_worker_took_meanwhile_is_not_given_up(world: World) -> None:
    service, (notification,) = send_texts(world, 1)
    world.admin.archive_service(service)
    world.parts.snapshots._services.clear()
    taken = sa.text("UPDATE outbox SET lease_token = gen_random_uuid()")

    def take() -> None:
        with world.parts.uow.begin() as conn:
            conn.execute(taken)

    world.admin.before_snapshots = take
    world.relay()
    assert world.state(service, notification) == "created"
    assert world.counts()[1] == 1


def test_while_admin_is_away_rows_wait_too(world: World) -> None:
    send_texts(world, 1)
    world.parts.snapshots._services.clear()
    world.admin.away = True
    with pytest.raises(NotifyError):
        world.relay()
    world.admin.away = False
    assert world.relay() == 1
    assert len(world.providers.dispatches) == 1


def test_a_message_that_providers_refuse_backs_off_alone(world: World) -> None:
    _, ids = send_texts(world, 9)
    world.providers.refuse = lambda dispatch: dispatch.id == ids[4]
    world.relay()
    assert sorted(world.providers.dispatches) == sorted(set(ids) - {ids[4]})
    (left,) = world.rows("SELECT notification_id::text, attempt, due_at > now(), leased_until FROM outbox")
    assert tuple(left) == (ids[4], 1, True, None)
    for _ in range(25):
        make_due(world)
        world.relay()
    (parked,) = world.rows("SELECT parked_at IS NOT NULL, park_reason FROM outbox")
    assert tuple(parked) == (True, "INVALID_FIELD")


def test_a_dropped_message_ends_as_a_technical_failure(world: World) -> None:
    service_id, ids = send_texts(world, 2)
    world.execute(
        "UPDATE outbox SET parked_at = now(), park_reason = 'why' WHERE notification_id = CAST(:id AS uuid)",
        id=ids[0],
    )
    with world.parts.uow.begin() as tx:
        assert queues.drop(tx, OPS, "outbox/providers", "operator", "why", keys=ids) == 1
    world.relay()
    assert list(world.providers.dispatches) == [ids[1]]
    assert world.state(service_id, ids[0]) == "technical_failure"
    assert world.state(service_id, ids[1]) != "technical_failure"


def test_nothing_is_handed_over_while_the_queue_is_paused(world: World) -> None:
    _, ids = send_texts(world, 2)
    with world.parts.uow.begin() as tx:
        queues.pause(tx, OPS, "outbox/providers", "", "operator", "why")
    world.relay()
    assert not world.providers.dispatches
    with world.parts.uow.begin() as tx:
        queues.resume(tx, OPS, "outbox/providers", "", "operator", "why")
    world.relay()
    assert sorted(world.providers.dispatches) == sorted(ids)


def test_a_message_that_can_t_be_made_ready_backs_off_alone(world: World) -> None:
    _, ids = send_texts(world, 3)
    world.execute("UPDATE notifications SET template_version = 7 WHERE id = CAST(:id AS uuid)", id=ids[1])
    world.relay()
    assert sorted(world.providers.dispatches) == sorted([ids[0], ids[2]])
    assert world.rows("SELECT notification_id::text, attempt FROM outbox")[0] == (ids[1], 1)


def test_messages_of_an_archived_service_end_as_technical_failures(world: World) -> None:
    service, (notification,) = send_texts(world, 1)
    world.admin.archive_service(service)
    world.parts.snapshots._services.clear()
    world.relay()
    assert not world.providers.dispatches
    assert world.counts()[1] == 0
    assert world.state(service, notification) == "technical_failure"


def test_big_messages_travel_in_several_batches(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((x))", "s")
    requests = [email(service, template, [("x", "word " * 100_000)]) for _ in range(8)]
    for request in requests:
        world.stub.SendEmail(request)
    world.relay()
    assert len(world.providers.dispatches) == 8
    assert len(world.providers.calls) > 1
    for call in world.providers.calls:
        size = sum(world.providers.dispatches[id_].ByteSize() for id_ in call)
        assert size <= hand_over.MOST_BYTES or len(call) == 1


def test_a_message_too_large_for_the_wire_ends_as_a_technical_failure(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((x))", "s")
    request = email(service, template, [("x", "<")])
    world.stub.SendEmail(request)
    # acceptance refuses one of this size; whatever should come to be stored with it all the same must not
    # hold up the others
    world.execute(
        "UPDATE notifications SET personalisation = jsonb_build_array(jsonb_build_array("
        "CAST('x' AS text), repeat('<', 1900000))) WHERE id = CAST(:id AS uuid)",
        id=request.request_id,
    )
    world.relay()
    assert world.counts()[1] == 0
    assert world.state(service, request.request_id) == "technical_failure"


def test_two_relays_share_the_rows(world: World) -> None:
    send_texts(world, 40)
    claimed = at_once(world.relay, world.relay)
    assert sum(claimed) == 40
    assert world.providers.duplicates == 0
    assert len(world.providers.dispatches) == 40


@pytest.mark.parametrize(
    ("rows", "seconds", "expected"),
    [(500, 0.1, 500), (500, 1.0, 125), (500, 60.0, 25), (25, 0.05, 125), (25, 0.0, 500)],
)
def test_as_many_are_claimed_at_once_as_take_a_quarter_of_a_second(
    rows: int, seconds: float, expected: int
) -> None:
    assert hand_over.rows_at_once(rows, seconds) == expected
