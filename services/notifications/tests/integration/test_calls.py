"""Telling services over HTTP: what is sent, every way that a call ends, and that nobody waits for anybody."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from notify.notifications.v1 import callbacks_service_pb2 as pb
from notify.notifications.v1.callbacks_service_pb2_grpc import CallbacksServiceStub
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import CallbackType
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.leases.worker import Worker
from notify_common.ops.queues import pause, redrive, resume
from notify_notifications import bootstrap
from notify_notifications.bootstrap import Parts
from notify_notifications.domain.callback import CallbackEvent, inbound_sms
from notify_notifications.domain.calls import MOST_ATTEMPTS, signed_headers
from notify_notifications.store import callbacks
from notify_notifications.usecases import read_callbacks
from notify_notifications.usecases.ops import OPS
from notify_notifications.workers.callbacks import delete_old_callbacks
from notify_testing import receiver as behaviours
from notify_testing.admin import BEARER_TOKEN, MEMBER_EMAIL_ADDRESS
from notify_testing.receiver import Received, Receiver
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.waiting import WAIT_SECONDS, until

from .conftest import World
from .requests import letter, precompiled_letter, sms
from .test_uploaded_letters import uploaded

DELIVERY, INBOUND = CallbackType.DELIVERY_STATUS, CallbackType.INBOUND_SMS


@dataclass
class Callers:
    """The workers that call services, over the world's database, and a receiver."""

    world: World
    receiver: Receiver
    parts: Parts
    workers: dict[CallbackType, Worker] = field(default_factory=dict)

    def new_process(self, **settings: Any) -> None:
        """Have another process in place of the one before, which dies: what it had not recorded is lost."""
        if self.workers:
            self.parts.callers.clear()
            self.parts.close()
        files = certificates()["callbacks-worker"]
        told: dict[str, Any] = {
            "tls_cert_file": files.cert,
            "tls_key_file": files.key,
            "callback_ca_file": self.receiver.ca_file,
            "callback_networks": (ip_network("127.0.0.0/8"),),
            "callback_retry_seconds": 0.0,
            "callback_pause_seconds": 0.0,
        }
        self.parts = bootstrap.parts_for_workers(self.world.parts.settings.model_copy(update=told | settings))
        self.workers = {type: bootstrap.callback_worker(self.parts, type) for type in CallbackType}

    @property
    def uow(self) -> UnitOfWork:
        return self.parts.uow

    def step(self, type: CallbackType = DELIVERY) -> int:
        return self.workers[type]._claim_and_do(self.uow)

    def step_without_recording(self) -> bool:
        """Begin what is due, and lose how it ended: what a process that dies then leaves behind."""
        caller, *_ = self.parts.callers  # of deliveries
        caller._start_due()
        return True

    def call_all(self, type: CallbackType = DELIVERY) -> None:
        """Call until nothing is due that may be called."""
        while self.step(type):
            pass

    def service(self, path: str, type: CallbackType = DELIVERY, host: str = "127.0.0.1") -> str:
        """Add a service that is told at a path of the receiver."""
        service = self.world.admin.add_service()
        self.world.admin.add_callback(service, type, self.receiver.url(path, host))
        return service

    def queue(self, service: str, count: int = 1, type: CallbackType = DELIVERY) -> list[str]:
        """Queue events of a service; return their ids."""
        events = [
            CallbackEvent(new_id(), type, service, new_id(), json.dumps({"n": n})) for n in range(count)
        ]
        with self.uow.begin() as tx:
            callbacks.add(tx, events)
        return [event.id for event in events]

    def state(self, id: str) -> str:
        (row,) = self.world.rows("SELECT state FROM callbacks WHERE id = :id", id=id)
        return str(row.state)

    def states(self, ids: list[str]) -> set[str]:
        return {self.state(id) for id in ids}

    def attempts(self, id: str) -> list[tuple[int | None, str]]:
        rows = self.world.rows(
            "SELECT status, failure FROM callback_attempts WHERE callback_id = :id ORDER BY number", id=id
        )
        return [(row.status, row.failure) for row in rows]

    def end_leases(self) -> None:
        """Let a minute pass."""
        self.world.execute(
            "UPDATE callbacks SET due_at = now(), leased_until = now() WHERE due_at IS NOT NULL"
        )


