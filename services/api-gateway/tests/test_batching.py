"""Messages that come at the same time share a call, and each gets its own answer."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from notify.notifications.v1.notifications_service_pb2 import SendSmsRequest
from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_gateway.batching import SEND_SECONDS, SendBatcher
from notify_gateway.middleware import SEND_BUDGET_SECONDS
from notify_gateway.public.notifications import LISTS_AT_ONCE, LISTS_AT_ONCE_OF_A_SERVICE, LISTS_WAITING
from notify_local.backing import wait_until
from notify_testing.waiting import WAIT_SECONDS
from werkzeug.test import TestResponse

from .conftest import Tenant, new_tenant
from .neighbours import Neighbours

TEMPLATE_ID = "f33517ff-2a88-4f6e-b855-c550268ce08a"


class ClientThread(threading.Thread):
    """Sends a message on a thread of its own and keeps the answer."""

    def __init__(self, app: Flask, tenant: Tenant, channel: str = "sms", **fields: object) -> None:
        super().__init__(daemon=True)
        to = {"phone_number": "07700 900123"} if channel == "sms" else {"email_address": "a@example.com"}
        self._body = json.dumps({"template_id": TEMPLATE_ID, **to, **fields})
        self._send: Callable[[], TestResponse] = lambda: app.test_client().post(
            f"/v2/notifications/{channel}", data=self._body, headers=tenant.headers("normal")
        )
        self.answer: TestResponse | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._send()

    def end(self) -> TestResponse:
        self.join(WAIT_SECONDS)
        assert self.answer is not None
        return self.answer


@pytest.fixture
def gate(neighbours: Neighbours) -> Iterator[threading.Event]:
    """Keep texts unanswered until the gate opens."""
    opened = neighbours.recorder.gates["SendSms"] = threading.Event()
    yield opened
    opened.set()


def arrived(neighbours: Neighbours, method: str, count: int) -> None:
    assert wait_until(lambda: len(neighbours.recorder.requests(method)) >= count, WAIT_SECONDS)


def gathered(app: Flask, count: int) -> None:
    """Return once so many wait for the next call."""
    batcher: SendBatcher = app.extensions["batcher"]
    assert wait_until(lambda: len(batcher._gatherer._waiting) == count, WAIT_SECONDS)


def test_who_comes_during_a_call_shares_the_next(
    app: Flask, tenant: Tenant, neighbours: Neighbours, gate: threading.Event
) -> None:
    neighbours.recorder.failures["SendEmail"] = NotifyError("MESSAGE_EMPTY")
    first = ClientThread(app, tenant, reference="0")
    arrived(neighbours, "SendSms", 1)
    others = []
    for number in range(1, 5):
        channel = "email" if number == 2 else "sms"
        others.append(ClientThread(app, tenant, channel, reference=str(number)))
        gathered(app, number)
    gate.set()
    answers = [first.end(), *(other.end() for other in others)]
    assert [answer.status_code for answer in answers] == [201, 201, 400, 201, 201]
    assert answers[2].get_json()["errors"][0]["message"] == "Your message is empty."
    texts = [answer.get_json() for answer in answers if answer.status_code == 201]
    assert {one["reference"]: one["id"] for one in texts} == {
        asked.reference: asked.request_id for asked in neighbours.recorder.requests("SendSms")
    }
    assert neighbours.recorder.batches == [1, 4]
    assert neighbours.recorder.repeats == [False] * 5


def test_a_large_message_lets_no_other_wait(
    app: Flask, tenant: Tenant, neighbours: Neighbours, gate: threading.Event
) -> None:
    first = ClientThread(app, tenant)
    arrived(neighbours, "SendSms", 1)
    waiting = ClientThread(app, tenant)
    gathered(app, 1)
    large = ClientThread(app, tenant, "email", personalisation={"x": "y" * (LARGEST_CONTENT_BYTES // 2)})
    assert large.end().status_code == 201
    gate.set()
    assert (first.end().status_code, waiting.end().status_code) == (201, 201)


def test_what_has_no_room_in_an_answer_is_asked_for_alone(
    app: Flask, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError("OVERLOADED")
    assert ClientThread(app, tenant).end().status_code == 503
    ids = {asked.request_id for asked in neighbours.recorder.requests("SendSms")}
    assert (len(ids), neighbours.recorder.batches) == (1, [1, 1])


def test_an_outcome_that_is_not_known_is_asked_for_again(
    app: Flask, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.recorder.failures["BatchSend"] = NotifyError("UNAVAILABLE")
    answer = ClientThread(app, tenant).end()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    ids = {asked.request_id for asked in neighbours.recorder.requests("SendSms")}
    assert len(ids) == 1
    # the channel's three tries, twice
    assert neighbours.recorder.repeats == [False] * 3 + [True] * 3


def test_a_refusal_that_is_known_is_not_asked_for_again(
    app: Flask, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.recorder.failures["SendSms"] = NotifyError("DEADLINE_EXCEEDED")
    assert ClientThread(app, tenant).end().status_code == 503
    assert neighbours.recorder.repeats == [False]


def test_nobody_queues_for_a_service_that_does_not_answer(
    app: Flask, tenant: Tenant, neighbours: Neighbours, gate: threading.Event
) -> None:
    first = ClientThread(app, tenant)
    # its call ran out of time, and it asks again
    assert wait_until(lambda: True in neighbours.recorder.repeats, WAIT_SECONDS)
    tries = ClientThread(app, tenant)
    gathered(app, 1)
    assert ClientThread(app, tenant).end().status_code == 503
    assert first.is_alive() or first.answer is not None
    gate.set()
    answers = [first.end().status_code, tries.end().status_code]
    assert answers == [201, 201]
    assert ClientThread(app, tenant).end().status_code == 201
    ids = [asked.request_id for asked in neighbours.recorder.requests("SendSms")]
    assert ids[0] == ids[1]


def test_all_waits_of_a_send_end_in_its_budget(
    app: Flask, tenant: Tenant, neighbours: Neighbours, gate: threading.Event
) -> None:
    answer = ClientThread(app, tenant).end()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert neighbours.recorder.repeats == [False, True]
    assert sum(neighbours.recorder.seconds_left) <= SEND_BUDGET_SECONDS


def test_slow_keys_leave_a_send_less_time(app: Flask, tenant: Tenant, neighbours: Neighbours) -> None:
    opened = neighbours.recorder.gates["ListVerificationKeys"] = threading.Event()
    started = clock.monotonic()
    sender = ClientThread(app, tenant)
    spent = SEND_BUDGET_SECONDS - SEND_SECONDS + 0.3
    assert wait_until(lambda: clock.monotonic() > started + spent, WAIT_SECONDS)
    opened.set()
    assert sender.end().status_code == 201
    assert neighbours.recorder.seconds_left[0] < SEND_SECONDS - 0.1


def test_a_message_without_time_goes_into_no_call(app: Flask, neighbours: Neighbours, tenant: Tenant) -> None:
    batcher: SendBatcher = app.extensions["batcher"]
    with current.bind(timeout=0.2), pytest.raises(NotifyError) as refused:
        batcher.send(SendSmsRequest(request_id=TEMPLATE_ID))
    assert refused.value.reason == "DEADLINE_EXCEEDED"
    assert neighbours.recorder.batches == []


class Reader(threading.Thread):
    """Reads a list on a thread of its own and keeps how it was answered."""

    def __init__(self, app: Flask, tenant: Tenant) -> None:
        super().__init__(daemon=True)
        self._app, self._tenant, self._status = app, tenant, 0
        self.start()

    def run(self) -> None:
        self._status = (
            self._app.test_client()
            .get("/v2/notifications", headers=self._tenant.headers("normal"))
            .status_code
        )

    def end(self) -> int:
        self.join(WAIT_SECONDS)
        return self._status


def test_readers_leave_threads_to_those_who_send_and_places_to_other_readers(
    app: Flask, tenant: Tenant, neighbours: Neighbours
) -> None:
    other, third = new_tenant(neighbours), new_tenant(neighbours)
    opened = neighbours.recorder.gates["ListNotifications"] = threading.Event()
    readers = [Reader(app, tenant) for _ in range(LISTS_AT_ONCE_OF_A_SERVICE + LISTS_WAITING)]
    try:
        arrived(neighbours, "ListNotifications", LISTS_AT_ONCE_OF_A_SERVICE)
        assert wait_until(lambda: Reader(app, tenant).end() == 429, WAIT_SECONDS), "the others wait"
        readers += [Reader(app, other) for _ in range(LISTS_AT_ONCE - LISTS_AT_ONCE_OF_A_SERVICE)]
        arrived(neighbours, "ListNotifications", LISTS_AT_ONCE)
        assert Reader(app, third).end() == 503
        assert ClientThread(app, tenant).end().status_code == 201
    finally:
        opened.set()
    assert [reader.end() for reader in readers] == [200] * len(readers)
    assert [Reader(app, each).end() for each in (tenant, other, third)] == [200] * 3


def test_a_list_too_many_is_refused_in_the_words_of_the_contract(
    app: Flask, tenant: Tenant, neighbours: Neighbours
) -> None:
    neighbours.recorder.failures["ListNotifications"] = NotifyError(
        "RATE_LIMITED",
        metadata={"key_type": "team", "limit": "3000"},
        retry_after=timedelta(seconds=1),
    )
    answer = app.test_client().get("/v2/notifications", headers=tenant.headers("team"))
    message = "Exceeded rate limit for key type TEAM of 3000 requests per 60 seconds"
    assert answer.json == {"errors": [{"error": "RateLimitError", "message": message}], "status_code": 429}
    assert answer.headers["Retry-After"] == "1"
