"""How claims are divided: the algebra, without a database."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Lane
from notify_common.leases.shares import WEIGHTS, Shares, Tenant, Walk, divide_again, split

RINGS = st.dictionaries(st.sampled_from(list(Lane)), st.integers(1, 12), min_size=1)
TENANTS = st.lists(st.tuples(st.sampled_from(list(Lane)), st.integers(0, 20)), unique=True, min_size=1)


def walk_round(shares: Shares, lane: Lane, count: int) -> Walk:
    """Look round a ring of services 00, 01, … that all have more rows than any claim takes."""
    ring = [f"{number:02}" for number in range(count)]
    start = shares.cursors()[lane]
    due = [id for id in ring if id > start] + [id for id in ring if id <= start]
    return Walk(due, due[-1], whole=True)


@given(st.integers(0, 1000), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_parts_are_their_exact_shares_rounded_and_add_up(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), RINGS)
def test_claims_in_a_row_keep_every_guarantee(limits: list[int], rings: dict[Lane, int]) -> None:
    shares = Shares()
    taken: Counter[Tenant] = Counter()
    for limit in limits:
        quotas = shares.divide(limit, {lane: walk_round(shares, lane, rings[lane]) for lane in rings})
        assert sum(quotas.values()) == limit
        assert min(quotas.values()) >= 0
        taken += Counter(quotas)
    whole = sum(WEIGHTS[lane] for lane in rings)
    for lane, count in rings.items():
        got = [taken[Tenant(lane, f"{number:02}")] for number in range(count)]
        assert abs(sum(got) - Fraction(sum(limits) * WEIGHTS[lane], whole)) < 2, "the lane's share"
        assert max(got) - min(got) <= 1, "services of a lane get the same"


@given(TENANTS, st.data())
def test_what_is_left_stays_in_its_lane_and_evens_out(
    drawn: list[tuple[Lane, int]], data: st.DataObject
) -> None:
    quotas = {Tenant(lane, str(number)): data.draw(st.integers(3, 4)) for lane, number in drawn}
    got = {tenant: data.draw(st.sampled_from([quota, quota, 1])) for tenant, quota in quotas.items()}
    again = divide_again(quotas, got, got)
    left = sum(quotas.values()) - sum(got.values())
    more = [tenant for tenant, quota in quotas.items() if got[tenant] == quota]

    assert sum(again.values()) == (left if more else 0)
    assert set(again) == (set(more) if left else set())
    for lane in {tenant.lane for tenant in again}:
        left_of_lane = sum(quotas[one] - got[one] for one in quotas if one.lane is lane)
        assert sum(quota for one, quota in again.items() if one.lane is lane) >= left_of_lane
        after = [got[one] + quota for one, quota in again.items() if one.lane is lane]
        assert max(after) - min(after) <= 1


def test_nobody_waits_nobody_gets() -> None:
    empty = Walk([], None, whole=True)
    assert Shares().divide(500, dict.fromkeys(Lane, empty)) == {}


def test_next_claim_goes_on_behind_services_that_only_wait_for_later() -> None:
    shares = Shares()
    assert shares.divide(10, {Lane.API: Walk([], "77", whole=False)}) == {}
    assert shares.cursors()[Lane.API] == "77"


def test_next_claim_goes_on_behind_the_last_service_that_got_a_row() -> None:
    shares = Shares()
    shares.divide(2, {Lane.API: Walk(["1", "2", "3", "4"], "4", whole=False)})
    assert shares.cursors()[Lane.API] == "2"
    shares.divide(2, {Lane.API: Walk(["3", "4"], "4", whole=False)})
    assert shares.cursors()[Lane.API] == "4"