@pytest.fixture(scope="module")
def process(town: World) -> Iterator[Callers]:
    with Receiver() as receiver:
        made = Callers(town, receiver, town.parts)
        made.new_process()
        yield made
        receiver.release()
        made.parts.close()


@pytest.fixture
def callers(world: World, process: Callers) -> Callers:
    return process


def path() -> str:
    """Return a path of the test's own."""
    return f"/{new_id()}"


# --- what is sent


def test_a_service_is_told_of_a_delivery_with_its_token(callers: Callers) -> None:
    at = path()
    world, service = callers.world, callers.service(at)
    request = sms(service, world.admin.add_template(service, "sms", "x"), reference="é")
    world.stub.SendSms(request)
    world.providers.tell(request.request_id, "sent", "delivered")
    world.apply_events()
    callers.call_all()
    (received,) = callers.receiver.of(at)
    assert received.json["id"] == request.request_id
    assert received.json["status"] == "delivered"
    assert b'"reference": "\\u00e9"' in received.body
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == f"Bearer {BEARER_TOKEN}"
    (row,) = world.rows("SELECT id, state FROM callbacks WHERE service_id = :id", id=service)
    assert (received.headers["webhook-id"], row.state) == (str(row.id), "delivered")
    assert "webhook-signature" not in received.headers
    assert callers.attempts(str(row.id)) == [(204, "")]


def test_calls_are_signed_with_both_secrets_while_they_are_changed(callers: Callers) -> None:
    at = path()
    admin = callers.world.admin
    service = admin.add_service()
    callback = admin.add_callback(service, DELIVERY, callers.receiver.url(at))
    secrets = [admin.rotate_callback_secret(service, callback, DELIVERY) for _ in range(2)]
    (id,) = callers.queue(service)
    callers.call_all()
    (received,) = callers.receiver.of(at)
    assert is_signed(received, id, secrets[::-1])
    with admin.uow.begin() as tx:
        tx.exec_driver_sql("UPDATE callbacks SET previous_signing_secret_end_time = now()")
    callers.parts.callback_targets.clear()
    (id,) = callers.queue(service)
    callers.call_all()
    assert is_signed(callers.receiver.of(at)[1], id, secrets[1:])


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_that_is_off_shows_in_the_time_stamp_and_what_is_refused_for_it_is_not_told(
    callers: Callers, minutes: int
) -> None:
    at, off, admin = path(), timedelta(minutes=minutes), callers.world.admin
    service = admin.add_service()
    callback = admin.add_callback(service, DELIVERY, callers.receiver.url(at))
    admin.rotate_callback_secret(service, callback, DELIVERY)
    callers.receiver.script(at, 401)  # as one does that finds the time stamp too old, or to come
    (refused,) = callers.queue(service)
    with clock.set_for_tests(lambda: datetime.now(UTC) + off):
        callers.call_all()
    (told,) = callers.queue(service)
    callers.call_all()
    stamps = [int(one.headers["webhook-timestamp"]) for one in callers.receiver.of(at)]
    assert stamps[0] - stamps[1] == pytest.approx(off.total_seconds(), abs=WAIT_SECONDS)
    assert callers.states([told]) == {"delivered"}
    assert callers.states([refused]) != {"delivered"}
    assert [status for status, _ in callers.attempts(refused)] == [401]


def is_signed(received: Received, id: str, secrets: list[str]) -> bool:
    timestamp = int(received.headers["webhook-timestamp"])
    expected = signed_headers(id, timestamp, received.body, secrets)
    age = abs(datetime.now(UTC).timestamp() - timestamp)
    return age < WAIT_SECONDS and expected.items() <= received.headers.items()


def test_a_new_token_and_url_are_used_for_what_waits_already(callers: Callers) -> None:
    callers.new_process(callback_retry_seconds=300.0)
    old, new = path(), path()
    service = callers.world.admin.add_service()
    callback = callers.world.admin.add_callback(service, DELIVERY, callers.receiver.url(old))
    callers.receiver.script(old, 503)
    (id,) = callers.queue(service)
    callers.call_all()
    callers.world.admin.change_callback(
        service, callback, DELIVERY, callers.receiver.url(new), "another-bearer-token"
    )
    callers.parts.callback_targets.evict(service)
    callers.end_leases()
    callers.call_all()
    assert [one.headers["authorization"] for one in callers.receiver.of(new)] == [
        "Bearer another-bearer-token"
    ]
    assert (callers.state(id), len(callers.receiver.of(old))) == ("delivered", 1)
    callers.new_process()


