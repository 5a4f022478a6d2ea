"""A service is told of what becomes of its messages, by the deployed processes."""

import json
import urllib.request
from typing import Any

from notify.admin.v1 import service_settings_service_pb2 as pb
from notify.admin.v1 import service_settings_service_pb2_grpc as pb_grpc
from notify_local.seed import CALL_SECONDS, fixed_id, seed_callback

from tests.harness.house import SETTLE_SECONDS, House, eventually


def told(house: House, notification_id: str) -> list[Any]:
    """Return the callbacks about a message that the receiver was sent."""
    url = f"{house.stack.received_url}/received.json"
    with urllib.request.urlopen(url, timeout=CALL_SECONDS) as answer:
        return [one for one in json.load(answer) if one["body"]["id"] == notification_id]


def test_a_service_is_told_of_a_delivery_even_after_its_worker_was_killed(house: House) -> None:
    seed_callback(house.stack)
    try:
        body = {"phone_number": "07700900123", "template_id": house.seeded.templates["sms"]}
        values = {"personalisation": {"name": "Ann", "date": "Monday"}, "reference": "told"}
        house.stack.kill("notifications-callbacks")
        message = house.send("sms", body | values)
        house.wait_for_states([message.id], "delivered")
        house.stack.restart("notifications-callbacks")
        assert eventually(lambda: bool(told(house, message.id)), SETTLE_SECONDS)
        (one,) = told(house, message.id)
        assert one["path"] == "/delivery_status"
        assert one["headers"]["authorization"] == "Bearer demo-bearer-token"
        assert (one["body"]["status"], one["body"]["reference"]) == ("delivered", "told")
    finally:
        with house.channel("admin") as channel:
            pb_grpc.ServiceSettingsServiceStub(channel).DeleteCallback(
                pb.DeleteCallbackRequest(
                    service_id=house.seeded.service_id,
                    callback_id=fixed_id("callback"),
                    type="delivery_status",
                ),
                timeout=CALL_SECONDS,
            )
