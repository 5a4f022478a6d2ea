"""Messages are deleted when their retention is over, and nothing else is (public-api.md §8.4)."""

import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_common.retention import kept_from
from notify_local.backing import wait_until
from notify_notifications.workers import retention
from notify_notifications.workers.retention import Retention
from notify_testing.waiting import WAIT_SECONDS

from .conftest import World
from .requests import KEY_TYPES, email, letter, sms

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
"""Seven days before NOW; London has the time of UTC then."""
MOMENT = timedelta(microseconds=1)


def a_pass(world: World, now: datetime = NOW) -> int:
    """Run a whole round of a worker that has made none that day; return how many messages it deleted."""
    before = len(ids(world))
    worker = Retention(world.parts.snapshots)
    with clock.set_for_tests(now):
        while worker.step(world.parts.uow):
            pass
    return before - len(ids(world))


def ids(world: World) -> list[str]:
    return [row.id for row in world.rows("SELECT id::text FROM notifications ORDER BY id")]


def a_text(world: World, service: str, created: datetime = MIDNIGHT - MOMENT, **fields: Any) -> str:
    """Return a text that was delivered, handed over long ago."""
    template = world.admin.add_template(service, "sms", "x")
    sent = world.stub.SendSms(sms(service, template, key_type=fields.pop("key_type", "normal")))
    return aged(world, sent.notification_id, created, **fields)


def aged(world: World, id: str, created: datetime, state: str = "delivered", waits: bool = False) -> str:
    world.execute(
        "UPDATE notifications SET create_time = :created, state = :state, fragment_count = 1 WHERE id = :id",
        id=id,
        created=created,
        state=state,
    )
    if not waits:
        world.execute("DELETE FROM outbox WHERE notification_id = :id", id=id)
    return id


def many(world: World, service: str, count: int) -> None:
    """Store that many more messages like the one that the service has."""
    columns = [
        row[0]
        for row in world.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'notifications' "
            "AND column_name <> 'id'"
        )
    ]
    names = ", ".join(columns)
    world.execute(
        f"INSERT INTO notifications (id, {names}) SELECT gen_random_uuid(), {names} FROM notifications, "
        "generate_series(1, :count) WHERE service_id = :service",
        count=count,
        service=service,
    )


def counted(world: World, service: str) -> int:
    rows = world.rows(
        "SELECT coalesce(sum(message_count), 0) FROM deleted_message_counts WHERE service_id = :id",
        id=service,
    )
    return int(rows[0][0])


def keeps(world: World, service: str, **days: int) -> None:
    """Give the service retentions of its own."""
    for channel, number in days.items():
        world.admin.set_retention(service, Channel(channel), number)


def test_what_was_made_before_midnight_seven_days_ago_goes(world: World) -> None:
    service = world.admin.add_service()
    outside = a_text(world, service, MIDNIGHT - MOMENT)
    inside = a_text(world, service, MIDNIGHT)
    assert a_pass(world) == 1
    assert ids(world) == [inside]
    with pytest.raises(NotifyError) as raised:
        world.get(service, outside)
    assert raised.value.reason == "NOTIFICATION_NOT_FOUND"
    ask = pb.ListNotificationsRequest(service_id=service, key_type=KEY_TYPES["normal"], older_than_id=outside)
    assert not world.stub.ListNotifications(ask).notifications


@pytest.mark.parametrize(
    ("now", "days", "cut_off"),
    [
        (datetime(2026, 7, 10, 22, 59, tzinfo=UTC), 7, datetime(2026, 7, 2, 23, tzinfo=UTC)),
        (datetime(2026, 7, 10, 23, tzinfo=UTC), 7, datetime(2026, 7, 3, 23, tzinfo=UTC)),
        # the clocks went forward in between: the day has 23 hours, and nothing goes that is not a day old
        (datetime(2026, 3, 29, 23, tzinfo=UTC), 1, datetime(2026, 3, 28, 22, tzinfo=UTC)),
        (NOW, 0, NOW - timedelta(hours=25)),
        (NOW, 90, datetime(2026, 8, 30, 23, tzinfo=UTC)),
    ],
)
def test_days_begin_and_end_in_london(now: datetime, days: int, cut_off: datetime) -> None:
    assert kept_from(days, now) == cut_off


