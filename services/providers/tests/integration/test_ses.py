"""SES on the wire (pipeline.md §3.4): signed requests, each way that a call ends, events through SNS."""

import email
import json
from dataclasses import replace
from email.policy import default
from typing import Any

import pytest
from notify_common.ids import new_id
from notify_providers import bootstrap
from notify_providers.clients.ses import SesSettings
from notify_providers.domain.message import EmailContent, NewDispatch
from notify_testing.rpc import InProcessServer
from pydantic import ValidationError

from . import fake_aws, fake_mmg
from .configured import provider_settings
from .conftest import World
from .ends import NO_ANSWER, check_ends
from .fake_aws import FakeSes
from .fake_sns import HOST, FakeSns
from .messages import email as mail
from .test_receipts import call_back

TO = "someone@example.com"


def through(ses: FakeSes, **values: object) -> dict[str, object]:
    """Return settings that make workers use SES for emails, and nothing else."""
    given = {"region": fake_aws.REGION, "url": ses.endpoint, **fake_aws.KEY, **values}
    settings = provider_settings(ses=SesSettings.model_validate(given))
    return {"providers": settings, "sandbox_live_messages": False}


def receiving(world: World, sns: FakeSns) -> InProcessServer:
    """Return the services, with SES's receipts from SNS."""
    settings = provider_settings(ses=SesSettings.model_validate(sns.settings))
    parts = bootstrap.Parts(world.settings(providers=settings), connections=4)
    world.made.append(parts)
    return InProcessServer("providers", bootstrap.registrations(parts))


def sent(world: World, ses: FakeSes) -> str:
    """Send an email that SES takes."""
    message = mail()
    world.take_over(message)
    world.workers(world.parts(**through(ses))).settle()
    assert world.kinds(message.id) == ["sent"]
    return message.id


def to_someone(number: int) -> tuple[str, NewDispatch]:
    """Return an email to an address of its own; see `ends.Make`."""
    return f"someone{number}@example.com", mail(f"someone{number}@example.com")


def event(id: str, kind: str = "Delivery", detail: str = "", **mail: Any) -> dict[str, Any]:
    """Return an event as SES publishes it, with our id as a tag."""
    about = {
        "Delivery": {"delivery": {"timestamp": "2026-11-24T10:00:01.000Z", "smtpResponse": "250 ok"}},
        "Bounce": {"bounce": {"timestamp": "2026-11-24T10:00:02.000Z", "bounceType": detail}},
        "Complaint": {
            "complaint": {"timestamp": "2026-11-25T10:00:02.000Z", "complaintFeedbackType": detail}
        },
    }.get(kind, {})
    tags = {"notification_id": [id], "ses:operation": ["SendEmail"]}
    return {"eventType": kind, "mail": {"messageId": "0107018b", "tags": tags, **mail}, **about}


def test_it_gets_a_signed_request_with_the_email_as_mime(world: World, ses: FakeSes) -> None:
    message = mail("zoe@bücher.example")
    assert isinstance(message.content, EmailContent)
    content = replace(
        message.content,
        from_name="Sérvice",
        reply_to_address="reply@example.com",
        unsubscribe_url="https://example.com/u",
    )
    message = replace(message, content=content)
    world.take_over(message)
    world.workers(world.parts(**through(ses, configuration_set="events"))).settle()
    assert ses.faults == []
    [got] = ses.messages
    assert (got["to"], got["id"], got["set"]) == ("zoe@xn--bcher-kva.example", message.id, "events")
    parsed = email.message_from_bytes(got["mime"], policy=default)
    assert parsed["From"] == "Sérvice <service@example.com>"
    assert parsed["Reply-To"] == "reply@example.com"
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert parsed["Message-ID"] == f"<{message.id}@example.com>"
    assert world.attempts(message.id) == [("accepted", "")]


