"""Print runs: which letters, once, in batches, whoever dies."""

import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import KEY_TYPE_NORMAL, POSTAGE_EUROPE, POSTAGE_FIRST, POSTAGE_SECOND
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_run_pb2 import PrintRun
from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_letters.domain.manifest import is_signed_by
from notify_letters.domain.print_run import Schedule
from notify_letters.store import batches
from notify_letters.store import print_runs as store
from notify_letters.store.tables import print_batches
from notify_letters.usecases.collect_print_run import collect_slice
from notify_letters.usecases.complete_print_run import complete_print_run
from notify_letters.usecases.start_print_run import start_daily_print_run
from notify_testing.waiting import WAIT_SECONDS

from .conftest import SERVICE_ID, World, until

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def make_letters(
    world: World,
    count: int,
    state: str = "ready",
    key_type: str = "normal",
    postage: str = "second",
    create_time: datetime = NOON,
    service_id: str = SERVICE_ID,
    pdf_bytes: int = 40_000,
) -> None:
    """Store letters as rendering leaves them."""
    world.run(
        """
        INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation,
                             address_lines, postage, reference, create_time, state, page_count, sheet_count,
                             pdf_bytes, pdf_sha256, render_batch_id, request_id, traceparent)
        SELECT gen_random_uuid(), CAST(:service_id AS uuid), :key_type, gen_random_uuid(), 1, '[]',
               '["Ms Example", "1 High Street", "EX1 1EX"]', :postage, lpad(n::text, 16, '0'), :create_time,
               :state, 3, 2, :pdf_bytes, md5(n::text), gen_random_uuid(), 'request-' || n, ''
        FROM generate_series(1, :count) AS n
        """,
        service_id=service_id,
        pdf_bytes=pdf_bytes,
        count=count,
        state=state,
        key_type=key_type,
        postage=postage,
        create_time=create_time,
    )


def start(world: World, deadline: datetime | None = None, request_id: str | None = None) -> PrintRun:
    """Start a run."""
    request = pb.StartPrintRunRequest(request_id=request_id or ids.new_id())
    if deadline is not None:
        request.deadline.FromDatetime(deadline)
    answer: pb.StartPrintRunResponse = world.print_runs.StartPrintRun(request)
    world.collect()
    return get(world, answer.print_run.id)


def get(world: World, run_id: str) -> PrintRun:
    """Return a run as it stands."""
    answer: pb.GetPrintRunResponse = world.print_runs.GetPrintRun(pb.GetPrintRunRequest(print_run_id=run_id))
    return answer.print_run


def submit_all(world: World) -> list[bool]:
    """Run the tasks of all print batches."""
    parts = world.parts()
    return [parts.submit_batch(batch_id) for batch_id in world.batch_ids("print_batches")]


def complete(world: World) -> int:
    """Reconcile what is ready for it."""
    parts = world.parts()
    return complete_print_run(world.uow, parts.blobs, parts.signer)


def counts(run: PrintRun) -> tuple[int, int, int]:
    """Return letters, batches, submitted batches."""
    return run.letter_count, run.batch_count, run.submitted_batch_count


def test_a_run_takes_what_is_due_and_nothing_else(world: World) -> None:
    make_letters(world, 3)
    make_letters(world, 1, create_time=datetime(2020, 1, 1, tzinfo=UTC))
    make_letters(world, 1, create_time=datetime(2026, 3, 5, 17, 30, tzinfo=UTC))
    make_letters(world, 1, key_type="test")
    for state in ("created", "submitting", "submitted", "validation-failed", "technical-failure"):
        make_letters(world, 1, state=state)
    run = start(world, deadline=datetime(2026, 3, 5, 17, 30, tzinfo=UTC))
    assert counts(run) == (4, 1, 0)
    assert run.state == PrintRun.STATE_SUBMITTING
    assert world.states() == {
        "ready": 2,
        "created": 1,
        "submitting": 1 + 4,
        "submitted": 1,
        "validation-failed": 1,
        "technical-failure": 1,
    }


