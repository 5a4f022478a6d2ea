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

from .conftest import House
from .requests import KEY_TYPES, email, letter, sms

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
"""Seven days before NOW; London has the time of UTC then."""
MOMENT = timedelta(microseconds=1)


def a_pass(house: House, now: datetime = NOW) -> int:
    """Run a whole round of a worker that has made none that day; return how many messages it deleted."""
    before = len(ids(house))
    worker = Retention(house.parts.snapshots)
    with clock.set_for_tests(now):
        while worker.step(house.parts.uow):
            pass
    return before - len(ids(house))


def ids(house: House) -> list[str]:
    return [row.id for row in house.rows("SELECT id::text FROM notifications ORDER BY id")]


def a_text(house: House, service: str, created: datetime = MIDNIGHT - MOMENT, **fields: Any) -> str:
    """Return a text that was delivered, handed over long ago."""
    template = house.admin.add_template(service, "sms", "x")
    sent = house.stub.SendSms(sms(service, template, key_type=fields.pop("key_type", "normal")))
    return aged(house, sent.notification_id, created, **fields)


def aged(house: House, id: str, created: datetime, state: str = "delivered", waits: bool = False) -> str:
    house.execute(
        "UPDATE notifications SET create_time = :created, state = :state, fragment_count = 1 WHERE id = :id",
        id=id,
        created=created,
        state=state,
    )
    if not waits:
        house.execute("DELETE FROM outbox WHERE notification_id = :id", id=id)
    return id


def many(house: House, service: str, count: int) -> None:
    """Store that many more messages like the one that the service has."""
    columns = [
        row[0]
        for row in house.rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'notifications' "
            "AND column_name <> 'id'"
        )
    ]
    names = ", ".join(columns)
    house.execute(
        f"INSERT INTO notifications (id, {names}) SELECT gen_random_uuid(), {names} FROM notifications, "
        "generate_series(1, :count) WHERE service_id = :service",
        count=count,
        service=service,
    )


def counted(house: House, service: str) -> int:
    rows = house.rows(
        "SELECT coalesce(sum(message_count), 0) FROM deleted_message_counts WHERE service_id = :id",
        id=service,
    )
    return int(rows[0][0])


def keeps(house: House, service: str, **days: int) -> None:
    """Give the service retentions of its own."""
    for channel, number in days.items():
        house.admin.set_retention(service, Channel(channel), number)


def test_what_was_made_before_midnight_seven_days_ago_goes(house: House) -> None:
    service = house.admin.add_service()
    outside = a_text(house, service, MIDNIGHT - MOMENT)
    inside = a_text(house, service, MIDNIGHT)
    assert a_pass(house) == 1
    assert ids(house) == [inside]
    with pytest.raises(NotifyError) as raised:
        house.get(service, outside)
    assert raised.value.reason == "NOTIFICATION_NOT_FOUND"
    ask = pb.ListNotificationsRequest(service_id=service, key_type=KEY_TYPES["normal"], older_than_id=outside)
    assert not house.stub.ListNotifications(ask).notifications


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


def test_each_channel_has_the_retention_that_its_service_gave_it(house: House) -> None:
    service, other = house.admin.add_service(), house.admin.add_service()
    keeps(house, service, sms=3, email=30)
    mail = house.admin.add_template(service, "email", "x", "s")
    three, thirty = MIDNIGHT + timedelta(days=4), MIDNIGHT - timedelta(days=23)

    def an_email(created: datetime) -> str:
        return aged(house, house.stub.SendEmail(email(service, mail)).notification_id, created)

    gone = [a_text(house, service, three - MOMENT), an_email(thirty - MOMENT)]
    left = [a_text(house, service, three), an_email(thirty), a_text(house, other, three - MOMENT)]
    assert a_pass(house) == len(gone)
    assert ids(house) == sorted(left)


@pytest.mark.parametrize(("days", "told"), [(None, 7), (30, 30), (0, 1), (10_000, 365)])
def test_providers_are_told_how_long(house: House, days: int | None, told: int) -> None:
    service = house.admin.add_service()
    if days is not None:
        keeps(house, service, sms=days, email=days)
    text = house.admin.add_template(service, "sms", "x")
    mail = house.admin.add_template(service, "email", "x", "s")
    house.stub.SendSms(sms(service, text))
    house.stub.SendEmail(email(service, mail))
    assert house.relay() == 2
    assert [one.retention_days for one in house.providers.dispatches.values()] == [told, told]


def test_what_admin_says_now_counts(house: House) -> None:
    service = house.admin.add_service()
    kept = a_text(house, service)
    assert house.parts.snapshots.service(service) is not None
    keeps(house, service, sms=8)
    house.parts.snapshots._services.evict(service)
    assert a_pass(house) == 0
    assert ids(house) == [kept]


def test_what_is_not_finished_stays(house: House) -> None:
    service = house.admin.add_service()
    post = house.admin.add_template(service, "letter", "x", "s")

    def a_letter(state: str) -> str:
        return aged(
            house, house.stub.SendLetter(letter(service, post)).notification_id, MIDNIGHT - MOMENT, state
        )

    waiting = aged(
        house,
        house.stub.SendSms(sms(service, house.admin.add_template(service, "sms", "x"))).notification_id,
        MIDNIGHT - MOMENT,
        waits=True,
    )
    kept = [a_letter("created"), a_letter("sending"), a_text(house, service, state="created"), waiting]
    gone = [a_letter("delivered"), a_letter("validation-failed"), a_text(house, service, state="sending")]
    assert a_pass(house) == len(gone)
    assert ids(house) == sorted(kept)
    house.execute("DELETE FROM outbox")
    assert a_pass(house) == 1