def test_each_end_of_a_call_has_its_outcome(world: World, ses: FakeSes) -> None:
    ends = {
        fake_aws.REFUSED: ("refused", "BadRequestException"),
        fake_mmg.BAD_REQUEST: ("retryable", "SendingPausedException"),
        fake_mmg.BUSY: ("retryable", "http_503"),
        fake_mmg.ERROR_INSIDE: ("unknown", "bad_answer"),
        **NO_ANSWER,
    }
    parts = world.parts(**through(ses), provider_timeout_seconds=1, retry_interval_seconds=300)
    check_ends(world, ses, parts, ends, to_someone, tried_again=False)
    assert world.states() == {"failed": 1, "queued": len(ends) - 1}


def test_without_the_right_key_nothing_is_taken_and_it_is_tried_again(world: World, ses: FakeSes) -> None:
    message = mail()
    world.take_over(message)
    parts = world.parts(**through(ses, secret_access_key="wrong"), retry_interval_seconds=300)
    world.workers(parts).settle()
    assert ses.faults == ["wrong signature"]
    assert world.attempts(message.id) == [("retryable", "http_403")]


def test_without_any_key_no_call_is_made(world: World, ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    message = mail()
    world.take_over(message)
    none = through(ses, access_key_id=None, secret_access_key=None)
    world.workers(world.parts(**none, retry_interval_seconds=300)).settle()
    assert world.attempts(message.id) == [("retryable", "request_failed")]
    assert ses.messages == []


@pytest.mark.parametrize(
    ("address", "reason"), [("nobody", "address_invalid"), ("zoë@example.com", "needs_smtputf8")]
)
def test_an_address_that_ses_can_t_write_to_is_refused_here(
    world: World, ses: FakeSes, address: str, reason: str
) -> None:
    message = mail(address)
    world.take_over(message)
    world.workers(world.parts(**through(ses))).settle()
    assert world.attempts(message.id) == [("refused", reason)]
    assert ses.messages == []


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("kind", "detail", "kinds"),
    [
        ("Delivery", "", ["delivered"]),
        ("Bounce", "Permanent", ["permanent-failure"]),
        ("Bounce", "Transient", ["temporary-failure"]),
        ("Bounce", "Undetermined", ["temporary-failure"]),
        ("Complaint", "abuse", ["complaint"]),
    ],
)
def test_events_are_receipts_once(
    world: World, ses: FakeSes, sns: FakeSns, version: str, kind: str, detail: str, kinds: list[str]
) -> None:
    id = sent(world, ses)
    body = sns.notification(event(id, kind, detail), version=version)
    with receiving(world, sns) as server:
        for new in (True, False):
            answer = call_back(server, "ses", body)
            assert (answer.http_status, answer.new_receipt) == (200, new)
    assert world.kinds(id) == ["sent", *kinds]
    assert len(sns.paths) == 1, "the certificate is fetched once"


def test_feedback_without_tags_is_known_by_its_message_id(world: World, ses: FakeSes, sns: FakeSns) -> None:
    id = sent(world, ses)
    feedback = event(id)
    feedback["notificationType"] = feedback.pop("eventType")
    del feedback["mail"]["tags"]
    feedback["mail"]["headers"] = [{"name": "Message-ID", "value": f"<{id}@example.com>"}]
    with receiving(world, sns) as server:
        assert call_back(server, "ses", sns.notification(feedback)).new_receipt
    assert world.kinds(id) == ["sent", "delivered"]


@pytest.mark.parametrize(
    "carried",
    [
        event(new_id(), "Send"),
        event("no-id-of-ours"),
        {"eventType": "Delivery", "mail": {"tags": [], "headers": ["x", 1, {"name": 1}]}},
        {"eventType": {"a": 1}, "mail": 3},
        [],
        "text",
    ],
)
def test_what_says_nothing_of_ours_is_taken_and_changes_nothing(
    world: World, sns: FakeSns, carried: object
) -> None:
    with receiving(world, sns) as server:
        answer = call_back(server, "ses", sns.notification(carried))
    assert (answer.http_status, answer.new_receipt) == (200, False)
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"TopicArn": "arn:aws:sns:eu-west-2:210987654321:receipts"},
        {"SignatureVersion": "3"},
        {"SigningCertURL": "https://evil.example.com/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"http://{HOST}/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}.evil.example.com/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}@evil.example.com/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}:8443/SimpleNotificationService-1.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}/bucket/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}/?a=/SimpleNotificationService-1.pem"},
        {"SigningCertURL": f"https://{HOST}/SimpleNotificationService-1.pem#x"},
        {"SigningCertURL": "https://["},
        {"SigningCertURL": ""},
    ],
)
def test_what_is_not_surely_from_our_topic_is_refused_before_anything_is_fetched(
    world: World, sns: FakeSns, changed: dict[str, str]
) -> None:
    with receiving(world, sns) as server:
        answer = call_back(server, "ses", sns.notification(event(new_id()), **changed))
    assert answer.http_status == 403
    assert sns.paths == []
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


