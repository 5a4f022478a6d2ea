"""Receipts that are none: whatever somebody posts to whichever provider's door, nothing of it counts."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from notify.providers.v1 import receipts_service_pb2 as pb
from notify.providers.v1.receipts_service_pb2_grpc import ReceiptsServiceStub
from notify_common.ids import new_id
from notify_providers import bootstrap
from notify_providers.clients.aws_sms import AwsSmsSettings
from notify_providers.clients.base import SendsReceipts
from notify_providers.clients.dvla import DvlaSettings
from notify_providers.clients.firetext import FiretextSettings
from notify_providers.clients.mmg import MmgSettings
from notify_providers.clients.registry import ADAPTERS
from notify_providers.clients.ses import SesSettings
from notify_providers.clients.twilio import TwilioSettings
from notify_testing.rpc import InProcessServer

from .configured import provider_settings
from .conftest import World
from .fake_twilio import ACCOUNT, RECEIPT_URL, TOKEN
from .messages import email, letter, sms
from .test_callbacks import basic

TOPICS = {"receipt_topics": ["arn:aws:sns:eu-west-2:123456789012:receipts"]}
REPORTING = sorted(adapter.name for adapter in ADAPTERS if isinstance(adapter, SendsReceipts))
GUESSED: list[dict[str, Any]] = [
    {},
    {
        "headers": basic("user:guessed") | {"x-twilio-signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        "query": "token=" + "0" * 200,
    },
]


@pytest.fixture
def guarded(world: World) -> InProcessServer:
    """Provide the services, with every provider's receipts expected, and known by what it can be known by."""
    credentials = {"receipt_credentials": "user:password"}
    settings = provider_settings(
        mmg=MmgSettings.model_validate(credentials),
        firetext=FiretextSettings.model_validate(credentials),
        twilio=TwilioSettings.model_validate(
            {"account_sid": ACCOUNT, "auth_token": TOKEN, "receipt_url": RECEIPT_URL}
        ),
        ses=SesSettings.model_validate(TOPICS),
        dvla=DvlaSettings.model_validate({"receipt_url": RECEIPT_URL, "receipt_secret": "s" * 32}),
        **{"aws-sms": AwsSmsSettings.model_validate(TOPICS)},
    )
    parts = bootstrap.Parts(world.settings(providers=settings), connections=4)
    world.made.append(parts)
    return InProcessServer("providers", bootstrap.registrations(parts))


def bodies(id: str) -> list[bytes]:
    """Return what is no report, and reports on a message as each provider words them."""
    delivered = {
        "mmg": {"CID": id, "status": "3"},
        "sns": {
            "Type": "Notification",
            "MessageId": new_id(),
            "TopicArn": TOPICS["receipt_topics"][0],
            "Message": json.dumps({"eventType": "Delivery", "mail": {"tags": {"notification_id": [id]}}}),
            "Timestamp": "2026-11-24T10:00:00.000Z",
            "SignatureVersion": "2",
            "Signature": "AAAA",
            "SigningCertURL": "https://evil.example.com/SimpleNotificationService-1.pem",
        },
        "dvla": {
            "id": "1",
            "time": "2026-11-24T10:00:00Z",
            "data": {"jobId": id, "jobStatus": "DESPATCHED", "transitionDate": "2026-11-24T10:00:00Z"},
            "metadata": {"correlationId": "1"},
        },
    }
    forms = [
        {"reference": id, "status": "0"},
        {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered"},
    ]
    rubbish = [b"", b"{", b"\xff\xfe\x00", b"<html>delivered</html>", b"[" * 60_000, b"&" * 60_000, b"null"]
    return [
        *rubbish,
        *(json.dumps(one).encode() for one in delivered.values()),
        *(urlencode(form).encode() for form in forms),
    ]


def test_without_what_its_provider_knows_no_receipt_counts(world: World, guarded: InProcessServer) -> None:
    messages = [sms(), email(), letter()]
    world.take_over(*messages)
    world.workers(world.parts(), "dispatch").settle()
    before = world.rows("SELECT count(*), (SELECT count(*) FROM receipts) FROM delivery_events")
    with guarded as server:
        stub = ReceiptsServiceStub(server.channel())
        for provider in REPORTING:
            for place, around in enumerate(GUESSED):
                for body in bodies(messages[0].id):
                    request = pb.RecordReceiptRequest(
                        provider=provider, body=body, client_address=f"192.0.2.{place}", **around
                    )
                    answer = stub.RecordReceipt(request)
                    assert 400 <= answer.http_status < 500, (provider, around, body[:80])
                    assert not answer.new_receipt
    assert world.rows("SELECT count(*), (SELECT count(*) FROM receipts) FROM delivery_events") == before
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0