def test_no_number_of_days_is_too_large() -> None:
    assert kept_from(2**31 - 1, NOW) < NOW - timedelta(days=36_000)


def test_each_channel_has_the_retention_that_its_service_gave_it(world: World) -> None:
    service, other = world.admin.add_service(), world.admin.add_service()
    keeps(world, service, sms=3, email=30)
    mail = world.admin.add_template(service, "email", "x", "s")
    three, thirty = MIDNIGHT + timedelta(days=4), MIDNIGHT - timedelta(days=23)

    def an_email(created: datetime) -> str:
        return aged(world, world.stub.SendEmail(email(service, mail)).notification_id, created)

    gone = [a_text(world, service, three - MOMENT), an_email(thirty - MOMENT)]
    left = [a_text(world, service, three), an_email(thirty), a_text(world, other, three - MOMENT)]
    assert a_pass(world) == len(gone)
    assert ids(world) == sorted(left)


@pytest.mark.parametrize(("days", "told"), [(None, 7), (30, 30), (0, 1), (10_000, 365)])
def test_providers_are_told_how_long(world: World, days: int | None, told: int) -> None:
    service = world.admin.add_service()
    if days is not None:
        keeps(world, service, sms=days, email=days)
    text = world.admin.add_template(service, "sms", "x")
    mail = world.admin.add_template(service, "email", "x", "s")
    world.stub.SendSms(sms(service, text))
    world.stub.SendEmail(email(service, mail))
    assert world.relay() == 2
    assert [one.retention_days for one in world.providers.dispatches.values()] == [told, told]


def test_what_admin_says_now_counts(world: World) -> None:
    service = world.admin.add_service()
    kept = a_text(world, service)
    assert world.parts.snapshots.service(service) is not None
    keeps(world, service, sms=8)
    world.parts.snapshots._services.evict(service)
    assert a_pass(world) == 0
    assert ids(world) == [kept]


def test_what_is_not_finished_stays(world: World) -> None:
    service = world.admin.add_service()
    post = world.admin.add_template(service, "letter", "x", "s")

    def a_letter(state: str) -> str:
        return aged(
            world, world.stub.SendLetter(letter(service, post)).notification_id, MIDNIGHT - MOMENT, state
        )

    waiting = aged(
        world,
        world.stub.SendSms(sms(service, world.admin.add_template(service, "sms", "x"))).notification_id,
        MIDNIGHT - MOMENT,
        waits=True,
    )
    kept = [a_letter("created"), a_letter("sending"), a_text(world, service, state="created"), waiting]
    gone = [a_letter("delivered"), a_letter("validation-failed"), a_text(world, service, state="sending")]
    assert a_pass(world) == len(gone)
    assert ids(world) == sorted(kept)
    world.execute("DELETE FROM outbox")
    assert a_pass(world) == 1


def test_messages_of_all_keys_are_counted_when_they_go(world: World) -> None:
    service = world.admin.add_service()
    for key_type in ("normal", "team", "test"):
        a_text(world, service, key_type=key_type)
    assert a_pass(world) == 3
    rows = world.rows(
        "SELECT key_type, channel, state, day, message_count, fragment_count FROM deleted_message_counts "
        "WHERE service_id = :id ORDER BY key_type",
        id=service,
    )
    day = (MIDNIGHT - MOMENT).date()
    assert [tuple(row) for row in rows] == [
        ("normal", "sms", "delivered", day, 1, 1),
        ("team", "sms", "delivered", day, 1, 1),
        ("test", "sms", "delivered", day, 1, 1),
    ]


def test_days_of_the_same_kind_add_up(world: World) -> None:
    service = world.admin.add_service()
    a_text(world, service)
    many(world, service, 9)
    assert a_pass(world) == 10
    a_text(world, service)
    assert a_pass(world) == 1
    assert counted(world, service) == 11


