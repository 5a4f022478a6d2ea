"""Kill whoever takes part in a print run, again and again: every letter is printed exactly once."""

import hashlib
import json
import random
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import psycopg2
import pytest
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_run_pb2 import PrintRun
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceStub
from notify_common import ids
from notify_common.blobs.s3 import BlobStore
from notify_local.backing import ObjectStore, wait_until
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import SETTLE_SECONDS, House

LETTERS = 3_000
SERVICES = 60
"""Many, so that there are many batches to die with."""
TAKING_PART = ("letters-work", "letters-celery", "providers")
LONGEST_LIFE_SECONDS = 3.0
KILLING_SECONDS = 15.0

MAKE = """
INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation, address_lines,
                     postage, reference, create_time, state, page_count, sheet_count, pdf_bytes, pdf_sha256,
                     render_batch_id, request_id, traceparent)
SELECT gen_random_uuid(), md5((n %% %(services)s)::text)::uuid, 'normal', gen_random_uuid(), 1, '[]',
       '["A Person", "1 High Street", "SW14 6BF"]', 'second', lpad(n::text, 16, '0'), '2020-01-01', 'ready',
       2, 1, 40000, md5(n::text), gen_random_uuid(), 'print-run-test', ''
FROM generate_series(1, %(letters)s) AS n
RETURNING id::text, pdf_sha256
"""


def change(house: House, context: str, statement: str, values: Any) -> list[tuple[str, str]]:
    """Run a statement in a context's database and return its rows, if it has any."""
    with closing(psycopg2.connect(house.stack.app_urls[context])) as made, made, made.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def letters(house: House) -> Iterator[dict[str, str]]:
    """Letters that are ready, with the hashes of their PDFs; nothing is sent on from providers meanwhile."""
    # a run of another test that still collects would take them too
    others = "SELECT id::text, state FROM print_runs WHERE state = 'collecting'"
    assert wait_until(lambda: not change(house, "letters", others, {}), SETTLE_SECONDS)
    workers = house.stack.copies_of("providers-work")
    for worker in workers:
        house.stack.kill(worker)
    made = dict(change(house, "letters", MAKE, {"services": SERVICES, "letters": LETTERS}))
    yield made
    # the other tests count what the sandbox has, and know of no such letters
    change(house, "providers", "DELETE FROM dispatches WHERE id = ANY(%s::uuid[])", [list(made)])
    house.stack.restart(*workers)


def test_whoever_dies_every_letter_is_in_the_manifests_once(house: House, letters: dict[str, str]) -> None:
    run_id = ids.new_id()
    with house.channel("letters") as channel:
        runs = PrintRunsServiceStub(channel)
        request = pb.StartPrintRunRequest(request_id=run_id)
        request.deadline.FromJsonString("2020-01-02T00:00:00Z")
        runs.StartPrintRun(request, timeout=WAIT_SECONDS)

        def complete() -> bool:
            try:
                run = runs.GetPrintRun(
                    pb.GetPrintRunRequest(print_run_id=run_id), timeout=WAIT_SECONDS
                ).print_run
            except grpc.RpcError:
                return False
            assert run.state != PrintRun.STATE_UNRECONCILED
            return bool(run.state == PrintRun.STATE_SUBMITTED)

        stop = threading.Event()
        deaths: list[str] = []

        def kill_at_random() -> None:
            while not stop.is_set() or len(deaths) < len(TAKING_PART):
                name = (
                    TAKING_PART[len(deaths)] if len(deaths) < len(TAKING_PART) else random.choice(TAKING_PART)
                )
                house.stack.kill(name)
                house.stack.restart(name)
                deaths.append(name)
                stop.wait(random.uniform(0, LONGEST_LIFE_SECONDS))

        killing = threading.Thread(target=kill_at_random)
        killing.start()
        try:
            # the killing ends at some time: it would outrun a lease for ever on a slow machine
            wait_until(complete, KILLING_SECONDS)
        finally:
            stop.set()
            killing.join()
        assert wait_until(complete, SETTLE_SECONDS), f"not complete after {deaths}"

    objects = next(server for server in house.stack.backing if isinstance(server, ObjectStore))
    blobs = BlobStore(
        objects.url, "notify-letters", objects.access_key, objects.secret_key, region=objects.region
    )
    printed: list[tuple[str, str]] = []
    run_lines = blobs.get(f"letters/manifests/{run_id}/run.jsonl").splitlines()
    for batch in map(json.loads, run_lines[1:-1]):
        manifest = blobs.get(batch["manifest"])
        assert hashlib.sha256(manifest).hexdigest() == batch["sha256"]
        printed += [(line["id"], line["sha256"]) for line in map(json.loads, manifest.splitlines()[1:-1])]
    assert len(printed) == LETTERS
    assert dict(printed) == letters
    recorded = house.query(
        "providers", "SELECT count(*) FROM dispatches WHERE id = ANY(%s::uuid[])", list(letters)
    )
    assert recorded == [(LETTERS,)]
