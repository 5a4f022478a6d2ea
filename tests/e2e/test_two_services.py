"""Two services beside each other: whatever one asks by random calls, what the other has does not exist."""

import base64
import io
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from notifications_python_client.utils import prepare_upload
from notify.admin.v1 import (
    service_setting_pb2,
    service_settings_service_pb2,
    service_settings_service_pb2_grpc,
)
from notify.notifications.v1 import callbacks_service_pb2, callbacks_service_pb2_grpc
from notify_common.enums import CallbackType
from notify_local.seed import fixed_id, seed
from notify_testing import pdfs
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import SETTLE_SECONDS, House, eventually
from tests.harness.services import bring_text, set_up

VALUES: Final = {"name": "Amala", "date": "1 December", "needs parking": "no"}
ADDRESS: Final = {
    "address_line_1": "A. Person",
    "address_line_2": "1 High Street",
    "address_line_3": "SW14 6BF",
}
BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "sms": {"phone_number": "07400123456", "personalisation": VALUES},
    "email": {"email_address": "amala@example.com", "personalisation": VALUES},
    "letter": {"personalisation": {**VALUES, **ADDRESS}},
}
LATER: Final = {"send_at": f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"}
TOLD: Final = 5
"""Messages of each service that it is told of: those that are texts and emails and not for later."""
LINK: Final = re.compile(r"http\S+/d/[\w-]+/[\w-]+\?key=[\w-]+")


@dataclass(frozen=True)
class Call:
    """Something that a service asks with an id in it."""

    method: str
    path: str
    """With `{id}` where the id stands, if it does not stand in the body."""
    kind: str
    """What has such ids."""
    status: int
    """What is answered where the service has no such thing."""
    body: Callable[[House, str], Any] = lambda house, id: None


def sends(channel: str, **fields: str) -> Callable[[House, str], Any]:
    """Return what makes the body of a message; fields of the value `{id}` have the id."""

    def body(house: House, id: str) -> Any:
        filled = {name: value.format(id=id) for name, value in fields.items()}
        return {"template_id": house.seeded.templates[channel], **BODIES[channel], **filled}

    return body


def rows(channel: str, **fields: str) -> Callable[[House, str], Any]:
    """Return what makes the body of a batch or preview of one such message."""
    return lambda house, id: [{"type": channel, **sends(channel, **fields)(house, id)}]


def values(house: House, id: str) -> Any:
    """Return the body of a preview of a template."""
    return {"personalisation": VALUES}


def moved(house: House, id: str) -> Any:
    """Return the body that gives a message another time."""
    return LATER


CALLS: Final = (
    Call("GET", "/v2/notifications/{id}", "notification", 404),
    Call("GET", "/v2/notifications/{id}/pdf", "notification", 404),
    Call("GET", "/v2/notifications/{id}/timeline", "notification", 404),
    Call("POST", "/v2/notifications/{id}/cancel", "notification", 404),
    Call("POST", "/v2/notifications/{id}/reschedule", "notification", 404, moved),
    Call("GET", "/v2/batches/{id}", "batch", 404),
    Call("GET", "/v2/template/{id}", "template", 404),
    Call("GET", "/v2/template/{id}/version/1", "template", 404),
    Call("POST", "/v2/template/{id}/preview", "template", 404, values),
    Call("GET", "/v2/notifications?older_than={id}", "notification", 200),
    Call("GET", "/v2/notifications?batch_id={id}", "batch", 200),
    Call("GET", "/v2/notifications?reference={id}", "reference", 200),
    Call("GET", "/v2/received-text-messages?older_than={id}", "text", 200),
    *(
        Call("POST", f"/v2/notifications/{channel}", "template", 400, sends(channel, template_id="{id}"))
        for channel in BODIES
    ),
    Call("POST", "/v2/notifications/sms", "sms_sender", 400, sends("sms", sms_sender_id="{id}")),
    Call("POST", "/v2/preview", "template", 200, rows("email", template_id="{id}")),
    Call("POST", "/v2/preview", "sms_sender", 200, rows("sms", sms_sender_id="{id}")),
    Call("POST", "/v2/batches", "template", 201, rows("sms", template_id="{id}")),
    Call("GET", "/d/{service}/{id}?key={key}", "file", 404),
    Call("POST", "/d/{service}/{id}?key={key}", "file", 404),
    Call("GET", "/callback", "callback", 404),
    Call("REPLAY", "/callback", "callback", 200),
)
"""Calls of services, and at last those that the admin web app makes for one."""


@dataclass(frozen=True)
class Owner:
    """A service, and the ids of what it has, by kind."""

    house: House
    """With it as the demo service."""
    has: Mapping[str, tuple[str, ...]]
    file_key: str
    """Of the link to its file."""

    def ask(self, key: str, call: Call, id: str, file_key: str) -> tuple[int, str]:
        """Return status and body of a call, the id in it taken out."""
        if call.path == "/callback":
            return self._ask_for_callback(call.method, id)
        service = base64.urlsafe_b64encode(uuid.UUID(self.house.seeded.service_id).bytes).decode().rstrip("=")
        answer = requests.request(
            call.method,
            self.house.stack.base_url + call.path.format(id=id, service=service, key=file_key),
            json=call.body(self.house, id),
            headers=self.house.headers(key, **{"Idempotency-Key": str(uuid.uuid4())}),
            timeout=WAIT_SECONDS,
        )
        made = answer.json()["id"] if call.status == answer.status_code == 201 else id
        return answer.status_code, answer.text.replace(id, "-").replace(made, "-")

    def _ask_for_callback(self, method: str, id: str) -> tuple[int, str]:
        service_id = self.house.seeded.service_id
        with self.house.channel("notifications") as channel:
            stub = callbacks_service_pb2_grpc.CallbacksServiceStub(channel)
            try:
                if method == "GET":
                    stub.GetCallback(
                        callbacks_service_pb2.GetCallbackRequest(service_id=service_id, callback_id=id),
                        timeout=WAIT_SECONDS,
                    )
                    return 200, ""
                ask = callbacks_service_pb2.ReplayCallbacksRequest(service_id=service_id, callback_ids=[id])
                replayed = stub.ReplayCallbacks(ask, timeout=WAIT_SECONDS)
                return 200, str(replayed)
            except grpc.RpcError as error:
                return 404 if error.code() is grpc.StatusCode.NOT_FOUND else 500, ""

    def state(self) -> list[Any]:
        """Return where all that it has stands."""
        id = self.house.seeded.service_id
        return [
            *self.house.query(
                "notifications",
                "SELECT id::text, state, send_at, update_time FROM notifications WHERE service_id = %s "
                "ORDER BY id",
                id,
            ),
            *self.house.query(
                "notifications",
                "SELECT id::text, state, earlier_attempts FROM callbacks WHERE service_id = %s ORDER BY id",
                id,
            ),
            *self.house.query(
                "notifications", "SELECT id::text, answer FROM batches WHERE service_id = %s ORDER BY id", id
            ),
            *self.house.query(
                "admin", "SELECT id::text, version FROM templates WHERE service_id = %s ORDER BY id", id
            ),
        ]


@pytest.fixture(scope="module")
def two(house: House) -> tuple[Owner, Owner]:
    """Provide two services of which each has something of every kind, that nothing more becomes of."""
    return owner(house, "One of two services"), owner(house, "The other of two services")


def owner(house: House, name: str) -> Owner:
    """Make a service and something of every kind."""
    own = replace(house, seeded=seed(house.stack, name))
    sender = set_up(own, own.seeded.service_id)
    be_told(own, name)

    def post(path: str, body: Any) -> Any:
        headers = own.headers(**{"Idempotency-Key": str(uuid.uuid4())})
        url = f"{own.stack.base_url}/v2/{path}"
        answer = requests.post(url, json=body, headers=headers, timeout=WAIT_SECONDS)
        assert answer.status_code == 201, answer.text
        return answer.json()

    reference = str(uuid.uuid4())
    sent = {channel: post(f"notifications/{channel}", sends(channel)(own, "")) for channel in BODIES}
    later = post("notifications/sms", {**sends("sms", reference=reference)(own, ""), **LATER})
    batch = post("batches", [row for channel in BODIES for row in rows(channel)(own, "")])
    file = prepare_upload(io.BytesIO(pdfs.letter()), "report.pdf", confirm_email_before_download=False)
    mail = {**sends("email")(own, ""), "personalisation": {**VALUES, "name": file}}
    link = urlsplit(LINK.findall(post("notifications/email", mail)["content"]["body"])[0])
    bring_text(own, sender.sender, "Hello")
    texts: list[str] = []

    def settled() -> bool:
        answer = requests.get(
            f"{own.stack.base_url}/v2/received-text-messages", headers=own.headers(), timeout=WAIT_SECONDS
        )
        texts[:] = [one["id"] for one in answer.json()["received_text_messages"]]
        [(moving,)] = own.query(
            "notifications",
            "SELECT count(*) FROM notifications WHERE service_id = %s AND send_at IS NULL "
            "AND (channel <> 'letter' AND state <> 'delivered' "
            "OR channel = 'letter' AND sheet_count IS NULL)",
            own.seeded.service_id,
        )
        states = list(callbacks().values())
        return bool(texts) and moving == 0 and states == ["delivered"] * TOLD

    def callbacks() -> dict[str, str]:
        return dict(
            own.query(
                "notifications",
                "SELECT id::text, state FROM callbacks WHERE service_id = %s",
                own.seeded.service_id,
            )
        )

    assert eventually(settled, SETTLE_SECONDS)
    has = {
        "notification": (*(str(one["id"]) for one in sent.values()), str(later["id"])),
        "reference": (reference,),
        "template": tuple(own.seeded.templates.values()),
        "batch": (str(batch["id"]),),
        "text": tuple(texts),
        "sms_sender": (sender.id,),
        "file": (link.path.rpartition("/")[2],),
        "callback": tuple(callbacks()),
    }
    return Owner(own, has, link.query.removeprefix("key="))


def be_told(house: House, name: str) -> None:
    """Have a service told of deliveries."""
    callback = service_setting_pb2.Callback(
        id=fixed_id(f"callback/{name}"),
        service_id=house.seeded.service_id,
        type=CallbackType.DELIVERY_STATUS,
        url="https://localhost/",
        updated_by_id=fixed_id("user"),
    )
    with house.channel("admin") as channel:
        stub = service_settings_service_pb2_grpc.ServiceSettingsServiceStub(channel)
        made = service_settings_service_pb2.CreateCallbackRequest(
            request_id=callback.id, callback=callback, bearer_token="a bearer token"
        )
        stub.CreateCallback(made, timeout=WAIT_SECONDS)
        callback.url = f"{house.stack.receiver_url}/{CallbackType.DELIVERY_STATUS}"
        changed = service_settings_service_pb2.SetCallbackRequest(callback=callback)
        stub.SetCallback(changed, timeout=WAIT_SECONDS)


def unknown(kind: str) -> str:
    """Return an id that nobody has."""
    if kind == "file":
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return str(uuid.uuid4())


@settings(max_examples=25, derandomize=True, database=None)
@given(
    asker=st.sampled_from((0, 1)),
    key=st.sampled_from(("normal", "team", "test")),
    asked=st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 3)), min_size=1, max_size=4),
)
def test_what_another_service_has_is_as_if_it_were_not(
    two: tuple[Owner, Owner], asker: int, key: str, asked: list[tuple[Call, int]]
) -> None:
    own, other = two[asker], two[1 - asker]
    before = other.state()
    for call, place in asked:
        ids = other.has[call.kind]
        found = own.ask(key, call, ids[place % len(ids)], other.file_key)
        assert found == own.ask(key, call, unknown(call.kind), other.file_key), call
        assert key == "team" or found[0] == call.status, (call, found)
        assert not [id for of_kind in other.has.values() for id in of_kind if id in found[1]], call
    assert other.state() == before


@pytest.mark.parametrize("asker", [0, 1])
def test_lists_hold_what_is_the_service_s_own(two: tuple[Owner, Owner], asker: int) -> None:
    own, other = two[asker], two[1 - asker]
    for path, kind in (
        ("notifications", "notification"),
        ("templates", "template"),
        ("received-text-messages", "text"),
    ):
        _, said = own.ask("normal", Call("GET", f"/v2/{path}", kind, 200), "-", "")
        assert not [id for id in other.has[kind] if id in said]
        assert [id for id in own.has[kind] if id in said]


def test_one_idempotency_key_of_two_services_is_two_messages(two: tuple[Owner, Owner]) -> None:
    key, sent = str(uuid.uuid4()), set()
    for one in two:
        answer = requests.post(
            f"{one.house.stack.base_url}/v2/notifications/sms",
            json=sends("sms")(one.house, ""),
            headers=one.house.headers(**{"Idempotency-Key": key}),
            timeout=WAIT_SECONDS,
        )
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False), answer.text
        sent.add(answer.json()["id"])
    assert len(sent) == 2
