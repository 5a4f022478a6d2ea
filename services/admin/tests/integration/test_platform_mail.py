"""Codes, links and invitations: what is written into the feed, and what is not to be guessed."""

import json
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1.platform_mail_service_pb2 import PlatformMail
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.sign_in_service_pb2 import (
    CODE_TYPE_EMAIL,
    CODE_TYPE_SMS,
    SendAccountMailRequest,
    VerifyCodeResponse,
)
from notify_admin.settings import Settings
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason

from .conftest import Admin, Mails

ACCEPTED, EXPIRED = VerifyCodeResponse.OUTCOME_ACCEPTED, VerifyCodeResponse.OUTCOME_EXPIRED
UNKNOWN = VerifyCodeResponse.OUTCOME_UNKNOWN


@pytest.fixture
def person(admin: Admin) -> str:
    """Provide a user who has a number."""
    return admin.make_user(mobile="07700900123")


def values(mail: PlatformMail) -> dict[str, str]:
    return {field.key: field.text for field in mail.personalisation}


def send_code(admin: Admin, user_id: str, type_: Any = CODE_TYPE_SMS, **more: str) -> None:
    admin.SendCode(user_id=user_id, type=type_, **more)


def verify(admin: Admin, user_id: str, code: str, type_: Any = CODE_TYPE_SMS) -> Any:
    return admin.VerifyCode(user_id=user_id, type=type_, code=code)


def test_lock_out_holds_while_fifty_guess_at_once(admin: Admin, person: str, mails: Mails) -> None:
    send_code(admin, person)
    code = values(mails(1)[0])["verify_code"]
    wrong = [f"{number:05d}" for number in range(51) if f"{number:05d}" != code][:50]
    outcomes = at_once((partial(verify, admin, person, guess) for guess in wrong), 50)
    assert set(outcomes) == {UNKNOWN}
    assert admin.GetUser(user_id=person).failed_login_count == 10
    assert verify(admin, person, code) == UNKNOWN
    assert not admin.GetUser(user_id=person).current_session_id


def test_a_code_begins_one_session_however_many_use_it_at_once(
    admin: Admin, person: str, mails: Mails
) -> None:
    message_id = new_id()
    send_code(admin, person, request_id=message_id, recipient="07700 900456")
    (mail,) = mails(1)
    assert (mail.id, mail.recipient) == (message_id, "07700 900456")
    code = values(mail)["verify_code"]
    assert len(code) == 5
    assert all(one != other for one, other in pairwise(code))
    outcomes = at_once([partial(verify, admin, person, code)] * 8, 8)
    assert sorted(outcomes) == [ACCEPTED] + [EXPIRED] * 7
    user = admin.GetUser(user_id=person)
    assert user.current_session_id
    assert user.HasField("logged_in_time")


def test_five_codes_wait_at_most_however_many_are_asked_for_at_once(
    admin: Admin, person: str, mails: Mails
) -> None:
    assert at_once([partial(send_code, admin, person)] * 12, 8) == [None] * 12
    assert len({mail.id for mail in mails(5)}) == 5


def test_a_repeated_request_sends_nothing_more(admin: Admin, person: str, mails: Mails) -> None:
    ids, reset = [new_id(), new_id()], SendAccountMailRequest.KIND_PASSWORD_RESET
    for _ in range(2):
        send_code(admin, person, request_id=ids[0])
        admin.SendAccountMail(request_id=ids[1], user_id=person, kind=reset, next="/a b")
    assert [mail.id for mail in mails(2)] == ids


def test_codes_expire_and_are_of_one_user_and_type(
    admin: Admin, person: str, mails: Mails, uow: UnitOfWork
) -> None:
    send_code(admin, person)
    code = values(mails(1)[0])["verify_code"]
    other = admin.make_user(address="other@example.gov.uk")
    assert verify(admin, other, code) == UNKNOWN
    assert verify(admin, person, code, CODE_TYPE_EMAIL) == UNKNOWN
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE verify_codes SET expire_time = now()"))
    assert verify(admin, person, code) == EXPIRED
    assert admin.GetUser(user_id=person).failed_login_count == 2


@pytest.mark.parametrize(
    ("made_at", "used_at", "outcome"),
    [(-5, 24, ACCEPTED), (-5, 26, EXPIRED), (5, 34, ACCEPTED), (5, 36, EXPIRED)],
)
def test_clocks_of_processes_say_how_long_a_code_holds(
    admin: Admin, person: str, mails: Mails, made_at: int, used_at: int, outcome: int
) -> None:
    begun = clock.now()
    with clock.set_for_tests(begun + timedelta(minutes=made_at)):
        send_code(admin, person)
    code = values(mails(1)[0])["verify_code"]
    with clock.set_for_tests(begun + timedelta(minutes=used_at)):
        assert verify(admin, person, code) == outcome


