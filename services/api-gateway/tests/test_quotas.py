"""What answers say besides their bodies: what is left of limits, whether it was said before."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.notifications.v1.notifications_service_pb2 import Quota
from notify_common.errors import NotifyError

from .conftest import Tenant
from .neighbours import Neighbours

PATH = "/v2/notifications/sms"
SOMEONE_S = "c6b8be17-5394-4d5c-a405-e2d23d8ea7a2"
"""An id that nothing of the tests has."""
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def body() -> dict[str, str]:
    return {"template_id": str(uuid4()), "phone_number": "07700900123"}


@pytest.fixture
def quota(neighbours: Neighbours) -> Quota:
    neighbours.notifications.quota = Quota(limit=999, remaining=998, reset_seconds=1)
    return neighbours.notifications.quota


@pytest.mark.usefixtures("quota")
def test_accepted_and_refused_sends_say_what_is_left(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, body: dict[str, str]
) -> None:
    said = [
        client.post(PATH, json=body, headers=tenant.headers()),
        client.post(PATH, json={}, headers=tenant.headers()),
        client.post(PATH, data="{", headers=tenant.headers()),
    ]
    neighbours.recorder.failures["SendSms"] = NotifyError("TEMPLATE_NOT_FOUND")
    said.append(client.post(PATH, json=body, headers=tenant.headers()))
    for answer in said:
        assert [answer.headers.get(name) for name in HEADERS] == ["999", "998", "1"]
    assert [answer.status_code for answer in said] == [201, 400, 400, 400]


def test_the_limit_that_was_met_is_told(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, body: dict[str, str]
) -> None:
    facts = {"quota_limit": "50", "quota_remaining": "0", "quota_reset_seconds": "3600"}
    limited = {"counter": "sms", "limit": "50", **facts}
    neighbours.recorder.failures["SendSms"] = NotifyError("DAILY_LIMIT_REACHED", metadata=limited)
    answer = client.post(PATH, json=body, headers=tenant.headers())
    assert answer.status_code == 429
    assert [answer.headers.get(name) for name in HEADERS] == ["50", "0", "3600"]
    assert answer.json is not None
    assert answer.json["errors"] == [
        {"error": "TooManyRequestsError", "message": "Exceeded send limits (sms: 50) for today"}
    ]


def test_where_limits_are_not_checked_nothing_is_said_of_them(
    client: FlaskClient, tenant: Tenant, body: dict[str, str]
) -> None:
    answer = client.post(PATH, json=body, headers=tenant.headers())
    assert not set(HEADERS) & set(answer.headers.keys())
    assert "Idempotent-Replayed" not in answer.headers


@pytest.mark.usefixtures("quota")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/templates", 200),
        ("GET", "/v2/templates?type=x", 400),
        ("GET", f"/v2/template/{SOMEONE_S}", 404),
        ("GET", f"/v2/template/{SOMEONE_S}/version/1", 404),
        ("POST", f"/v2/template/{SOMEONE_S}/preview", 200),
        ("GET", "/v2/notifications?page=1", 400),
        ("GET", f"/v2/notifications/{SOMEONE_S}", 404),
        ("GET", f"/v2/notifications/{SOMEONE_S}/pdf", 404),
        ("GET", f"/v2/notifications/{SOMEONE_S}/timeline", 404),
        ("POST", f"/v2/notifications/{SOMEONE_S}/cancel", 404),
        ("POST", f"/v2/notifications/{SOMEONE_S}/reschedule", 400),
        ("POST", "/v2/notifications/fax", 404),
        ("GET", "/v2/received-text-messages", 200),
        ("POST", "/v2/batches", 400),
        ("GET", "/v2/batches/x", 400),
        ("POST", "/v2/preview", 400),
    ],
)
def test_answers_to_all_other_requests_say_what_is_left(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method, headers=tenant.headers())
    assert answer.status_code == status
    assert [answer.headers.get(name) for name in HEADERS] == ["999", "998", "1"]
    neighbours.recorder.failures["GetQuota"] = NotifyError("UNAVAILABLE")
    answer = client.open(path, method=method, headers=tenant.headers())
    assert (answer.status_code, HEADERS[0] in answer.headers) == (status, False)
    answer = client.open(path, method=method)
    assert (answer.status_code, HEADERS[0] in answer.headers) == (401, False)


def test_an_answer_that_was_given_before_says_so(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours, body: dict[str, str]
) -> None:
    neighbours.notifications.replayed = True
    answer = client.post(PATH, json=body, headers={**tenant.headers(), "Idempotency-Key": "k"})
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (201, "true")
