"""Ids that sort by time, and ids that come again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common import clock, ids

moments = st.integers(0, 250_000_000_000_000).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


@given(moments, moments)
def test_version_7_sorts_by_its_millisecond(first: datetime, second: datetime) -> None:
    with clock.set_for_tests(first):
        one = UUID(ids.new_id())
    with clock.set_for_tests(second):
        two = UUID(ids.new_id())
    assert (one.version, one.variant) == (7, "specified in RFC 4122")
    assert abs((one.int >> 80) - first.timestamp() * 1000) <= 1
    if second - first >= timedelta(milliseconds=2):
        assert one < two


def test_version_7_is_not_repeated_within_a_millisecond() -> None:
    with clock.set_for_tests(datetime(2026, 1, 1, tzinfo=UTC)):
        assert len({ids.new_id() for _ in range(1000)}) == 1000


@given(st.uuids(), st.lists(st.text(max_size=5) | st.integers(), max_size=3))
def test_version_8_is_the_same_again_and_keeps_its_parent_s_time(
    parent: UUID, parts: list[str | int]
) -> None:
    child = UUID(ids.child_id(str(parent), *parts))
    assert str(child) == ids.child_id(str(parent), *parts)
    assert (child.version, child.variant) == (8, "specified in RFC 4122")
    assert child.int >> 80 == parent.int >> 80


def test_version_8_is_the_same_on_every_version_of_the_platform() -> None:
    parent = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert ids.child_id(parent, 7) == "01890a5d-ac96-81b4-950f-67026246f5b4"


def test_version_8_tells_children_apart() -> None:
    parent = ids.new_id()
    children = {ids.child_id(parent, row) for row in range(10_000)}
    assert len(children) == 10_000
    assert ids.child_id(parent, "ab", "c") != ids.child_id(parent, "a", "bc")


def test_a_moment_without_a_timezone_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="timezone"),
        clock.set_for_tests(datetime(2026, 1, 1)),  # noqa: DTZ001 - that it has none is the point
    ):
        pass