def test_messages_of_a_service_that_admin_does_not_know_stay(world: World) -> None:
    known, unknown = world.admin.add_service(), str(uuid.uuid4())
    kept = a_text(world, known)
    a_text(world, known)
    world.execute("UPDATE notifications SET service_id = :unknown WHERE id = :id", unknown=unknown, id=kept)
    assert a_pass(world) == 1
    assert ids(world) == [kept]


def test_without_admin_nothing_goes_and_the_round_is_resumed(world: World) -> None:
    service = world.admin.add_service()
    a_text(world, service)
    world.parts.snapshots._forget_all()
    worker = Retention(world.parts.snapshots)
    world.admin.away = True
    with clock.set_for_tests(NOW):
        with pytest.raises(NotifyError):
            worker.step(world.parts.uow)
        world.admin.away = False
        assert worker.step(world.parts.uow) == 1
    assert not ids(world)


def test_a_round_is_made_once_a_day(world: World) -> None:
    service = world.admin.add_service()
    worker = Retention(world.parts.snapshots)
    with clock.set_for_tests(NOW):
        assert worker.step(world.parts.uow) == 0
        a_text(world, service)
        assert worker.step(world.parts.uow) == 0
    with clock.set_for_tests(NOW + timedelta(hours=12)):
        assert worker.step(world.parts.uow) == 1


def test_two_workers_delete_each_message_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_ROWS", 50)
    services = [world.admin.add_service() for _ in range(2)]
    for service in services:
        a_text(world, service)
        many(world, service, 599)
    failures: list[Exception] = []

    def work() -> None:
        worker = Retention(world.parts.snapshots)
        try:
            while worker.step(world.parts.uow):
                pass
        except Exception as error:
            failures.append(error)

    with clock.set_for_tests(NOW):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_SECONDS)
    assert not failures
    # what one had locked when the other came by is taken by whoever holds it
    assert not ids(world)
    assert [counted(world, service) for service in services] == [600, 600]


def test_one_that_dies_in_the_middle_has_deleted_and_counted_nothing(world: World) -> None:
    service = world.admin.add_service()
    a_text(world, service)
    assert a_pass(world) == 1
    a_text(world, service)
    many(world, service, 9)
    template = "SELECT template_id FROM deleted_message_counts WHERE service_id = :id"
    world.execute(f"UPDATE notifications SET template_id = ({template}) WHERE service_id = :id", id=service)
    with world.superuser.connect() as blocker:
        blocker.execute(
            sa.text("SELECT 1 FROM deleted_message_counts WHERE service_id = :id FOR UPDATE"), {"id": service}
        )

        def dying() -> None:
            with suppress(Exception):
                a_pass(world)

        thread = threading.Thread(target=dying)
        thread.start()
        # it has deleted its messages and waits to count them
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%old%'"
        found: Sequence[Any] = []

        def waits() -> bool:
            nonlocal found
            found = world.rows(waiting)
            return bool(found)

        assert wait_until(waits, WAIT_SECONDS)
        with world.superuser.begin() as conn:
            conn.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": found[0].pid})
        thread.join(WAIT_SECONDS)
        blocker.rollback()
    assert (len(ids(world)), counted(world, service)) == (10, 1)
    assert a_pass(world) == 10
    assert counted(world, service) == 11


def test_a_list_is_read_on_while_its_messages_go(world: World) -> None:
    service = world.admin.add_service()
    young = [a_text(world, service, MIDNIGHT + timedelta(minutes=minute)) for minute in range(3)]
    for minute in range(3):
        a_text(world, service, MIDNIGHT - timedelta(minutes=minute + 1))

    def page(token: str = "") -> Any:
        ask = pb.ListNotificationsRequest(
            service_id=service, key_type=KEY_TYPES["normal"], page_size=2, page_token=token
        )
        return world.stub.ListNotifications(ask)

    first = page()
    assert a_pass(world) == 3
    second = page(first.next_page_token)
    seen = [one.id for one in (*first.notifications, *second.notifications)]
    assert seen == young[::-1]
    assert not second.next_page_token