def test_batches_have_one_postage_and_at_most_500_letters(world: World) -> None:
    make_letters(world, 1001, postage="second")
    make_letters(world, 500, postage="first")
    make_letters(world, 1, postage="rest-of-world")
    run = start(world)
    assert counts(run) == (1502, 5, 0)
    sizes = world.rows("SELECT postage, letter_count FROM print_batches ORDER BY postage, letter_count DESC")
    assert [tuple(row) for row in sizes] == [
        ("first", 500),
        ("rest-of-world", 1),
        ("second", 500),
        ("second", 500),
        ("second", 1),
    ]
    disagreeing = """
        SELECT count(*) FROM print_batches b
        WHERE letter_count <> (SELECT count(*) FROM letters l
                               WHERE l.print_batch_id = b.id AND l.postage = b.postage)
    """
    assert world.value(disagreeing) == 0


def test_submitting_hands_every_letter_over_once(world: World) -> None:
    make_letters(world, 501, postage="first")
    run = start(world)
    assert submit_all(world) == [True, True]
    assert complete(world) == 1
    assert (get(world, run.id).state, counts(get(world, run.id))) == (PrintRun.STATE_SUBMITTED, (501, 2, 2))
    assert world.states() == {"submitted": 501}
    assert world.providers.copies == len(world.providers.dispatches) == 501
    assert sorted(header.letter_count for header in world.providers.headers) == [1, 500]
    letter_id, reference, request_id = world.rows("SELECT id, reference, request_id FROM letters LIMIT 1")[0]
    dispatch = world.providers.dispatches[str(letter_id)]
    assert (dispatch.service_id, dispatch.key_type) == (SERVICE_ID, KEY_TYPE_NORMAL)
    assert dispatch.origin_request_id == request_id
    assert dispatch.print.pdf_key == f"letters/pdf/{letter_id}.pdf"
    assert list(dispatch.print.address_lines) == ["Ms Example", "1 High Street", "EX1 1EX"]
    assert dispatch.print.postage == POSTAGE_FIRST
    assert (dispatch.print.reference, dispatch.print.sheet_count) == (reference, 2)


def test_repeating_the_request_gives_the_same_run(world: World) -> None:
    make_letters(world, 2)
    request_id = ids.new_id()
    first = start(world, request_id=request_id)
    make_letters(world, 5)
    again = start(world, request_id=request_id)
    assert again == first
    assert world.states() == {"submitting": 2, "ready": 5}


def test_runs_started_at_once_share_the_letters_out(world: World) -> None:
    make_letters(world, 3000)
    requests = [ids.new_id()] * 3 + [ids.new_id() for _ in range(3)]
    with ThreadPoolExecutor(len(requests)) as pool:
        runs = list(pool.map(lambda request_id: start(world, request_id=request_id), requests))
    by_id = {run.id: run for run in runs}
    assert len(by_id) == 4
    assert sum(get(world, run_id).letter_count for run_id in by_id) == 3000
    assert all(submit_all(world))
    assert world.providers.copies == len(world.providers.dispatches) == 3000


def test_a_run_without_letters_is_submitted_at_once(world: World) -> None:
    run = start(world)
    assert complete(world) == 1
    run = get(world, run.id)
    assert (run.state, counts(run)) == (PrintRun.STATE_SUBMITTED, (0, 0, 0))


def test_dying_after_providers_took_the_batch_is_harmless(world: World) -> None:
    make_letters(world, 10)
    run = start(world)
    world.providers.lose_answers = 1
    assert submit_all(world) == [False]
    assert world.states() == {"submitting": 10}
    assert submit_all(world) == [False], "not due yet"
    world.due_again()
    assert submit_all(world) == [True]
    assert complete(world) == 1
    assert get(world, run.id).state == PrintRun.STATE_SUBMITTED
    assert (world.providers.copies, len(world.providers.dispatches)) == (20, 10)


