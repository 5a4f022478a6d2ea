"""A service is told of what becomes of its messages, by the deployed processes."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from notify.admin.v1 import service_settings_service_pb2 as pb
from notify.admin.v1 import service_settings_service_pb2_grpc as pb_grpc
from notify_local.seed import CALL_SECONDS, fixed_id, seed_callback
from notify_local.stack import ADMIN_CLIENT_SECRET

from tests.harness.house import SETTLE_SECONDS, House, eventually

CALLBACK_ID = fixed_id("callback")
TYPE = "delivery_status"
_HEARD_SECONDS = 5.0


@pytest.fixture(scope="module")
def told_house(house: House) -> Iterator[House]:
    """Provide the house, whose demo service is told of deliveries meanwhile."""
    seed_callback(house.stack)

    def is_told() -> bool:
        message = house.send("sms", text(house))
        house.wait_for_states([message.id], "delivered")
        return eventually(lambda: bool(told(house, message.id)), _HEARD_SECONDS)

    assert eventually(is_told, SETTLE_SECONDS)  # each process has heard of it by then
    yield house
    with house.channel("admin") as channel:
        ask = pb.DeleteCallbackRequest(service_id=house.seeded.service_id, callback_id=CALLBACK_ID, type=TYPE)
        pb_grpc.ServiceSettingsServiceStub(channel).DeleteCallback(ask, timeout=CALL_SECONDS)


def told(house: House, notification_id: str) -> list[Any]:
    """Return the callbacks about a message that the receiver was sent, newest first."""
    answer = requests.get(f"{house.stack.received_url}/received.json", timeout=CALL_SECONDS)
    return [one for one in answer.json() if one["body"]["id"] == notification_id]


def admin(house: House, method: str, path: str, body: Any = None) -> Any:
    """Ask the admin API about the demo service; return what it answers."""
    token = jwt.encode({"iss": "notify-admin", "iat": int(time.time())}, ADMIN_CLIENT_SECRET, "HS256")
    answer = requests.request(
        method,
        f"{house.stack.base_url}/service/{house.seeded.service_id}{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=CALL_SECONDS,
    )
    assert answer.ok, answer.text
    return answer.json()


def text(house: House) -> dict[str, Any]:
    """Return the body of a request to send a text."""
    values = {"name": "Ann", "date": "Monday"}
    template = house.seeded.templates["sms"]
    return {"phone_number": "07700900123", "template_id": template, "personalisation": values}


def test_a_service_is_told_even_after_the_worker_was_killed(told_house: House) -> None:
    house = told_house
    house.stack.kill("notifications-callbacks")
    message = house.send("sms", text(house) | {"reference": "told"})
    house.wait_for_states([message.id], "delivered")
    house.stack.restart("notifications-callbacks")
    assert eventually(lambda: bool(told(house, message.id)), SETTLE_SECONDS)
    (one,) = told(house, message.id)
    assert one["path"] == f"/{TYPE}"
    assert one["headers"]["authorization"] == "Bearer demo-bearer-token"
    assert (one["body"]["status"], one["body"]["reference"]) == ("delivered", "told")


def test_a_service_is_told_again_with_a_signature_when_that_is_asked_for(told_house: House) -> None:
    house = told_house
    message = house.send("sms", text(house))
    assert eventually(lambda: bool(told(house, message.id)), SETTLE_SECONDS)
    asked = {"callback_type": TYPE, "updated_by_id": fixed_id("user")}
    made = admin(house, "POST", f"/callback-api/{CALLBACK_ID}/signing-secret", asked)["data"]
    assert made["previous_until"] is None

    def delivered() -> dict[str, Any] | None:
        listed = admin(house, "GET", f"/callbacks?subject_id={message.id}&state=delivered")
        return next(iter(listed["callbacks"]), None)

    def replay() -> bool:
        found = delivered()
        if found is None:
            return False
        again = admin(house, "POST", "/callbacks/replay", {"callback_ids": [found["id"]]})["data"]
        assert again == {"replayed_count": 1, "next_page_token": ""}
        return True

    def signed() -> list[Any]:
        return [one for one in told(house, message.id) if "webhook-signature" in one["headers"]]

    def told_with_signature() -> bool:
        # a second, until the worker hears of the new secret
        return bool(signed()) or (replay() and bool(signed()))

    assert eventually(told_with_signature, SETTLE_SECONDS)
    headers = signed()[0]["headers"]
    body = json.dumps(signed()[0]["body"])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    key = base64.b64decode(made["signing_secret"].removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert eventually(lambda: delivered() is not None, SETTLE_SECONDS)
    found = delivered()
    assert found is not None
    attempts = admin(house, "GET", f"/callbacks/{found['id']}")["data"]["attempts"]
    assert [attempt["status"] for attempt in attempts].count(204) >= 2
    assert len(attempts) == found["attempt_count"]
