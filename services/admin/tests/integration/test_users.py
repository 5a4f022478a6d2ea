"""UsersService over the wire."""

import pytest
from notify.admin.v1 import user_pb2
from notify.admin.v1 import users_service_pb2 as pb
from notify_common.errors import NotifyError

from .conftest import Admin, new_id


def members(admin: Admin, service_id: str) -> list[str]:
    return [user.name for user in admin.users.ListMembers(pb.ListMembersRequest(service_id=service_id)).users]


def add(admin: Admin, service_id: str, user_id: str) -> None:
    admin.users.AddMember(pb.AddMemberRequest(service_id=service_id, user_id=user_id))


def remove(operator: Admin, service_id: str, user_id: str) -> None:
    operator.users.RemoveMember(pb.RemoveMemberRequest(service_id=service_id, user_id=user_id))


def test_creates_and_returns(admin: Admin) -> None:
    user_id = admin.make_user("Ann", "Ann@example.gov.uk", "07700 900123")
    user = admin.users.GetUser(pb.GetUserRequest(user_id=user_id)).user
    assert (user.name, user.email_address, user.mobile_number) == (
        "Ann",
        "Ann@example.gov.uk",
        "07700 900123",
    )


def test_repeat_gets_the_same_and_other_content_is_refused(admin: Admin) -> None:
    user = user_pb2.User(name="Ann", email_address="ann@example.gov.uk")
    request = pb.CreateUserRequest(request_id=new_id(), user=user)
    first = admin.users.CreateUser(request).user
    assert admin.users.CreateUser(request).user == first
    request.user.name = "Bob"
    with pytest.raises(NotifyError) as caught:
        admin.users.CreateUser(request)
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_email_address_is_unique_without_regard_to_case(admin: Admin) -> None:
    admin.make_user("Ann", "ann@example.gov.uk")
    with pytest.raises(NotifyError) as caught:
        admin.make_user("Bob", "ANN@example.gov.uk")
    assert caught.value.reason == "NAME_TAKEN"
    assert "ann@" not in caught.value.message.lower()


def test_bad_user_is_refused_with_every_violation(admin: Admin) -> None:
    with pytest.raises(NotifyError) as caught:
        admin.make_user("", "")
    assert [v.field for v in caught.value.violations] == ["user.name", "user.email_address"]


def test_unknown_user_is_not_found(admin: Admin, unknown: str) -> None:
    with pytest.raises(NotifyError) as caught:
        admin.users.GetUser(pb.GetUserRequest(user_id=unknown))
    assert caught.value.reason == "USER_NOT_FOUND"


def test_members_come_and_go_and_each_change_is_told_once(
    admin: Admin, operator: Admin, unknown: str
) -> None:
    service = admin.make_service()
    ann = admin.make_user("Ann", "ann@example.gov.uk")
    bob = admin.make_user("Bob", "bob@example.gov.uk")
    cursor = admin.cursor()
    for user_id in (bob, ann, ann):
        add(admin, service.id, user_id)
    assert members(admin, service.id) == ["Ann", "Bob"]
    remove(operator, service.id, bob)
    remove(operator, service.id, bob)
    assert members(admin, service.id) == ["Ann"]
    marker = admin.make_service("Marker")
    changes = admin.wait_for_changes(cursor, 4)
    assert changes == [("KIND_SERVICE", service.id, "")] * 3 + [("KIND_SERVICE", marker.id, "")]
    for call in (
        lambda: add(admin, unknown, ann),
        lambda: remove(operator, unknown, ann),
        lambda: members(admin, unknown),
    ):
        with pytest.raises(NotifyError) as caught:
            call()
        assert caught.value.reason == "SERVICE_NOT_FOUND"
    with pytest.raises(NotifyError) as caught:
        add(admin, service.id, unknown)
    assert caught.value.reason == "USER_NOT_FOUND"


def test_lists_members_in_pages_that_join(admin: Admin) -> None:
    service = admin.make_service()
    for number in range(5):
        add(admin, service.id, admin.make_user(f"User {number % 2}", f"u{number}@example.gov.uk"))
    found: list[str] = []
    token = ""
    for _ in range(3):
        page = admin.users.ListMembers(
            pb.ListMembersRequest(service_id=service.id, page_size=2, page_token=token)
        )
        found += [user.id for user in page.users]
        token = page.next_page_token
    assert len(set(found)) == 5
    assert token == ""