def test_a_batch_is_not_marked_while_the_counts_disagree(world: World) -> None:
    make_letters(world, 10)
    run = start(world)
    world.providers.take_short = 1
    assert submit_all(world) == [False]
    assert get(world, run.id).submitted_batch_count == 0
    assert world.states() == {"submitting": 10}
    world.due_again()
    assert submit_all(world) == [True]
    assert world.states() == {"submitted": 10}


def test_a_doubled_task_waits_for_nobody_and_does_nothing(world: World) -> None:
    make_letters(world, 10)
    start(world)
    (batch_id,) = world.batch_ids("print_batches")
    world.providers.hold = threading.Event()
    first, second = world.parts(), world.parts()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(first.submit_batch, batch_id)
        assert world.providers.taken.wait(WAIT_SECONDS)
        assert not second.submit_batch(batch_id)
        world.providers.hold.set()
        assert slow.result()
    assert world.providers.copies == 10


def test_a_task_whose_lease_was_taken_over_marks_nothing(world: World) -> None:
    make_letters(world, 10)
    start(world)
    (batch_id,) = world.batch_ids("print_batches")
    world.providers.hold = threading.Event()
    first, second = world.parts(), world.parts()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(first.submit_batch, batch_id)
        assert world.providers.taken.wait(WAIT_SECONDS)
        world.expire_leases()
        world.providers.taken.clear()
        quick = pool.submit(second.submit_batch, batch_id)
        assert world.providers.taken.wait(WAIT_SECONDS)
        world.providers.hold.set()
        assert (slow.result(), quick.result()) == (False, True)
    assert world.states() == {"submitted": 10}
    assert len(world.providers.dispatches) == 10


def test_a_batch_that_providers_are_slow_with_is_given_up_before_its_lease_ends(world: World) -> None:
    make_letters(world, 2)
    start(world)
    (batch_id,) = world.batch_ids("print_batches")
    world.providers.hold = threading.Event()
    try:
        assert not world.parts(lease_seconds=4).submit_batch(batch_id)
        later = world.rows("SELECT attempt, due_at > now(), leased_until, submit_time FROM print_batches")
        assert [tuple(row) for row in later] == [(1, True, None, None)]
    finally:
        world.providers.hold.set()
    world.due_again()
    assert submit_all(world) == [True]
    assert world.states() == {"submitted": 2}


def test_a_killed_celery_worker_leaves_no_letter_behind(world: World) -> None:
    make_letters(world, 700)
    world.providers.hold = threading.Event()
    with world.relay(lease_seconds=1) as relay:
        with world.celery(lease_seconds=1) as celery:
            run = start(world)
            until(world.providers.taken.is_set, [relay, celery])
            celery.kill()
        assert get(world, run.id).submitted_batch_count == 0
        world.providers.hold.set()
        with world.celery("second", lease_seconds=1) as second:
            until(lambda: get(world, run.id).state == PrintRun.STATE_SUBMITTED, [relay, second])
    assert world.states() == {"submitted": 700}
    assert len(world.providers.dispatches) == 700
    assert world.providers.copies == 700 + world.providers.headers[0].letter_count


def test_runs_are_listed_newest_first_by_pages(world: World) -> None:
    made = [start(world).id for _ in range(5)]
    listed: list[str] = []
    token = ""
    for expected in (2, 2, 1):
        page = world.print_runs.ListPrintRuns(pb.ListPrintRunsRequest(page_size=2, page_token=token))
        assert len(page.print_runs) == expected
        listed += [run.id for run in page.print_runs]
        token = page.next_page_token
    assert (listed, token) == (made[::-1], "")
    with pytest.raises(NotifyError) as caught:
        world.print_runs.ListPrintRuns(pb.ListPrintRunsRequest(page_token="made-up"))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_bad_requests_are_refused(world: World) -> None:
    with pytest.raises(NotifyError) as caught:
        start(world, request_id="not a UUID")
    assert [violation.field for violation in caught.value.violations] == ["request_id"]
    request = pb.StartPrintRunRequest(request_id=ids.new_id(), deadline=Timestamp(seconds=10**15))
    with pytest.raises(NotifyError) as caught:
        world.print_runs.StartPrintRun(request)
    assert [violation.field for violation in caught.value.violations] == ["deadline"]
    with pytest.raises(NotifyError) as caught:
        get(world, ids.new_id())
    assert caught.value.reason == "PRINT_RUN_NOT_FOUND"
    assert world.value("SELECT count(*) FROM print_runs") == 0


