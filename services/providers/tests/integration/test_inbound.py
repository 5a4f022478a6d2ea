"""Texts that people send to numbers of ours (public-api.md §9.4 and §9.5)."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceStub
from notify_common.errors import NotifyError
from notify_providers import bootstrap
from notify_providers.clients.firetext import FiretextSettings
from notify_providers.clients.mmg import MmgSettings
from notify_providers.clients.twilio import TwilioSettings
from notify_testing.rpc import InProcessServer

from .configured import provider_settings
from .conftest import World, eventually
from .fake_twilio import ACCOUNT, TOKEN, signature
from .test_callbacks import basic

MMG = {
    "ID": "some-id",
    "MSISDN": "07700 900466",
    "Message": "caf%C3%A9+%26+more%5Cn2",
    "Number": "447418000001",
    "DateRecieved": "2017-05-21+11%3A56%3A11",
}
FIRETEXT = {
    "source": "447700900466",
    "destination": "07418000002",
    "message": "caf\u00e9 + 1%",
    "time": "2017-05-21 11:56:11",
}

INBOUND_URL = "https://notify.example.com/notifications/inbound/twilio"
TWILIO = {
    "AccountSid": ACCOUNT,
    "MessageSid": "SM00000000000000000000000000000001",
    "From": "+447700900466",
    "To": "+447418000003",
    "Body": "caf\u00e9 + 1%",
    "NumMedia": "0",
}


@pytest.fixture
def taking(world: World) -> InProcessServer:
    """Provide the services, with credentials for both providers."""
    settings = provider_settings(
        mmg=MmgSettings.model_validate({"inbound_credentials": "username:testkey"}),
        firetext=FiretextSettings.model_validate({"inbound_credentials": "notify:testkey"}),
        twilio=TwilioSettings.model_validate(
            {"account_sid": ACCOUNT, "auth_token": TOKEN, "inbound_url": INBOUND_URL}
        ),
    )
    parts = bootstrap.Parts(world.settings(providers=settings), connections=4)
    world.made.append(parts)
    return InProcessServer("providers", bootstrap.registrations(parts))


def bring(server: InProcessServer, provider: str, body: bytes, who: str = "") -> pb.RecordInboundSmsResponse:
    """Return how a call is answered that brings a text."""
    headers = basic(who) if who else {}
    request = pb.RecordInboundSmsRequest(provider=provider, body=body, headers=headers)
    answer: pb.RecordInboundSmsResponse = ReceiptsServiceStub(server.channel()).RecordInboundSms(request)
    return answer


def bring_mmg(server: InProcessServer, **fields: Any) -> pb.RecordInboundSmsResponse:
    """Bring a callback of MMG with credentials, as `bring` does."""
    return bring(server, "mmg", json.dumps(MMG | fields).encode(), "username:testkey")


def bring_twilio(
    server: InProcessServer,
    query: str = "",
    changed: dict[str, str] | None = None,
    token: str = TOKEN,
    **fields: str,
) -> pb.RecordInboundSmsResponse:
    """Bring a text as Twilio does, with its signature; what is `changed` is changed after it was signed."""
    url = INBOUND_URL + (f"?{query}" if query else "")
    signed = TWILIO | fields
    headers = {"x-twilio-signature": signature(url, signed, token)}
    body = urlencode(signed | (changed or {})).encode()
    request = pb.RecordInboundSmsRequest(provider="twilio", body=body, headers=headers, query=query)
    answer: pb.RecordInboundSmsResponse = ReceiptsServiceStub(server.channel()).RecordInboundSms(request)
    return answer


def events(server: InProcessServer) -> list[pb.InboundSmsEvent]:
    """Return all news of texts, read as notifications reads them."""
    stub = ReceiptsServiceStub(server.channel("notifications"))
    found: list[pb.InboundSmsEvent] = []
    cursor = ""
    while True:
        page = stub.ListInboundSmsEvents(pb.ListInboundSmsEventsRequest(cursor=cursor, page_size=2))
        if not page.events:
            return found
        found += page.events
        cursor = page.next_cursor


def test_texts_are_kept_and_passed_on(world: World, taking: InProcessServer) -> None:
    with taking as server:
        first = bring_mmg(server)
        second = bring(server, "firetext", urlencode(FIRETEXT).encode(), "notify:testkey")
        for answer in (first, second):
            assert (answer.http_status, answer.http_body, answer.new_sms) == (200, b'{"status":"ok"}\n', True)
        eventually(lambda: len(events(server)) == 2)
        mmg, firetext = events(server)
    assert (mmg.provider, mmg.provider_reference) == ("mmg", "some-id")
    assert (mmg.source_number, mmg.destination_number) == ("447700900466", "07418000001")
    assert mmg.content == "caf\u00e9 & more\n2"
    assert mmg.provider_time.ToDatetime(UTC) == datetime(2017, 5, 21, 11, 56, 11, tzinfo=UTC)
    assert (firetext.provider, firetext.provider_reference) == ("firetext", "")
    assert (firetext.source_number, firetext.destination_number) == ("447700900466", "07418000002")
    assert firetext.content == "caf\u00e9 + 1%"
    assert firetext.HasField("receive_time")


def test_a_text_that_is_brought_again_is_kept_once(world: World, taking: InProcessServer) -> None:
    with taking as server:
        assert [bring_mmg(server).new_sms for _ in range(2)] == [True, False]
        assert bring_mmg(server, Message="another").new_sms
        assert bring_mmg(server, ID="another").new_sms
    assert world.value("SELECT count(*) FROM inbound_sms_events") == 3


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("caf%5Cu00e9", "caf\u00e9"),
        ("%5Cud83d%5Cude00", "\U0001f600"),
        ("%5Cud83d", "\ufffd"),
        ("%5CU0001f600", "\U0001f600"),
        ("%5CUffffffff", "\\Uffffffff"),
        ("%5Cq%5C", "\\q\\"),
        ("%5C%5Cn", "\\n"),
        ("a%00b%5Cu0000", "ab"),
        ("%ff", "\ufffd"),
        ("100%", "100%"),
        ("", ""),
    ],
)
def test_what_mmg_escapes_is_read_as_it_was_written(
    world: World, taking: InProcessServer, written: str, read: str
) -> None:
    with taking as server:
        assert bring_mmg(server, Message=written).http_status == 200
    assert world.value("SELECT content FROM inbound_sms_events") == read


@pytest.mark.parametrize("sender", ["GOV.UK", "999", "\u202e\n07700", "x" * 400, ""])
def test_a_sender_that_is_no_number_stays_as_it_is(
    world: World, taking: InProcessServer, sender: str
) -> None:
    with taking as server:
        assert bring_mmg(server, MSISDN=sender, DateRecieved="soon").new_sms
    assert world.value("SELECT length(source_number) FROM inbound_sms_events") <= 255
    assert world.value("SELECT provider_time FROM inbound_sms_events") is None


@pytest.mark.parametrize(
    ("provider", "body", "who", "status"),
    [
        ("mmg", b"{", "", 400),
        ("mmg", b"{}", "", 401),
        ("mmg", json.dumps(MMG).encode(), "", 401),
        ("mmg", json.dumps(MMG).encode(), "username:wrong", 403),
        ("mmg", b"{}", "username:testkey", 400),
        ("mmg", b"[]", "username:testkey", 400),
        ("mmg", json.dumps(MMG | {"Message": 1}).encode(), "username:testkey", 400),
        ("firetext", urlencode(FIRETEXT).encode(), "", 401),
        ("firetext", urlencode(FIRETEXT).encode(), "username:testkey", 403),
        ("firetext", b"source=1", "notify:testkey", 400),
        ("firetext", b"\xff", "notify:testkey", 400),
    ],
)
def test_what_is_no_text_of_the_provider_s_is_refused_and_leaves_nothing(
    world: World, taking: InProcessServer, provider: str, body: bytes, who: str, status: int
) -> None:
    with taking as server:
        answer = bring(server, provider, body, who)
    assert (answer.http_status, answer.new_sms) == (status, False)
    assert json.loads(answer.http_body)["result"] == "error"
    assert world.value("SELECT count(*) FROM inbound_sms_events") == 0


@pytest.mark.parametrize("length", [1, 60_000])
def test_binary_and_large_texts_are_kept_as_far_as_they_are_text(
    world: World, taking: InProcessServer, length: int
) -> None:
    binary = "%00%ff%c3" * 3 + "x" * length
    firetext = urlencode(FIRETEXT | {"message": "-"}).replace("message=-", f"message={binary}")
    with taking as server:
        assert bring_mmg(server, Message=binary).new_sms
        assert bring(server, "firetext", firetext.encode(), "notify:testkey").new_sms
        assert bring_twilio(server, Body="\0\x1b" * 3 + "x" * length).new_sms
        kept = [(event.provider, event.content) for event in events(server)]
    read = "\ufffd" * 6 + "x" * length
    assert kept == [("mmg", read), ("firetext", read), ("twilio", "\x1b" * 3 + "x" * length)]


@pytest.mark.parametrize(
    "beyond",
    [
        pb.RecordInboundSmsRequest(body=b"{}"),
        pb.RecordInboundSmsRequest(provider="mmg", body=b"x" * 70_000),
        pb.RecordInboundSmsRequest(provider="mmg", headers={"x": "x" * 9_000}),
        pb.RecordInboundSmsRequest(provider="mmg", query="x" * 9_000),
    ],
)
def test_a_text_beyond_its_bounds_is_refused(
    server: InProcessServer, beyond: pb.RecordInboundSmsRequest
) -> None:
    with pytest.raises(NotifyError) as caught:
        ReceiptsServiceStub(server.channel()).RecordInboundSms(beyond)
    assert caught.value.reason == "INVALID_FIELD"


def test_without_credentials_in_the_settings_nobody_brings_texts(server: InProcessServer) -> None:
    assert bring(server, "mmg", json.dumps(MMG).encode(), "username:testkey").http_status == 403
    with pytest.raises(NotifyError) as caught:
        bring(server, "sandbox-sms", b"{}")
    assert caught.value.reason == "PROVIDER_NOT_FOUND"


def test_texts_are_kept_for_a_time_only(world: World, taking: InProcessServer) -> None:
    with taking as server:
        bring_mmg(server)
        bring_mmg(server, ID="another")
    world.run(
        "UPDATE inbound_sms_events SET create_time = now() - interval '8 days' WHERE reference = 'another'"
    )
    world.workers(world.parts(), "housekeeping").settle()
    assert world.rows("SELECT reference FROM inbound_sms_events") == [("some-id",)]


@pytest.mark.parametrize("query", ["", "a=1&b=%20"])
def test_twilio_brings_texts_with_its_signature(taking: InProcessServer, query: str) -> None:
    with taking as server:
        answer = bring_twilio(server, query)
        assert (answer.http_status, answer.http_body) == (200, b"<Response/>")
        assert bring_twilio(server, query).http_status == 200
        [found] = events(server)
    text = found
    assert (text.provider, text.source_number, text.destination_number, text.content) == (
        "twilio",
        "447700900466",
        "07418000003",
        "caf\u00e9 + 1%",
    )


@pytest.mark.parametrize(
    ("changed", "token"),
    [
        ({"Body": "other"}, TOKEN),
        ({"To": "+447418000009"}, TOKEN),
        ({"Added": "1"}, TOKEN),
        ({}, "guessed"),
    ],
)
def test_what_twilio_did_not_sign_is_refused(
    world: World, taking: InProcessServer, changed: dict[str, str], token: str
) -> None:
    with taking as server:
        assert bring_twilio(server, changed=changed, token=token).http_status == 403
    assert world.value("SELECT count(*) FROM inbound_sms_events") == 0


def test_without_an_address_for_texts_twilio_brings_none(server: InProcessServer) -> None:
    assert bring_twilio(server).http_status == 403
