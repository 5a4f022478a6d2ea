"""`send_at` and `deliver_by` of a send, and cancelling and moving what waits for its time."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel, KeyType
from notify.notifications.v1.notification_pb2 import Notification
from notify_common.errors import FieldViolation, NotifyError, invalid_field

from .conftest import Tenant
from .neighbours import Neighbours, a_notification
from .test_sending import BODIES, METHODS, Send, messages, send

__all__ = ["send"]

TIME = "2026-11-24T07:10:18Z"
NO_TIME = "is not a date-time with a time zone, such as 2026-01-31T09:00:00Z"


@pytest.mark.parametrize("channel", ["sms", "email"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (TIME, "2026-11-24T07:10:18.000000Z"),
        ("2026-11-24t07:10:18.5z", "2026-11-24T07:10:18.500000Z"),
        ("2026-11-24T07:10:18.123456+01:00", "2026-11-24T06:10:18.123456Z"),
        ("2026-11-24T00:10:18-23:59", "2026-11-25T00:09:18.000000Z"),
    ],
)
def test_times_are_passed_on_and_shown(
    send: Send, neighbours: Neighbours, channel: str, written: str, meant: str
) -> None:
    response = send(channel, BODIES[channel] | {"send_at": written, "deliver_by": written})
    assert response.status_code == 201
    assert response.get_json()["scheduled_for"] == meant
    [asked] = neighbours.recorder.requests(METHODS[channel])
    for time in (asked.send_at, asked.deliver_by):
        assert time.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S.%fZ") == meant


@pytest.mark.parametrize("channel", ["sms", "email"])
@pytest.mark.parametrize("name", ["send_at", "deliver_by"])
@pytest.mark.parametrize(
    "value",
    [
        None, True, 1764000000, 1.5, [], {}, "", "tomorrow", "2026-11-24", "2026-11-24T07:10:18",
        "2026-11-24 07:10:18Z", "2026-11-24T07:10Z", "2026-11-24T07:10:18.1234567Z",
        "2026-11-24T07:10:18 UTC", "2026-11-24T07:10:18+0100", "2026-11-24T07:10:18+24:00",
        "2026-02-30T07:10:18Z", "2026-11-24T25:10:18Z",
        "2026-11-24T07:10:60Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "２０２６-11-24T07:10:18Z", TIME + "\n", "2026-W48-2T07:10:18Z",
    ],
)  # fmt: skip
def test_what_is_no_time_with_a_zone_is_refused(
    send: Send, neighbours: Neighbours, channel: str, name: str, value: Any
) -> None:
    assert messages(send(channel, BODIES[channel] | {name: value})) == [f"{name} {NO_TIME}"]
    assert not neighbours.recorder.requests(METHODS[channel])
    assert len(neighbours.recorder.requests("CountRefusedRequest")) == 1


@pytest.mark.parametrize("name", ["send_at", "deliver_by"])
@pytest.mark.parametrize("value", [TIME, None])
def test_letters_have_no_such_times(send: Send, name: str, value: str | None) -> None:
    [sentence] = messages(send("letter", BODIES["letter"] | {name: value}))
    assert sentence == (
        f"{name} is not for letters, which go to print once a day: leave it out, send the letter on its day"
    )


def test_what_notifications_says_of_a_time_is_answered(send: Send, neighbours: Neighbours) -> None:
    neighbours.recorder.failures["SendSms"] = invalid_field(
        FieldViolation("send_at", "can not be in the past")
    )
    assert messages(send("sms", BODIES["sms"] | {"send_at": TIME})) == ["send_at can not be in the past"]


def stored(neighbours: Neighbours, tenant: Tenant, **facts: Any) -> Notification:
    found = a_notification(tenant.id, Channel.CHANNEL_SMS, **facts)
    neighbours.notifications.stored.append(found)
    return found


def post(client: FlaskClient, tenant: Tenant, path: str, body: Any = None, key_type: str = "normal") -> Any:
    return client.post(f"/v2/notifications/{path}", json=body, headers=tenant.headers(key_type))


def test_a_message_is_cancelled(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = stored(neighbours, tenant, state=Notification.STATE_CANCELLED)
    response = post(client, tenant, f"{found.id.upper()}/cancel", key_type="team")
    assert response.status_code == 200
    assert (response.get_json()["id"], response.get_json()["status"]) == (found.id, "cancelled")
    [asked] = neighbours.recorder.requests("CancelNotification")
    assert (asked.notification_id, asked.caller.service_id) == (found.id, tenant.id)
    assert asked.caller.key_type == KeyType.KEY_TYPE_TEAM


def test_a_message_is_moved(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    found = stored(neighbours, tenant)
    found.send_at.FromJsonString(TIME)
    found.deliver_by.FromJsonString(TIME)
    response = post(client, tenant, f"{found.id}/reschedule", {"send_at": "2026-11-24T08:10:18+01:00"})
    assert response.status_code == 200
    assert response.get_json()["scheduled_for"] == "2026-11-24T07:10:18.000000Z"
    assert response.get_json()["deliver_by"] == "2026-11-24T07:10:18.000000Z"
    [asked] = neighbours.recorder.requests("RescheduleNotification")
    assert asked.send_at.ToJsonString() == TIME


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "send_at is a required property"),
        ([], "send_at is a required property"),
        ({"send_at": None}, f"send_at {NO_TIME}"),
        ({"send_at": "2026-11-24T07:10:18"}, f"send_at {NO_TIME}"),
        ({"send_at": TIME, "x": 1}, "Additional properties are not allowed (x was unexpected)"),
        ([TIME], f"[{TIME}] is not of type object"),
    ],
)
def test_a_message_is_not_moved_to_what_is_no_time(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, body: Any, sentence: str
) -> None:
    found = stored(neighbours, tenant)
    assert messages(post(client, tenant, f"{found.id}/reschedule", body)) == [sentence]
    assert not neighbours.recorder.requests("RescheduleNotification")


@pytest.mark.parametrize("path", ["cancel", "reschedule"])
def test_what_can_t_be_cancelled_or_moved(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, path: str
) -> None:
    found = stored(neighbours, tenant)
    body = {"send_at": TIME}
    assert messages(post(client, tenant, f"x/{path}", body)) == ["notification_id is not a valid UUID"]
    unknown = post(client, tenant, f"{tenant.id}/{path}", body)
    assert messages(unknown, "NoResultFound", 404) == ["No result found"]
    method = {"cancel": "CancelNotification", "reschedule": "RescheduleNotification"}[path]
    neighbours.recorder.failures[method] = NotifyError("NOT_SCHEDULED")
    late = post(client, tenant, f"{found.id}/{path}", body)
    sentence = "Only a message that is waiting for its send_at can be cancelled or moved"
    assert messages(late, "ConflictError", 409) == [sentence]
    assert client.post(f"/v2/notifications/{found.id}/{path}").status_code == 401
    assert client.get(f"/v2/notifications/{found.id}/{path}", headers=tenant.headers()).status_code == 405


def test_expired_messages_are_listed(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    stored(neighbours, tenant, state=Notification.STATE_EXPIRED)
    for status in ("expired", "failed"):
        listed = client.get(f"/v2/notifications?status={status}", headers=tenant.headers())
        assert [one["status"] for one in listed.get_json()["notifications"]] == ["expired"]
        asked = neighbours.recorder.requests("ListNotifications")[-1]
        assert Notification.STATE_EXPIRED in asked.states
