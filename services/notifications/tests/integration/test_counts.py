"""Counts and usage facts say what the messages say, whatever happens (internal-api.md §§4.13, 4.15)."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notify_common import clock
from notify_local.backing import wait_until
from notify_notifications.store.counts import compact, recount
from notify_notifications.workers.recount import Recount
from notify_notifications.workers.retention import Retention
from notify_testing.waiting import WAIT_SECONDS

from .conftest import World
from .neighbours import at_once
from .requests import email, letter, sms

COUNTS = (
    "SELECT channel, key_type, state, sum(count) FROM message_counts WHERE service_id = :id "
    "GROUP BY 1, 2, 3 HAVING sum(count) <> 0 ORDER BY 1, 2, 3"
)
MESSAGES = (
    "SELECT channel, key_type, state, count(*) FROM notifications WHERE service_id = :id "
    "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
USAGE = (
    "SELECT channel, provider, rate_micropounds, rate_multiplier, postage, message_count, unit_count "
    "FROM usage_facts WHERE service_id = :id AND (message_count, unit_count) <> (0, 0) ORDER BY 1, 2, 3, 4, 5"
)


def counted(world: World, service: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.rows(COUNTS, id=service)]


def usage(world: World, service: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in world.rows(USAGE, id=service)]


def differences(world: World, service: str) -> int:
    with world.parts.uow.begin() as tx:
        return recount(tx, service, clock.london_day(clock.now()))


def a_text(world: World, service: str, **changes: Any) -> str:
    request = sms(service, world.admin.add_template(service, "sms", "x" * 200), **changes)
    world.stub.SendSms(request)
    return str(request.request_id)


def test_a_text_is_counted_where_it_stands(world: World) -> None:
    service = world.admin.add_service()
    text = a_text(world, service)
    assert counted(world, service) == [("sms", "normal", "created", 1)]
    assert not usage(world, service)
    world.relay()
    world.providers.tell(text, "sent")
    world.apply_events()
    assert counted(world, service) == [("sms", "normal", "sending", 1)]
    assert usage(world, service) == [("sms", "sandbox", 24_000, 1, "", 1, 2)]
    (taken,) = world.rows("SELECT message_count, prompt_count FROM processing_days")
    assert tuple(taken) == (1, 1)
    world.providers.tell(text, "delivered", "delivered")
    world.apply_events()
    assert counted(world, service) == [("sms", "normal", "delivered", 1)]
    assert usage(world, service) == [("sms", "sandbox", 24_000, 1, "", 1, 2)]


def test_what_is_no_longer_billable_is_no_usage(world: World) -> None:
    service = world.admin.add_service()
    text, tried = a_text(world, service), a_text(world, service, key_type="test")
    world.relay()
    world.providers.tell(text, "sent", "technical_failure")
    world.providers.tell(tried, "sent", "delivered")
    world.apply_events()
    assert counted(world, service) == [
        ("sms", "normal", "technical-failure", 1),
        ("sms", "test", "delivered", 1),
    ]
    assert not usage(world, service)


def test_a_text_that_no_provider_was_asked_to_send_costs_nothing(world: World) -> None:
    service = world.admin.add_service()
    text = a_text(world, service)
    world.relay()
    world.providers.tell(text, "permanent_failure", "permanent_failure")
    world.apply_events()
    assert counted(world, service) == [("sms", "normal", "permanent-failure", 1)]
    assert [units for *_, units in usage(world, service)] == [0]
    world.execute("UPDATE outbox SET due_at = now()")
    world.relay()
    assert [units for *_, units in usage(world, service)] == [0]
    assert differences(world, service) == 0


@pytest.mark.parametrize("provider_first", [True, False])
@pytest.mark.parametrize("accepted_with", [None, 1], ids=["an older version's", "of another name"])
def test_a_text_is_billed_as_it_was_handed_over(
    world: World, accepted_with: int | None, *, provider_first: bool
) -> None:
    service = world.admin.add_service()
    text = a_text(world, service)
    world.execute("UPDATE notifications SET fragment_count = :known", known=accepted_with)
    world.providers.tell(text, "sent")
    if provider_first:
        world.apply_events()
        assert [units for *_, units in usage(world, service)] == [accepted_with or 0]
    world.relay()
    world.execute("UPDATE outbox SET due_at = now()")
    world.relay()
    world.apply_events()
    assert usage(world, service) == [("sms", "sandbox", 24_000, 1, "", 1, 2)]
    assert differences(world, service) == 0


def test_a_letter_is_billed_by_its_sheets(world: World) -> None:
    service = world.admin.add_service()
    request = letter(service, world.admin.add_template(service, "letter", "x", "s"))
    world.stub.SendLetter(request)
    world.providers.tell(request.request_id, "sent", provider="dvla")
    world.apply_events()
    world.letters.tell(request.request_id, "ready", sheets=2)
    world.apply_events()
    assert usage(world, service) == [("letter", "dvla", 770_000, 0, "second", 1, 2)]
    assert differences(world, service) == 0


def test_a_request_that_is_repeated_is_counted_once(world: World) -> None:
    service = world.admin.add_service()
    request = sms(service, world.admin.add_template(service, "sms", "x"))
    for _ in range(2):
        world.stub.SendSms(request)
    assert counted(world, service) == [("sms", "normal", "created", 1)]


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["text", "test", "email", "letter", "relay", "apply", "recount"]),
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(
                [
                    "sent",
                    "pending",
                    "delivered",
                    "temporary_failure",
                    "permanent_failure",
                    "technical_failure",
                ]
            ),
        ),
        st.tuples(
            st.integers(0, 5), st.sampled_from(["ready", "validation_failed", "cancelled", "returned"])
        ),
    ),
    max_size=14,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(STEPS)
def test_whatever_happens_a_recount_finds_nothing(
    world: World, steps: Sequence[str | tuple[int, str]]
) -> None:
    service = world.admin.add_service()
    templates = {
        "text": world.admin.add_template(service, "sms", "x" * 200),
        "email": world.admin.add_template(service, "email", "x", "s"),
        "letter": world.admin.add_template(service, "letter", "x", "s"),
    }
    sent: list[str] = []
    for step in (*steps, "relay", "apply"):
        match step:
            case "text" | "test":
                key_type = "normal" if step == "text" else "test"
                ask = sms(service, templates["text"], key_type=key_type, phone_number="+33612345678")
                sent.append(world.stub.SendSms(ask).notification_id)
            case "email":
                sent.append(world.stub.SendEmail(email(service, templates["email"])).notification_id)
            case "letter":
                sent.append(world.stub.SendLetter(letter(service, templates["letter"])).notification_id)
            case "relay":
                world.relay()
            case "apply":
                world.apply_events()
            case (int(place), str(kind)) if place < len(sent):
                by_letters = kind in ("ready", "validation_failed", "cancelled", "returned")
                neighbour = world.letters if by_letters else world.providers
                neighbour.tell(sent[place], kind)
            case _:
                assert differences(world, service) == 0
    assert counted(world, service) == [tuple(row) for row in world.rows(MESSAGES, id=service)]
    assert differences(world, service) == 0


def test_a_recount_sets_right_what_is_wrong_and_compacting_changes_nothing(world: World) -> None:
    service = world.admin.add_service()
    texts = [a_text(world, service) for _ in range(3)]
    world.relay()
    world.providers.tell(texts[0], "sent", "delivered")
    world.apply_events()
    right = (counted(world, service), usage(world, service))
    world.execute("UPDATE message_counts SET count = count + 7 WHERE service_id = :id", id=service)
    world.execute("DELETE FROM usage_facts WHERE service_id = :id", id=service)
    assert differences(world, service) > 0
    assert (counted(world, service), usage(world, service)) == right
    with world.parts.uow.begin() as tx:
        compact(tx, service, clock.london_day(clock.now()))
    assert (counted(world, service), usage(world, service)) == right
    rows = world.rows("SELECT shard, count FROM message_counts WHERE service_id = :id", id=service)
    assert [count for shard, count in rows] == [1, 1, 1]
    assert differences(world, service) == 0


def test_each_night_two_days_are_counted_again_and_what_was_deleted_with_them(world: World) -> None:
    service = world.admin.add_service()
    texts = [a_text(world, service) for _ in range(2)]
    world.relay()
    for text in texts:
        world.providers.tell(text, "sent", "delivered")
    world.apply_events()
    right = (counted(world, service), usage(world, service))
    with clock.set_for_tests(clock.now() + timedelta(days=9)):
        retention = Retention(world.parts.snapshots)
        while retention.step(world.parts.uow):
            pass
    assert not world.rows("SELECT 1 FROM notifications")
    assert (counted(world, service), usage(world, service)) == right
    assert differences(world, service) == 0
    kept = a_text(world, service)
    world.execute("UPDATE message_counts SET count = count + 1 WHERE service_id = :id", id=service)
    with clock.set_for_tests(clock.now() + timedelta(days=1)):
        worker = Recount()
        while worker.step(world.parts.uow):
            pass
    assert counted(world, service) == [("sms", "normal", "created", 1), *right[0]]
    assert usage(world, service) == right[1]
    assert world.state(service, kept) == "created"
    (total,) = world.rows("SELECT channel, message_count FROM platform_days")
    assert tuple(total) == ("sms", 3)


def test_the_command_counts_what_was_never_counted(world: World) -> None:
    service = world.admin.add_service()
    a_text(world, service)
    right = counted(world, service)
    world.execute("DELETE FROM message_counts")
    day = str(clock.london_day(clock.now()))
    environment = {
        f"NOTIFY_NOTIFICATIONS_{name}": value
        for name, value in {
            "DATABASE_URL": world.parts.settings.database_url.get_secret_value(),
            "PAGE_TOKEN_SECRET": "x" * 32,
            "TLS_CA_FILE": str(world.parts.settings.tls_ca_file),
            "TLS_CERT_FILE": str(world.parts.settings.tls_cert_file),
            "TLS_KEY_FILE": str(world.parts.settings.tls_key_file),
        }.items()
    }
    command = [sys.executable, "-m", "notify_notifications", "recount", "--from", day, "--to", day]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 corrected"
    assert counted(world, service) == right


def test_messages_that_are_stored_and_moved_at_once_are_counted_once(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    first = [world.stub.SendSms(sms(service, template)).notification_id for _ in range(30)]
    world.relay()
    for text in reversed(first):
        world.providers.tell(text, "sent", "delivered")

    def send() -> int:
        return len([world.stub.SendSms(sms(service, template)) for _ in range(30)])

    def count_again() -> int:
        return sum(differences(world, service) for _ in range(10))

    assert at_once(send, world.apply_events, count_again) == [30, 60, 0]
    assert counted(world, service) == [("sms", "normal", "created", 30), ("sms", "normal", "delivered", 30)]
    assert differences(world, service) == 0


@pytest.mark.parametrize("table", ["message_counts", "usage_facts"])
def test_one_that_dies_between_message_and_counts_has_moved_neither(world: World, table: str) -> None:
    service = world.admin.add_service()
    text = a_text(world, service)
    world.relay()
    world.providers.tell(text, "sent")
    world.apply_events()
    before = (counted(world, service), usage(world, service))
    world.providers.tell(text, "technical_failure")
    with world.superuser.connect() as blocker:
        blocker.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))

        def dying() -> None:
            with suppress(Exception):
                world.apply_events()

        thread = threading.Thread(target=dying)
        thread.start()
        found: Sequence[Any] = []

        def waits() -> bool:
            nonlocal found
            with world.superuser.begin() as conn:
                query = sa.text(
                    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :start"
                )
                found = conn.execute(query, {"start": f"EXECUTE insert_{table}%"}).all()
            return bool(found)

        assert wait_until(waits, WAIT_SECONDS)
        with world.superuser.begin() as conn:
            conn.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": found[0].pid})
        thread.join(WAIT_SECONDS)
        blocker.rollback()
    assert world.state(service, text) == "sending"
    assert (counted(world, service), usage(world, service)) == before
    assert world.apply_events() == 1
    assert counted(world, service) == [("sms", "normal", "technical-failure", 1)]
    assert not usage(world, service)


def test_a_message_that_is_not_stored_is_not_counted(world: World) -> None:
    service = world.admin.add_service()
    text = a_text(world, service)
    with world.superuser.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE message_counts RENAME TO away")
    try:
        with suppress(Exception):
            a_text(world, service)
    finally:
        with world.superuser.begin() as conn:
            conn.exec_driver_sql("ALTER TABLE away RENAME TO message_counts")
    assert [row[0] for row in world.rows("SELECT id::text FROM notifications")] == [text]
    assert counted(world, service) == [("sms", "normal", "created", 1)]
