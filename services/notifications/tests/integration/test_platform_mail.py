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
from notify_admin.usecases.seed import seed_platform
from notify_common.errors import NotifyError
from notify_common.ids import PLATFORM_SERVICE_ID, new_id
from notify_local.backing import wait_until
from notify_notifications import bootstrap
from notify_testing.admin import MEMBER_EMAIL_ADDRESS

from .conftest import House

_KIND = pb.SendAccountMailRequest


@pytest.fixture(scope="module", autouse=True)
def platform(town: House) -> None:
    """Make the platform's own service and templates."""
    seed_platform(town.admin.uow, "notify@example.gov.uk")


def send_code(house: House) -> str:
    stub = SignInServiceStub(house.admin.channel("api-gateway"))
    ask = pb.SendCodeRequest(request_id=new_id(), user_id=house.admin.user_id, type=pb.CODE_TYPE_SMS)
    stub.SendCode(ask)
    return ask.request_id


def send_mail(house: House, email_address: str = "") -> str:
    stub = SignInServiceStub(house.admin.channel("api-gateway"))
    ask = pb.SendAccountMailRequest(
        request_id=new_id(),
        user_id=house.admin.user_id,
        kind=_KIND.KIND_PASSWORD_RESET,
        email_address=email_address,
    )
    stub.SendAccountMail(ask)
    return ask.request_id


def stored(house: House, *ids: str) -> list[str]:
    """Return which of these are stored, as often as they are waiting to be handed over."""
    rows = house.rows(
        "SELECT CAST(notification_id AS text) FROM outbox JOIN notifications ON id = notification_id "
        "WHERE notification_id = ANY(CAST(:ids AS uuid[]))",
        ids=list(ids),
    )
    return [row[0] for row in rows]


def send_until(house: House, *ids: str) -> None:
    """Let the consumer work until these are stored; the feed waits for transactions that are open."""

    def there() -> bool:
        house.step(house.feeds["platform-mail"])
        return sorted(stored(house, *ids)) == sorted(ids)

    assert wait_until(there, 20)


@contextmanager
def cursor_stuck(house: House) -> Iterator[None]:
    """Let nobody move the cursor inside the block, as if each died just before."""
    with house.superuser.begin() as conn:
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
        with house.superuser.begin() as conn:
            conn.exec_driver_sql("DROP FUNCTION stay CASCADE")


def test_a_code_goes_out_as_a_text_of_the_platform_on_the_fast_lane(house: House) -> None:
    code = send_code(house)
    send_until(house, code)
    (row,) = house.rows(
        "SELECT o.lane, n.recipient, n.api_key_id, n.key_type, n.template_id::text, o.request_id "
        "FROM outbox o JOIN notifications n ON n.id = o.notification_id WHERE n.id = :id",
        id=code,
    )
    assert row[:4] == ("platform", "07700 900123", None, "normal")
    assert row[4] == "36fb0730-6259-4da1-8a80-c8de22ad4246"
    assert row[5]
    assert house.get(PLATFORM_SERVICE_ID, code).body.endswith("is your sign-in code")
    house.relay()
    assert code in house.providers.dispatches


def test_answers_to_an_invitation_go_to_who_invites(house: House) -> None:
    service = house.admin.add_service()
    given = Invitation(
        service_id=service, email_address="new@example.gov.uk", invited_by_id=house.admin.user_id
    )
    ask = invitations_service_pb2.CreateInvitationRequest(request_id=new_id(), invitation=given)
    InvitationsServiceStub(house.admin.channel("api-gateway")).CreateInvitation(ask)
    found: list[Any] = []

    def there() -> bool:
        house.step(house.feeds["platform-mail"])
        found[:] = house.rows("SELECT sender FROM notifications WHERE recipient = 'new@example.gov.uk'")
        return bool(found)

    assert wait_until(there, 20)
    assert found[0][0].lower() == MEMBER_EMAIL_ADDRESS.lower()


def test_consumers_that_die_before_the_cursor_moves_double_nothing(house: House) -> None:
    mails = [send_mail(house), send_mail(house)]
    consumer = house.feeds["platform-mail"]
    with cursor_stuck(house):

        def died() -> bool:
            with suppress(sa.exc.InternalError):
                house.step(consumer)
            return sorted(stored(house, *mails)) == sorted(mails)

        assert wait_until(died, 20)
        before = house.counts()
        died()
        assert house.counts() == before
    (fresh,) = (worker for worker in bootstrap.feed_workers(house.parts) if worker.name == consumer.name)
    assert house.step(fresh) > 0
    assert house.step(fresh) == 0
    assert house.counts() == before


def test_two_consumers_of_one_page_send_it_once(house: House) -> None:
    mail = send_mail(house)
    send_until(house, mail)
    before = house.counts()
    house.execute("DELETE FROM feed_cursors")
    pair = [
        worker
        for _ in range(2)
        for worker in bootstrap.feed_workers(house.parts)
        if worker.name == "platform-mail"
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(house.step, pair))
    assert house.counts() == before


def test_what_waits_while_admin_is_away_goes_out_afterwards(house: House) -> None:
    mail = send_mail(house)
    house.admin.away = True
    with pytest.raises(NotifyError) as caught:
        house.step(house.feeds["platform-mail"])
    assert caught.value.reason == "UNAVAILABLE"
    house.admin.away = False
    send_until(house, mail)


def test_mail_that_can_not_be_sent_keeps_no_other_waiting(house: House) -> None:
    bad = send_mail(house, "not an address")
    good = send_mail(house)
    send_until(house, good)
    assert stored(house, bad) == []
