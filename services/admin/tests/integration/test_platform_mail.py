"""Codes, links and invitations: what is written into the feed, and what is not to be guessed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1 import (
    invitations_service_pb2,
    invitations_service_pb2_grpc,
    organisations_service_pb2,
    organisations_service_pb2_grpc,
    platform_mail_service_pb2,
    platform_mail_service_pb2_grpc,
    service_settings_service_pb2,
    service_settings_service_pb2_grpc,
    users_service_pb2,
)
from notify.admin.v1 import sign_in_service_pb2 as pb
from notify.admin.v1.invitation_pb2 import Invitation
from notify.admin.v1.organisation_pb2 import Organisation
from notify.admin.v1.sign_in_service_pb2_grpc import SignInServiceStub
from notify.admin.v1.user_pb2 import User
from notify_admin.settings import Settings
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.rpc import InProcessServer

from .conftest import Admin, eventually

Read = Callable[[int], list[platform_mail_service_pb2.PlatformMail]]
_OUTCOME = pb.VerifyCodeResponse
_KIND = pb.SendAccountMailRequest


@pytest.fixture
def sign_in(server: InProcessServer) -> SignInServiceStub:
    return SignInServiceStub(server.channel("gateway-internal"))


@pytest.fixture
def invitations(server: InProcessServer) -> Any:
    return invitations_service_pb2_grpc.InvitationsServiceStub(server.channel("gateway-internal"))


@pytest.fixture
def person(admin: Admin) -> str:
    return admin.make_user(mobile="07700900123")


@pytest.fixture
def read(server: InProcessServer, uow: UnitOfWork) -> Read:
    """Provide what reads all mail, once there are so many."""
    stub = platform_mail_service_pb2_grpc.PlatformMailServiceStub(server.channel("notifications"))

    def mails(count: int) -> list[platform_mail_service_pb2.PlatformMail]:
        found: list[platform_mail_service_pb2.PlatformMail] = []

        def there() -> bool:
            found[:] = stub.ListPlatformMailEvents(
                platform_mail_service_pb2.ListPlatformMailEventsRequest()
            ).mails
            return len(found) >= count

        eventually(there)
        with uow.begin() as tx:
            assert tx.execute(sa.text("SELECT count(*) FROM platform_mail")).scalar_one() == count
        return found

    return mails


def values(mail: platform_mail_service_pb2.PlatformMail) -> dict[str, str]:
    return {field.key: field.text for field in mail.personalisation}


def reason(call: Callable[[], object]) -> str:
    with pytest.raises(NotifyError) as caught:
        call()
    return caught.value.reason


def send_code(sign_in: SignInServiceStub, user_id: str, type_: Any = pb.CODE_TYPE_SMS, **more: str) -> str:
    ask = pb.SendCodeRequest(request_id=new_id(), user_id=user_id, type=type_, **more)
    sign_in.SendCode(ask)
    return ask.request_id


def verify(sign_in: SignInServiceStub, user_id: str, code: str, type_: Any = pb.CODE_TYPE_SMS) -> int:
    ask = pb.VerifyCodeRequest(user_id=user_id, type=type_, code=code)
    return int(sign_in.VerifyCode(ask).outcome)


def get(admin: Admin, user_id: str) -> User:
    found: User = admin.users.GetUser(users_service_pb2.GetUserRequest(user_id=user_id)).user
    return found


def test_lock_out_holds_while_fifty_guess_at_once(
    admin: Admin, sign_in: SignInServiceStub, person: str, read: Read
) -> None:
    send_code(sign_in, person)
    (mail,) = read(1)
    code = values(mail)["verify_code"]
    wrong = [f"{number:05d}" for number in range(51) if f"{number:05d}" != code][:50]
    with ThreadPoolExecutor(50) as pool:
        outcomes = set(pool.map(lambda guess: verify(sign_in, person, guess), wrong))
    assert outcomes == {_OUTCOME.OUTCOME_UNKNOWN}
    assert get(admin, person).failed_login_count == 10
    assert verify(sign_in, person, code) == _OUTCOME.OUTCOME_UNKNOWN
    assert not get(admin, person).current_session_id


def test_a_code_begins_one_session_however_many_use_it_at_once(
    admin: Admin, sign_in: SignInServiceStub, person: str, read: Read
) -> None:
    message_id = send_code(sign_in, person, recipient="07700 900456")
    (mail,) = read(1)
    assert (mail.id, mail.recipient) == (message_id, "07700 900456")
    code = values(mail)["verify_code"]
    assert len(code) == 5
    assert all(one != other for one, other in pairwise(code))
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: verify(sign_in, person, code), range(8)))
    assert sorted(outcomes) == [_OUTCOME.OUTCOME_ACCEPTED] + [_OUTCOME.OUTCOME_EXPIRED] * 7
    user = get(admin, person)
    assert user.current_session_id
    assert user.HasField("logged_in_time")


def test_five_codes_wait_at_most_however_many_are_asked_for_at_once(
    sign_in: SignInServiceStub, person: str, read: Read
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: send_code(sign_in, person), range(12)))
    assert len({mail.id for mail in read(5)}) == 5


def test_a_repeated_request_sends_nothing_more(sign_in: SignInServiceStub, person: str, read: Read) -> None:
    ask = pb.SendCodeRequest(request_id=new_id(), user_id=person, type=pb.CODE_TYPE_SMS)
    other = pb.SendAccountMailRequest(
        request_id=new_id(), user_id=person, kind=_KIND.KIND_PASSWORD_RESET, next="/a b"
    )
    for _ in range(2):
        sign_in.SendCode(ask)
        sign_in.SendAccountMail(other)
    assert [mail.id for mail in read(2)] == [ask.request_id, other.request_id]


def test_codes_expire_and_are_of_one_user_and_type(
    admin: Admin, sign_in: SignInServiceStub, person: str, read: Read, uow: UnitOfWork
) -> None:
    send_code(sign_in, person)
    code = values(read(1)[0])["verify_code"]
    other = admin.make_user(email_address="other@example.gov.uk")
    assert verify(sign_in, other, code) == _OUTCOME.OUTCOME_UNKNOWN
    assert verify(sign_in, person, code, pb.CODE_TYPE_EMAIL) == _OUTCOME.OUTCOME_UNKNOWN
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE verify_codes SET expire_time = now()"))
    assert verify(sign_in, person, code) == _OUTCOME.OUTCOME_EXPIRED
    assert get(admin, person).failed_login_count == 2


@pytest.mark.parametrize(
    ("made_at", "used_at", "outcome"),
    [
        (-5, 24, _OUTCOME.OUTCOME_ACCEPTED),
        (-5, 26, _OUTCOME.OUTCOME_EXPIRED),
        (5, 34, _OUTCOME.OUTCOME_ACCEPTED),
        (5, 36, _OUTCOME.OUTCOME_EXPIRED),
    ],
)
def test_clocks_of_processes_say_how_long_a_code_holds(
    sign_in: SignInServiceStub, person: str, read: Read, made_at: int, used_at: int, outcome: int
) -> None:
    begun = clock.now()
    with clock.set_for_tests(begun + timedelta(minutes=made_at)):
        send_code(sign_in, person)
    code = values(read(1)[0])["verify_code"]
    with clock.set_for_tests(begun + timedelta(minutes=used_at)):
        assert verify(sign_in, person, code) == outcome


def test_the_database_alone_tells_no_code(
    sign_in: SignInServiceStub, person: str, read: Read, uow: UnitOfWork
) -> None:
    send_code(sign_in, person)
    code = values(read(1)[0])["verify_code"].encode()
    with uow.begin() as tx:
        mail = tx.execute(sa.text("SELECT encrypted_mail FROM platform_mail")).scalar_one()
        hashed = tx.execute(sa.text("SELECT code_hash FROM verify_codes")).scalar_one()
    assert code not in bytes(mail)
    assert code not in bytes(hashed)


def test_a_code_by_email_is_in_a_link_that_the_admin_web_app_can_read(
    admin: Admin, sign_in: SignInServiceStub, person: str, read: Read, settings: Settings
) -> None:
    more = {"link_host": "https://admin.example", "next": "/services?a=b"}
    send_code(sign_in, person, pb.CODE_TYPE_EMAIL, **more)
    url, _, next_ = values(read(1)[0])["url"].partition("?next=")
    assert unquote(next_) == "/services?a=b"
    path = "https://admin.example/email-auth/"
    assert url.startswith(path)
    payload = Fernet(settings.token_secret_key.get_secret_value()).decrypt(url.removeprefix(path))
    claim = json.loads(payload)
    assert claim["user_id"] == person
    before = get(admin, person).email_access_validated_time
    outcome = verify(sign_in, person, claim["secret_code"], pb.CODE_TYPE_EMAIL)
    assert outcome == _OUTCOME.OUTCOME_ACCEPTED
    assert get(admin, person).email_access_validated_time.ToDatetime() > before.ToDatetime()


@pytest.mark.parametrize("host", ["javascript:alert(1)", "https://a.example/\nX", "admin.example"])
def test_links_lead_to_web_apps_only(sign_in: SignInServiceStub, person: str, read: Read, host: str) -> None:
    assert reason(lambda: send_code(sign_in, person, pb.CODE_TYPE_EMAIL, link_host=host)) == "INVALID_FIELD"
    assert read(0) == []


def test_user_without_a_number_gets_no_text(
    admin: Admin, sign_in: SignInServiceStub, user_id: str, read: Read
) -> None:
    assert reason(lambda: send_code(sign_in, user_id)) == "INVALID_FIELD"
    assert read(0) == []


def test_a_user_is_told_what_somebody_else_changed(admin: Admin, person: str, read: Read) -> None:
    manager = admin.make_user(name="Mo", email_address="mo@example.gov.uk")

    def change(updated_by_id: str, **fields: Any) -> None:
        ask = users_service_pb2.SetUserRequest(user=User(id=person, **fields), updated_by_id=updated_by_id)
        ask.update_mask.paths.extend(fields)
        admin.users.SetUser(ask)

    change("", email_address="ann2@example.gov.uk")
    change(manager, name="Anna")
    change(manager, email_address="ann3@example.gov.uk")
    change(manager, mobile_number="07700900456")
    by_email, by_text = read(2)
    assert by_email.recipient == values(by_email)["email address"] == "ann3@example.gov.uk"
    assert values(by_email)["servicemanagername"] == "Mo"
    assert by_text.recipient == "07700900456"


def test_check_of_a_reply_to_address_is_a_mail_that_can_be_looked_up(
    admin: Admin, server: InProcessServer, read: Read
) -> None:
    service = admin.make_service()
    stub = service_settings_service_pb2_grpc.ServiceSettingsServiceStub(server.channel("gateway-internal"))

    def check(address: str) -> str:
        ask = service_settings_service_pb2.VerifyReplyToRequest(
            request_id=new_id(), service_id=service.id, email_address=address
        )
        return str(stub.VerifyReplyTo(ask).notification_id)

    message_id = check("a@example.gov.uk")
    assert [mail.id for mail in read(1)] == [message_id]
    assert reason(lambda: check("not an address")) == "INVALID_FIELD"


def test_invitation_and_its_link(
    admin: Admin, invitations: Any, user_id: str, read: Read, settings: Settings, server: InProcessServer
) -> None:
    service = admin.make_service()
    organisations = organisations_service_pb2_grpc.OrganisationsServiceStub(
        server.channel("gateway-internal")
    )
    organisation = organisations.CreateOrganisation(
        organisations_service_pb2.CreateOrganisationRequest(
            request_id=new_id(), organisation=Organisation(name="Ministry")
        )
    ).organisation
    made = []
    for parent in ({"service_id": service.id}, {"organisation_id": organisation.id}):
        given = Invitation(
            email_address="new@example.gov.uk", invited_by_id=user_id, permissions=["send_texts"], **parent
        )
        ask = invitations_service_pb2.CreateInvitationRequest(request_id=new_id(), invitation=given)
        invitations.CreateInvitation(ask)
        made.append(invitations.CreateInvitation(ask).invitation)
    mails = read(2)
    assert [mail.reply_to_address for mail in mails] == ["ann@example.gov.uk"] * 2
    tokens = [values(mail)["url"].rpartition("/")[2] for mail in mails]

    def by_token(token: str, of_organisation: bool = False) -> Invitation:
        ask = invitations_service_pb2.GetInvitationByTokenRequest(
            token=token, of_organisation=of_organisation
        )
        found: Invitation = invitations.GetInvitationByToken(ask).invitation
        return found

    assert by_token(tokens[0]) == made[0]
    assert by_token(tokens[1], of_organisation=True) == made[1]
    assert reason(lambda: by_token(tokens[1])) == "INVITATION_NOT_FOUND"
    assert reason(lambda: by_token(tokens[0][:-2])) == "LINK_INVALID"
    assert reason(lambda: by_token("é\N{GRINNING FACE}")) == "LINK_INVALID"
    fernet = Fernet(settings.token_secret_key.get_secret_value())
    assert reason(lambda: by_token(fernet.encrypt(b'{"user_id": "x"}').decode())) == "LINK_INVALID"
    old = int((clock.now() - timedelta(days=2, seconds=1)).timestamp())
    late = fernet.encrypt_at_time(made[0].id.encode(), old).decode()
    assert reason(lambda: by_token(late)) == "LINK_EXPIRED"


def test_invitation_of_another_service_is_found_by_nobody(
    admin: Admin, invitations: Any, user_id: str
) -> None:
    mine, other = admin.make_service(), admin.make_service("Others")
    given = Invitation(service_id=mine.id, email_address="new@example.gov.uk", invited_by_id=user_id)
    ask = invitations_service_pb2.CreateInvitationRequest(request_id=new_id(), invitation=given)
    made = invitations.CreateInvitation(ask).invitation
    theirs = Invitation(id=made.id, service_id=other.id, status="accepted")
    set_ = invitations_service_pb2.SetInvitationRequest(invitation=theirs)
    set_.update_mask.paths.append("status")
    assert reason(lambda: invitations.SetInvitation(set_)) == "INVITATION_NOT_FOUND"
    found = invitations_service_pb2.GetInvitationRequest(invitation_id=made.id, service_id=other.id)
    assert reason(lambda: invitations.GetInvitation(found)) == "INVITATION_NOT_FOUND"
    everybody = invitations_service_pb2.ListInvitationsRequest()
    assert reason(lambda: invitations.ListInvitations(everybody)) == "INVALID_FIELD"


def test_only_notifications_reads_mail(server: InProcessServer) -> None:
    for caller in ("gateway-internal", "operator", "letters"):
        stub = platform_mail_service_pb2_grpc.PlatformMailServiceStub(server.channel(caller))
        ask = platform_mail_service_pb2.ListPlatformMailEventsRequest()
        assert reason(lambda stub=stub, ask=ask: stub.ListPlatformMailEvents(ask)) == "CALLER_NOT_ALLOWED"  # type: ignore[misc] # bound by default
