"""UsersService over the wire."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from notify.admin.v1 import user_pb2
from notify.admin.v1 import users_service_pb2 as pb
from notify_admin.usecases.purge import purge_functional_test_data
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


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
    with pytest.raises(NotifyError) as caught:
        remove(operator, service.id, bob)
    assert caught.value.reason == "MEMBER_NOT_FOUND"
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


def add_manager(admin: Admin, service_id: str, email_address: str) -> str:
    user_id = admin.make_user("Mo", email_address)
    ask = pb.AddMemberRequest(service_id=service_id, user_id=user_id, permissions=["manage_settings"])
    admin.users.AddMember(ask)
    return user_id


def reason(call: Callable[[], object]) -> str:
    try:
        call()
    except NotifyError as error:
        return error.reason
    return "OK"


def without_managing(admin: Admin, service_id: str, user_id: str) -> str:
    ask = pb.SetMemberPermissionsRequest(
        service_id=service_id, user_id=user_id, permissions=["view_activity"]
    )
    return reason(lambda: admin.users.SetMemberPermissions(ask))


def archive(admin: Admin, user_id: str) -> str:
    return reason(lambda: admin.users.ArchiveUser(pb.ArchiveUserRequest(user_id=user_id)))


def test_of_managers_who_leave_at_once_as_many_stay_as_are_needed(admin: Admin) -> None:
    service = admin.make_service()
    managers = [add_manager(admin, service.id, f"mo{number}@example.gov.uk") for number in range(4)]
    ways = (
        lambda user_id: reason(lambda: remove(admin, service.id, user_id)),
        lambda user_id: without_managing(admin, service.id, user_id),
        lambda user_id: archive(admin, user_id),
        lambda user_id: reason(lambda: remove(admin, service.id, user_id)),
    )
    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(lambda pair: pair[0](pair[1]), zip(ways, managers, strict=True)))
    assert outcomes == ["MANAGERS_NEEDED", "MANAGERS_NEEDED", "OK", "OK"]


@pytest.mark.parametrize(
    ("email_address", "restricted", "outcome"),
    [
        ("mo@example.gov.uk", False, "MANAGERS_NEEDED"),
        ("mo@example.gov.uk", True, "OK"),
        ("mo@example.com", False, "OK"),
        ("mo@notgov.uk", False, "OK"),
    ],
)
def test_who_may_leave(admin: Admin, email_address: str, restricted: bool, outcome: str) -> None:
    service = admin.make_service(restricted=restricted)
    add_manager(admin, service.id, "other@example.gov.uk")
    leaver = add_manager(admin, service.id, email_address)
    assert reason(lambda: remove(admin, service.id, leaver)) == outcome


def test_archived_user_is_gone_everywhere_and_archiving_twice_changes_nothing(admin: Admin) -> None:
    service = admin.make_service()
    add_manager(admin, service.id, "mo@example.gov.uk")
    ann = admin.make_user("Ann", "ann@example.com", "07700900123")
    add(admin, service.id, ann)
    cursor = admin.cursor()
    ask = pb.ArchiveUserRequest(user_id=ann)
    first = admin.users.ArchiveUser(ask).user
    assert admin.users.ArchiveUser(ask).user == first
    assert (first.name, first.mobile_number, first.state) == ("Archived user", "", "inactive")
    assert "ann@" not in first.email_address
    assert not first.access.services
    assert members(admin, service.id) == ["Mo"]
    assert admin.wait_for_changes(cursor, 1)[0][1] == service.id
    # the address is free again
    admin.make_user("Ann", "ann@example.com")


def test_unknown_permissions_and_folders_of_others_are_refused(admin: Admin, unknown: str) -> None:
    service = admin.make_service()
    ann = admin.make_user("Ann", "ann@example.com")
    add(admin, service.id, ann)

    def set_(user_id: str, **fields: Any) -> str:
        ask = pb.SetMemberPermissionsRequest(service_id=service.id, user_id=user_id, **fields)
        return reason(lambda: admin.users.SetMemberPermissions(ask))

    assert set_(ann, permissions=["dance"]) == "INVALID_FIELD"
    assert set_(ann, folder_ids=[unknown], set_folders=True) == "FOLDER_NOT_FOUND"
    assert set_(unknown, permissions=["send_texts"]) == "MEMBER_NOT_FOUND"
    assert set_(ann, permissions=["send_texts"]) == "OK"
    found = admin.users.GetUser(pb.GetUserRequest(user_id=ann)).user
    assert list(found.access.services[0].permissions) == ["send_texts"]


def test_users_are_found_by_part_of_an_address_that_is_no_pattern(admin: Admin) -> None:
    admin.make_user("Ann", "a_nn@example.com")
    admin.make_user("Bob", "axnn@example.com")
    found = admin.users.ListUsers(pb.ListUsersRequest(email_part="A_NN")).users
    assert [user.name for user in found] == ["Ann"]


def test_users_are_listed_by_when_they_were_made_and_last_signed_in(admin: Admin, uow: UnitOfWork) -> None:
    ann, bea, cem = (admin.make_user(name, f"{name}@example.gov.uk") for name in ("ann", "bea", "cem"))
    with uow.begin() as tx:
        for user_id, made, signed_in in (
            (ann, "2026-01-01T00:00:00Z", None),
            (bea, "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z"),
            (cem, "2026-01-02T00:00:00Z", "2026-02-02T00:00:00Z"),
        ):
            values = {"id": user_id, "made": made, "signed_in": signed_in}
            tx.execute(
                sa.text("UPDATE users SET create_time = :made, logged_in_time = :signed_in WHERE id = :id"),
                values,
            )
        values = {"id": cem}
        tx.execute(sa.text("UPDATE users SET take_part_in_research = false WHERE id = :id"), values)

    def listed(**asked: Any) -> list[str]:
        ask = pb.ListUsersRequest(only_active=True)
        for name, value in asked.items():
            if isinstance(value, bool):
                setattr(ask, name, value)
            else:
                getattr(ask, name).FromJsonString(value)
        return [user.id for user in admin.users.ListUsers(ask).users]

    assert listed() == [ann, bea, cem]
    assert listed(created_before_time="2026-01-02T00:00:00Z") == [ann]
    assert listed(created_from_time="2026-01-02T00:00:00Z") == [bea, cem]
    assert listed(logged_in_from_time="2026-02-02T00:00:00Z") == [cem]
    assert listed(logged_in_before_time="2026-02-02T00:00:00Z") == [bea]
    assert listed(take_part_in_research=False) == [cem]
    assert listed(take_part_in_research=True) == [ann, bea]


def test_what_functional_tests_made_is_archived_and_nothing_else(admin: Admin, uow: UnitOfWork) -> None:
    def person(address: str) -> str:
        return admin.make_user("Ann", address)

    made = person(f"notify-tests+{uuid4()}@example.gov.uk")
    near = [
        person(address)
        for address in ("notify-tests@example.gov.uk", "notify-tests+ann@example.gov.uk", "a@example.gov.uk")
    ]
    theirs = admin.make_service("Of tests", created_by_id=made)
    other = admin.make_service("Of a person", created_by_id=near[0])
    assert purge_functional_test_data(uow, "example.gov.uk", "notify-tests") == (1, 1)
    assert not admin.get_service(theirs.id).active
    assert admin.get_service(other.id).active
    states = [admin.users.GetUser(pb.GetUserRequest(user_id=each)).user.state for each in (made, *near)]
    assert states.count("inactive") == 1
    assert states[0] == "inactive"
    assert purge_functional_test_data(uow, "example.gov.uk", "notify-tests") == (0, 0)
