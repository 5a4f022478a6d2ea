"""Requests to join, inbound numbers, protected names: what the recorded cases can't say."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.service_pb2 import Service
from notify_admin.domain.mail import MailTemplate
from notify_admin.usecases.inbound_numbers import add_inbound_numbers
from notify_admin.usecases.platform import protect_sender_ids
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.calls import at_once, reason

from .conftest import Admin, Mails


class Joining:
    """A service that somebody manages, somebody else who wants to join it, and the calls."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.manager = admin.make_user("Ann", "ann@example.gov.uk")
        self.requester = admin.make_user("Bea", "bea@example.gov.uk")
        service = {"name": "Fishing licences"}
        self.service_id = admin.CreateService(service=service, owner_id=self.manager).id

    def ask(self, *contacted: str, requester: str = "") -> Any:
        """Ask members to let somebody join."""
        ids = {"service_id": self.service_id, "requester_id": requester or self.requester}
        given = {**ids, "contacted_user_ids": contacted, "reason": "please"}
        return self._admin.CreateJoinRequest(join_request=given)

    def get(self, join_request_id: str) -> Any:
        """Return a request."""
        return self._admin.GetJoinRequest(service_id=self.service_id, join_request_id=join_request_id)

    def decide(self, join_request_id: str, status: str, **fields: Any) -> Any:
        """Decide on a request."""
        given = {"service_id": self.service_id, "decided_by_id": self.manager, **fields}
        return self._admin.DecideJoinRequest(join_request_id=join_request_id, status=status, **given)

    def permissions(self) -> list[str]:
        """Return what the requester may do in the service."""
        services = self._admin.GetUser(user_id=self.requester).access.services
        return [permission for one in services for permission in one.permissions]


@pytest.fixture
def joining(admin: Admin) -> Joining:
    """Provide them."""
    return Joining(admin)


def test_only_members_who_manage_the_service_are_asked(admin: Admin, joining: Joining) -> None:
    plain = admin.make_user("Cem", "cem@example.gov.uk")
    stranger = admin.make_user("Dan", "dan@example.gov.uk")
    admin.AddMember(service_id=joining.service_id, user_id=plain, permissions=["send_texts"])
    made = joining.ask(plain, stranger, joining.manager)
    assert list(made.contacted_user_ids) == [joining.manager]
    assert reason(joining.ask, plain, stranger) == "MANAGERS_NOT_FOUND"
    assert reason(joining.ask, joining.manager, requester=plain) == "ALREADY_MEMBER"


def test_nobody_is_given_a_permission_that_there_is_not(joining: Joining) -> None:
    made = joining.ask(joining.manager)
    assert reason(joining.decide, made.id, "approved", permissions=["rule"]) == "INVALID_FIELD"
    assert reason(joining.decide, made.id, "maybe") == "INVALID_FIELD"
    assert joining.permissions() == []


def test_two_who_approve_at_once_make_one_member_who_is_told_once(joining: Joining, mails: Mails) -> None:
    made, second = joining.ask(joining.manager), joining.ask(joining.manager)
    approve = partial(joining.decide, made.id, "approved", permissions=["send_texts"])
    assert {each.status for each in at_once([approve] * 4)} == {"approved"}
    assert joining.permissions() == ["send_texts"]
    assert joining.get(second.id).status == "cancelled"
    expected = [MailTemplate.JOIN_REQUEST, MailTemplate.JOIN_RECEIPT] * 2 + [MailTemplate.JOIN_APPROVED]
    assert sorted(mail.template_id for mail in mails(5)) == sorted(expected)


class Numbers:
    """Numbers that texts are received at, as the gateway calls them."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def assign(self, service_id: str) -> str:
        """Give a service a number."""
        return str(self._admin.AssignInboundNumber(service_id=service_id).sender)

    def senders(self, service_id: str) -> list[tuple[str, bool]]:
        """Return what texts of a service come from, and which is the default."""
        found = self._admin.every("ListSmsSenders", service_id=service_id)
        return [(each.sender, each.is_default) for each in found]

    def free(self) -> int:
        """Return how many numbers are free."""
        return len(self._admin.every("ListInboundNumbers", only_available=True))


@pytest.fixture
def numbers(admin: Admin, uow: UnitOfWork) -> Numbers:
    """Provide two free numbers and the calls."""
    with uow.begin() as tx:
        assert add_inbound_numbers(tx, "mmg", ["07700900500", "07700900501"]) == 2
        assert add_inbound_numbers(tx, "mmg", ["07700900501"]) == 0
    return Numbers(admin)


def test_numbers_are_given_to_one_service_each(admin: Admin, numbers: Numbers) -> None:
    services = [admin.make_service(f"Service {number}") for number in range(6)]
    given = at_once((partial(numbers.assign, service.id) for service in services), 6)
    assert sorted(given) == ["07700900500", "07700900501", *["INBOUND_NUMBERS_GONE"] * 4]
    assert numbers.free() == 0


def test_a_number_is_the_only_sender_until_it_is_released(admin: Admin, numbers: Numbers) -> None:
    service = admin.make_service(permissions=["sms", "inbound_sms"])
    number = numbers.assign(service.id)
    assert numbers.senders(service.id) == [(number, True)]
    assert reason(numbers.assign, service.id) == "INBOUND_NUMBER_TAKEN"
    for _ in range(2):
        admin.ReleaseInboundNumber(service_id=service.id)
    assert numbers.senders(service.id) == [("GOVUK", True)]
    assert list(admin.get_service(service.id).permissions) == ["sms"]
    assert numbers.free() == 2


def test_a_released_number_leaves_the_other_senders_a_default(
    admin: Admin, service: Service, numbers: Numbers
) -> None:
    admin.CreateSmsSender(sms_sender={"service_id": service.id, "sender": "SECOND"})
    number = numbers.assign(service.id)
    assert numbers.senders(service.id)[0] == (number, True)
    assert sum(is_default for _, is_default in numbers.senders(service.id)) == 1
    admin.ReleaseInboundNumber(service_id=service.id, retire=True)
    assert numbers.senders(service.id) == [("GOVUK", True), ("SECOND", False)]
    assert numbers.free() == 1


def test_protected_names_are_known_in_every_spelling(admin: Admin, uow: UnitOfWork) -> None:
    with uow.begin() as tx:
        assert protect_sender_ids(tx, ["NHS  Notify", "nhsnotify", " "]) == 1
        assert protect_sender_ids(tx, ["NHSNOTIFY"]) == 0
    for name, protected in {"nhs notify": True, "NHSnotify": True, "NHS": False}.items():
        assert admin.GetSenderIdProtection(sender_id=name).protected is protected
