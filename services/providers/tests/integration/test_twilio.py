"""Twilio on the wire: its form, each way that a call ends, status callbacks with their signature."""

import base64
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from notify_common.ids import new_id
from notify_providers import bootstrap
from notify_providers.clients.twilio import TwilioSettings
from notify_testing.rpc import InProcessServer
from pydantic import ValidationError

from . import fake_mmg, fake_twilio
from .configured import provider_settings
from .conftest import World
from .ends import NO_ANSWER, check_ends, text_with_plus
from .fake_twilio import ACCOUNT, RECEIPT_URL, TOKEN, FakeTwilio, signature
from .messages import sms
from .test_receipts import call_back

NUMBER = "+447700900123"


@pytest.fixture
def twilio() -> Iterator[FakeTwilio]:
    """Provide a stand-in for Twilio over HTTP."""
    fake = FakeTwilio()
    yield fake
    fake.close()


@pytest.fixture
def receiving(world: World) -> Iterator[InProcessServer]:
    """Provide the services, with callbacks of Twilio expected."""
    given = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "older_auth_token": "older",
        "receipt_url": RECEIPT_URL,
    }
    settings = provider_settings(twilio=TwilioSettings.model_validate(given))
    parts = bootstrap.Parts(world.settings(providers=settings), connections=4)
    world.made.append(parts)
    with InProcessServer("providers", bootstrap.registrations(parts)) as running:
        yield running


def report(
    server: InProcessServer, id: str, status: str, code: str = "", *, token: str = TOKEN, **changed: str
) -> tuple[int, bool]:
    """Report a status as Twilio does; what is `changed` is changed after it was signed."""
    fields = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": status, "To": NUMBER, "From": "x"}
    if code:
        fields["ErrorCode"] = code
    query = f"notification_id={id}"
    given = signature(f"{RECEIPT_URL}?{query}", fields, token)
    answer = call_back(
        server,
        "twilio",
        urlencode(fields | changed).encode(),
        headers={"x-twilio-signature": given},
        query=query,
        content_type="application/x-www-form-urlencoded",
    )
    return answer.http_status, answer.new_receipt


def sent(world: World, twilio: FakeTwilio) -> str:
    """Send a text that Twilio takes."""
    message = sms()
    world.take_over(message)
    world.workers(world.parts(**twilio.with_settings())).settle()
    return message.id


def test_it_gets_what_its_protocol_asks_for(world: World, twilio: FakeTwilio) -> None:
    message = sms()
    world.take_over(message)
    world.workers(world.parts(**twilio.with_settings(messaging_service_sid="MG1"))).settle()
    assert twilio.paths == [twilio.path]
    assert twilio.messages == [
        {
            "To": NUMBER,
            "From": "GOVUK",
            "Body": "Hello",
            "MessagingServiceSid": "MG1",
            "StatusCallback": f"{RECEIPT_URL}?notification_id={message.id}",
            "id": message.id,
        }
    ]
    pair = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert twilio.authorizations == [f"Basic {pair}"]
    assert world.kinds(message.id) == ["sent"]


def test_each_end_of_a_call_has_its_outcome(world: World, twilio: FakeTwilio) -> None:
    ends = {
        fake_twilio.INVALID: ("refused", "code_21211"),
        fake_mmg.ERROR_INSIDE: ("retryable", "code_21612"),
        fake_mmg.BUSY: ("retryable", "code_20429"),
        fake_mmg.BAD_REQUEST: ("retryable", "http_400"),
        **NO_ANSWER,
    }
    parts = world.parts(**twilio.with_settings(), provider_timeout_seconds=0.5, retry_interval_seconds=300)
    check_ends(world, twilio, parts, ends, text_with_plus)


@pytest.mark.parametrize(
    ("status", "code", "kinds"),
    [
        ("queued", "", []),
        ("sent", "", ["pending"]),
        ("delivered", "", ["delivered"]),
        ("undelivered", "30003", ["temporary-failure"]),
        ("undelivered", "30005", ["permanent-failure"]),
        ("undelivered", "99999", ["temporary-failure"]),
        ("failed", "21610", ["permanent-failure"]),
        ("failed", "", ["technical-failure"]),
        ("new-word", "", ["technical-failure"]),
    ],
)
def test_its_statuses_count_once(
    world: World,
    twilio: FakeTwilio,
    receiving: InProcessServer,
    status: str,
    code: str,
    kinds: list[str],
) -> None:
    id = sent(world, twilio)
    assert report(receiving, id, status, code) == (204, True)
    assert report(receiving, id, status, code, token="older") == (204, False)
    assert world.kinds(id) == ["sent", *kinds]


def test_what_twilio_did_not_sign_changes_nothing(
    world: World, twilio: FakeTwilio, receiving: InProcessServer
) -> None:
    id = sent(world, twilio)
    assert report(receiving, id, "delivered", token="guessed") == (403, False)
    assert report(receiving, id, "failed", MessageStatus="delivered") == (403, False)
    assert report(receiving, id, "delivered", Added="1") == (403, False)
    unsigned = call_back(receiving, "twilio", b"MessageStatus=delivered", query=f"notification_id={id}")
    assert unsigned.http_status == 403
    many = call_back(receiving, "twilio", b"&".join(b"a=1" for _ in range(300)))
    assert many.http_status == 400
    assert world.kinds(id) == ["sent"]


def test_a_callback_for_one_message_is_none_for_another(
    world: World, twilio: FakeTwilio, receiving: InProcessServer
) -> None:
    one, other = sent(world, twilio), sent(world, twilio)
    fields = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered"}
    given = signature(f"{RECEIPT_URL}?notification_id={one}", fields)
    answer = call_back(
        receiving,
        "twilio",
        urlencode(fields).encode(),
        headers={"x-twilio-signature": given},
        query=f"notification_id={other}",
    )
    assert answer.http_status == 403
    assert world.kinds(other) == ["sent"]


def test_a_callback_of_no_message_of_ours_is_taken(world: World, receiving: InProcessServer) -> None:
    assert report(receiving, "none", "delivered") == (204, False)
    assert report(receiving, new_id(), "delivered") == (204, True), "kept until its message can be told"


def test_without_a_receipt_url_nothing_is_believed(world: World, server: InProcessServer) -> None:
    assert report(server, new_id(), "delivered", token="") == (403, False)


@pytest.mark.parametrize(
    "values", [{"account_sid": ACCOUNT}, {"account_sid": "AC1", "auth_token": "t"}, {"receipt_url": "x?y"}]
)
def test_settings_that_do_not_fit(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TwilioSettings.model_validate(values)