def test_messages_of_test_keys_leave_nothing_behind(house: House) -> None:
    service = house.admin.add_service()
    for key_type in ("normal", "team", "test"):
        a_text(house, service, key_type=key_type)
    assert a_pass(house) == 3
    rows = house.rows(
        "SELECT key_type, channel, state, day, message_count, fragment_count FROM deleted_message_counts "
        "WHERE service_id = :id ORDER BY key_type",
        id=service,
    )
    day = (MIDNIGHT - MOMENT).date()
    assert [tuple(row) for row in rows] == [
        ("normal", "sms", "delivered", day, 1, 1),
        ("team", "sms", "delivered", day, 1, 1),
    ]


def test_days_of_the_same_kind_add_up(house: House) -> None:
    service = house.admin.add_service()
    a_text(house, service)
    many(house, service, 9)
    assert a_pass(house) == 10
    a_text(house, service)
    assert a_pass(house) == 1
    assert counted(house, service) == 11


def test_messages_of_a_service_that_admin_does_not_know_stay(house: House) -> None:
    known, unknown = house.admin.add_service(), str(uuid.uuid4())
    kept = a_text(house, known)
    a_text(house, known)
    house.execute("UPDATE notifications SET service_id = :unknown WHERE id = :id", unknown=unknown, id=kept)
    assert a_pass(house) == 1
    assert ids(house) == [kept]


def test_without_admin_nothing_goes_and_the_round_is_resumed(house: House) -> None:
    service = house.admin.add_service()
    a_text(house, service)
    house.parts.snapshots._forget_all()
    worker = Retention(house.parts.snapshots)
    house.admin.away = True
    with clock.set_for_tests(NOW):
        with pytest.raises(NotifyError):
            worker.step(house.parts.uow)
        house.admin.away = False
        assert worker.step(house.parts.uow) == 1
    assert not ids(house)


def test_a_round_is_made_once_a_day(house: House) -> None:
    service = house.admin.add_service()
    worker = Retention(house.parts.snapshots)
    with clock.set_for_tests(NOW):
        assert worker.step(house.parts.uow) == 0
        a_text(house, service)
        assert worker.step(house.parts.uow) == 0
    with clock.set_for_tests(NOW + timedelta(hours=12)):
        assert worker.step(house.parts.uow) == 1


def test_two_workers_delete_each_message_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_ROWS", 50)
    services = [house.admin.add_service() for _ in range(2)]
    for service in services:
        a_text(house, service)
        many(house, service, 599)
    failures: list[Exception] = []

    def work() -> None:
        worker = Retention(house.parts.snapshots)
        try:
            while worker.step(house.parts.uow):
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
    assert not ids(house)
    assert [counted(house, service) for service in services] == [600, 600]


def test_one_that_dies_in_the_middle_has_deleted_and_counted_nothing(house: House) -> None:
    service = house.admin.add_service()
    a_text(house, service)
    assert a_pass(house) == 1
    a_text(house, service)
    many(house, service, 9)
    template = "SELECT template_id FROM deleted_message_counts WHERE service_id = :id"
    house.execute(f"UPDATE notifications SET template_id = ({template}) WHERE service_id = :id", id=service)
    with house.superuser.connect() as blocker:
        blocker.execute(
            sa.text("SELECT 1 FROM deleted_message_counts WHERE service_id = :id FOR UPDATE"), {"id": service}
        )

        def dying() -> None:
            with suppress(Exception):
                a_pass(house)

        thread = threading.Thread(target=dying)
        thread.start()
        # it has deleted its messages and waits to count them
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%old%'"
        found: Sequence[Any] = []

        def waits() -> bool:
            nonlocal found
            found = house.rows(waiting)
            return bool(found)

        assert wait_until(waits, WAIT_SECONDS)
        with house.superuser.begin() as conn:
            conn.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": found[0].pid})
        thread.join(WAIT_SECONDS)
        blocker.rollback()
    assert (len(ids(house)), counted(house, service)) == (10, 1)
    assert a_pass(house) == 10
    assert counted(house, service) == 11


def test_a_list_is_read_on_while_its_messages_go(house: House) -> None:
    service = house.admin.add_service()
    young = [a_text(house, service, MIDNIGHT + timedelta(minutes=minute)) for minute in range(3)]
    for minute in range(3):
        a_text(house, service, MIDNIGHT - timedelta(minutes=minute + 1))

    def page(token: str = "") -> Any:
        ask = pb.ListNotificationsRequest(
            service_id=service, key_type=KEY_TYPES["normal"], page_size=2, page_token=token
        )
        return house.stub.ListNotifications(ask)

    first = page()
    assert a_pass(house) == 3
    second = page(first.next_page_token)
    seen = [one.id for one in (*first.notifications, *second.notifications)]
    assert seen == young[::-1]
    assert not second.next_page_token
