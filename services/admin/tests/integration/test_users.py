"""UsersService over the wire."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from notify.admin.v1.service_pb2 import Service
from notify_admin.usecases.purge import purge_functional_test_data
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_testing.calls import at_once, outcome, reason, refusal, violations

from .conftest import Admin


def members(admin: Admin, service_id: str) -> list[str]:
    return [user.name for user in admin.every("ListMembers", service_id=service_id)]


def add(admin: Admin, service_id: str, user_id: str, *permissions: str) -> None:
    admin.AddMember(service_id=service_id, user_id=user_id, permissions=permissions)


def add_manager(admin: Admin, service_id: str, address: str) -> str:
    user_id = admin.make_user("Mo", address)
    add(admin, service_id, user_id, "manage_settings")
    return user_id


def test_repeat_gets_the_same_and_other_content_is_refused(admin: Admin) -> None:
    create, ann = partial(admin.CreateUser, request_id=new_id()), {"email_address": "ann@example.gov.uk"}
    assert create(user={**ann, "name": "Ann"}) == create(user={**ann, "name": "Ann"})
    assert reason(create, user={**ann, "name": "Bob"}) == "REQUEST_ID_REUSED"


def test_email_address_is_unique_without_regard_to_case(admin: Admin, user_id: str) -> None:
    error = refusal(admin.make_user, "Bob", "ANN@example.gov.uk")
    assert (error.reason, "ann@" in error.message.lower()) == ("NAME_TAKEN", False)


def test_bad_user_is_refused_with_every_violation(admin: Admin) -> None:
    assert violations(admin.make_user, "", "") == ["user.name", "user.email_address"]


def test_unknown_user_is_not_found(admin: Admin, unknown: str) -> None:
    assert reason(admin.GetUser, user_id=unknown) == "USER_NOT_FOUND"


def test_members_come_and_go_and_each_change_is_told_once(
    admin: Admin, operator: Admin, service: Service, unknown: str
) -> None:
    ann = admin.make_user("Ann", "ann@example.gov.uk")
    bob = admin.make_user("Bob", "bob@example.gov.uk")
    cursor = admin.cursor()
    for user_id in (bob, ann, ann):
        add(admin, service.id, user_id)
    assert members(admin, service.id) == ["Ann", "Bob"]
    operator.RemoveMember(service_id=service.id, user_id=bob)
    assert reason(operator.RemoveMember, service_id=service.id, user_id=bob) == "MEMBER_NOT_FOUND"
    assert members(admin, service.id) == ["Ann"]
    assert admin.changes(cursor) == [("KIND_SERVICE", service.id, "")] * 3
    assert reason(add, admin, unknown, ann) == "SERVICE_NOT_FOUND"
    assert reason(operator.RemoveMember, service_id=unknown, user_id=ann) == "SERVICE_NOT_FOUND"
    assert reason(members, admin, unknown) == "SERVICE_NOT_FOUND"
    assert reason(add, admin, service.id, unknown) == "USER_NOT_FOUND"


def test_lists_members_in_pages_that_join(admin: Admin, service: Service) -> None:
    for number in range(5):
        add(admin, service.id, admin.make_user(f"User {number % 2}", f"u{number}@example.gov.uk"))
    pages = [
        [user.id for user in page] for page in admin.pages("ListMembers", service_id=service.id, page_size=2)
    ]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({user_id for page in pages for user_id in page}) == 5


def test_of_managers_who_leave_at_once_as_many_stay_as_are_needed(admin: Admin, service: Service) -> None:
    one, two, three, four = (
        add_manager(admin, service.id, f"mo{number}@example.gov.uk") for number in range(4)
    )
    outcomes = at_once(
        [
            partial(admin.RemoveMember, service_id=service.id, user_id=one),
            partial(
                admin.SetMemberPermissions,
                service_id=service.id,
                user_id=two,
                permissions=["view_activity"],
            ),
            partial(admin.ArchiveUser, user_id=three),
            partial(admin.RemoveMember, service_id=service.id, user_id=four),
        ]
    )
    assert sum(each == "MANAGERS_NEEDED" for each in outcomes) == 2
    assert not any(isinstance(each, str) and each != "MANAGERS_NEEDED" for each in outcomes)


@pytest.mark.parametrize(
    ("address", "restricted", "may"),
    [
        ("mo@example.gov.uk", False, False),
        ("mo@example.gov.uk", True, True),
        ("mo@example.com", False, True),
        ("mo@notgov.uk", False, True),
    ],
)
def test_who_may_leave(admin: Admin, address: str, restricted: bool, may: bool) -> None:
    service = admin.make_service(restricted=restricted)
    add_manager(admin, service.id, "other@example.gov.uk")
    leaver = add_manager(admin, service.id, address)
    left = outcome(admin.RemoveMember, service_id=service.id, user_id=leaver)
    assert (left != "MANAGERS_NEEDED") is may
    assert len(members(admin, service.id)) == 2 - may


def test_archived_user_is_gone_everywhere_and_archiving_twice_changes_nothing(
    admin: Admin, service: Service
) -> None:
    add_manager(admin, service.id, "mo@example.gov.uk")
    ann = admin.make_user("Ann", "ann@example.com", "07700900123")
    add(admin, service.id, ann)
    cursor = admin.cursor()
    first = admin.ArchiveUser(user_id=ann)
    assert admin.ArchiveUser(user_id=ann) == first
    assert (first.name, first.mobile_number, first.state) == ("Archived user", "", "inactive")
    assert "ann@" not in first.email_address
    assert not first.access.services
    assert members(admin, service.id) == ["Mo"]
    assert admin.wait_for_changes(cursor, 1)[0][1] == service.id
    # the address is free again
    admin.make_user("Ann", "ann@example.com")


def test_users_are_found_by_part_of_an_address_that_is_no_pattern(admin: Admin) -> None:
    admin.make_user("Ann", "a_nn@example.com")
    admin.make_user("Bob", "axnn@example.com")
    assert [user.name for user in admin.every("ListUsers", email_part="A_NN")] == ["Ann"]


def test_users_are_listed_by_when_they_were_made_and_last_signed_in(admin: Admin, uow: UnitOfWork) -> None:
    ann, bea, cem = (admin.make_user(name, f"{name}@example.gov.uk") for name in ("ann", "bea", "cem"))
    change = (
        "UPDATE users SET create_time = :made, logged_in_time = :signed_in, "
        "take_part_in_research = :research WHERE id = :id"
    )
    with uow.begin() as tx:
        for user_id, made, signed_in, research in (
            (ann, "2026-01-01T00:00:00Z", None, True),
            (bea, "2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z", True),
            (cem, "2026-01-02T00:00:00Z", "2026-02-02T00:00:00Z", False),
        ):
            values = {"id": user_id, "made": made, "signed_in": signed_in, "research": research}
            tx.execute(sa.text(change), values)

    def listed(**asked: Any) -> list[str]:
        return [user.id for user in admin.every("ListUsers", only_active=True, **asked)]

    jan, feb = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    assert listed() == [ann, bea, cem]
    assert listed(created_before_time=jan) == [ann]
    assert listed(created_from_time=jan) == [bea, cem]
    assert listed(logged_in_from_time=feb) == [cem]
    assert listed(logged_in_before_time=feb) == [bea]
    assert listed(take_part_in_research=False) == [cem]
    assert listed(take_part_in_research=True) == [ann, bea]


def test_what_functional_tests_made_is_archived_and_nothing_else(admin: Admin, uow: UnitOfWork) -> None:
    addresses = [
        f"notify-tests+{uuid4()}@example.gov.uk",
        "notify-tests@example.gov.uk",
        "notify-tests+ann@example.gov.uk",
        "a@example.gov.uk",
    ]
    people = [admin.make_user("Ann", address) for address in addresses]
    theirs = admin.make_service("Of tests", created_by_id=people[0])
    other = admin.make_service("Of a person", created_by_id=people[1])
    assert purge_functional_test_data(uow, "example.gov.uk", "notify-tests") == (1, 1)
    assert not admin.get_service(theirs.id).active
    assert admin.get_service(other.id).active
    states = [admin.GetUser(user_id=each).state == "inactive" for each in people]
    assert states == [True, False, False, False]
    assert purge_functional_test_data(uow, "example.gov.uk", "notify-tests") == (0, 0)