def utc(*when: int) -> datetime:
    """Return a moment in UTC."""
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc] # year, month, …


SCHEDULE = Schedule(deadline=time(17, 30), start=time(17, 50))


@pytest.mark.parametrize(
    "firings",
    [
        [(utc(2026, 1, 15, 17, 49), False), (utc(2026, 1, 15, 17, 50), True), (utc(2026, 1, 15, 23), False)],
        [(utc(2026, 7, 15, 16, 49), False), (utc(2026, 7, 15, 16, 50), True), (utc(2026, 7, 16, 0), False)],
    ],
    ids=["winter", "summer"],
)
def test_the_schedule_starts_one_run_a_day_at_17_50_in_london(
    world: World, firings: Sequence[tuple[datetime, bool]]
) -> None:
    start_daily_print_run(world.uow, SCHEDULE, firings[0][0] - timedelta(hours=1))  # the day before
    world.collect()
    make_letters(world, 2, create_time=utc(2026, 1, 15, 9))
    make_letters(world, 1, create_time=utc(2026, 7, 15, 16, 45))
    for moment, starts in firings:
        assert (start_daily_print_run(world.uow, SCHEDULE, moment) is not None) == starts
        assert start_daily_print_run(world.uow, SCHEDULE, moment) is None
        world.collect()
    assert world.value("SELECT count(*) FROM print_runs") == 2
    assert world.states() == {"submitting": 2, "ready": 1}, "the other letter was accepted after 17:30"


def test_a_missed_run_is_caught_up_whenever_somebody_asks_again(world: World) -> None:
    """Nobody asked from Thursday's 17:00 on until Saturday morning."""
    start_daily_print_run(world.uow, SCHEDULE, utc(2026, 3, 5, 17))
    world.collect()
    make_letters(world, 1, create_time=utc(2026, 3, 5, 9))
    make_letters(world, 1, create_time=utc(2026, 3, 6, 9))
    make_letters(world, 1, create_time=utc(2026, 3, 7, 7))
    run = start_daily_print_run(world.uow, SCHEDULE, utc(2026, 3, 7, 8))
    assert run is not None
    assert run.deadline == utc(2026, 3, 6, 17, 30)
    world.collect()
    assert world.states() == {"submitting": 2, "ready": 1}


def test_two_schedulers_at_the_same_moment_start_one_run(world: World) -> None:
    make_letters(world, 10)
    with ThreadPoolExecutor(4) as pool:
        runs = list(
            pool.map(lambda _: start_daily_print_run(world.uow, SCHEDULE, utc(2026, 3, 5, 17, 50)), range(8))
        )
    world.collect()
    assert len({run.id for run in runs if run is not None}) == 1
    assert world.value("SELECT count(*) FROM print_runs") == 1
    assert world.value("SELECT sum(letter_count) FROM print_batches") == 10


OTHER_SERVICE = "33333333-3333-7333-8333-333333333333"


def test_batches_are_in_the_order_of_post_service_and_time_and_mix_no_services(world: World) -> None:
    for hour, service_id in enumerate((OTHER_SERVICE, SERVICE_ID, OTHER_SERVICE)):
        make_letters(world, 300, create_time=utc(2026, 3, 5, hour), service_id=service_id)
    make_letters(world, 3, postage="europe", service_id=OTHER_SERVICE)
    run = start(world)
    batches = world.print_runs.ListPrintBatches(pb.ListPrintBatchesRequest(print_run_id=run.id)).print_batches
    assert [(batch.number, batch.postage, batch.service_id, batch.letter_count) for batch in batches] == [
        (1, POSTAGE_EUROPE, OTHER_SERVICE, 3),
        (2, POSTAGE_SECOND, SERVICE_ID, 300),
        (3, POSTAGE_SECOND, OTHER_SERVICE, 500),
        (4, POSTAGE_SECOND, OTHER_SERVICE, 100),
    ]
    assert [(batch.page_count, batch.sheet_count) for batch in batches][:2] == [(9, 6), (900, 600)]
    spans = world.rows("""
        SELECT min(create_time), max(create_time)
        FROM letters l JOIN print_batches b ON b.id = l.print_batch_id
        WHERE b.number IN (3, 4) GROUP BY b.number ORDER BY b.number
    """)
    assert spans[0][1] <= spans[1][0]


