"""Print runs: which letters, once, in batches, whoever dies."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import KEY_TYPE_NORMAL, POSTAGE_FIRST
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_run_pb2 import PrintRun
from notify_common import ids
from notify_common.errors import NotifyError
from notify_letters.usecases.start_print_run import start_daily_print_run

from .conftest import SERVICE_ID, House, until

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def make_letters(
    house: House,
    count: int,
    state: str = "ready",
    key_type: str = "normal",
    postage: str = "second",
    create_time: datetime = NOON,
) -> None:
    """Letters as rendering leaves them."""
    house.run(
        """
        INSERT INTO letters (id, service_id, key_type, template_id, template_version, personalisation,
                             address_lines, postage, reference, create_time, state, page_count, sheet_count,
                             render_batch_id, request_id, traceparent)
        SELECT gen_random_uuid(), CAST(:service_id AS uuid), :key_type, gen_random_uuid(), 1, '[]',
               '["Ms Example", "1 High Street", "EX1 1EX"]', :postage, lpad(n::text, 16, '0'), :create_time,
               :state, 3, 2, gen_random_uuid(), 'request-' || n, ''
        FROM generate_series(1, :count) AS n
        """,
        service_id=SERVICE_ID,
        count=count,
        state=state,
        key_type=key_type,
        postage=postage,
        create_time=create_time,
    )


def start(house: House, deadline: datetime | None = None, request_id: str | None = None) -> PrintRun:
    """Start a run."""
    request = pb.StartPrintRunRequest(request_id=request_id or str(ids.uuid7()))
    if deadline is not None:
        request.deadline.FromDatetime(deadline)
    answer: pb.StartPrintRunResponse = house.print_runs.StartPrintRun(request)
    return answer.print_run


def get(house: House, run_id: str) -> PrintRun:
    """A run as it stands."""
    answer: pb.GetPrintRunResponse = house.print_runs.GetPrintRun(pb.GetPrintRunRequest(print_run_id=run_id))
    return answer.print_run


def submit_all(house: House) -> list[bool]:
    """Run the tasks of all print batches."""
    parts = house.parts()
    return [parts.submit_batch(batch_id) for batch_id in house.batch_ids("print_batches")]


def counts(run: PrintRun) -> tuple[int, int, int]:
    """Letters, batches, submitted batches."""
    return run.letter_count, run.batch_count, run.submitted_batch_count


def test_a_run_takes_what_is_due_and_nothing_else(house: House) -> None:
    make_letters(house, 3)
    make_letters(house, 1, create_time=datetime(2020, 1, 1, tzinfo=UTC))
    make_letters(house, 1, create_time=datetime(2026, 3, 5, 17, 30, tzinfo=UTC))
    make_letters(house, 1, key_type="test")
    for state in ("created", "submitting", "submitted", "validation-failed", "technical-failure"):
        make_letters(house, 1, state=state)
    run = start(house, deadline=datetime(2026, 3, 5, 17, 30, tzinfo=UTC))
    assert counts(run) == (4, 1, 0)
    assert run.state == PrintRun.STATE_SUBMITTING
    assert house.states() == {
        "ready": 2,
        "created": 1,
        "submitting": 1 + 4,
        "submitted": 1,
        "validation-failed": 1,
        "technical-failure": 1,
    }


def test_batches_have_one_postage_and_at_most_500_letters(house: House) -> None:
    make_letters(house, 1001, postage="second")
    make_letters(house, 500, postage="first")
    make_letters(house, 1, postage="rest-of-world")
    run = start(house)
    assert counts(run) == (1502, 5, 0)
    sizes = house.rows("SELECT postage, letter_count FROM print_batches ORDER BY postage, letter_count DESC")
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
    assert house.value(disagreeing) == 0


def test_submitting_hands_every_letter_over_once(house: House) -> None:
    make_letters(house, 501, postage="first")
    run = start(house)
    assert submit_all(house) == [True, True]
    assert (get(house, run.id).state, counts(get(house, run.id))) == (PrintRun.STATE_SUBMITTED, (501, 2, 2))
    assert house.states() == {"submitted": 501}
    assert house.providers.copies == len(house.providers.dispatches) == 501
    assert sorted(header.letter_count for header in house.providers.headers) == [1, 500]
    letter_id, reference, request_id = house.rows("SELECT id, reference, request_id FROM letters LIMIT 1")[0]
    dispatch = house.providers.dispatches[str(letter_id)]
    assert (dispatch.service_id, dispatch.key_type) == (SERVICE_ID, KEY_TYPE_NORMAL)
    assert dispatch.origin_request_id == request_id
    assert dispatch.print.pdf_key == f"letters/pdf/{letter_id}.pdf"
    assert list(dispatch.print.address_lines) == ["Ms Example", "1 High Street", "EX1 1EX"]
    assert dispatch.print.postage == POSTAGE_FIRST
    assert (dispatch.print.reference, dispatch.print.sheet_count) == (reference, 2)


def test_repeating_the_request_gives_the_same_run(house: House) -> None:
    make_letters(house, 2)
    request_id = str(ids.uuid7())
    first = start(house, request_id=request_id)
    make_letters(house, 5)
    again = start(house, request_id=request_id)
    assert again == first
    assert house.states() == {"submitting": 2, "ready": 5}


def test_runs_started_at_once_share_the_letters_out(house: House) -> None:
    make_letters(house, 3000)
    requests = [str(ids.uuid7())] * 3 + [str(ids.uuid7()) for _ in range(3)]
    with ThreadPoolExecutor(len(requests)) as pool:
        runs = list(pool.map(lambda request_id: start(house, request_id=request_id), requests))
    by_id = {run.id: run for run in runs}
    assert len(by_id) == 4
    assert sum(get(house, run_id).letter_count for run_id in by_id) == 3000
    assert all(submit_all(house))
    assert house.providers.copies == len(house.providers.dispatches) == 3000


def test_a_run_without_letters_is_submitted_at_once(house: House) -> None:
    run = start(house)
    assert (run.state, counts(run)) == (PrintRun.STATE_SUBMITTED, (0, 0, 0))


def test_dying_after_providers_took_the_batch_is_harmless(house: House) -> None:
    make_letters(house, 10)
    run = start(house)
    house.providers.lose_answers = 1
    assert submit_all(house) == [False]
    assert house.states() == {"submitting": 10}
    assert submit_all(house) == [False], "not due yet"
    house.due_again()
    assert submit_all(house) == [True]
    assert get(house, run.id).state == PrintRun.STATE_SUBMITTED
    assert (house.providers.copies, len(house.providers.dispatches)) == (20, 10)


def test_a_batch_is_not_marked_while_the_counts_disagree(house: House) -> None:
    make_letters(house, 10)
    run = start(house)
    house.providers.take_short = 1
    assert submit_all(house) == [False]
    assert get(house, run.id).submitted_batch_count == 0
    assert house.states() == {"submitting": 10}
    house.due_again()
    assert submit_all(house) == [True]
    assert house.states() == {"submitted": 10}


def test_a_doubled_task_waits_for_nobody_and_does_nothing(house: House) -> None:
    make_letters(house, 10)
    start(house)
    (batch_id,) = house.batch_ids("print_batches")
    house.providers.hold = threading.Event()
    first, second = house.parts(), house.parts()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(first.submit_batch, batch_id)
        assert house.providers.taken.wait(10)
        assert not second.submit_batch(batch_id)
        house.providers.hold.set()
        assert slow.result()
    assert house.providers.copies == 10


def test_a_task_whose_lease_was_taken_over_marks_nothing(house: House) -> None:
    make_letters(house, 10)
    start(house)
    (batch_id,) = house.batch_ids("print_batches")
    house.providers.hold = threading.Event()
    first, second = house.parts(), house.parts()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(first.submit_batch, batch_id)
        assert house.providers.taken.wait(10)
        house.expire_leases()
        house.providers.taken.clear()
        quick = pool.submit(second.submit_batch, batch_id)
        assert house.providers.taken.wait(10)
        house.providers.hold.set()
        assert (slow.result(), quick.result()) == (False, True)
    assert house.states() == {"submitted": 10}
    assert len(house.providers.dispatches) == 10


def test_a_batch_that_providers_are_slow_with_is_given_up_before_its_lease_ends(house: House) -> None:
    make_letters(house, 2)
    start(house)
    (batch_id,) = house.batch_ids("print_batches")
    house.providers.hold = threading.Event()
    try:
        assert not house.parts(lease_seconds=4).submit_batch(batch_id)
        later = house.rows("SELECT attempt, due_at > now(), leased_until, submit_time FROM print_batches")
        assert [tuple(row) for row in later] == [(1, True, None, None)]
    finally:
        house.providers.hold.set()
    house.due_again()
    assert submit_all(house) == [True]
    assert house.states() == {"submitted": 2}


def test_a_killed_celery_worker_leaves_no_letter_behind(house: House) -> None:
    make_letters(house, 700)
    house.providers.hold = threading.Event()
    with house.relay(lease_seconds=1) as relay:
        with house.celery(lease_seconds=1) as celery:
            run = start(house)
            until(house.providers.taken.is_set, [relay, celery])
            celery.kill()
        assert get(house, run.id).submitted_batch_count == 0
        house.providers.hold.set()
        with house.celery("second", lease_seconds=1) as second:
            until(lambda: get(house, run.id).state == PrintRun.STATE_SUBMITTED, [relay, second])
    assert house.states() == {"submitted": 700}
    assert len(house.providers.dispatches) == 700
    assert house.providers.copies == 700 + house.providers.headers[0].letter_count


def test_runs_are_listed_newest_first_by_pages(house: House) -> None:
    made = [start(house).id for _ in range(5)]
    listed: list[str] = []
    token = ""
    for expected in (2, 2, 1):
        page = house.print_runs.ListPrintRuns(pb.ListPrintRunsRequest(page_size=2, page_token=token))
        assert len(page.print_runs) == expected
        listed += [run.id for run in page.print_runs]
        token = page.next_page_token
    assert (listed, token) == (made[::-1], "")
    with pytest.raises(NotifyError) as caught:
        house.print_runs.ListPrintRuns(pb.ListPrintRunsRequest(page_token="made-up"))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_bad_requests_are_refused(house: House) -> None:
    with pytest.raises(NotifyError) as caught:
        start(house, request_id="not a UUID")
    assert [violation.field for violation in caught.value.violations] == ["request_id"]
    request = pb.StartPrintRunRequest(request_id=str(ids.uuid7()), deadline=Timestamp(seconds=10**15))
    with pytest.raises(NotifyError) as caught:
        house.print_runs.StartPrintRun(request)
    assert [violation.field for violation in caught.value.violations] == ["deadline"]
    with pytest.raises(NotifyError) as caught:
        get(house, str(ids.uuid7()))
    assert caught.value.reason == "PRINT_RUN_NOT_FOUND"
    assert house.value("SELECT count(*) FROM print_runs") == 0


def utc(*when: int) -> datetime:
    """A moment in UTC."""
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc] # year, month, …


@pytest.mark.parametrize(
    "firings",
    [
        [(utc(2026, 1, 15, 16, 50), False), (utc(2026, 1, 15, 17, 50), True)],
        [(utc(2026, 7, 15, 16, 50), True), (utc(2026, 7, 15, 17, 50), False)],
    ],
    ids=["winter", "summer"],
)
def test_the_schedule_starts_one_run_a_day_at_17_50_in_london(
    house: House, firings: Sequence[tuple[datetime, bool]]
) -> None:
    make_letters(house, 2, create_time=utc(2026, 1, 15, 9))
    make_letters(house, 1, create_time=utc(2026, 7, 15, 16, 45))
    for moment, starts in firings:
        for _ in range(2):
            assert (start_daily_print_run(house.uow, moment) is not None) == starts
    assert house.value("SELECT count(*) FROM print_runs") == 1
    assert house.states() == {"submitting": 2, "ready": 1}, "the other letter was accepted after 17:30"