def test_the_database_alone_tells_no_code(admin: Admin, person: str, mails: Mails, uow: UnitOfWork) -> None:
    send_code(admin, person)
    code = values(mails(1)[0])["verify_code"].encode()
    with uow.begin() as tx:
        mail = tx.execute(sa.text("SELECT encrypted_mail FROM platform_mail")).scalar_one()
        hashed = tx.execute(sa.text("SELECT code_hash FROM verify_codes")).scalar_one()
    assert code not in bytes(mail)
    assert code not in bytes(hashed)


def test_a_code_by_email_is_in_a_link_that_the_admin_web_app_can_read(
    admin: Admin, person: str, mails: Mails, settings: Settings
) -> None:
    send_code(admin, person, CODE_TYPE_EMAIL, link_host="https://admin.example", next="/services?a=b")
    url, _, next_ = values(mails(1)[0])["url"].partition("?next=")
    assert unquote(next_) == "/services?a=b"
    path = "https://admin.example/email-auth/"
    assert url.startswith(path)
    payload = Fernet(settings.token_secret_key.get_secret_value()).decrypt(url.removeprefix(path))
    claim = json.loads(payload)
    assert claim["user_id"] == person
    before = admin.GetUser(user_id=person).email_access_validated_time
    assert verify(admin, person, claim["secret_code"], CODE_TYPE_EMAIL) == ACCEPTED
    after = admin.GetUser(user_id=person).email_access_validated_time
    assert after.ToDatetime() > before.ToDatetime()


@pytest.mark.parametrize("host", ["javascript:alert(1)", "https://a.example/\nX", "admin.example"])
def test_links_lead_to_web_apps_only(admin: Admin, person: str, mails: Mails, host: str) -> None:
    assert reason(send_code, admin, person, CODE_TYPE_EMAIL, link_host=host) == "INVALID_FIELD"
    assert mails(0) == []


def test_user_without_a_number_gets_no_text(admin: Admin, user_id: str, mails: Mails) -> None:
    assert reason(send_code, admin, user_id) == "INVALID_FIELD"
    assert mails(0) == []


def test_a_user_is_told_what_somebody_else_changed(admin: Admin, person: str, mails: Mails) -> None:
    manager = admin.make_user("Mo", "mo@example.gov.uk")

    def change(updated_by_id: str, **fields: Any) -> None:
        mask = {"paths": list(fields)}
        admin.SetUser(user={"id": person, **fields}, updated_by_id=updated_by_id, update_mask=mask)

    change("", email_address="ann2@example.gov.uk")
    change(manager, name="Anna")
    change(manager, email_address="ann3@example.gov.uk")
    change(manager, mobile_number="07700900456")
    by_email, by_text = mails(2)
    assert by_email.recipient == values(by_email)["email address"] == "ann3@example.gov.uk"
    assert values(by_email)["servicemanagername"] == "Mo"
    assert by_text.recipient == "07700900456"


def test_check_of_a_reply_to_address_is_a_mail_that_can_be_looked_up(
    admin: Admin, service: Service, mails: Mails
) -> None:
    check = partial(admin.VerifyReplyTo, service_id=service.id)
    message_id = check(email_address="a@example.gov.uk")
    assert [mail.id for mail in mails(1)] == [message_id]
    assert reason(check, email_address="not an address") == "INVALID_FIELD"


def test_invitation_and_its_link(
    admin: Admin, service: Service, user_id: str, mails: Mails, settings: Settings
) -> None:
    organisation_id = admin.CreateOrganisation(organisation={"name": "Ministry"}).id
    given = {"email_address": "new@example.gov.uk", "invited_by_id": user_id, "permissions": ["send_texts"]}
    made = []
    for parent in ({"service_id": service.id}, {"organisation_id": organisation_id}):
        create = partial(admin.CreateInvitation, request_id=new_id(), invitation={**given, **parent})
        create()
        made.append(create())
    told = mails(2)
    assert [mail.reply_to_address for mail in told] == ["ann@example.gov.uk"] * 2
    tokens = [values(mail)["url"].rpartition("/")[2] for mail in told]
    by_token = admin.GetInvitationByToken
    assert by_token(token=tokens[0]) == made[0]
    assert by_token(token=tokens[1], of_organisation=True) == made[1]
    assert reason(by_token, token=tokens[1]) == "INVITATION_NOT_FOUND"
    fernet = Fernet(settings.token_secret_key.get_secret_value())
    other = fernet.encrypt(b'{"user_id": "x"}').decode()
    for token in (tokens[0][:-2], "é\N{GRINNING FACE}", other):
        assert reason(by_token, token=token) == "LINK_INVALID"
    old = int((clock.now() - timedelta(days=2, seconds=1)).timestamp())
    late = fernet.encrypt_at_time(made[0].id.encode(), old).decode()
    assert reason(by_token, token=late) == "LINK_EXPIRED"