def test_a_returned_letter_has_the_names_of_its_template_and_of_who_sent_it(callers: Callers) -> None:
    at, kind = path(), CallbackType.RETURNED_LETTER
    world, service = callers.world, callers.service(at, kind)
    template = world.admin.add_template(service, "letter", "x", "s", name="Reminder")
    written = letter(service, template)
    ready_made = precompiled_letter(service, world.admin.precompiled_template(service).id)
    world.stub.SendLetter(written)
    by_member = uploaded(world, service)
    world.stub.SendPrecompiledLetter(ready_made)
    world.stub.SendPrecompiledLetter(by_member)
    for one in (written, ready_made, by_member):
        world.letters.tell(one.request_id, "returned")
    world.apply_events()
    callers.call_all(kind)
    told = {one.json["notification_id"]: one.json for one in callers.receiver.of(at)}
    assert told[written.request_id]["template_name"] == "Reminder"
    assert told[written.request_id]["template_version"] == 1
    assert told[ready_made.request_id]["template_name"] is None
    assert told[ready_made.request_id]["template_id"] is None
    assert told[written.request_id]["sent_by"] == told[ready_made.request_id]["sent_by"] == "API"
    assert told[ready_made.request_id]["upload_letter_file_name"] is None
    named = [told[by_member.request_id][name] for name in ("sent_by", "upload_letter_file_name", "reference")]
    assert named == [MEMBER_EMAIL_ADDRESS, "letter.pdf", None]


def test_a_received_text_is_told(callers: Callers) -> None:
    at = path()
    service = callers.service(at, INBOUND)
    event = inbound_sms(
        new_id(),
        service,
        source_number="447700900111",
        destination_number="07111111111",
        message="Hi é",
        date_received=datetime(2020, 1, 1, 1, 2, 3, tzinfo=UTC),
    )
    with callers.uow.begin() as tx:
        callbacks.add(tx, [event])
    callers.call_all(INBOUND)
    assert [one.body.decode() for one in callers.receiver.of(at)] == [event.body]


# --- how calls end


@pytest.mark.parametrize(
    ("behaviour", "attempt"),
    [
        (503, (503, "")),
        (429, (429, "")),
        (500, (500, "")),
        (302, (302, "")),
        (307, (307, "")),
        (behaviours.RESET, (None, "connection_lost")),
        (behaviours.CLOSE, (None, "connection_lost")),
    ],
)
def test_what_may_go_well_next_time_is_tried_again(
    callers: Callers, behaviour: int | str, attempt: tuple[int | None, str]
) -> None:
    at = path()
    service = callers.service(at)
    callers.receiver.location = callers.receiver.url("/elsewhere")
    callers.receiver.script(at, behaviour)
    (id,) = callers.queue(service)
    callers.call_all()
    callers.receiver.location = ""
    assert callers.state(id) == "delivered"
    assert callers.attempts(id) == [attempt, (204, "")]
    assert {one.headers["webhook-id"] for one in callers.receiver.of(at)} == {id}
    assert callers.receiver.of("/elsewhere") == []


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_is_refused_is_not_tried_again(callers: Callers, status: int) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    callers.receiver.script(at, status)
    callers.call_all()
    assert (callers.state(id), callers.attempts(id)) == ("refused", [(status, "")])


