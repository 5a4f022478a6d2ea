"""The platform's own mail: read from admin's feed, accepted once each, whoever dies meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1 import invitations_service_pb2
from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1.invitation_pb2 import Invitation
from notify.admin.v1.invitations_service_pb2_grpc import InvitationsServiceStub
from notify.admin.v1.sign_in_service_pb2_grpc import SignInServiceStub
from notify.common.v1.common_pb2 import KeyType, PersonalisationField
from notify.notifications.v1.notifications_service_pb2 import GetActivityRequest, GetNotificationRequest
from notify_admin.usecases.seed import seed_platform
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_SERVICE_ID, new_id
from notify_local.backing import wait_until
from notify_notifications import bootstrap
from notify_testing.admin import MEMBER_EMAIL_ADDRESS

from .conftest import World

_KIND = pb.SendAccountMailRequest


@pytest.fixture(scope="module", autouse=True)
def platform(town: World) -> None:
    """Make the platform's own service and templates."""
    seed_platform(town.admin.uow, "notify@example.gov.uk")


def send_code(world: World) -> str:
    stub = SignInServiceStub(world.admin.channel("gateway-internal"))
    ask = pb.SendCodeRequest(request_id=new_id(), user_id=world.admin.user_id, type=pb.CODE_TYPE_SMS)
    stub.SendCode(ask)
    return ask.request_id


def send_mail(world: World, email_address: str = "") -> str:
    stub = SignInServiceStub(world.admin.channel("gateway-internal"))
    ask = pb.SendAccountMailRequest(
        request_id=new_id(),
        user_id=world.admin.user_id,
        kind=_KIND.KIND_PASSWORD_RESET,
        email_address=email_address,
    )
    stub.SendAccountMail(ask)
    return ask.request_id


def stored(world: World, *ids: str) -> list[str]:
    """Return which of these are stored, as often as they are waiting to be handed over."""
    rows = world.rows(
        "SELECT CAST(notification_id AS text) FROM outbox JOIN notifications ON id = notification_id "
        "WHERE notification_id = ANY(CAST(:ids AS uuid[]))",
        ids=list(ids),
    )
    return [row[0] for row in rows]


def send_until(world: World, *ids: str) -> None:
    """Let the consumer work until these are stored; the feed waits for transactions that are open."""

    def there() -> bool:
        world.step(world.feeds["platform-mail"])
        return sorted(stored(world, *ids)) == sorted(ids)

    assert wait_until(there, 20)


@contextmanager
def cursor_stuck(world: World) -> Iterator[None]:
    """Let nobody move the cursor inside the block, as if each died just before."""
    with world.superuser.begin() as conn:
        conn.exec_driver_sql(
            "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'killed'; END $$"
        )
        conn.exec_driver_sql(
            "CREATE TRIGGER stay BEFORE UPDATE ON feed_cursors FOR EACH ROW EXECUTE FUNCTION stay()"
        )
    try:
        yield
    finally:
        with world.superuser.begin() as conn:
            conn.exec_driver_sql("DROP FUNCTION stay CASCADE")


def test_a_code_goes_out_as_a_text_of_the_platform_on_the_fast_lane(world: World) -> None:
    code = send_code(world)
    send_until(world, code)
    (row,) = world.rows(
        "SELECT o.lane, n.recipient, n.api_key_id, n.key_type, n.template_id::text, o.request_id "
        "FROM outbox o JOIN notifications n ON n.id = o.notification_id WHERE n.id = :id",
        id=code,
    )
    assert row[:4] == ("platform", "07700 900123", None, "normal")
    assert row[4] == "36fb0730-6259-4da1-8a80-c8de22ad4246"
    assert row[5]
    assert world.get(PLATFORM_SERVICE_ID, code).body.endswith("is your sign-in code")
    world.relay()
    assert code in world.providers.dispatches


def test_answers_to_an_invitation_go_to_who_invites(world: World) -> None:
    service = world.admin.add_service()
    given = Invitation(
        service_id=service, email_address="new@example.gov.uk", invited_by_id=world.admin.user_id
    )
    ask = invitations_service_pb2.CreateInvitationRequest(request_id=new_id(), invitation=given)
    InvitationsServiceStub(world.admin.channel("gateway-internal")).CreateInvitation(ask)
    found: list[Any] = []

    def there() -> bool:
        world.step(world.feeds["platform-mail"])
        found[:] = world.rows("SELECT sender FROM notifications WHERE recipient = 'new@example.gov.uk'")
        return bool(found)

    assert wait_until(there, 20)
    assert found[0][0].lower() == MEMBER_EMAIL_ADDRESS.lower()


def test_consumers_that_die_before_the_cursor_moves_double_nothing(world: World) -> None:
    mails = [send_mail(world), send_mail(world)]
    consumer = world.feeds["platform-mail"]
    with cursor_stuck(world):

        def died() -> bool:
            with suppress(sa.exc.InternalError):
                world.step(consumer)
            return sorted(stored(world, *mails)) == sorted(mails)

        assert wait_until(died, 20)
        before = world.counts()
        died()
        assert world.counts() == before
    (fresh,) = (worker for worker in bootstrap.feed_workers(world.parts) if worker.name == consumer.name)
    assert world.step(fresh) > 0
    assert world.step(fresh) == 0
    assert world.counts() == before


def test_two_consumers_of_one_page_send_it_once(world: World) -> None:
    mail = send_mail(world)
    send_until(world, mail)
    before = world.counts()
    world.execute("DELETE FROM feed_cursors")
    pair = [
        worker
        for _ in range(2)
        for worker in bootstrap.feed_workers(world.parts)
        if worker.name == "platform-mail"
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(world.step, pair))
    assert world.counts() == before


def test_what_waits_while_admin_is_away_goes_out_afterwards(world: World) -> None:
    mail = send_mail(world)
    world.admin.away = True
    with pytest.raises(NotifyError) as caught:
        world.step(world.feeds["platform-mail"])
    assert caught.value.reason == "UNAVAILABLE"
    world.admin.away = False
    send_until(world, mail)


def test_mail_that_can_not_be_sent_keeps_no_other_waiting(world: World) -> None:
    bad = send_mail(world, "not an address")
    good = send_mail(world)
    send_until(world, good)
    assert stored(world, bad) == []


def test_who_reads_what_the_platform_sent_sees_what_was_written_just_before(world: World) -> None:
    ask = GetActivityRequest(
        service_id=PLATFORM_SERVICE_ID, key_types=[KeyType.KEY_TYPE_NORMAL], page_size=50
    )
    sent = send_code(world)

    def found() -> list[PersonalisationField]:
        """Return what the code's text says; nobody but the read itself takes the feed in."""
        listed = [each for each in world.stub.GetActivity(ask).notifications if each.id == sent]
        return list(listed[0].details.personalisation) if listed else []

    assert wait_until(lambda: bool(found()), 20)
    assert [field.key for field in found()] == ["verify_code"]
    mailed = send_mail(world)
    one = GetNotificationRequest(service_id=PLATFORM_SERVICE_ID, notification_id=mailed, with_details=True)

    def is_there() -> bool:
        with suppress(NotifyError):
            return bool(world.stub.GetNotification(one).notification.id == mailed)
        return False

    assert wait_until(is_there, 20)
    assert sorted(stored(world, sent, mailed)) == sorted([sent, mailed])
