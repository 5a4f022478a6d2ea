"""The processes as they are started: commands, settings, who may call."""

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import boto3
import pytest
from notify.common.v1.common_pb2 import LANE_JOB, LANE_PLATFORM
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1 import print_runs_service_pb2 as runs_pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify_common import ids
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_common.rpc.channel import Channels
from notify_letters.clients.broker import RENDER, RENDER_BATCH, Broker
from notify_letters.store.batches import queue_to_enqueue, take_to_enqueue
from notify_letters.store.tables import render_batches
from notify_letters.workers.relay import BatchRelay
from notify_testing.database import FreshDatabase
from notify_testing.rpc import tls_settings
from notify_testing.waiting import WAIT_SECONDS

from .conftest import SERVICE_ID, World, letter, until


def command(
    world: World, *arguments: str, without: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the service to its end."""
    environment = world.environment | {
        f"NOTIFY_LETTERS_{name.upper()}": value for name, value in settings.items()
    }
    environment.pop(f"NOTIFY_LETTERS_{without.upper()}", None)
    return subprocess.run(
        [sys.executable, "-m", "notify_letters", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_settings_are_checked(world: World) -> None:
    assert command(world, "check-config").returncode == 0
    missing = command(world, "check-config", without="broker_url")
    assert (missing.returncode, missing.stderr) == (
        2,
        "settings: NOTIFY_LETTERS_BROKER_URL is required but not set\n",
    )
    wrong = command(world, "check-config", lease_seconds="soon")
    assert wrong.returncode == 2
    assert "NOTIFY_LETTERS_LEASE_SECONDS" in wrong.stderr
    assert "soon" not in wrong.stderr


def test_only_known_queues_are_worked(world: World) -> None:
    refused = command(world, "work", "--queues", "relay,render")
    assert refused.returncode == 2
    assert "no such queue: render" in refused.stderr


def test_housekeeping_deletes_old_events(world: World) -> None:
    world.run(
        "INSERT INTO letter_events (letter_id, kind, page_count, sheet_count, create_time)"
        " SELECT gen_random_uuid(), 'ready', n, n, now() - n * interval '10 days'"
        " FROM generate_series(1, 6) n"
    )
    with world.process("work", "notify_letters", "work", "--queues", "housekeeping") as process:
        until(lambda: world.value("SELECT count(*) FROM letter_events") == 2, [process])
    assert [row.page_count for row in world.rows("SELECT page_count FROM letter_events ORDER BY 1")] == [1, 2]


def test_migrating_makes_the_bucket_and_may_be_repeated(world: World, fresh_database: FreshDatabase) -> None:
    bucket = f"letters-{ids.new_id()}"
    url = fresh_database()
    for _ in range(2):
        done = command(world, "migrate", database_url=url, blob_bucket=bucket)
        assert done.returncode == 0, done.stderr
    client = boto3.client(
        "s3",
        endpoint_url=world.settings.blob_endpoint,
        aws_access_key_id=world.settings.blob_access_key,
        aws_secret_access_key=world.settings.blob_secret_key.get_secret_value(),
        region_name=world.settings.blob_region,
    )
    assert bucket in [one["Name"] for one in client.list_buckets()["Buckets"]]


def test_who_may_call_what(world: World) -> None:
    socket = f"unix:{world.folder}/grpc"
    may = {
        "notifications": (False, False),
        "gateway-internal": (True, True),
        "operator": (True, True),
        "providers": (False, False),
    }
    with world.process("serve", "notify_letters", "serve", grpc_listen=socket, drain_seconds=0) as process:
        process.wait_ready(lambda: os.path.exists(socket.removeprefix("unix:")), 30)
        for caller, (letters_allowed, runs_allowed) in may.items():
            channels = Channels(tls_settings(caller))
            channel = channels.get("letters", socket)
            stub, runs = LettersServiceStub(channel), PrintRunsServiceStub(channel)
            request = pb.GetLetterRequest(service_id=SERVICE_ID, letter_id=SERVICE_ID)
            with pytest.raises(NotifyError) as caught:
                stub.GetLetter(request)
            allowed = caught.value.reason == "LETTER_NOT_FOUND"
            assert allowed == letters_allowed, (caller, caught.value)
            assert allowed or caught.value.code is Code.PERMISSION_DENIED
            with pytest.raises(NotifyError) as caught:
                runs.GetPrintRun(runs_pb.GetPrintRunRequest(print_run_id=SERVICE_ID))
            assert (caught.value.reason == "PRINT_RUN_NOT_FOUND") == runs_allowed, caller
            channels.close()


def test_nothing_personal_is_logged(world: World) -> None:
    secret = "Very-Private-Person"
    with world.relay() as relay, world.celery() as celery:
        bad = letter(template_version=9, address_lines=[secret, secret, secret])
        good = letter(address_lines=[secret, secret, secret])
        good.personalisation[0].text = secret
        world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=[bad, good]))
        until(lambda: world.states() == {"ready": 1, "technical-failure": 1}, [relay, celery])
        logs = relay.last_lines(1000) + celery.last_lines(1000)
    assert "render batch done" in logs
    assert secret not in logs
    assert world.environment["NOTIFY_LETTERS_BLOB_SECRET_KEY"] not in logs


class BrokerThatDies(Broker):
    """Takes one task and is gone."""

    def __init__(self) -> None:
        self.sent = 0

    def waiting(self, queue: str) -> int:
        """Return 0: nothing waits."""
        return 0

    def send(self, task: str, queue: str, batch_id: object) -> None:
        """Send the first task only."""
        if self.sent:
            raise ConnectionError("the broker is gone")
        self.sent += 1


def test_what_the_broker_did_not_take_is_due_again_at_once(world: World) -> None:
    letters = [letter() for _ in range(200)]
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=letters))
    assert world.value("SELECT count(*) FROM render_batches") == 5
    batches = queue_to_enqueue(render_batches, timedelta(minutes=5))
    relay = BatchRelay(batches, RENDER_BATCH, RENDER, BrokerThatDies(), max_waiting=100)
    with pytest.raises(ConnectionError):
        relay.send_due(world.uow)
    assert world.value("SELECT count(*) FROM render_batches WHERE enqueued_until IS NULL") == 4
    assert world.value("SELECT count(*) FROM render_batches WHERE enqueued_until > now()") == 1


def test_batches_go_to_the_broker_in_fair_shares_of_lanes_and_services(world: World) -> None:
    code, other = ids.new_id(), ids.new_id()
    job = [letter(lane=LANE_JOB) for _ in range(480)]
    later = [letter(lane=LANE_JOB, service_id=other), letter(lane=LANE_PLATFORM, service_id=code)]
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=job))
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=later))
    batches = queue_to_enqueue(render_batches, timedelta(minutes=5))
    with world.uow.begin() as tx:
        taken = take_to_enqueue(tx, batches, 4)
    rows = world.rows("SELECT id::text, lane, service_id::text FROM render_batches")
    tenants = {id: (lane, service_id) for id, lane, service_id in rows}
    assert tenants[taken[0]] == ("platform", code)
    assert Counter(tenants[id] for id in taken[1:]) == {("job", SERVICE_ID): 2, ("job", other): 1}