def test_an_answer_of_10_mb_is_an_answer(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    callers.receiver.script(at, behaviours.HUGE)
    callers.call_all()
    assert (callers.state(id), callers.attempts(id)) == ("delivered", [(200, "")])


def test_an_endpoint_that_is_down_all_the_time_is_given_up(callers: Callers) -> None:
    at = path()
    ids = callers.queue(callers.service(at), 3)
    callers.receiver.always(at, 503)
    until(lambda: callers.step() >= 0 and callers.states(ids) == {"failed"})
    for id in ids:
        assert callers.attempts(id) == [(503, "")] * MOST_ATTEMPTS
    assert (
        callers.world.rows("SELECT id FROM callbacks WHERE due_at IS NOT NULL OR parked_at IS NOT NULL") == []
    )


def test_tries_are_five_minutes_apart(callers: Callers) -> None:
    callers.new_process(callback_retry_seconds=300.0)
    at = path()
    (id,) = callers.queue(callers.service(at))
    callers.receiver.script(at, 503)
    callers.call_all()
    (row,) = callers.world.rows("SELECT extract(epoch FROM due_at - now()) AS wait FROM callbacks")
    assert 300 - WAIT_SECONDS < row.wait <= 300
    assert len(callers.receiver.of(at)) == 1
    callers.new_process()
    callers.call_all()
    assert callers.state(id) == "waiting"


def test_internal_addresses_are_refused_unless_they_are_allowed(callers: Callers) -> None:
    callers.new_process(callback_networks=())
    at = path()
    ids = [callers.queue(callers.service(at, host=host))[0] for host in ("127.0.0.1", "localhost")]
    until(lambda: callers.step() >= 0 and callers.states(ids) == {"failed"})
    assert callers.attempts(ids[0])[0] == (None, "address_forbidden")
    assert callers.receiver.of(at) == []
    callers.new_process()


def test_a_token_that_no_header_can_hold_is_sent_nowhere(callers: Callers) -> None:
    at = path()
    service = callers.world.admin.add_service()
    token = "token\r\nX-Injected: yes"
    callers.world.admin.add_callback(service, DELIVERY, callers.receiver.url(at), token)
    (id,) = callers.queue(service)
    callers.call_all()
    assert (callers.state(id), callers.attempts(id)) == ("refused", [(None, "token_not_sendable")])
    assert callers.receiver.of(at) == []


def test_a_callback_that_was_removed_meanwhile_is_called_no_more(callers: Callers) -> None:
    at = path()
    service = callers.world.admin.add_service()
    callback = callers.world.admin.add_callback(service, DELIVERY, callers.receiver.url(at))
    callers.world.admin.delete_callback(service, callback, DELIVERY)
    (id,) = callers.queue(service)
    callers.call_all()
    assert (callers.state(id), callers.attempts(id)) == ("removed", [])
    assert callers.receiver.of(at) == []


def test_an_archived_service_is_told_of_what_it_sent(callers: Callers) -> None:
    at = path()
    service = callers.service(at)
    callers.world.admin.archive_service(service)
    (id,) = callers.queue(service)
    callers.call_all()
    assert (callers.state(id), len(callers.receiver.of(at))) == ("delivered", 1)


# --- nobody waits for anybody


def test_slow_and_dead_endpoints_hold_up_nobody_else(callers: Callers) -> None:
    callers.new_process(callback_window=8, callback_pause_seconds=300.0)
    slow, dead, well = path(), path(), path()
    callers.receiver.always(slow, behaviours.HANG)
    callers.receiver.always(dead, 503)
    callers.queue(callers.service(slow), 50)
    failing = callers.queue(callers.service(dead), 50)
    told = callers.queue(callers.service(well), 20)
    stop = threading.Event()
    thread = threading.Thread(target=callers.workers[DELIVERY].run, args=(stop,))
    thread.start()
    try:
        until(lambda: callers.states(told) == {"delivered"})
    finally:
        stop.set()
        callers.receiver.release()
        thread.join(WAIT_SECONDS)
    assert len(callers.receiver.of(well)) == 20
    assert len(callers.receiver.of(slow)) <= 2 * 8
    # it is left alone after a few failures, and what waits for it has used up no tries
    assert len(callers.receiver.of(dead)) < 20
    assert callers.states(failing) == {"waiting"}
    untried = callers.world.rows("SELECT id FROM callbacks WHERE attempt = 0 AND state = 'waiting'")
    assert len(untried) >= 30
    callers.new_process()


def test_one_kind_of_callback_does_not_wait_for_another(callers: Callers) -> None:
    at = path()
    service = callers.service(at, INBOUND)
    callers.world.admin.add_callback(service, DELIVERY, callers.receiver.url("/down"))
    callers.receiver.always("/down", 503)
    callers.queue(service, 5)
    (id,) = callers.queue(service, type=INBOUND)
    callers.call_all(INBOUND)
    assert callers.state(id) == "delivered"


# --- death, at each point


def test_death_before_the_call_tells_the_service_all_the_same(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    with callers.uow.begin() as tx:
        claimed = callbacks.claim(tx, DELIVERY, 10, ())
        callbacks.begin_attempts(tx, claimed)
    callers.new_process()
    callers.call_all()
    assert callers.receiver.of(at) == []
    callers.end_leases()
    callers.call_all()
    assert [one.headers["webhook-id"] for one in callers.receiver.of(at)] == [id]
    assert callers.attempts(id) == [(None, ""), (204, "")]


def test_death_after_the_call_tells_the_service_again_under_the_same_id(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    until(lambda: callers.step_without_recording() and bool(callers.receiver.of(at)))
    callers.new_process()
    callers.call_all()
    assert len(callers.receiver.of(at)) == 1
    callers.end_leases()
    callers.call_all()
    assert [one.headers["webhook-id"] for one in callers.receiver.of(at)] == [id, id]
    assert callers.attempts(id) == [(None, ""), (204, "")]


def test_two_workers_at_once_tell_once(callers: Callers) -> None:
    at = path()
    ids = callers.queue(callers.service(at), 40)
    other = bootstrap.callback_worker(callers.parts, DELIVERY)
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in (callers.workers[DELIVERY], other)]
    for thread in threads:
        thread.start()
    until(lambda: callers.states(ids) == {"delivered"})
    stop.set()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert sorted(one.headers["webhook-id"] for one in callers.receiver.of(at)) == sorted(ids)


def test_while_admin_is_away_nothing_is_called_and_no_try_is_used_up(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    callers.parts.callback_targets.clear()
    callers.world.admin.away = True
    with pytest.raises(Exception, match="reached"):
        callers.step()
    callers.world.admin.away = False
    (row,) = callers.world.rows("SELECT attempt, due_at <= now() AS due FROM callbacks WHERE id = :id", id=id)
    assert tuple(row) == (0, True)
    until(lambda: callers_step(callers) and callers.state(id) == "delivered")


def callers_step(callers: Callers) -> bool:
    try:
        callers.step()
    except Exception:
        return False
    return True


def test_what_is_old_is_deleted_with_its_attempts(callers: Callers) -> None:
    at = path()
    service = callers.service(at)
    told, waiting, young = callers.queue(service, 3)
    callers.call_all()
    callers.world.execute(
        "UPDATE callbacks SET create_time = now() - interval '73 hours' WHERE id <> :id", id=young
    )
    callers.world.execute(
        "UPDATE callbacks SET state = 'waiting', due_at = now() + interval '1 hour' WHERE id = :id",
        id=waiting,
    )
    delete_old_callbacks(callers.uow)
    assert [str(row.id) for row in callers.world.rows("SELECT id FROM callbacks")] == [young]
    assert callers.attempts(told) == []


# --- again


@pytest.fixture(scope="module")
def stub(town: World) -> Iterator[Any]:
    with InProcessServer("notifications", bootstrap.registrations(town.parts)) as server:
        yield CallbacksServiceStub(server.channel("gateway-internal"))


def test_what_a_service_was_told_is_listed_with_its_attempts(callers: Callers, stub: Any) -> None:
    at = path()
    service = callers.service(at)
    callers.receiver.script(at, 503, 204, 404)
    (retried,) = callers.queue(service)
    callers.call_all()
    (refused,) = callers.queue(service)
    callers.call_all()
    listed = stub.ListCallbacks(pb.ListCallbacksRequest(service_id=service)).callbacks
    assert [(one.id, one.state) for one in listed] == [
        (refused, pb.Callback.STATE_REFUSED),
        (retried, pb.Callback.STATE_DELIVERED),
    ]
    first = stub.ListCallbacks(pb.ListCallbacksRequest(service_id=service, page_size=1))
    rest = pb.ListCallbacksRequest(service_id=service, page_size=1, page_token=first.next_page_token)
    second = stub.ListCallbacks(rest)
    assert [one.id for one in (*first.callbacks, *second.callbacks)] == [refused, retried]
    assert second.next_page_token == ""
    for narrowed in ({"type": "inbound_sms"}, {"state": pb.Callback.STATE_FAILED}, {"subject_id": new_id()}):
        assert not stub.ListCallbacks(pb.ListCallbacksRequest(service_id=service, **narrowed)).callbacks
    found = stub.GetCallback(pb.GetCallbackRequest(service_id=service, callback_id=retried))
    assert [(one.number, one.status) for one in found.attempts] == [(1, 503), (2, 204)]
    assert found.callback.attempt_count == 2
    stranger = pb.GetCallbackRequest(service_id=new_id(), callback_id=retried)
    with pytest.raises(NotifyError) as refusal:
        stub.GetCallback(stranger)
    assert refusal.value.reason == "CALLBACK_NOT_FOUND"


def test_an_event_is_told_again_when_that_is_asked_for(callers: Callers, stub: Any) -> None:
    at = path()
    service = callers.service(at)
    (id,) = callers.queue(service)
    callers.call_all()
    strange = pb.ReplayCallbacksRequest(service_id=new_id(), callback_ids=[id])
    assert stub.ReplayCallbacks(strange).replayed_count == 0
    ask = pb.ReplayCallbacksRequest(service_id=service, callback_ids=[id, new_id()])
    assert stub.ReplayCallbacks(ask).replayed_count == 1
    assert stub.ReplayCallbacks(ask).replayed_count == 0  # it waits already
    callers.receiver.always(at, 503)
    until(lambda: callers.step() >= 0 and callers.state(id) == "failed")
    assert callers.attempts(id) == [(204, ""), *[(503, "")] * MOST_ATTEMPTS]
    assert {one.headers["webhook-id"] for one in callers.receiver.of(at)} == {id}


def test_events_of_a_time_are_told_again(
    callers: Callers, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_callbacks, "MOST_AT_ONCE", 2)
    at = path()
    service, other = callers.service(at), callers.service(at)
    delivered = callers.queue(service, 3)
    callers.queue(other)
    callers.call_all()
    callers.receiver.always(at, 410)
    refused = callers.queue(service, 3)
    callers.call_all()
    callers.receiver.always(at, 204)
    callers.world.execute(
        "UPDATE callbacks SET create_time = create_time - interval '1 day' WHERE id = :id", id=refused[0]
    )
    bounds: dict[str, Any] = {"start_time": moment(-3600), "end_time": moment(3600)}
    ask = pb.ReplayCallbacksRequest(service_id=service, **bounds)
    assert replayed(stub, ask) == [2]
    callers.call_all()
    assert callers.states(refused[1:]) == {"delivered"}
    assert callers.state(refused[0]) == "refused"
    ask = pb.ReplayCallbacksRequest(service_id=service, with_delivered=True, type="delivery_status", **bounds)
    assert replayed(stub, ask) == [2, 2, 1]
    callers.call_all()
    told = [one.headers["webhook-id"] for one in callers.receiver.of(at)]
    assert [told.count(id) for id in delivered] == [2, 2, 2]
    with pytest.raises(NotifyError):
        stub.ReplayCallbacks(pb.ReplayCallbacksRequest(service_id=service))


def replayed(stub: Any, ask: pb.ReplayCallbacksRequest) -> list[int]:
    """Go on until none are left; return how many each call had told again."""
    counts = []
    while True:
        answer = stub.ReplayCallbacks(ask)
        counts += [answer.replayed_count] if answer.replayed_count else []
        if not answer.next_page_token:
            return counts
        ask.page_token = answer.next_page_token


def moment(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_an_operator_gives_parked_events_back(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    with callers.uow.begin() as tx:
        callbacks.park(tx, callbacks.claim(tx, DELIVERY, 1, ()), "can't be made: KeyError")
        assert redrive(tx, OPS, "callbacks/delivery_status", "operator", "mended") == 1
    callers.call_all()
    assert callers.state(id) == "delivered"


def test_a_paused_queue_calls_nobody(callers: Callers) -> None:
    at = path()
    (id,) = callers.queue(callers.service(at))
    with callers.uow.begin() as tx:
        pause(tx, OPS, "callbacks/delivery_status", "", "operator", "a test")
    callers.call_all()
    assert callers.receiver.of(at) == []
    with callers.uow.begin() as tx:
        resume(tx, OPS, "callbacks/delivery_status", "", "operator", "a test")
    callers.call_all()
    assert callers.state(id) == "delivered"
