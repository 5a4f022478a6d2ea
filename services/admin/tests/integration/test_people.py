"""Who members are, for those who show and tell what they sent."""

import pytest
from notify_common.ids import new_id
from notify_testing.admin import MEMBER_EMAIL_ADDRESS, AdminService
from notify_testing.calls import Caller, reason

from .conftest import PACKAGE


@pytest.mark.parametrize("caller", ["notifications", "callbacks-worker"])
def test_who_is_known_is_told_and_who_is_not_is_left_out(neighbour: AdminService, caller: str) -> None:
    ann = neighbour.user_id
    (person,) = Caller(neighbour.channel(caller), PACKAGE).GetPeople(user_ids=[ann, new_id(), ann])
    told = (person.user_id, person.name, person.email_address)
    assert told == (ann, "Ann Member", MEMBER_EMAIL_ADDRESS)


@pytest.mark.parametrize("ids", [[], ["x"], [new_id()] * 501], ids=["none", "no id", "too many"])
def test_what_is_asked_for_has_bounds(neighbour: AdminService, ids: list[str]) -> None:
    people = Caller(neighbour.channel("notifications"), PACKAGE)
    assert reason(people.GetPeople, user_ids=ids) == "INVALID_FIELD"
