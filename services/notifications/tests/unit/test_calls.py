"""Rules of calls of services: addresses, ends, endpoints that are left alone, signatures."""

import base64
import hashlib
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_notifications.domain.addresses import may_be_called
from notify_notifications.domain.calls import (
    FAILURES_BEFORE_PAUSE,
    LONGEST_PAUSE_SECONDS,
    MOST_ATTEMPTS,
    CallbackState,
    Endpoint,
    Verdict,
    bearer,
    judge,
    signed_headers,
    state_after,
)

INTERNAL = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_internal_addresses_may_not_be_called(address: str) -> None:
    assert not may_be_called(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert may_be_called(address)


def test_a_network_that_is_allowed_may_be_called_however_it_is_written() -> None:
    allowed = [ip_network("10.2.0.0/16"), ip_network("::1/128")]
    assert may_be_called("10.2.3.4", allowed)
    assert may_be_called("::ffff:10.2.3.4", allowed)
    assert may_be_called("::1", allowed)
    assert not may_be_called("10.3.0.1", allowed)


@given(st.ip_addresses(v=4))
def test_an_address_within_another_one_is_what_it_is_alone(address: IPv4Address) -> None:
    mapped = IPv6Address(0xFFFF << 32 | int(address))
    nat64 = IPv6Address(int(IPv6Address("64:ff9b::")) | int(address))
    assert may_be_called(str(mapped)) is may_be_called(str(nat64)) is may_be_called(str(address))


@given(st.integers(0, 999), st.integers(1, 20))
def test_an_event_ends_unless_it_may_go_well_next_time(status: int, attempts: int) -> None:
    verdict = judge(status)
    assert (verdict is Verdict.DELIVERED) is (200 <= status < 300)
    again = status not in range(200, 300) and (status == 429 or status not in range(400, 500))
    assert (verdict is Verdict.RETRYABLE) is again
    waits = state_after(verdict, attempts) is CallbackState.WAITING
    assert waits is (again and attempts < MOST_ATTEMPTS)


ends = st.lists(st.tuples(st.sampled_from(list(Verdict)), st.floats(0, 1000)), max_size=60)


@given(ends, st.floats(0, 300))
def test_an_endpoint_is_left_alone_for_a_time_and_always_asked_again(
    history: list[tuple[Verdict, float]], pause: float
) -> None:
    endpoint, now = Endpoint("https://example.gov.uk"), 0.0
    for verdict, wait in history:
        if not endpoint.room(now, 100):
            assert now < endpoint.paused_until <= now + LONGEST_PAUSE_SECONDS
            now = endpoint.paused_until
        assert endpoint.room(now, 100) == (1 if endpoint.pauses else 100)
        endpoint.begin()
        endpoint.end(verdict, now, now + wait, pause)
        now += wait
        if verdict is not Verdict.RETRYABLE:
            assert endpoint.is_idle
            assert endpoint.room(now, 100) == 100


def test_calls_from_before_a_pause_do_not_lengthen_it() -> None:
    endpoint = Endpoint("https://example.gov.uk")
    for _ in range(50):
        endpoint.begin()
    for _ in range(50):
        endpoint.end(Verdict.RETRYABLE, 0.0, 1.0, 5.0)
    assert (endpoint.pauses, endpoint.paused_until) == (1, 6.0)
    assert endpoint.room(5.9, 100) == 0
    endpoint.begin()
    assert endpoint.room(6.0, 100) == 0  # one call at a time
    endpoint.end(Verdict.RETRYABLE, 6.0, 7.0, 5.0)
    assert endpoint.paused_until == 17.0


def test_a_few_failures_pause_nothing() -> None:
    endpoint = Endpoint("https://example.gov.uk")
    for _ in range(FAILURES_BEFORE_PAUSE - 1):
        endpoint.begin()
        endpoint.end(Verdict.RETRYABLE, 0.0, 1.0, 5.0)
    assert endpoint.room(1.0, 10) == 10


@given(st.integers(1, 40), st.integers(4, 300))
def test_however_many_endpoints_are_slow_some_places_are_left(slow: int, window: int) -> None:
    endpoints = [Endpoint(str(number)) for number in range(slow)]
    free, moved = window, True
    while moved:
        moved = False
        for endpoint in endpoints:
            if endpoint.room(0.0, free):
                endpoint.begin()
                free, moved = free - 1, True
    assert free >= window // (slow + 1)


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200), st.integers(0, 2**33))
def test_signatures_are_those_of_the_standard_webhooks_scheme(key: bytes, body: bytes, time: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers("an-id", time, body, [secret, secret])
    signature = hmac.new(key, f"an-id.{time}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(signature).decode()}"
    assert headers == {
        "webhook-id": "an-id",
        "webhook-timestamp": str(time),
        "webhook-signature": f"{expected} {expected}",
    }


def test_the_example_of_the_scheme_is_signed_as_it_says() -> None:
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(max_size=30))
def test_a_token_is_sent_only_where_it_is_one_line_of_ascii(token: str) -> None:
    header = bearer(token)
    assert header is None or (header == f"Bearer {token}" and all(" " <= letter <= "~" for letter in token))
