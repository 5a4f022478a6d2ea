"""Which provider gets a message (pipeline.md §3.5)."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Channel, KeyType
from notify_providers.domain.routing import Provider, UnknownOutcomeRule, choose_provider

SANDBOX = Provider("sandbox-sms", Channel.SMS, True, 0, True, UnknownOutcomeRule.RETRY, 0, 1)


def provider(name: str, priority: int = 50, *, active: bool = True, international: bool = True) -> Provider:
    """Return a provider of text messages."""
    return Provider(name, Channel.SMS, active, priority, international, UnknownOutcomeRule.HOLD, 300, 1)


def choose(
    providers: list[Provider],
    *,
    channel: Channel = Channel.SMS,
    key_type: KeyType = KeyType.NORMAL,
    international: bool = False,
    available: set[str] | None = None,
    draw: random.Random | None = None,
) -> str | None:
    """Return the name of the provider that is chosen."""
    chosen = choose_provider(
        providers,
        channel=channel,
        key_type=key_type,
        international=international,
        available={p.name for p in providers} if available is None else available,
        draw=draw or random.Random(1),
    )
    return chosen.name if chosen else None


@given(st.integers(1, 99))
def test_messages_are_shared_by_priority(priority: int) -> None:
    draw = random.Random(priority)
    two = [provider("a", priority), provider("b", 100 - priority)]
    shares = Counter(choose(two, draw=draw) for _ in range(2_000))
    assert abs(shares["a"] / 2_000 - priority / 100) < 0.06


@pytest.mark.parametrize(
    ("providers", "chosen"),
    [
        ([], None),
        ([provider("a", 0)], "a"),
        ([provider("a", active=False)], None),
        ([provider("a", 0), provider("b", 100)], "b"),
        ([provider("a", active=False), provider("b", 0)], "b"),
        ([SANDBOX, provider("a", 100)], "a"),
    ],
)
def test_only_active_providers_that_weigh_something_are_drawn(
    providers: list[Provider], chosen: str | None
) -> None:
    assert choose(providers) == chosen


def test_providers_that_all_weigh_nothing_share_evenly() -> None:
    draw = random.Random(1)
    shares = Counter(choose([provider("a", 0), provider("b", 0)], draw=draw) for _ in range(1_000))
    assert 400 < shares["a"] < 600


def test_a_provider_that_is_not_configured_or_of_another_channel_gets_nothing() -> None:
    assert choose([provider("a")], available=set()) is None
    assert choose([provider("a")], channel=Channel.EMAIL) is None


def test_international_numbers_go_to_providers_that_take_them() -> None:
    two = [provider("a", 100, international=False), provider("b", 1)]
    assert choose(two, international=True) == "b"
    assert choose(two[:1], international=True) is None


def test_messages_of_test_keys_go_to_the_sandbox_and_nowhere_else() -> None:
    off = Provider("sandbox-sms", Channel.SMS, False, 0, True, UnknownOutcomeRule.RETRY, 0, 1)
    assert choose([off, provider("a", 100)], key_type=KeyType.TEST, available={"a"}) == "sandbox-sms"
    assert choose([provider("a", 100)], key_type=KeyType.TEST) is None
