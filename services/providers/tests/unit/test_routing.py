"""Which provider gets a message, and why (pipeline.md §3.5)."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Channel, KeyType
from notify_providers.domain.routing import (
    Condition,
    Mode,
    Provider,
    Route,
    Unfit,
    UnknownOutcomeRule,
    Why,
    choose_provider,
    country_table,
    judge,
)

SANDBOX = Provider("sandbox-sms", Channel.SMS, True, 0, True, UnknownOutcomeRule.RETRY, 0, 1)
LIVE = Route(Channel.SMS, KeyType.NORMAL)


def provider(name: str, priority: int = 50, **values: object) -> Provider:
    """Return a provider of text messages."""
    first = Provider(name, Channel.SMS, True, priority, True, UnknownOutcomeRule.HOLD, 300, 1)
    return replace(first, **values)  # type: ignore[arg-type] # each test names what it needs


def choose(
    providers: list[Provider],
    route: Route = LIVE,
    *,
    available: set[str] | None = None,
    draw: random.Random | None = None,
    probes: set[str] | None = None,
) -> tuple[str, Why] | None:
    """Return the name of the provider that is chosen, and why."""
    judgement = judge(providers, route, {p.name for p in providers} if available is None else available)
    chosen = choose_provider(judgement, draw or random.Random(1), probes or set())
    return (chosen.provider.name, chosen.why) if chosen else None


@given(st.integers(1, 99))
def test_messages_are_shared_by_priority(priority: int) -> None:
    draw = random.Random(priority)
    two = [provider("a", priority), provider("b", 100 - priority)]
    shares = Counter(choose(two, draw=draw) for _ in range(2_000))
    assert abs(shares["a", Why.SHARE] / 2_000 - priority / 100) < 0.06


def test_a_share_that_was_moved_counts_in_place_of_the_priority() -> None:
    two = [provider("a", 50, share=0.0), provider("b", 50, share=100.0)]
    assert {choose(two, draw=random.Random(seed)) for seed in range(50)} == {("b", Why.SHARE)}


@pytest.mark.parametrize(
    ("providers", "chosen"),
    [
        ([], None),
        ([provider("a", 0)], ("a", Why.ONLY)),
        ([provider("a", active=False)], None),
        ([provider("a", mode=Mode.DRAINED)], None),
        ([provider("a", 0), provider("b", 100)], ("b", Why.ONLY)),
        ([provider("a", active=False), provider("b", 0)], ("b", Why.ONLY)),
        ([provider("a", mode=Mode.DRAINED), provider("b", 1)], ("b", Why.ONLY)),
        ([provider("a", mode=Mode.PINNED), provider("b", 100)], ("a", Why.PINNED)),
        ([provider("a", mode=Mode.PINNED, active=False), provider("b", 100)], ("b", Why.ONLY)),
        ([SANDBOX, provider("a", 100)], ("a", Why.ONLY)),
        ([provider("a", condition=Condition.FAILING), provider("b", 1)], ("b", Why.ONLY)),
        ([provider("a", condition=Condition.SLOW), provider("b", 1)], ("b", Why.ONLY)),
        ([provider("a", condition=Condition.SLOW)], ("a", Why.ONLY)),
        ([provider("a", condition=Condition.FAILING)], None),
        ([SANDBOX, provider("a", condition=Condition.FAILING)], None),
        (
            [provider("a", condition=Condition.FAILING), provider("b", condition=Condition.SLOW)],
            ("b", Why.ONLY),
        ),
        (
            [provider("a", mode=Mode.PINNED, condition=Condition.FAILING), provider("b")],
            None,
        ),
    ],
)
def test_the_rules(providers: list[Provider], chosen: tuple[str, Why] | None) -> None:
    assert choose(providers) == chosen


def test_providers_that_all_weigh_nothing_share_evenly() -> None:
    draw = random.Random(1)
    shares = Counter(choose([provider("a", 0), provider("b", 0)], draw=draw) for _ in range(1_000))
    assert 400 < shares["a", Why.SHARE] < 600


def test_a_provider_that_is_not_configured_or_of_another_channel_gets_nothing() -> None:
    assert choose([provider("a")], available=set()) is None
    assert choose([provider("a")], Route(Channel.EMAIL, KeyType.NORMAL)) is None


def test_international_numbers_go_to_providers_that_take_them() -> None:
    two = [provider("a", 100, supports_international=False), provider("b", 1)]
    abroad = replace(LIVE, international=True)
    assert choose(two, abroad) == ("b", Why.ONLY)
    assert choose(two[:1], abroad) is None


def test_the_table_of_a_country_says_who_gets_its_texts() -> None:
    three = [provider("a", 100), provider("b", 0), provider("c", 100)]
    france = replace(LIVE, international=True, country={"b": 1, "x": 9})
    assert choose(three, france) == ("b", Why.COUNTRY)
    nobody_here = replace(LIVE, international=True, country={"x": 9})
    chosen = choose(three, nobody_here)
    assert chosen is not None
    assert chosen[1] is Why.SHARE


def test_the_longest_prefix_of_a_number_counts() -> None:
    tables = {"1": {"a": 1}, "1242": {"b": 1}}
    assert country_table(tables, "12425550100") == {"b": 1}
    assert country_table(tables, "12125550100") == {"a": 1}
    assert country_table(tables, "33612345678") == country_table(tables, "") == {}


def test_messages_of_test_keys_go_to_the_sandbox_and_nowhere_else() -> None:
    test = Route(Channel.SMS, KeyType.TEST)
    off = replace(SANDBOX, active=False)
    assert choose([off, provider("a", 100)], test, available={"a"}) == ("sandbox-sms", Why.TEST_KEY)
    assert choose([provider("a", 100)], test) is None


def test_the_first_retry_goes_to_another_where_there_is_one() -> None:
    retry = replace(LIVE, turned_away_by="a")
    assert choose([provider("a", 99), provider("b", 1)], retry) == ("b", Why.OTHER_TURNED_AWAY)
    assert choose([provider("a", 99)], retry) == ("a", Why.ONLY)
    assert choose([provider("a", 99), SANDBOX], retry) == ("a", Why.ONLY)


@pytest.mark.parametrize("mode", [Mode.SHARED, Mode.DRAINED])
@pytest.mark.parametrize("condition", [Condition.HEALTHY, Condition.SLOW])
def test_what_a_provider_may_have_goes_to_it_or_to_nobody(mode: Mode, condition: Condition) -> None:
    again = replace(LIVE, may_have_it="a", turned_away_by="a")
    two = [provider("a", 0, mode=mode, condition=condition), provider("b", 100, mode=Mode.PINNED)]
    assert choose(two, again) == ("a", Why.MAY_HAVE_IT)
    assert choose([replace(two[0], active=False), two[1]], again) is None
    assert choose(two[1:], again) is None


def test_what_a_failing_provider_may_have_waits_or_is_its_probe() -> None:
    again = replace(LIVE, may_have_it="a")
    two = [provider("a", condition=Condition.FAILING), provider("b")]
    assert choose(two, again) is None
    assert choose(two, again, probes={"a"}) == ("a", Why.PROBE)


def test_a_probe_goes_to_who_does_badly_and_only_if_it_could_get_the_message() -> None:
    two = [provider("a", condition=Condition.FAILING), provider("b")]
    assert choose(two, probes={"a"}) == ("a", Why.PROBE)
    assert choose([replace(two[0], active=False), two[1]], probes={"a"}) == ("b", Why.ONLY)
    assert choose([two[0], replace(two[1], mode=Mode.PINNED)], probes={"a"}) == ("b", Why.PINNED)
    assert choose(two, replace(LIVE, may_have_it="b"), probes={"a"}) == ("b", Why.MAY_HAVE_IT)
    assert choose(two, Route(Channel.SMS, KeyType.TEST), probes={"a"}) is None


ANY = st.builds(
    provider,
    st.sampled_from("abcde"),
    st.integers(0, 100),
    active=st.booleans(),
    mode=st.sampled_from(Mode),
    condition=st.sampled_from(Condition),
    supports_international=st.booleans(),
)


@given(
    st.lists(ANY, max_size=5, unique_by=lambda p: p.name),
    st.sampled_from(["", "a"]),
    st.sampled_from(["", "b"]),
    st.booleans(),
)
def test_whoever_is_chosen_could_get_it_and_someone_is_unless_all_fail(
    providers: list[Provider], may_have_it: str, turned_away_by: str, abroad: bool
) -> None:
    route = Route(Channel.SMS, KeyType.NORMAL, abroad, {"c": 3}, may_have_it, turned_away_by)
    names = {p.name for p in providers}
    candidates, _ = judge(providers, route, names)
    assert [c.provider for c in candidates] == providers
    chosen = choose(providers, route)
    fit = {c.provider.name for c in candidates if c.unfit is None}
    if chosen is None:
        assert not fit
    else:
        assert chosen[0] in fit
    for c in candidates:
        if c.unfit is None:
            assert c.provider.active
            assert not may_have_it or c.provider.name == may_have_it
            assert c.provider.supports_international or not abroad
    if not fit and not may_have_it:
        reasons = {c.unfit for c in candidates}
        never = {Unfit.PAUSED, Unfit.DRAINED, Unfit.NOT_INTERNATIONAL}
        assert reasons <= never or Unfit.FAILING in reasons