def test_no_batch_is_larger_than_40_mib(world: World) -> None:
    make_letters(world, 150, pdf_bytes=2 * 1024 * 1024)
    start(world)
    sizes = world.rows("SELECT sum(pdf_bytes), count(*) FROM letters GROUP BY print_batch_id")
    assert all(size <= 40 * 1024 * 1024 for size, _ in sizes)
    assert max(count for _, count in sizes) >= 15


def die_while_collecting(world: World) -> None:
    """Collect a slice and die before it is committed."""
    with world.uow.begin() as tx:
        assert collect(tx) == 500
        raise RuntimeError


def collect(tx: Tx) -> int:
    """Collect a slice in a transaction that goes on."""
    run = store.lock_one_to_collect(tx)
    assert run is not None
    return store.collect_slice(tx, run)


def test_slices_commit_one_by_one_and_a_run_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 700)
    make_letters(world, 1600)
    run_id = world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id())).print_run.id
    assert collect_slice(world.uow) == 500, "what may be cut off is left to the next slice"
    assert counts(get(world, run_id)) == (500, 1, 0)
    assert submit_all(world) == [True], "submitting begins meanwhile"
    with pytest.raises(RuntimeError):
        die_while_collecting(world)
    assert counts(get(world, run_id)) == (500, 1, 1)
    assert get(world, run_id).state == PrintRun.STATE_COLLECTING
    world.collect()
    assert counts(get(world, run_id)) == (1600, 4, 1)
    assert [row[0] for row in world.rows("SELECT letter_count FROM print_batches ORDER BY number")] == [
        500,
        500,
        500,
        100,
    ]
    assert all(submit_all(world))
    assert world.states() == {"submitted": 1600}


def test_a_slice_whose_last_batch_is_full_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 1000)
    make_letters(world, 1600)
    world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id()))
    assert [collect_slice(world.uow) for _ in range(2)] == [1000, 600]


def test_batches_are_submitted_while_a_slice_is_collected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 700)
    make_letters(world, 1600)
    world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id()))
    assert collect_slice(world.uow) == 500
    with world.uow.begin() as tx:
        assert collect(tx) == 500
        assert submit_all(world) == [True], "who submits does not wait for who collects"
    assert world.collect()
    assert all(submit_all(world))
    assert world.states() == {"submitted": 1600}


def test_collecting_is_never_far_ahead_of_submitting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 600)
    monkeypatch.setattr(store, "AHEAD_LETTERS", 1000)
    make_letters(world, 2600)
    run_id = world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id())).print_run.id
    assert [collect_slice(world.uow) for _ in range(3)] == [500, 500, 0]
    assert get(world, run_id).state == PrintRun.STATE_COLLECTING
    world.providers.take_short = 1
    assert sorted(submit_all(world)) == [False, True]
    assert [collect_slice(world.uow) for _ in range(3)] == [500, 500, 0], "a failure holds up nobody else"
    submit_all(world)
    world.collect()
    world.due_again()
    submit_all(world)
    assert counts(get(world, run_id)) == (2600, 6, 6)
    assert complete(world) == 1


def test_letters_that_become_ready_behind_the_position_are_still_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 500)
    make_letters(world, 1200, postage="second")
    run_id = world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id())).print_run.id
    collect_slice(world.uow)
    make_letters(world, 7, postage="first")
    world.collect()
    assert get(world, run_id).letter_count == 1207
    assert world.states() == {"submitting": 1207}


