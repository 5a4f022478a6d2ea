"""Addresses that get no more messages: reported ones, an operator's, and their release."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1 import common_pb2
from notify.providers.v1 import suppressions_service_pb2 as pb
from notify.providers.v1.suppressions_service_pb2_grpc import SuppressionsServiceStub
from notify_common import clock
from notify_common.enums import KeyType
from notify_common.errors import NotifyError
from notify_testing.rpc import InProcessServer

from .conftest import World
from .fake_aws import FakeSes
from .fake_sns import FakeSns
from .messages import email, sms
from .test_receipts import call_back
from .test_ses import event, sent, through
from .test_ses import receiving as reporting_to

SMS, EMAIL = common_pb2.CHANNEL_SMS, common_pb2.CHANNEL_EMAIL


@pytest.fixture
def receiving(world: World, sns: FakeSns) -> Iterator[InProcessServer]:
    """Provide the services, with SES's receipts from SNS."""
    with reporting_to(world, sns) as running:
        yield running


def stub_of(server: InProcessServer) -> SuppressionsServiceStub:
    """Return what an operator calls."""
    return SuppressionsServiceStub(server.channel("operator"))


def look_up(server: InProcessServer, address: str, channel: common_pb2.Channel = EMAIL) -> str:
    """Return the cause for which an address is suppressed; empty if it is not."""
    request = pb.GetSuppressionRequest(channel=channel, address=address)
    answer = stub_of(server).GetSuppression(request)
    return pb.Suppression.Cause.Name(answer.suppression.cause) if answer.HasField("suppression") else ""


def add(server: InProcessServer, address: str, channel: common_pb2.Channel = EMAIL) -> pb.Suppression:
    """Suppress an address."""
    request = pb.AddSuppressionRequest(channel=channel, address=address, reason="Ticket 7")
    added: pb.Suppression = stub_of(server).AddSuppression(request).suppression
    return added


def test_a_hard_bounce_suppresses_the_address_and_what_is_sent_to_it_fails(
    world: World, ses: FakeSes, sns: FakeSns, receiving: InProcessServer
) -> None:
    id = sent(world, ses)
    body = sns.notification(event(id, "Bounce", "Permanent"))
    assert call_back(receiving, "ses", body).new_receipt
    assert look_up(receiving, "Someone@Example.com ") == "CAUSE_HARD_BOUNCE"
    again, other = email("SOMEONE@example.com"), email("other@example.com")
    world.take_over(again, other)
    world.workers(world.parts(**through(ses))).settle()
    assert ses.ids == [id, other.id]
    assert world.kinds(again.id) == ["permanent-failure"]
    assert world.attempts(again.id) == [("refused", "suppressed")]
    assert world.value("SELECT count(content) FROM dispatches") == 0
    world.workers(world.parts(**through(ses))).settle()
    assert world.kinds(again.id) == ["permanent-failure"]


@pytest.mark.parametrize(
    ("kind", "detail", "cause"),
    [
        ("Bounce", "Transient", ""),
        ("Delivery", "", ""),
        ("Complaint", "abuse", "CAUSE_COMPLAINT"),
        ("Complaint", "", "CAUSE_COMPLAINT"),
        ("Complaint", "not-spam", ""),
    ],
)
def test_only_hard_bounces_and_complaints_suppress(
    world: World, ses: FakeSes, sns: FakeSns, receiving: InProcessServer, kind: str, detail: str, cause: str
) -> None:
    id = sent(world, ses)
    assert call_back(receiving, "ses", sns.notification(event(id, kind, detail))).new_receipt
    assert look_up(receiving, "someone@example.com") == cause


def test_a_report_that_is_replayed_after_a_release_changes_nothing(
    world: World, ses: FakeSes, sns: FakeSns, receiving: InProcessServer
) -> None:
    id = sent(world, ses)
    body = sns.notification(event(id, "Complaint", "abuse"))
    assert call_back(receiving, "ses", body).new_receipt
    remove = pb.RemoveSuppressionRequest(channel=EMAIL, address="someone@example.com", reason="Asked for it")
    assert stub_of(receiving).RemoveSuppression(remove).was_suppressed
    assert not stub_of(receiving).RemoveSuppression(remove).was_suppressed
    assert not call_back(receiving, "ses", body).new_receipt
    assert look_up(receiving, "someone@example.com") == ""


