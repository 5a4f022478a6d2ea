"""Requests to join, inbound numbers, protected names: what the recorded cases can't say."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from notify.admin.v1 import (
    inbound_numbers_service_pb2,
    inbound_numbers_service_pb2_grpc,
    invitations_service_pb2_grpc,
    platform_mail_service_pb2,
    platform_mail_service_pb2_grpc,
    platform_service_pb2,
    platform_service_pb2_grpc,
    services_service_pb2,
    users_service_pb2,
)
from notify.admin.v1 import invitations_service_pb2 as pb
from notify.admin.v1.join_request_pb2 import JoinRequest
from notify.admin.v1.service_pb2 import SmsSender
from notify_admin.domain.mail import MailTemplate
from notify_admin.usecases.inbound_numbers import add_inbound_numbers
from notify_admin.usecases.platform import protect_sender_ids
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.rpc import InProcessServer

from .conftest import Admin, eventually


class Joining:
    """A service that somebody manages, somebody else who wants to join it, and the calls."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.stub = invitations_service_pb2_grpc.InvitationsServiceStub(admin.channel)
        self.manager = admin.make_user("Ann", "ann@example.gov.uk")
        self.requester = admin.make_user("Bea", "bea@example.gov.uk")
        ask = services_service_pb2.CreateServiceRequest(request_id=new_id(), owner_id=self.manager)
        ask.service.name = "Fishing licences"
        self.service_id = admin.services.CreateService(ask).service.id

    def ask(self, *contacted: str, requester: str = "") -> JoinRequest:
        """Ask members to let somebody join."""
        given = JoinRequest(
            service_id=self.service_id,
            requester_id=requester or self.requester,
            contacted_user_ids=contacted,
            reason="please",
        )
        ask = pb.CreateJoinRequestRequest(request_id=new_id(), join_request=given)
        made: JoinRequest = self.stub.CreateJoinRequest(ask).join_request
        return made

    def get(self, join_request_id: str, service_id: str = "") -> JoinRequest:
        """Return a request."""
        ask = pb.GetJoinRequestRequest(
            join_request_id=join_request_id, service_id=service_id or self.service_id
        )
        found: JoinRequest = self.stub.GetJoinRequest(ask).join_request
        return found

    def decide(self, join_request_id: str, status: str, **fields: Any) -> JoinRequest:
        """Decide on a request."""
        keys = {"service_id": self.service_id, "decided_by_id": self.manager, **fields}
        ask = pb.DecideJoinRequestRequest(join_request_id=join_request_id, status=status, **keys)
        decided: JoinRequest = self.stub.DecideJoinRequest(ask).join_request
        return decided

    def permissions(self) -> list[str]:
        """Return what the requester may do in the service."""
        ask = users_service_pb2.GetUserRequest(user_id=self.requester)
        services = self._admin.users.GetUser(ask).user.access.services
        return [permission for one in services for permission in one.permissions]


@pytest.fixture
def joining(admin: Admin) -> Joining:
    """Provide them."""
    return Joining(admin)


def reason_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """Return why a call is refused."""
    with pytest.raises(NotifyError) as caught:
        call(*args, **kwargs)
    return caught.value.reason


def test_only_members_who_manage_the_service_are_asked(admin: Admin, joining: Joining) -> None:
    plain = admin.make_user("Cem", "cem@example.gov.uk")
    stranger = admin.make_user("Dan", "dan@example.gov.uk")
    admin.users.AddMember(
        users_service_pb2.AddMemberRequest(
            service_id=joining.service_id, user_id=plain, permissions=["send_texts"]
        )
    )
    made = joining.ask(plain, stranger, joining.manager)
    assert list(made.contacted_user_ids) == [joining.manager]
    assert reason_of(joining.ask, plain, stranger) == "MANAGERS_NOT_FOUND"
    assert reason_of(joining.ask, joining.manager, requester=plain) == "ALREADY_MEMBER"


def test_requests_are_found_only_in_their_service(admin: Admin, joining: Joining) -> None:
    made, other = joining.ask(joining.manager), admin.make_service("Nets")
    assert reason_of(joining.get, made.id, other.id) == "JOIN_REQUEST_NOT_FOUND"
    decide = reason_of(joining.decide, made.id, "approved", service_id=other.id)
    assert decide == "JOIN_REQUEST_NOT_FOUND"
    assert joining.get(made.id).status == "pending"
    assert joining.permissions() == []


def test_nobody_is_given_a_permission_that_there_is_not(joining: Joining) -> None:
    made = joining.ask(joining.manager)
    assert reason_of(joining.decide, made.id, "approved", permissions=["rule"]) == "INVALID_FIELD"
    assert reason_of(joining.decide, made.id, "maybe") == "INVALID_FIELD"
    assert joining.permissions() == []


