"""AWS End User Messaging SMS on the wire: signed requests, each way that a call ends, events through SNS."""

from collections.abc import Iterator

import pytest
from notify_providers import bootstrap
from notify_providers.clients.aws_sms import AwsSmsSettings
from notify_testing.rpc import InProcessServer

from . import fake_aws, fake_mmg
from .configured import provider_settings
from .conftest import World
from .ends import NO_ANSWER, check_ends, text_with_plus
from .fake_aws import FakeAwsSms
from .fake_sns import FakeSns
from .messages import sms
from .test_receipts import call_back

NUMBER = "+447700900123"


@pytest.fixture
def aws() -> Iterator[FakeAwsSms]:
    """Provide a stand-in for the service over HTTP."""
    fake = FakeAwsSms()
    yield fake
    fake.close()


def through(aws: FakeAwsSms, **values: object) -> dict[str, object]:
    """Return settings that make workers use it for texts, and nothing else."""
    given = {"region": fake_aws.REGION, "url": aws.endpoint + "/", **fake_aws.KEY, **values}
    settings = {"aws-sms": AwsSmsSettings.model_validate(given)}
    return {"providers": provider_settings(**settings), "sandbox_live_messages": False}


def test_it_gets_what_its_model_asks_for(world: World, aws: FakeAwsSms) -> None:
    message = sms()
    world.take_over(message)
    world.workers(world.parts(**through(aws, configuration_set="events"))).settle()
    assert aws.faults == []
    assert aws.messages == [
        {
            "DestinationPhoneNumber": NUMBER,
            "OriginationIdentity": "GOVUK",
            "MessageBody": "Hello",
            "MessageType": "TRANSACTIONAL",
            "Context": {"notification_id": message.id},
            "ConfigurationSetName": "events",
            "id": message.id,
        }
    ]
    assert world.kinds(message.id) == ["sent"]


def test_each_end_of_a_call_has_its_outcome(world: World, aws: FakeAwsSms) -> None:
    ends = {
        fake_aws.REFUSED: ("refused", "ValidationException"),
        "opted-out": ("refused", "ConflictException"),
        fake_mmg.BUSY: ("retryable", "ThrottlingException"),
        fake_mmg.BAD_REQUEST: ("retryable", "http_400"),
        fake_mmg.ERROR_INSIDE: ("unknown", "bad_answer"),
        **NO_ANSWER,
    }
    parts = world.parts(**through(aws), provider_timeout_seconds=0.5, retry_interval_seconds=300)
    check_ends(world, aws, parts, ends, text_with_plus)


@pytest.mark.parametrize(
    ("kind", "final", "kinds"),
    [
        ("TEXT_QUEUED", False, []),
        ("TEXT_SENT", False, ["pending"]),
        ("TEXT_SUCCESSFUL", False, ["pending"]),
        ("TEXT_SUCCESSFUL", True, ["delivered"]),
        ("TEXT_DELIVERED", True, ["delivered"]),
        ("TEXT_UNREACHABLE", True, ["temporary-failure"]),
        ("TEXT_BLOCKED", True, ["permanent-failure"]),
        ("TEXT_NEW_WORD", True, ["technical-failure"]),
    ],
)
def test_events_are_receipts_once(
    world: World, aws: FakeAwsSms, kind: str, final: bool, kinds: list[str]
) -> None:
    message, sns = sms(), FakeSns()
    world.take_over(message)
    world.workers(world.parts(**through(aws))).settle()
    event = {
        "eventType": kind,
        "eventTimestamp": 1_795_514_400_000,
        "isFinal": final,
        "messageId": "f2a9",
        "messageStatus": kind.removeprefix("TEXT_"),
        "context": {"notification_id": message.id},
    }
    settings = {"aws-sms": AwsSmsSettings.model_validate(sns.settings)}
    parts = bootstrap.Parts(world.settings(providers=provider_settings(**settings)), connections=4)
    world.made.append(parts)
    with InProcessServer("providers", bootstrap.registrations(parts)) as server:
        for new in (True, False):
            answer = call_back(server, "aws-sms", sns.notification(event))
            assert (answer.http_status, answer.new_receipt) == (200, new)
        odds: list[dict[str, object]] = [{"context": 1}, {"context": {}}, {"eventTimestamp": 1e300}]
        for odd in odds:
            assert call_back(server, "aws-sms", sns.notification(event | odd)).http_status == 200
    assert world.kinds(message.id)[: 1 + len(kinds)] == ["sent", *kinds]
    sns.close()
