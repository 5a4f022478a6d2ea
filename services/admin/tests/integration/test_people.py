"""Who members are, for those who show and tell what they sent."""

from collections.abc import Iterator

import pytest
from notify.admin.v1 import people_service_pb2 as pb
from notify.admin.v1.people_service_pb2_grpc import PeopleServiceStub
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.admin import MEMBER_EMAIL_ADDRESS, AdminService
from notify_testing.database import FreshDatabase


@pytest.fixture(scope="module")
def admin(module_database: FreshDatabase) -> Iterator[AdminService]:
    with AdminService(module_database("notify_admin")) as service:
        yield service


@pytest.mark.parametrize("caller", ["notifications", "callbacks-worker"])
def test_who_is_known_is_told_and_who_is_not_is_left_out(admin: AdminService, caller: str) -> None:
    ask = pb.GetPeopleRequest(user_ids=[admin.user_id, new_id(), admin.user_id])
    (person,) = PeopleServiceStub(admin.channel(caller)).GetPeople(ask).people
    assert (person.user_id, person.name, person.email_address) == (
        admin.user_id,
        "Ann Member",
        MEMBER_EMAIL_ADDRESS,
    )


@pytest.mark.parametrize("caller", ["gateway-public", "letters"])
def test_nobody_else_is_told(admin: AdminService, caller: str) -> None:
    with pytest.raises(NotifyError) as refusal:
        PeopleServiceStub(admin.channel(caller)).GetPeople(pb.GetPeopleRequest(user_ids=[admin.user_id]))
    assert refusal.value.reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize("ids", [[], ["x"], [str(new_id())] * 501], ids=["none", "no id", "too many"])
def test_what_is_asked_for_has_bounds(admin: AdminService, ids: list[str]) -> None:
    with pytest.raises(NotifyError) as refusal:
        PeopleServiceStub(admin.channel("notifications")).GetPeople(pb.GetPeopleRequest(user_ids=ids))
    assert refusal.value.reason == "INVALID_FIELD"