def test_two_who_approve_at_once_make_one_member_who_is_told_once(
    joining: Joining, server: InProcessServer
) -> None:
    made, second = joining.ask(joining.manager), joining.ask(joining.manager)
    with ThreadPoolExecutor(4) as pool:
        decisions = [
            pool.submit(joining.decide, made.id, "approved", permissions=["send_texts"]) for _ in range(4)
        ]
        assert {each.result().status for each in decisions} == {"approved"}
    assert joining.permissions() == ["send_texts"]
    assert joining.get(second.id).status == "cancelled"

    feed = platform_mail_service_pb2_grpc.PlatformMailServiceStub(server.channel("notifications"))
    told: list[str] = []

    def read() -> bool:
        found = feed.ListPlatformMailEvents(platform_mail_service_pb2.ListPlatformMailEventsRequest())
        told[:] = [mail.template_id for mail in found.mails]
        return len(told) >= 5

    eventually(read)
    expected = [MailTemplate.JOIN_REQUEST, MailTemplate.JOIN_RECEIPT] * 2 + [MailTemplate.JOIN_APPROVED]
    assert sorted(told) == sorted(expected)


class Numbers:
    """Numbers that texts are received at, as the gateway calls them."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.stub = inbound_numbers_service_pb2_grpc.InboundNumbersServiceStub(admin.channel)

    def assign(self, service_id: str) -> SmsSender:
        """Give a service a number."""
        ask = inbound_numbers_service_pb2.AssignInboundNumberRequest(service_id=service_id)
        given: SmsSender = self.stub.AssignInboundNumber(ask).sms_sender
        return given

    def release(self, service_id: str, *, retire: bool = False) -> None:
        """Take it away."""
        ask = inbound_numbers_service_pb2.ReleaseInboundNumberRequest(service_id=service_id, retire=retire)
        self.stub.ReleaseInboundNumber(ask)

    def senders(self, service_id: str) -> list[tuple[str, bool]]:
        """Return what texts of a service come from, and which is the default."""
        ask = services_service_pb2.ListSmsSendersRequest(service_id=service_id)
        return [
            (each.sender, each.is_default) for each in self._admin.services.ListSmsSenders(ask).sms_senders
        ]

    def free(self) -> int:
        """Return how many numbers are free."""
        ask = inbound_numbers_service_pb2.ListInboundNumbersRequest(only_available=True)
        return len(self.stub.ListInboundNumbers(ask).inbound_numbers)


@pytest.fixture
def numbers(admin: Admin, uow: UnitOfWork) -> Numbers:
    """Provide two free numbers and the calls."""
    with uow.begin() as tx:
        assert add_inbound_numbers(tx, "mmg", ["07700900500", "07700900501"]) == 2
        assert add_inbound_numbers(tx, "mmg", ["07700900501"]) == 0
    return Numbers(admin)


def test_numbers_are_given_to_one_service_each(admin: Admin, numbers: Numbers) -> None:
    services = [admin.make_service(f"Service {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        given = [pool.submit(numbers.assign, service.id) for service in services]
        errors = [future.exception() for future in given]
    assert sum(error is None for error in errors) == 2
    assert {error.reason for error in errors if isinstance(error, NotifyError)} == {"INBOUND_NUMBERS_GONE"}
    assert len({future.result().sender for future in given if future.exception() is None}) == 2
    assert numbers.free() == 0


def test_a_number_is_the_only_sender_until_it_is_released(admin: Admin, numbers: Numbers) -> None:
    service = admin.make_service(permissions=["sms", "inbound_sms"])
    sender = numbers.assign(service.id)
    assert numbers.senders(service.id) == [(sender.sender, True)]
    assert reason_of(numbers.assign, service.id) == "INBOUND_NUMBER_TAKEN"
    for _ in range(2):
        numbers.release(service.id)
    assert numbers.senders(service.id) == [("GOVUK", True)]
    assert list(admin.get_service(service.id).permissions) == ["sms"]
    assert numbers.free() == 2


def test_a_released_number_leaves_the_other_senders_a_default(admin: Admin, numbers: Numbers) -> None:
    service = admin.make_service()
    ask = services_service_pb2.CreateSmsSenderRequest(request_id=new_id())
    ask.sms_sender.service_id, ask.sms_sender.sender = service.id, "SECOND"
    admin.services.CreateSmsSender(ask)
    number = numbers.assign(service.id)
    assert numbers.senders(service.id)[0] == (number.sender, True)
    assert sum(is_default for _, is_default in numbers.senders(service.id)) == 1
    numbers.release(service.id, retire=True)
    assert numbers.senders(service.id) == [("GOVUK", True), ("SECOND", False)]
    assert numbers.free() == 1


def test_protected_names_are_known_in_every_spelling(admin: Admin, uow: UnitOfWork) -> None:
    stub = platform_service_pb2_grpc.PlatformServiceStub(admin.channel)
    with uow.begin() as tx:
        assert protect_sender_ids(tx, ["NHS  Notify", "nhsnotify", " "]) == 1
        assert protect_sender_ids(tx, ["NHSNOTIFY"]) == 0
    for name, protected in {"nhs notify": True, "NHSnotify": True, "NHS": False}.items():
        ask = platform_service_pb2.GetSenderIdProtectionRequest(sender_id=name)
        assert stub.GetSenderIdProtection(ask).sender_id_protection.protected is protected
