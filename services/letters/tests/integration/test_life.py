"""What happens to letters besides being printed: cancelled, made anew, brought back, removed for age."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letter_pb2 import Letter, PrecompiledPdf
from notify_common import clock, ids
from notify_common.enums import KeyType, Postage
from notify_common.errors import NotifyError
from notify_letters.domain.letter import NewLetter
from notify_letters.store import letters as store
from notify_letters.store import print_runs
from notify_letters.usecases import read_letters
from notify_letters.usecases.collect_print_run import collect_slice
from notify_testing.waiting import WAIT_SECONDS

from .conftest import SERVICE_ID, TEMPLATE_ID, World, letter, until
from .test_print_runs import make_letters, start, submit_all

Outcome = pb.Cancellation.Outcome
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
ONE_O_CLOCK = NOON + timedelta(hours=1)


def letter_ids(world: World) -> list[str]:
    """Return all letters, oldest reference first."""
    return [str(id) for (id,) in world.rows("SELECT id FROM letters ORDER BY reference, id")]


def cancel(
    world: World, letter_ids: list[str], service_id: str = SERVICE_ID, *, unknown: bool = False
) -> list[str]:
    """Cancel and return the outcomes' names."""
    request = pb.BatchCancelLettersRequest(
        service_id=service_id, letter_ids=letter_ids, cancel_unknown=unknown
    )
    answer = world.letters.BatchCancelLetters(request)
    assert [one.letter_id for one in answer.cancellations] == letter_ids
    return [Outcome.Name(one.outcome).removeprefix("OUTCOME_") for one in answer.cancellations]


@contextmanager
def time(moment: datetime) -> Iterator[None]:
    """Make it that time."""
    with clock.set_for_tests(moment):
        yield


def get(world: World, letter_id: str) -> Letter:
    """Return a letter as it stands."""
    request = pb.GetLetterRequest(service_id=SERVICE_ID, letter_id=letter_id)
    answer: pb.GetLetterResponse = world.letters.GetLetter(request)
    return answer.letter


def test_letters_are_cancelled_in_time_and_never_printed(world: World) -> None:
    make_letters(world, 3)
    first, second, third = letter_ids(world)
    with time(ONE_O_CLOCK):
        for _ in range(2):
            assert cancel(world, [second, ids.new_id(), third]) == ["CANCELLED", "NOT_FOUND", "CANCELLED"]
        assert cancel(world, [first], service_id=ids.new_id()) == ["NOT_FOUND"]
    assert world.events() == [(second, "cancelled"), (third, "cancelled")] or world.events() == [
        (third, "cancelled"),
        (second, "cancelled"),
    ]
    assert get(world, second).state == Letter.STATE_CANCELLED
    assert start(world).letter_count == 1
    assert world.states() == {"submitting": 1, "cancelled": 2}


def test_a_letter_that_is_cancelled_before_it_comes_is_not_taken(world: World) -> None:
    make_letters(world, 1)
    (known,) = letter_ids(world)
    coming = letter()
    late = NOON.replace(hour=17, minute=31)
    with time(late):
        for _ in range(2):
            assert cancel(world, [known, coming.id], unknown=True) == ["TOO_LATE", "CANCELLED"]
        assert cancel(world, [known, coming.id], ids.new_id(), unknown=True) == ["NOT_FOUND", "NOT_FOUND"]
    for each in (coming, letter(id=coming.id, precompiled=PrecompiledPdf())):
        answer = world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=[each]))
        assert (answer.created_count, answer.duplicate_count) == (0, 1)
    assert world.events() == [(coming.id, "cancelled")]
    assert not world.rows("SELECT FROM render_batches UNION ALL SELECT FROM pdf_checks")
    assert get(world, coming.id).state == Letter.STATE_CANCELLED
    assert start(world).letter_count == 1


def test_a_letter_that_comes_while_it_is_cancelled_is_cancelled(world: World) -> None:
    coming = NewLetter(
        id=ids.new_id(),
        service_id=SERVICE_ID,
        key_type=KeyType.NORMAL,
        template_id=TEMPLATE_ID,
        template_version=1,
        personalisation=[],
        address_lines=["Ms Example", "1 High Street", "EX1 1EX"],
        postage=Postage.SECOND,
        reference="ABCDEFGHIJKLMNOP",
        create_time=NOON,
        origin_request_id="",
        traceparent="",
    )
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with time(ONE_O_CLOCK), ThreadPoolExecutor(1) as pool:
        with world.uow.begin() as tx:
            assert store.create(tx, [(ids.new_id(), [coming])], "", "") == 1
            cancelled = pool.submit(cancel, world, [coming.id], unknown=True)
            until(lambda: bool(world.rows(waiting)))
        assert cancelled.result(WAIT_SECONDS) == ["CANCELLED"]
    assert world.states() == {"cancelled": 1}
    assert world.events() == [(coming.id, "cancelled")]


def test_the_deadline_ends_cancelling(world: World) -> None:
    make_letters(world, 1)
    with time(NOON.replace(hour=17, minute=30)):
        assert cancel(world, letter_ids(world)) == ["TOO_LATE"]
    assert world.states() == {"ready": 1}
    assert world.events() == []


def test_what_is_in_a_batch_or_has_failed_is_not_cancelled(world: World) -> None:
    make_letters(world, 1)
    start(world, deadline=ONE_O_CLOCK)
    make_letters(world, 1, state="validation-failed")
    with time(ONE_O_CLOCK):
        assert cancel(world, letter_ids(world)) == ["NOT_CANCELLABLE", "NOT_CANCELLABLE"]