def test_two_collectors_of_one_run_take_every_letter_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 300)
    make_letters(world, 3000)
    run_id = world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id())).print_run.id
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: world.collect(), range(3)))
    assert counts(get(world, run_id))[0] == 3000
    assert world.value("SELECT sum(letter_count) FROM print_batches") == 3000
    assert world.value("SELECT count(DISTINCT number) = max(number) FROM print_batches")


def test_a_complete_run_has_signed_manifests_and_a_report(world: World) -> None:
    make_letters(world, 501, postage="first")
    make_letters(world, 2, postage="europe")
    run = start(world)
    assert complete(world) == 0, "providers don't have it"
    assert all(submit_all(world))
    assert complete(world) == 1
    assert complete(world) == 0
    run = get(world, run.id)
    assert run.state == PrintRun.STATE_SUBMITTED
    assert run.HasField("complete_time")
    parts = world.parts()
    manifest = parts.blobs.get(run.manifest_key)
    assert is_signed_by(manifest, parts.signer.public_key)
    assert not is_signed_by(manifest.replace(b'"letters":500', b'"letters":499'), parts.signer.public_key)
    head, *batches, _ = map(json.loads, manifest.splitlines())
    assert (head["letter_count"], head["batch_count"], head["sheet_count"]) == (503, 3, 1006)
    printed: list[tuple[str, str]] = []
    for batch in batches:
        written = parts.blobs.get(batch["manifest"])
        assert hashlib.sha256(written).hexdigest() == batch["sha256"]
        assert is_signed_by(written, parts.signer.public_key)
        _, *lines, _ = map(json.loads, written.splitlines())
        assert len(lines) == batch["letters"]
        printed += [(line["id"], line["sha256"]) for line in lines]
    rows = world.rows("SELECT id, pdf_sha256 FROM letters")
    assert sorted(printed) == sorted((str(id), sha256) for id, sha256 in rows)
    report = json.loads(parts.blobs.get(run.report_key))
    assert report["counts"] == {"collected": 503, "in_batches": 503, "in_letters": 503, "taken": 503}
    assert report["disagreements"] == []
    assert (report["expected_letter_count"], run.expected_letter_count) == (503, 503)
    assert report["summary"] == {
        "total": {"letters": 503, "sheets": 1006},
        "first": {"letters": 501, "sheets": 1002},
        "second": {"letters": 0, "sheets": 0},
        "economy": {"letters": 0, "sheets": 0},
        "international": {"letters": 2, "sheets": 4},
    }
    volumes = world.print_runs.GetPrintRun(pb.GetPrintRunRequest(print_run_id=run.id)).volumes
    assert [(volume.postage, volume.letter_count) for volume in volumes] == [
        (POSTAGE_EUROPE, 2),
        (POSTAGE_FIRST, 501),
    ]


def test_a_run_whose_counts_disagree_is_not_called_submitted(world: World) -> None:
    make_letters(world, 3)
    run = start(world)
    assert submit_all(world) == [True]
    world.run("UPDATE letters SET print_batch_id = NULL WHERE id = (SELECT id FROM letters LIMIT 1)")
    assert complete(world) == 1
    run = get(world, run.id)
    assert run.state == PrintRun.STATE_UNRECONCILED
    report = json.loads(world.parts().blobs.get(run.report_key))
    assert (report["disagreements"], report["counts"]["in_letters"]) == (["in_letters"], 2)


def test_a_paused_run_begins_nothing_until_it_is_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SLICE_LETTERS", 500)
    make_letters(world, 1000)
    run_id = world.print_runs.StartPrintRun(pb.StartPrintRunRequest(request_id=ids.new_id())).print_run.id
    collect_slice(world.uow)
    for _ in range(2):
        paused = world.print_runs.PausePrintRun(pb.PausePrintRunRequest(print_run_id=run_id)).print_run
        assert paused.HasField("pause_time")
    assert collect_slice(world.uow) == 0
    assert submit_all(world) == [False]
    with world.uow.begin() as tx:
        queue = batches.queue_to_enqueue(print_batches, timedelta(minutes=5))
        assert batches.take_to_enqueue(tx, queue, 100) == []
    for _ in range(2):
        resumed = world.print_runs.ResumePrintRun(pb.ResumePrintRunRequest(print_run_id=run_id)).print_run
        assert not resumed.HasField("pause_time")
    world.collect()
    assert all(submit_all(world))
    assert complete(world) == 1
    assert get(world, run_id).state == PrintRun.STATE_SUBMITTED
    late = world.print_runs.PausePrintRun(pb.PausePrintRunRequest(print_run_id=run_id)).print_run
    assert not late.HasField("pause_time"), "there is nothing left to pause"