@pytest.mark.parametrize(
    "forged",
    [
        {"Message": json.dumps(event("00000000-0000-4000-8000-000000000009"))},
        {"Timestamp": "2026-11-24T10:00:01.000Z"},
        {"Subject": "added"},
        {"Signature": "AAAA"},
        {"Signature": "not base64"},
        {"Signature": ""},
    ],
)
def test_what_was_changed_on_its_way_is_refused(world: World, sns: FakeSns, forged: dict[str, str]) -> None:
    body = json.dumps(json.loads(sns.notification(event(new_id()))) | forged).encode()
    with receiving(world, sns) as server:
        assert call_back(server, "ses", body).http_status == 403
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"Type": "Notification"}', b'{"Type": {}}', b"[" * 50_000]
)
def test_what_is_no_message_of_sns_is_refused(world: World, sns: FakeSns, body: bytes) -> None:
    with receiving(world, sns) as server:
        assert call_back(server, "ses", body).http_status == 400


def test_without_topics_nothing_is_believed(world: World, sns: FakeSns, server: InProcessServer) -> None:
    assert call_back(server, "ses", sns.notification(event(new_id()))).http_status == 403


def test_a_certificate_of_yesterday_is_refused(world: World) -> None:
    old = FakeSns(valid_days=-1)
    with receiving(world, old) as server:
        assert call_back(server, "ses", old.notification(event(new_id()))).http_status == 403
    old.close()


def test_a_server_that_is_not_sns_is_not_asked(world: World) -> None:
    impostor = FakeSns(host="evil.example.com")
    with receiving(world, impostor) as server:
        assert call_back(server, "ses", impostor.notification(event(new_id()))).http_status == 503
    assert impostor.paths == []
    impostor.close()


def test_sns_is_asked_to_come_again_while_its_certificate_can_t_be_had(
    world: World, ses: FakeSes, sns: FakeSns
) -> None:
    id = sent(world, ses)
    body = sns.notification(event(id))
    sns.status = 500
    with receiving(world, sns) as server:
        assert call_back(server, "ses", body).http_status == 503
        sns.status = 200
        assert call_back(server, "ses", body).new_receipt


def test_a_subscription_of_our_topic_is_confirmed(world: World, sns: FakeSns) -> None:
    elsewhere = sns.confirmation(SubscribeURL="https://evil.example.com/?Action=ConfirmSubscription")
    with receiving(world, sns) as server:
        assert call_back(server, "ses", elsewhere).http_status == 200
        forged = json.dumps(json.loads(sns.confirmation()) | {"Token": "other"}).encode()
        assert call_back(server, "ses", forged).http_status == 403
        other = sns.confirmation(TopicArn="arn:aws:sns:eu-west-2:210987654321:x")
        assert call_back(server, "ses", other).http_status == 403
        assert call_back(server, "ses", sns.confirmation("UnsubscribeConfirmation")).http_status == 200
    assert sns.confirmed == [{"Action": "ConfirmSubscription", "TopicArn": sns.topic, "Token": "token&1"}]


@pytest.mark.parametrize(
    "values",
    [
        {"region": "eu-west-2.evil.example.com"},
        {"access_key_id": "a"},
        {"receipt_topics": ["arn:aws:sqs:eu-west-2:123456789012:x"]},
        {"url": "ftp://x"},
    ],
)
def test_settings_that_do_not_fit(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SesSettings.model_validate(values)
