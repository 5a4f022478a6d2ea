"""Firetext on the wire (pipeline.md §3.2, public-api.md §9.3)."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from notify_testing.rpc import InProcessServer

from . import fake_mmg
from .conftest import World
from .ends import NO_ANSWER, check_ends, text
from .fake_firetext import FakeFiretext
from .messages import sms
from .test_receipts import call_back


@pytest.fixture
def firetext() -> Iterator[FakeFiretext]:
    """Provide a stand-in for Firetext over HTTP."""
    fake = FakeFiretext()
    yield fake
    fake.close()


def test_it_gets_what_its_protocol_asks_for(world: World, firetext: FakeFiretext) -> None:
    home, abroad = sms(), sms("33612345678", international=True)
    world.take_over(home)
    settings = firetext.with_settings(
        international_api_key="key-abroad", receipt_url="https://u:p@example.com/firetext?a=1&b=2"
    )
    workers = world.workers(world.parts(**settings))
    workers.settle()
    world.take_over(abroad)
    workers.settle()
    common = {
        "from": "GOVUK",
        "message": "Hello",
        "receipt": "https://u:p@example.com/firetext?a=1&b=2",
    }
    assert firetext.messages == [
        {"apiKey": "key", "to": "447700900123", "reference": home.id, **common},
        {"apiKey": "key-abroad", "to": "33612345678", "reference": abroad.id, **common},
    ]
    assert world.kinds(home.id) == world.kinds(abroad.id) == ["sent"]


def test_each_end_of_a_call_has_its_outcome(world: World, firetext: FakeFiretext) -> None:
    ends = {
        fake_mmg.ERROR_INSIDE: ("retryable", "code_1"),
        fake_mmg.BUSY: ("retryable", "http_503"),
        fake_mmg.BAD_REQUEST: ("retryable", "http_400"),
        **NO_ANSWER,
    }
    parts = world.parts(**firetext.with_settings(), provider_timeout_seconds=0.5)
    check_ends(world, firetext, parts, ends, text)


@pytest.mark.parametrize(
    ("reports", "kinds"),
    [
        ([{"status": "0"}], ["delivered"]),
        ([{"status": "1", "code": "101"}], ["permanent-failure"]),
        ([{"status": "1", "code": "102"}], ["temporary-failure"]),
        ([{"status": "1"}], ["permanent-failure"]),
        ([{"status": "2"}, {"status": "0"}], ["pending", "delivered"]),
        ([{"status": "2"}, {"status": "1"}], ["pending", "temporary-failure"]),
        ([{"status": "2"}, {"status": "1", "code": "000"}], ["pending", "temporary-failure"]),
        ([{"status": "2"}, {"status": "1", "code": "201"}], ["pending", "permanent-failure"]),
        ([{"status": "2"}, {"status": "1", "code": "999"}], ["pending", "temporary-failure"]),
    ],
)
def test_its_receipts(
    world: World,
    firetext: FakeFiretext,
    server: InProcessServer,
    reports: list[dict[str, str]],
    kinds: list[str],
) -> None:
    message = sms()
    world.take_over(message)
    world.workers(world.parts(**firetext.with_settings())).settle()
    for report in reports:
        fields = {"mobile": "447700900123", "reference": message.id, "time": "2026-01-01 10:00:00", **report}
        answer = call_back(server, "firetext", urlencode(fields).encode())
        assert (answer.http_status, answer.http_body) == (200, b'{"result":"success"}\n')
        assert answer.new_receipt
    assert world.kinds(message.id) == ["sent", *kinds]


def test_receipts_that_come_before_the_answer_mean_the_same(
    world: World, firetext: FakeFiretext, server: InProcessServer
) -> None:
    message = sms()
    world.take_over(message)
    for status in ("2", "1"):
        body = urlencode({"reference": message.id, "status": status}).encode()
        assert call_back(server, "firetext", body).new_receipt
    world.workers(world.parts(**firetext.with_settings())).settle()
    assert world.kinds(message.id) == ["sent", "pending", "temporary-failure"]


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b"", ["status", "reference"]),
        (b"status=0", ["reference"]),
        (b"status=&reference=", ["status", "reference"]),
        (b"&".join(b"a=1" for _ in range(300)), ["status", "reference"]),
        (b"\xff=\xff&status=0", ["reference"]),
    ],
)
def test_a_receipt_without_what_it_needs(
    world: World, server: InProcessServer, body: bytes, missing: list[str]
) -> None:
    answer = call_back(server, "firetext", body)
    assert answer.http_status == 400
    sentences = ",".join(f'"Firetext callback failed: {name} missing"' for name in missing)
    assert answer.http_body.decode() == f'{{"message":[{sentences}],"result":"error"}}\n'
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0
