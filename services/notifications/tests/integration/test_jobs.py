"""Jobs: each row of a spreadsheet becomes one message, whatever dies (docs/adr/0034)."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import EndpointConnectionError
from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1 import jobs_service_pb2 as pb
from notify.notifications.v1.jobs_service_pb2_grpc import (
    JobsServiceStub,
    add_JobsServiceServicer_to_server,
)
from notify.notifications.v1.notification_pb2 import Notification
from notify_common import clock
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.rpc.server import Registration
from notify_local.backing import ObjectStore
from notify_notifications import bootstrap
from notify_notifications.clients.letters import LettersClient
from notify_notifications.domain.job import key_of_file
from notify_notifications.servicers import jobs
from notify_notifications.servicers.jobs import JobsServicer
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.store.tables import job_queue
from notify_notifications.usecases import jobs as cancelling
from notify_notifications.usecases import run_jobs
from notify_notifications.usecases.contact_lists import archive_contact_list
from notify_notifications.usecases.ops import OPS
from notify_notifications.usecases.run_jobs import JobRunner
from notify_notifications.workers.contact_lists import ContactListRemoval
from notify_notifications.workers.jobs import JobRetention
from notify_testing.rpc import InProcessServer

from .conftest import World

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LINES = "phone number,name\n07700900101,Ann\n07700900102,Bob\n07700900103,Cas\n"
LETTERS = (
    "address line 1,address line 2,postcode,name\n"
    "A Person,1 High Street,SW1A 1AA,Ann\nB Person,2 High Street,SW1A 1AA,Bob\n"
)


class Office:
    """Where members make jobs and a worker works them off."""

    def __init__(self, world: World, files: BlobStore, list_files: BlobStore) -> None:
        self.world, self.files, self.list_files = world, files, list_files
        self.runner = JobRunner(world.parts.uow, bootstrap.sending_parts(world.parts), files)
        self.stub: Any = None

    def begin(self, channel: str = "sms", **service: Any) -> None:
        self.service = self.world.admin.add_service(**service)
        subject = "" if channel == "sms" else "s"
        self.template = self.world.admin.add_template(self.service, channel, "Hi ((name))", subject)

    def upload(self, text: str = LINES, **metadata: str) -> str:
        """Put a file into the bucket as the admin web app does; return its id."""
        id = str(uuid4())
        told = {
            "original_file_name": "people.csv",
            "notification_count": str(text.count("\n") - 1),
            "template_id": self.template,
            "valid": "True",
        }
        self.files.put(key_of_file(self.service, id), text.encode(), told | metadata)
        return id

    def create(self, id: str, **fields: Any) -> pb.Job:
        ask = pb.CreateJobRequest(request_id=id, service_id=self.service, created_by_id=new_id(), **fields)
        made: pb.CreateJobResponse = self.stub.CreateJob(ask)
        return made.job

    def job(self, id: str) -> pb.Job:
        got: pb.GetJobResponse = self.stub.GetJob(pb.GetJobRequest(service_id=self.service, job_id=id))
        return got.job

    def state(self, id: str) -> str:
        return pb.Job.State.Name(self.job(id).state).removeprefix("STATE_")

    def counts(self, id: str) -> dict[str, int]:
        return {
            Notification.State.Name(one.state).removeprefix("STATE_"): one.message_count
            for one in self.job(id).counts
        }

    def work(self) -> None:
        """Work off what is due."""
        while self.runner.step(self.world.parts.uow):
            pass

    def die(self) -> None:
        """Let the leases of a worker that died end."""
        self.world.execute(
            "UPDATE jobs SET due_at = now(), leased_until = now() WHERE leased_until IS NOT NULL"
        )

    def list(self, id: str, **fields: Any) -> list[Notification]:
        ask = pb.GetJobNotificationsRequest(
            service_id=self.service, job_id=id, **{"page_size": 250, **fields}
        )
        return list(self.stub.GetJobNotifications(ask).notifications)

    def of_today(self) -> int:
        (row,) = self.world.rows(
            "SELECT coalesce(sum(count), 0) FROM service_day_counters WHERE service_id = :id",
            id=self.service,
        )
        return int(row[0])

    def keep_list(self, id: str = "", **fields: Any) -> pb.ContactList:
        """Keep a contact list, whose file is in the bucket."""
        ask = pb.CreateContactListRequest(request_id=id or str(uuid4()), service_id=self.service, **fields)
        ask.file_name, ask.row_count, ask.created_by_id = "list.csv", 3, new_id()
        ask.channel = ask.channel or Channel.CHANNEL_SMS
        self.list_files.put(key_of_file(self.service, ask.request_id), LINES.encode())
        made: pb.CreateContactListResponse = self.stub.CreateContactList(ask)
        return made.contact_list

    def contact_list(self, id: str) -> pb.ContactList:
        ask = pb.GetContactListRequest(service_id=self.service, contact_list_id=id)
        got: pb.GetContactListResponse = self.stub.GetContactList(ask)
        return got.contact_list

    def archive(self, id: str) -> None:
        self.stub.ArchiveContactList(
            pb.ArchiveContactListRequest(service_id=self.service, contact_list_id=id)
        )

    def has_list_file(self, id: str) -> bool:
        try:
            self.list_files.head(key_of_file(self.service, id))
        except BlobNotFound:
            return False
        return True

    def refused(self, id: str, **fields: Any) -> str:
        with pytest.raises(NotifyError) as raised:
            self.create(id, **fields)
        return raised.value.reason


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    with pytest.raises(NotifyError) as raised:
        yield
    assert raised.value.reason == reason


@pytest.fixture(scope="module")
def open_office(town: World) -> Iterator[Office]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="notify-objects-"))
        store = ObjectStore(Path(folder))
        store.start()
        stack.callback(store.stop)
        files = BlobStore(store.url, "jobs", store.access_key, store.secret_key)
        files.ensure_bucket()
        lists = BlobStore(store.url, "contact-lists", store.access_key, store.secret_key)
        lists.ensure_bucket()
        office = Office(town, files, lists)
        parts = town.parts
        servicer = JobsServicer(
            parts.uow,
            bootstrap.sending_parts(parts),
            NotificationStore(parts.uow),
            parts.settings.unsubscribe_links(),
            LettersClient(parts.channels.get("letters", parts.settings.letters_target)),
            files,
            office.list_files,
        )
        served = [Registration(add_JobsServiceServicer_to_server, servicer, jobs.SERVICE)]
        channel = stack.enter_context(InProcessServer("notifications", served)).channel("gateway-internal")
        office.stub = JobsServiceStub(channel)
        yield office


@pytest.fixture
def office(open_office: Office, world: World) -> Iterator[Office]:
    open_office.begin()
    yield open_office
    world.execute("DELETE FROM jobs")
    world.execute("DELETE FROM contact_lists")


def test_every_row_becomes_one_message_in_its_order(office: Office) -> None:
    id = office.upload()
    assert office.state(office.create(id).id) == "PENDING"
    office.work()
    found = office.list(id)
    assert [one.recipient for one in found] == ["07700900101", "07700900102", "07700900103"]
    assert [one.body for one in found] == ["Hi Ann", "Hi Bob", "Hi Cas"]
    assert [one.details.row_number for one in found] == [0, 1, 2]
    assert {(one.details.job_id, one.details.job_name) for one in found} == {(id, "people.csv")}
    assert (office.state(id), office.counts(id), office.of_today()) == ("FINISHED", {"CREATED": 3}, 3)
    assert office.world.rows("SELECT DISTINCT lane FROM outbox") == [("job",)]
    assert [one.recipient for one in office.list(id, offset=1, page_size=1)] == ["07700900102"]
    assert office.list(id, states=[Notification.STATE_DELIVERED]) == []


def test_emails_have_the_values_that_their_template_uses(office: Office) -> None:
    office.template = office.world.admin.add_template(office.service, "email", "Hi ((name))", "s")
    id = office.upload("email address,name,secret,reference\na@example.com,Ann,xyz,r1\n")
    office.create(id)
    office.work()
    (found,) = office.list(id)
    assert (found.recipient, found.body, found.reference) == ("a@example.com", "Hi Ann", "r1")
    assert {one.key for one in found.details.personalisation} == {"emailaddress", "name"}


def test_letters_have_their_addresses(office: Office) -> None:
    office.begin("letter")
    id = office.upload(LETTERS)
    office.create(id)
    office.work()
    found = office.list(id)
    assert [one.address["address_line_1"] for one in found] == ["A Person", "B Person"]
    office.world.relay()
    assert len(office.world.letters.letters) == 2


@pytest.mark.parametrize("after", ["claim", "start", "store", "chunk"])
def test_a_worker_that_dies_doubles_and_loses_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    monkeypatch.setattr(run_jobs, "ROWS_AT_ONCE", 2)
    id = office.upload()
    office.create(id)
    uow = office.world.parts.uow
    if after == "claim":
        with uow.begin() as tx:
            assert job_queue.claim(tx, 1)
    elif after == "start":
        assert office.runner.step(uow)
    elif after == "store":
        assert office.runner.step(uow)
        with monkeypatch.context() as patched:
            patched.setattr(JobRunner, "_set", died)
            with pytest.raises(KeyboardInterrupt):
                office.runner.step(uow)
        assert office.counts(id) == {"CREATED": 2}
    else:
        office.runner.step(uow)
        assert office.runner.step(uow)
        with uow.begin() as tx:
            assert job_queue.claim(tx, 1)
    office.die()
    office.work()
    assert [one.details.row_number for one in office.list(id)] == [0, 1, 2]
    assert (office.state(id), office.counts(id), office.of_today()) == ("FINISHED", {"CREATED": 3}, 3)
    assert office.world.rows("SELECT count(*) FROM outbox") == [(3,)]


def died(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_a_worker_that_lost_its_lease_changes_nothing(office: Office) -> None:
    id = office.upload()
    office.create(id)
    uow = office.world.parts.uow
    with uow.begin() as tx:
        (late,) = job_queue.claim(tx, 1)
    office.die()
    office.work()
    office.runner._start(late)
    assert (office.state(id), office.counts(id), office.of_today()) == ("FINISHED", {"CREATED": 3}, 3)
    key = f"{office.service}-sms-{clock.now().date()}-count"
    assert office.world.redis.get(key) in (None, "3")


def test_rows_that_can_t_be_sent_are_seen_as_failed_and_those_of_strangers_are_not(office: Office) -> None:
    id = office.upload("phone number,name\n07700900101,Ann\n123,Bob\n07700900103,\n07700900000,Dee\n")
    office.create(id)
    office.work()
    assert office.counts(id) == {"CREATED": 2, "VALIDATION_FAILED": 2}
    assert office.world.rows("SELECT count(*) FROM outbox") == [(2,)]
    assert office.of_today() == 4

    office.begin(restricted=True)
    id = office.upload()
    office.create(id)
    office.work()
    assert (office.state(id), office.counts(id), office.of_today()) == ("FINISHED", {}, 0)


def test_a_job_beyond_the_limit_of_the_day_sends_nothing(office: Office) -> None:
    office.begin(limits={"sms_per_day": 5})
    first, second = office.upload(), office.upload()
    office.create(first)
    office.create(second)
    office.work()
    assert {office.state(first), office.state(second)} == {"FINISHED", "SENDING_LIMITS_EXCEEDED"}
    assert office.of_today() == 3
    assert office.world.rows("SELECT count(*) FROM notifications") == [(3,)]


def test_what_is_not_right_makes_no_job(office: Office) -> None:
    assert office.refused(str(uuid4())) == "JOB_FILE_INVALID"
    assert office.refused(office.upload(valid="False")) == "JOB_FILE_INVALID"
    assert office.refused(office.upload(template_id="x")) == "JOB_FILE_INVALID"
    assert office.refused(office.upload(notification_count="many")) == "JOB_FILE_INVALID"
    assert office.refused(office.upload(template_id=new_id())) == "TEMPLATE_NOT_FOUND"
    id = office.upload()
    assert office.refused(id, scheduled_time=clock.now() - timedelta(minutes=1)) == "JOB_IN_PAST"
    assert office.refused(id, scheduled_time=clock.now() + timedelta(days=8)) == "JOB_TOO_FAR_AHEAD"
    assert office.world.rows("SELECT count(*) FROM jobs") == [(0,)]
    office.create(id)
    other = office.service
    office.begin()
    office.files.put(
        key_of_file(office.service, id), LINES.encode(), office.files.head(key_of_file(other, id)).metadata
    )
    assert office.refused(id) in ("TEMPLATE_NOT_FOUND", "JOB_NOT_FOUND")
    with refusing("JOB_NOT_FOUND"):
        office.job(id)


def test_a_scheduled_job_waits_and_can_be_cancelled(office: Office) -> None:
    id, other = office.upload(), office.upload()
    soon = clock.now() + timedelta(hours=2)
    office.create(id, scheduled_time=soon)
    office.create(other, scheduled_time=soon + timedelta(hours=1))
    office.work()
    assert (office.state(id), office.counts(id)) == ("SCHEDULED", {})
    schedule = office.stub.CountScheduledJobs(pb.CountScheduledJobsRequest(service_id=office.service))
    assert (schedule.job_count, schedule.first_time.ToDatetime(UTC)) == (2, soon)
    cancel = pb.CancelJobRequest(service_id=office.service, job_id=id)
    assert office.stub.CancelJob(cancel).job.state == pb.Job.STATE_CANCELLED
    with refusing("JOB_NOT_FOUND"):
        office.stub.CancelJob(cancel)
    office.world.execute("UPDATE jobs SET due_at = now() WHERE due_at IS NOT NULL")
    office.work()
    assert (office.state(id), office.state(other)) == ("CANCELLED", "FINISHED")


def test_the_same_job_twice_is_one(office: Office) -> None:
    id = office.upload()
    assert office.create(id).create_time == office.create(id).create_time
    office.work()
    office.create(id)
    office.work()
    assert office.counts(id) == {"CREATED": 3}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'phone number,name\n07700900101,Ann\n07700900102,"Bob\n',
            "a quotation mark in its file is never closed",
        ),
        (None, "its file is not there"),
    ],
)
def test_a_file_that_can_t_be_read_parks_its_job(office: Office, text: str | None, why: str) -> None:
    id = office.upload(text or LINES)
    office.create(id)
    if text is None:
        office.files.delete(key_of_file(office.service, id))
    office.work()
    assert (office.state(id), office.of_today()) == ("ERROR", 0)
    assert office.world.rows("SELECT park_reason FROM jobs") == [(why,)]
    with office.world.parts.uow.begin() as tx:
        queue = OPS.find("jobs")
        rows = office.world.rows("SELECT * FROM jobs")
        assert queue.drop is not None
        queue.drop(tx, rows)
    assert office.state(id) == "CANCELLED"


def test_while_somebody_is_away_a_job_waits_and_uses_up_no_tries(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_jobs, "_OUTAGE", timedelta(0))
    id = office.upload()
    office.create(id)
    uow = office.world.parts.uow
    away = EndpointConnectionError(endpoint_url="http://nowhere")

    def fail(*_: Any) -> Any:
        raise away

    with monkeypatch.context() as patched:
        patched.setattr(BlobStore, "open", fail)
        patched.setattr(BlobStore, "get_range", fail)
        for _ in range(2 * job_queue.max_attempts):
            assert office.runner.step(uow)
    office.work()
    assert (office.state(id), office.counts(id), office.of_today()) == ("FINISHED", {"CREATED": 3}, 3)


def test_a_file_with_too_many_rows_sends_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_jobs, "MOST_ROWS", 2)
    id = office.upload()
    office.create(id)
    office.work()
    assert (office.state(id), office.counts(id), office.of_today()) == ("ERROR", {}, 0)


def test_an_archived_service_sends_no_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_jobs, "ROWS_AT_ONCE", 1)
    id = office.upload()
    office.create(id)
    uow = office.world.parts.uow
    office.runner.step(uow)
    assert office.runner.step(uow)
    service = office.runner.sending.snapshots.service(office.service)
    assert service is not None
    gone = replace(service, active=False)
    monkeypatch.setattr(type(office.runner.sending.snapshots), "service", lambda *_: gone)
    office.work()
    monkeypatch.undo()
    assert (office.state(id), office.counts(id), office.of_today()) == ("CANCELLED", {"CREATED": 1}, 1)


def test_chunks_are_bounded_by_bytes_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_jobs, "BYTES_AT_ONCE", 40)
    id = office.upload("phone number,name\n" + "".join(f"0770090010{n},{'é' * 30}\n" for n in range(9)))
    office.create(id)
    uow = office.world.parts.uow
    assert office.runner.step(uow)
    ((ends,),) = office.world.rows("SELECT chunk_ends FROM jobs")
    assert len(ends) == 10
    office.work()
    assert office.counts(id) == {"CREATED": 9}


def test_all_letters_of_a_job_are_cancelled_or_none_that_is_printed(office: Office) -> None:
    def cancel(id: str) -> pb.CancelJobLettersResponse:
        ask = pb.CancelJobLettersRequest(service_id=office.service, job_id=id)
        made: pb.CancelJobLettersResponse = office.stub.CancelJobLetters(ask)
        return made

    id = office.upload()
    office.create(id)
    with refusing("JOB_NOT_OF_LETTERS"):
        cancel(id)
    with clock.set_for_tests(NOON):
        office.begin("letter")
        id = office.upload(LETTERS)
        office.create(id)
        with refusing("JOB_RUNNING"):
            cancel(id)
        office.work()
        office.world.letters.cancelling_fails_with = "UNAVAILABLE"
        with refusing("UNAVAILABLE"):
            cancel(id)
        office.world.letters.cancelling_fails_with = ""
        assert cancel(id).letter_count == 2
        assert (office.state(id), office.counts(id), office.of_today()) == ("CANCELLED", {"CANCELLED": 2}, 0)
        with refusing("JOB_LETTERS_SENT"):
            cancel(id)

        id = office.upload(LETTERS)
        office.create(id)
        office.work()
    with clock.set_for_tests(NOON + timedelta(hours=6)), refusing("JOB_LETTERS_SENT"):
        cancel(id)
    with clock.set_for_tests(NOON):
        office.world.letters.cancellation = "NOT_CANCELLABLE"
        with refusing("JOB_LETTERS_SENT"):
            cancel(id)
    assert office.counts(id) == {"CREATED": 2}


def test_a_letter_that_is_printed_ends_the_cancelling_of_those_after_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "_LETTERS_AT_ONCE", 1)
    ask = pb.CancelJobLettersRequest(service_id=office.service)
    with clock.set_for_tests(NOON):
        office.begin("letter")
        ask.service_id = office.service
        ask.job_id = office.upload(LETTERS + "C Person,3 High Street,SW1A 1AA,Cas\n")
        office.create(ask.job_id)
        office.work()
        printed = office.list(ask.job_id)[1].id
        office.world.letters.printed = {printed}
        with refusing("JOB_LETTERS_SENT"):
            office.stub.CancelJobLetters(ask)
    office.world.letters.printed = set()
    assert office.counts(ask.job_id) == {"CANCELLED": 1, "CREATED": 2}
    assert (office.state(ask.job_id), office.of_today()) == ("FINISHED", 2)


def test_lists_show_what_did_not_start_first_and_leave_hidden_names_out(office: Office) -> None:
    ask = pb.GetJobsRequest(service_id=office.service, page_size=50)
    first, later = office.upload(), office.upload(original_file_name="Report")
    office.create(first)
    office.create(later)
    office.work()
    waiting = office.upload()
    office.create(waiting, scheduled_time=clock.now() + timedelta(hours=1))
    office.world.execute("UPDATE jobs SET contact_list_id = :list WHERE id = :id", list=new_id(), id=waiting)
    found = office.stub.GetJobs(ask)
    assert ([job.id for job in found.jobs], found.total_count) == ([waiting, first], 2)
    ask.without_contact_lists = True
    assert [job.id for job in office.stub.GetJobs(ask).jobs] == [first]
    ask.states.append(pb.Job.STATE_CANCELLED)
    assert office.stub.GetJobs(ask).total_count == 0
    other = pb.GetJobsRequest(service_id=office.world.admin.add_service(), page_size=50)
    assert office.stub.GetJobs(other).total_count == 0


def test_files_go_with_the_messages_and_jobs_later(office: Office) -> None:
    id = office.upload()
    office.create(id)
    office.work()
    uow = office.world.parts.uow
    for days, there in ((6, True), (8, False)):
        with clock.set_for_tests(clock.now() + timedelta(days=days)):
            JobRetention(office.world.parts.snapshots, office.files).step(uow)
        key = key_of_file(office.service, id)
        if there:
            assert office.files.head(key)
        else:
            with pytest.raises(BlobNotFound):
                office.files.head(key)
    assert office.job(id).archived
    with clock.set_for_tests(clock.now() + timedelta(days=101)):
        JobRetention(office.world.parts.snapshots, office.files).step(uow)
    assert office.world.rows("SELECT count(*) FROM jobs") == [(0,)]


def test_a_list_is_kept_once_and_tells_what_was_made_of_it(office: Office) -> None:
    kept = office.keep_list()
    assert office.keep_list(kept.id) == kept
    assert (kept.has_jobs, kept.recent_job_count, kept.file_name) == (False, 0, "list.csv")
    id = office.upload()
    for _ in range(2):
        assert office.create(id, contact_list_id=kept.id).contact_list_id == kept.id
    office.create(office.upload(), contact_list_id=kept.id, scheduled_time=clock.now() + timedelta(hours=1))
    found = office.contact_list(kept.id)
    assert (found.has_jobs, found.recent_job_count) == (True, 2)

    with clock.set_for_tests(clock.now() + timedelta(days=7)):  # since the start of the day
        assert office.contact_list(kept.id).recent_job_count == 2
    with clock.set_for_tests(clock.now() + timedelta(days=8)):
        assert office.contact_list(kept.id).recent_job_count == 0
    office.world.execute("DELETE FROM jobs")
    assert office.contact_list(kept.id).has_jobs


def test_lists_of_a_service_are_listed_the_latest_first(office: Office) -> None:
    ids = [office.keep_list().id for _ in range(3)]
    office.create(office.upload(), contact_list_id=ids[1])
    office.archive(ids[0])
    ask = pb.GetContactListsRequest(service_id=office.service, page_size=1)
    pages = []
    for ask.offset in range(3):
        found = office.stub.GetContactLists(ask)
        pages += [(one.id, one.recent_job_count) for one in found.contact_lists]
        assert found.total_count == 2
    assert pages == [(ids[2], 0), (ids[1], 1)]


def test_an_archived_list_is_gone_with_its_file(office: Office) -> None:
    id = office.keep_list().id
    assert office.has_list_file(id)
    office.archive(id)
    assert not office.has_list_file(id)
    for ask in (office.contact_list, office.archive, office.keep_list):
        with refusing("CONTACT_LIST_NOT_FOUND"):
            ask(id)
    # whose copy was made just before
    assert office.create(office.upload(), contact_list_id=id).contact_list_id == id


def test_lists_of_others_are_not_there(office: Office) -> None:
    id, owner = office.keep_list().id, office.service
    office.begin()
    for ask in (office.contact_list, office.archive, office.keep_list):
        with refusing("CONTACT_LIST_NOT_FOUND"):
            ask(id)
    assert office.refused(office.upload(), contact_list_id=id) == "CONTACT_LIST_NOT_FOUND"
    assert office.refused(office.upload(), contact_list_id=new_id()) == "CONTACT_LIST_NOT_FOUND"
    assert office.world.rows("SELECT count(*) FROM jobs") == [(0,)]
    with refusing("INVALID_FIELD"):
        office.keep_list(channel=Channel.CHANNEL_LETTER)
    office.service = owner
    assert not office.contact_list(id).has_jobs
    assert office.has_list_file(id)


@pytest.mark.parametrize("why", [KeyboardInterrupt(), EndpointConnectionError(endpoint_url="http://nowhere")])
def test_a_file_that_stayed_behind_is_removed_later_and_the_list_after_that(
    office: Office, monkeypatch: pytest.MonkeyPatch, why: BaseException
) -> None:
    id, kept = office.keep_list().id, office.keep_list().id
    uow, dead = office.world.parts.uow, isinstance(why, KeyboardInterrupt)

    def fail(*_: Any) -> Any:
        raise why

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt) if dead else nullcontext():
        patched.setattr(BlobStore, "delete", fail)
        archive_contact_list(uow, office.list_files, office.service, id)
    with refusing("CONTACT_LIST_NOT_FOUND"):
        office.contact_list(id)
    assert office.has_list_file(id)
    ContactListRemoval(office.list_files).step(uow)
    assert not office.has_list_file(id)
    with clock.set_for_tests(clock.now() + timedelta(days=101)):
        ContactListRemoval(office.list_files).step(uow)
    assert office.world.rows("SELECT id::text FROM contact_lists") == [(kept,)]
    assert office.has_list_file(kept)