def test_a_letter_is_cancelled_or_collected_never_both(world: World) -> None:
    make_letters(world, 2)
    first, second = letter_ids(world)
    request = pb.BatchCancelLettersRequest
    with world.uow.begin() as tx:
        assert store.lock(tx, SERVICE_ID, [first])
        run_id = ids.new_id()
        with world.uow.begin() as other:
            print_runs.insert(other, run_id, ONE_O_CLOCK, "", "")
        assert collect_slice(world.uow) == 1, "what is being cancelled is left alone"
        store.cancel(tx, [first])
    world.collect()
    assert world.states() == {"cancelled": 1, "submitting": 1}
    with time(ONE_O_CLOCK):
        answer = world.letters.BatchCancelLetters(request(service_id=SERVICE_ID, letter_ids=[second]))
    assert answer.cancellations[0].outcome == Outcome.OUTCOME_NOT_CANCELLABLE


def test_pdfs_are_made_anew_for_letters_that_wait(world: World) -> None:
    make_letters(world, 45)
    make_letters(world, 1, state="technical-failure")
    request = pb.BatchRenderLettersRequest(service_id=SERVICE_ID, letter_ids=letter_ids(world))
    assert [world.letters.BatchRenderLetters(request).render_count for _ in range(2)] == [45, 0]
    assert world.states() == {"created": 45, "technical-failure": 1}
    assert start(world).letter_count == 0, "they are in no run until their PDF is made"
    world.run("UPDATE letters SET template_id = CAST(:id AS uuid), template_version = 1", id=TEMPLATE_ID)
    parts = world.parts()
    assert [parts.render_batch(batch_id) for batch_id in world.batch_ids("render_batches")] == [True, True]
    assert world.states() == {"ready": 45, "technical-failure": 1}
    size, sha256 = world.rows("SELECT pdf_bytes, pdf_sha256 FROM letters WHERE state = 'ready' LIMIT 1")[0]
    assert size > 1000
    assert len(sha256) == 64


def test_returned_letters_are_recorded_once(world: World) -> None:
    make_letters(world, 3)
    start(world)
    assert all(submit_all(world))
    references = [f"{n:016}" for n in (1, 2, 9)]
    request = pb.BatchRecordReturnedLettersRequest(references=references)
    answers = [world.letters.BatchRecordReturnedLetters(request) for _ in range(2)]
    assert [answer.recorded_count for answer in answers] == [2, 0]
    assert [list(answer.unknown_references) for answer in answers] == [["0000000000000009"]] * 2
    assert sorted(world.events()) == sorted((id, "returned") for id in letter_ids(world)[:2])
    with pytest.raises(NotifyError) as caught:
        world.letters.BatchRecordReturnedLetters(pb.BatchRecordReturnedLettersRequest(references=["SHORT"]))
    assert caught.value.reason == "INVALID_FIELD"


def test_a_download_goes_on_where_it_was_cut_off(world: World) -> None:
    make_letters(world, 1)
    (letter_id,) = letter_ids(world)
    pdf = bytes(range(256)) * 2500
    world.parts().blobs.put(f"letters/pdf/{letter_id}.pdf", pdf)

    def download(offset: int) -> tuple[int, list[bytes]]:
        request = pb.DownloadPdfRequest(service_id=SERVICE_ID, letter_id=letter_id, offset_bytes=offset)
        metadata, *chunks = world.letters.DownloadPdf(request)
        return metadata.metadata.size_bytes, [chunk.chunk for chunk in chunks]

    for offset in (0, 1, read_letters.CHUNK_BYTES, 300_000, len(pdf) - 1, len(pdf), len(pdf) + 5):
        size, chunks = download(offset)
        assert size == len(pdf)
        assert all(len(chunk) <= read_letters.CHUNK_BYTES for chunk in chunks)
        assert b"".join(chunks) == pdf[offset:]


def test_letters_that_wait_are_streamed_in_order_and_go_on_from_a_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_letters, "AWAITING_PAGE", 4)
    other = "33333333-3333-7333-8333-333333333333"
    make_letters(world, 5, postage="second", service_id=other)
    make_letters(world, 5, postage="economy")
    make_letters(world, 3, key_type="test")
    make_letters(world, 3, state="created")

    def stream(
        token: str = "", deadline: datetime | None = None
    ) -> list[pb.StreamLettersAwaitingPrintResponse]:
        request = pb.StreamLettersAwaitingPrintRequest(resume_token=token)
        if deadline is not None:
            request.deadline.FromDatetime(deadline)
        return list(world.letters.StreamLettersAwaitingPrint(request))

    chunks = stream()
    assert [len(chunk.letters) for chunk in chunks] == [4, 4, 2]
    streamed = [letter.id for chunk in chunks for letter in chunk.letters]
    assert len(set(streamed)) == 10
    assert [letter.service_id for chunk in chunks for letter in chunk.letters] == [SERVICE_ID] * 5 + [
        other
    ] * 5
    for place, chunk in enumerate(chunks):
        rest = [letter.id for later in stream(chunk.resume_token) for letter in later.letters]
        assert rest == [letter.id for later in chunks[place + 1 :] for letter in later.letters]
    assert stream(deadline=NOON) == []
    with pytest.raises(NotifyError) as caught:
        stream(chunks[0].resume_token, deadline=ONE_O_CLOCK)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"