def test_a_report_that_comes_before_the_answer_suppresses_too(
    world: World, ses: FakeSes, sns: FakeSns, receiving: InProcessServer
) -> None:
    message = email()
    world.take_over(message)
    body = sns.notification(event(message.id, "Bounce", "Permanent"))
    assert call_back(receiving, "ses", body).new_receipt
    assert look_up(receiving, "someone@example.com") == "", "nobody here has sent it yet"
    world.workers(world.parts(**through(ses))).settle()
    assert world.kinds(message.id) == ["sent", "permanent-failure"]
    assert look_up(receiving, "someone@example.com") == "CAUSE_HARD_BOUNCE"


def test_a_report_of_a_provider_that_was_not_called_suppresses_nobody(
    world: World, sns: FakeSns, receiving: InProcessServer
) -> None:
    message = email()
    world.take_over(message)
    world.workers(world.parts()).settle()
    assert call_back(receiving, "ses", sns.notification(event(message.id, "Bounce", "Permanent"))).new_receipt
    assert look_up(receiving, "someone@example.com") == ""


def test_an_operator_suppresses_a_number_in_any_spelling(world: World, server: InProcessServer) -> None:
    first = add(server, "+44 7700 900123", SMS)
    assert (first.cause, first.reason) == (pb.Suppression.CAUSE_OPERATOR, "Ticket 7")
    assert add(server, "07700 900123", SMS) == first
    assert look_up(server, "447700900123", SMS) == "CAUSE_OPERATOR"
    assert look_up(server, "447700900123", EMAIL) == ""
    text, other, test = sms(), sms("447700900124"), sms(key_type=KeyType.TEST)
    world.take_over(text, other, test)
    world.workers(world.parts()).settle()
    assert world.kinds(text.id) == ["permanent-failure"]
    assert world.kinds(other.id) == world.kinds(test.id) == ["sent", "delivered"]
    assert b"7700900123" not in b"".join(
        bytes(h) for (h,) in world.rows("SELECT address_hash FROM suppressions")
    )


def test_those_of_a_bad_day_are_released_together(world: World, server: InProcessServer) -> None:
    for name in ("a", "b", "c"):
        add(server, f"{name}@example.com")
    add(server, "07700900123", SMS)
    world.run("UPDATE suppressions SET cause = 'hard-bounce' WHERE channel = 'email'")
    add(server, "d@example.com")
    now = clock.now()
    since, until = Timestamp(), Timestamp()
    since.FromDatetime(now - timedelta(hours=1))
    until.FromDatetime(now + timedelta(hours=1))

    def release(**values: object) -> int:
        request = pb.ReleaseSuppressionsRequest(
            channel=EMAIL,
            reason="SES reported wrongly",
            **{"begin_time": since, "end_time": until, **values},  # type: ignore[arg-type]
        )
        answer = stub_of(server).ReleaseSuppressions(request)
        assert not answer.more
        return int(answer.released_count)

    assert release(end_time=since) == 0
    assert release(cause=pb.Suppression.CAUSE_COMPLAINT) == 0
    assert release(cause=pb.Suppression.CAUSE_HARD_BOUNCE) == 3
    assert release() == 1
    assert look_up(server, "07700900123", SMS) == "CAUSE_OPERATOR"
    kept = world.rows("SELECT action, caller, reason, cause, count FROM ops_actions ORDER BY id")
    assert kept[3:] == [
        ("suppress", "operator", "Ticket 7", "sms", 1),
        ("suppress", "operator", "Ticket 7", "email", 1),
        ("release-many", "operator", "SES reported wrongly", "email", 0),
        ("release-many", "operator", "SES reported wrongly", "email: complaint", 0),
        ("release-many", "operator", "SES reported wrongly", "email: hard-bounce", 3),
        ("release-many", "operator", "SES reported wrongly", "email", 1),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        pb.AddSuppressionRequest(channel=EMAIL, address="a@example.com"),
        pb.AddSuppressionRequest(channel=EMAIL, address="", reason="x"),
        pb.AddSuppressionRequest(channel=common_pb2.CHANNEL_LETTER, address="a", reason="x"),
        pb.AddSuppressionRequest(address="a@example.com", reason="x"),
    ],
)
def test_a_wrong_request_is_refused(
    world: World, server: InProcessServer, request_: pb.AddSuppressionRequest
) -> None:
    with pytest.raises(NotifyError) as caught:
        stub_of(server).AddSuppression(request_)
    assert caught.value.reason == "INVALID_FIELD"
    assert world.value("SELECT count(*) FROM suppressions") == 0