def test_a_batch_that_was_given_up_is_tried_again_on_demand(world: World) -> None:
    make_letters(world, 10)
    run = start(world)
    world.run("UPDATE print_batches SET parked_at = now(), park_reason = 'CountMismatch', attempt = 20")
    run = get(world, run.id)
    assert run.parked_batch_count == 1
    (batch,) = world.print_runs.ListPrintBatches(
        pb.ListPrintBatchesRequest(print_run_id=run.id)
    ).print_batches
    assert batch.park_reason == "CountMismatch"
    assert submit_all(world) == [False]
    nobodys = pb.RetryPrintBatchesRequest(print_run_id=run.id, print_batch_ids=[ids.new_id()])
    assert world.print_runs.RetryPrintBatches(nobodys).batch_count == 0
    request = pb.RetryPrintBatchesRequest(print_run_id=run.id, print_batch_ids=[batch.id])
    assert [world.print_runs.RetryPrintBatches(request).batch_count for _ in range(2)] == [1, 0]
    assert submit_all(world) == [True]
    assert get(world, run.id).parked_batch_count == 0


def test_progress_is_streamed_until_the_run_is_complete(world: World) -> None:
    make_letters(world, 10)
    run = start(world)
    progress = world.print_runs.WatchPrintRun(pb.WatchPrintRunRequest(print_run_id=run.id))
    first = next(progress).print_run
    assert (first.state, first.submitted_letter_count) == (PrintRun.STATE_SUBMITTING, 0)
    assert submit_all(world) == [True]
    assert next(progress).print_run.submitted_letter_count == 10
    assert complete(world) == 1
    assert [answer.print_run.state for answer in progress] == [PrintRun.STATE_SUBMITTED]
    with pytest.raises(NotifyError) as caught:
        next(world.print_runs.WatchPrintRun(pb.WatchPrintRunRequest(print_run_id=ids.new_id())))
    assert caught.value.reason == "PRINT_RUN_NOT_FOUND"


def test_watchers_leave_the_others_their_threads(world: World) -> None:
    run = start(world, deadline=NOON)
    world.run("UPDATE print_runs SET state = 'collecting'")
    watching = [
        world.print_runs.WatchPrintRun(pb.WatchPrintRunRequest(print_run_id=run.id)) for _ in range(2)
    ]
    assert [next(progress).print_run.id for progress in watching] == [run.id] * 2
    with pytest.raises(NotifyError) as caught:
        next(world.print_runs.WatchPrintRun(pb.WatchPrintRunRequest(print_run_id=run.id)))
    assert caught.value.reason == "OVERLOADED"
    for progress in watching:
        progress.close()


def test_batches_are_listed_by_pages(world: World) -> None:
    for _ in range(5):
        make_letters(world, 1, service_id=ids.new_id())
    run = start(world)
    listed: list[int] = []
    token = ""
    for expected in (2, 2, 1):
        page = world.print_runs.ListPrintBatches(
            pb.ListPrintBatchesRequest(print_run_id=run.id, page_size=2, page_token=token)
        )
        assert len(page.print_batches) == expected
        listed += [batch.number for batch in page.print_batches]
        token = page.next_page_token
    assert (listed, token) == ([1, 2, 3, 4, 5], "")
    with pytest.raises(NotifyError) as caught:
        world.print_runs.ListPrintBatches(pb.ListPrintBatchesRequest(print_run_id=ids.new_id()))
    assert caught.value.reason == "PRINT_RUN_NOT_FOUND"
