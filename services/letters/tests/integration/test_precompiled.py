"""Letters whose PDF comes ready made: from the upload to the print run, whatever dies meanwhile."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any
from uuid import uuid4

import pytest
from notify.common.v1.common_pb2 import KEY_TYPE_TEST, POSTAGE_EUROPE, POSTAGE_UNSPECIFIED
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1 import print_runs_service_pb2 as runs_pb
from notify.letters.v1.letter_pb2 import Letter, PrecompiledPdf
from notify_common import clock
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.clamd import Clamd, ScanFailed, ScannerUnavailable, Verdict
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_letters.domain.letter import infected_key, invalid_key, pdf_key, upload_key
from notify_letters.domain.precompiled import Inspected
from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.overlays import OverlayTypesetter
from notify_letters.pdf.precompiled import Tools, inspect
from notify_letters.pdf.reader import Limits, PdfReader, ReaderDied
from notify_letters.pdf.substitutes import Substitutes
from notify_letters.usecases.change_letters import remove_old_letters
from notify_letters.usecases.check_precompiled import TRIES
from notify_letters.usecases.upload_pdf import remove_untaken_uploads
from notify_testing import pdfs
from notify_testing.clamd import VIRUS, FakeClamd

from .conftest import SERVICE_ID, World, letter

PDF = pdfs.letter()


def upload(world: World, upload_id: str, pdf: bytes, *, chunk: int = 400, **values: Any) -> bool:
    """Upload a PDF; returns whether it was known."""
    header = {
        "letter_id": upload_id,
        "service_id": SERVICE_ID,
        "size_bytes": len(pdf),
        "sha256": hashlib.sha256(pdf).hexdigest(),
        **values,
    }

    def parts() -> Iterator[pb.UploadPdfRequest]:
        yield pb.UploadPdfRequest(header=pb.UploadPdfHeader(**header))
        for start in range(0, len(pdf), chunk):
            yield pb.UploadPdfRequest(chunk=pdf[start : start + chunk])

    answer: pb.UploadPdfResponse = world.gateway_letters.UploadPdf(parts())
    return answer.duplicate


def send(world: World, pdf: bytes = PDF, *, allow_international: bool = False, **values: Any) -> str:
    """Upload a PDF and hand its letter over; returns its id."""
    precompiled = PrecompiledPdf(allow_international=allow_international)
    one = letter(personalisation=[], address_lines=[], precompiled=precompiled, **values)
    upload(world, one.id, pdf, chunk=100_000)
    request = pb.BatchCreateLettersRequest(letters=[one])
    assert world.letters.BatchCreateLetters(request).created_count == 1
    assert world.letters.BatchCreateLetters(request).duplicate_count == 1
    return one.id


class QuickReader(PdfReader):
    """Reads in this process, which is quicker and enough for files that mean no harm."""

    def check(
        self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False
    ) -> tuple[Inspected, bytes]:
        return inspect(pdf, _tools(), allow_international=allow_international)


@cache
def _tools() -> Tools:
    return Tools(OverlayTypesetter(Fonts()).overlay, Substitutes())


def checking(world: World, clamd: str = "off", reader: PdfReader | None = None) -> Callable[[], int]:
    """Return what deals with the next letter that waits to be checked."""
    parts = world.parts(clamd_address=clamd)
    parts.pdf_reader = reader or QuickReader(Limits())
    return partial(parts.check_step(parts.check_queue()), world.uow)


def check(world: World, clamd: str = "off", reader: PdfReader | None = None) -> int:
    """Deal with what waits to be checked; returns how many letters that were."""
    check_next = checking(world, clamd, reader)
    done = 0
    while check_next():
        done += 1
    return done


def again(world: World) -> None:
    """What the time until the next try does."""
    world.run("UPDATE pdf_checks SET due_at = now(), leased_until = now() WHERE due_at IS NOT NULL")


def get(world: World, letter_id: str) -> Letter:
    request = pb.GetLetterRequest(service_id=SERVICE_ID, letter_id=letter_id)
    answer: pb.GetLetterResponse = world.letters.GetLetter(request)
    return answer.letter


def download(world: World, letter_id: str) -> bytes:
    request = pb.DownloadPdfRequest(service_id=SERVICE_ID, letter_id=letter_id)
    _, *rest = world.letters.DownloadPdf(request)
    return b"".join(part.chunk for part in rest)


def refusal(world: World, letter_id: str) -> str:
    with pytest.raises(NotifyError) as caught:
        download(world, letter_id)
    return caught.value.reason


def stored(world: World, *keys: str) -> list[bool]:
    """Which of these objects there are."""
    blobs = world.parts().blobs
    found = []
    for key in keys:
        try:
            blobs.head(key)
            found.append(True)
        except Exception:
            found.append(False)
    return found


def objects(world: World, letter_id: str) -> list[bool]:
    """Which there are of the upload, the printable, the invalid and the infected PDF."""
    return stored(world, *(key(letter_id) for key in (upload_key, pdf_key, invalid_key, infected_key)))


def test_a_pdf_is_checked_and_goes_to_the_printer(world: World) -> None:
    letter_id = send(world)
    assert get(world, letter_id).state == Letter.STATE_PENDING_VIRUS_CHECK
    assert refusal(world, letter_id) == "PDF_NOT_READY"
    assert check(world, reader=PdfReader(Limits())) == 1
    now = get(world, letter_id)
    assert (now.state, now.page_count, now.sheet_count) == (Letter.STATE_READY, 1, 1)
    assert list(now.address_lines) == list(pdfs.ADDRESS)
    assert now.HasField("precompiled")
    assert download(world, letter_id).startswith(b"%PDF-")
    page = world.letters.GetPageImage(
        pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=letter_id, page_number=1)
    )
    assert page.png.startswith(b"\x89PNG")
    assert world.events() == [(letter_id, "ready")]
    assert objects(world, letter_id) == [True, True, False, False]

    world.print_runs.StartPrintRun(runs_pb.StartPrintRunRequest(request_id=new_id()))
    world.collect()
    parts = world.parts()
    assert [parts.submit_batch(batch_id) for batch_id in world.batch_ids("print_batches")] == [True]
    (dispatch,) = world.providers.dispatches.values()
    assert dispatch.print.pdf_key == pdf_key(letter_id)
    assert list(dispatch.print.address_lines) == list(pdfs.ADDRESS)


def test_a_pdf_of_a_test_key_goes_on_at_once(world: World) -> None:
    letter_id = send(world, key_type=KEY_TYPE_TEST)
    check(world)
    assert world.states() == {"submitting": 1}
    parts = world.parts()
    assert [parts.submit_batch(batch_id) for batch_id in world.batch_ids("print_batches")] == [True]
    assert list(world.providers.dispatches) == [letter_id]


def test_a_letter_abroad_says_so(world: World) -> None:
    abroad = pdfs.letter(pdfs.address("Ms Example", "1 Rue", "France"))
    allowed = send(world, abroad, allow_international=True)
    not_allowed = send(world, abroad)
    check(world)
    assert get(world, allowed).postage == POSTAGE_EUROPE
    assert get(world, not_allowed).failure == "cant-send-international-letters"
    events = world.letters.ListLetterEvents(pb.ListLetterEventsRequest()).events
    assert {event.letter_id: event.postage for event in events} == {
        allowed: POSTAGE_EUROPE,
        not_allowed: POSTAGE_UNSPECIFIED,
    }


def test_a_pdf_that_breaks_a_rule_is_kept_apart_as_it_came(world: World) -> None:
    wrong = pdfs.letter(pdfs.address(), b"", pdfs.bar(1, 1, 5, 5))
    letter_id = send(world, wrong)
    check(world)
    now = get(world, letter_id)
    assert now.state == Letter.STATE_VALIDATION_FAILED
    assert (now.failure, list(now.failure_pages)) == ("content-outside-printable-area", [3])
    assert download(world, letter_id) == wrong
    assert objects(world, letter_id) == [False, False, True, False]
    assert world.parts().blobs.head(invalid_key(letter_id)).metadata == {
        "validation_status": "failed",
        "message": "content-outside-printable-area",
        "invalid_pages": "[3]",
        "page_count": "3",
    }
    page = world.letters.GetPageImage(
        pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=letter_id, page_number=3)
    )
    assert (page.page_count, page.png[:4]) == (3, b"\x89PNG")
    marked = world.letters.GetPageImage(
        pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=letter_id, page_number=3, mark_zones=True)
    )
    assert (marked.page_count, marked.png[:4]) == (3, b"\x89PNG")
    assert marked.png != page.png


def test_a_pdf_of_no_bytes_is_unreadable(world: World) -> None:
    letter_id = send(world, b"")
    check(world, reader=PdfReader(Limits()))
    now = get(world, letter_id)
    assert (now.failure, now.page_count, list(now.failure_pages)) == ("unable-to-read-the-file", 0, [])
    assert download(world, letter_id) == b""
    with pytest.raises(NotifyError) as caught:
        world.letters.GetPageImage(
            pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=letter_id, page_number=1)
        )
    assert caught.value.reason == "PDF_NOT_READY"


def test_a_virus_is_found_and_nobody_gets_the_file(world: World) -> None:
    infected = PDF + VIRUS
    with FakeClamd() as clamd:
        sick, well = send(world, infected), send(world)
        assert check(world, clamd.address) == 2
        assert sorted(clamd.scanned) == sorted([infected, PDF])
    assert get(world, sick).state == Letter.STATE_VIRUS_SCAN_FAILED
    assert get(world, well).state == Letter.STATE_READY
    assert (sick, "virus-scan-failed") in world.events()
    assert refusal(world, sick) == "VIRUS_FOUND"
    assert objects(world, sick) == [False, False, False, True]


def test_a_letter_waits_while_the_scanner_is_away_and_is_never_taken_for_clean(world: World) -> None:
    letter_id = send(world)
    with FakeClamd() as clamd:
        address = clamd.address
    check_next = checking(world, address)
    for _ in range(2 * TRIES):
        with pytest.raises(ScannerUnavailable):
            check_next()
        assert world.value("SELECT attempt FROM pdf_checks") == 0
        assert world.value("SELECT due_at > now() AND due_at < now() + interval '1 minute' FROM pdf_checks")
        again(world)
    with FakeClamd() as clamd:
        clamd.cut_answers = True
        with pytest.raises(ScannerUnavailable):
            check(world, clamd.address)
        assert clamd.scanned
        clamd.cut_answers = False
        assert get(world, letter_id).state == Letter.STATE_PENDING_VIRUS_CHECK
        again(world)
        assert check(world, clamd.address) == 1
    assert get(world, letter_id).state == Letter.STATE_READY


def test_a_file_that_cannot_be_scanned_fails_in_the_end(world: World) -> None:
    letter_id = send(world)
    with FakeClamd(largest=len(PDF) - 1) as clamd:
        for _ in range(TRIES):
            assert get(world, letter_id).state == Letter.STATE_PENDING_VIRUS_CHECK
            again(world)
            check(world, clamd.address)
    assert get(world, letter_id).state == Letter.STATE_TECHNICAL_FAILURE
    assert world.events() == [(letter_id, "technical-failure")]


def test_what_clamd_says_is_read_as_it_means_it() -> None:
    with FakeClamd(largest=100_000) as fake:
        clamd = Clamd(fake.address, 5)
        assert clamd.scan(b"x" * 99_999) is Verdict.CLEAN
        assert clamd.scan(b"") is Verdict.CLEAN
        assert clamd.scan(VIRUS) is Verdict.INFECTED
        with pytest.raises(ScanFailed):
            clamd.scan(b"x" * 5_000_000)
    with pytest.raises(ScannerUnavailable):
        clamd.scan(b"")
    with pytest.raises(ScannerUnavailable):
        Clamd("unix:///nowhere/clamd.sock", 5).scan(b"")


def test_a_pdf_that_vanished_fails_in_the_end(world: World) -> None:
    letter_id = send(world)
    world.parts().blobs.delete(upload_key(letter_id))
    for _ in range(TRIES):
        assert get(world, letter_id).state == Letter.STATE_PENDING_VIRUS_CHECK
        again(world)
        check(world)
    assert get(world, letter_id).state == Letter.STATE_TECHNICAL_FAILURE
    assert refusal(world, letter_id) == "PDF_NOT_READY"


def week_ago() -> datetime:
    return clock.now() - timedelta(days=7)


class Died(BaseException):
    """What ends a process."""


def die(*_: Any, **__: Any) -> Any:
    raise Died


@pytest.mark.parametrize("at", ["before the check", "after the check", "after the PDF is stored"])
def test_whoever_dies_leaves_a_letter_that_the_next_one_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    letter_id = send(world)

    class Dying(QuickReader):
        def check(self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False) -> Any:
            if at == "before the check":
                die()
            made = super().check(pdf, allow_international=allow_international)
            if at == "after the check":
                die()
            return made

    with monkeypatch.context() as patch:
        if at == "after the PDF is stored":
            patch.setattr("notify_letters.store.letters.record_outcomes", die)
        with pytest.raises(Died):
            check(world, reader=Dying(Limits()))
    assert get(world, letter_id).state == Letter.STATE_PENDING_VIRUS_CHECK
    assert check(world) == 0, "it is leased"
    again(world)
    assert check(world) == 1
    assert get(world, letter_id).state == Letter.STATE_READY
    assert world.events() == [(letter_id, "ready")]
    assert world.value("SELECT count(*) FROM pdf_checks") == 0


def test_whoever_dies_at_the_end_leaves_a_file_that_goes_with_its_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter_id = send(world, pdfs.letter(b""))
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "delete", die)
        with pytest.raises(Died):
            checking(world)()
    assert get(world, letter_id).state == Letter.STATE_VALIDATION_FAILED
    assert objects(world, letter_id) == [True, False, True, False]
    again(world)
    assert check(world) == 0
    world.run("UPDATE letters SET update_time = now() - interval '8 days'")
    assert remove_old_letters(world.uow, world.parts().blobs, SERVICE_ID, week_ago()) == 1
    assert objects(world, letter_id) == [False] * 4
    assert refusal(world, letter_id) == "PDF_REMOVED"


def test_a_letter_that_waits_for_its_check_is_not_removed_for_age(world: World) -> None:
    send(world)
    world.run("UPDATE letters SET update_time = now() - interval '80 days'")
    assert remove_old_letters(world.uow, world.parts().blobs, SERVICE_ID, week_ago()) == 0


def test_a_process_that_lost_its_lease_records_nothing(world: World) -> None:
    letter_id = send(world)

    class Slow(QuickReader):
        def check(self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False) -> Any:
            again(world)
            check(world)
            return super().check(pdf, allow_international=allow_international)

    check(world, reader=Slow(Limits()))
    assert world.events() == [(letter_id, "ready")]


def test_a_cancelled_letter_is_not_checked(world: World) -> None:
    letter_id = send(world)
    world.run("UPDATE letters SET create_time = now()")
    request = pb.BatchCancelLettersRequest(service_id=SERVICE_ID, letter_ids=[letter_id])
    (cancellation,) = world.letters.BatchCancelLetters(request).cancellations
    assert cancellation.outcome == pb.Cancellation.OUTCOME_CANCELLED
    assert check(world) == 1
    assert get(world, letter_id).state == Letter.STATE_CANCELLED
    assert world.events() == [(letter_id, "cancelled")]
    assert world.value("SELECT count(*) FROM pdf_checks") == 0


def test_a_letter_cancelled_while_it_is_checked_stays_cancelled(world: World) -> None:
    letter_id = send(world)

    class Slow(QuickReader):
        def check(self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False) -> Any:
            world.run("UPDATE letters SET state = 'cancelled'")
            return super().check(pdf, allow_international=allow_international)

    check(world, reader=Slow(Limits()))
    assert get(world, letter_id).state == Letter.STATE_CANCELLED
    assert world.events() == []


def test_a_pdf_that_came_ready_made_is_not_typeset_again(world: World) -> None:
    letter_id = send(world)
    check(world)
    request = pb.BatchRenderLettersRequest(service_id=SERVICE_ID, letter_ids=[letter_id])
    assert world.letters.BatchRenderLetters(request).render_count == 0
    assert get(world, letter_id).state == Letter.STATE_READY


@pytest.mark.parametrize(
    ("pdf", "limits"),
    [
        pytest.param(pdfs.bomb(400_000_000), Limits(20, 512), id="a bomb"),
        pytest.param(pdfs.nested_forms(28), Limits(2), id="2**28 drawings"),
    ],
)
def test_what_takes_too_much_is_ended(pdf: bytes, limits: Limits) -> None:
    """It ends within its limits: by saying that it can't, or by being ended."""
    reader = PdfReader(limits)
    try:
        inspected, _ = reader.check(pdf, allow_international=False)
    except ReaderDied:
        return
    assert inspected.failure == "unable-to-read-the-file"


def test_a_file_that_ends_its_process_fails_in_the_end(world: World) -> None:
    letter_id = send(world)

    class Dying(PdfReader):
        def check(self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False) -> Any:
            raise ReaderDied("it took too long")

    for _ in range(TRIES):
        again(world)
        check(world, reader=Dying(Limits()))
    now = get(world, letter_id)
    assert (now.state, now.failure) == (Letter.STATE_VALIDATION_FAILED, "unable-to-read-the-file")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]\n",
        b"{}\n%PDF-",
        b'{"page_count": 99, "failure": "", "pages": [], "address_lines": ["a", "b", "c"], "zone": "",'
        b' "fonts_missing": 0}\n%PDF-',
        b'{"page_count": 1, "failure": "", "pages": [], "address_lines": ["a"], "zone": "",'
        b' "fonts_missing": 0}\n%PDF-',
        b'{"page_count": 1, "failure": "", "pages": [], "address_lines": ["a", "b", "c"], "zone": "",'
        b' "fonts_missing": 0}\n#!/bin/sh',
    ],
)
def test_an_answer_that_cannot_be_true_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    """A file may have got the better of the process that read it."""

    class Ended:
        returncode = 0

    def run(arguments: Sequence[str], *, stdout: Any, **_: Any) -> Ended:
        stdout.write(answer)
        return Ended()

    monkeypatch.setattr("notify_letters.pdf.reader.subprocess.run", run)
    with pytest.raises(ReaderDied):
        PdfReader(Limits()).check(PDF, allow_international=False)


def test_an_upload_is_stored_once(world: World) -> None:
    letter_id = new_id()
    assert not upload(world, letter_id, PDF)
    assert upload(world, letter_id, PDF)
    assert world.parts().blobs.get(upload_key(letter_id)) == PDF
    with pytest.raises(NotifyError) as caught:
        upload(world, letter_id, PDF + b" ")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(NotifyError) as caught:
        upload(world, letter_id, PDF, service_id=new_id())
    assert caught.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("values", [{"size_bytes": len(PDF) - 1}, {"size_bytes": len(PDF) + 1}])
def test_an_upload_that_is_not_what_was_announced_is_refused_and_can_be_repeated(
    world: World, values: dict[str, Any]
) -> None:
    letter_id = new_id()
    with pytest.raises(NotifyError) as caught:
        upload(world, letter_id, PDF, **values)
    assert caught.value.reason == "UPLOAD_MISMATCH"
    assert stored(world, upload_key(letter_id)) == [False]
    assert not upload(world, letter_id, PDF)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("header.size_bytes", {"size_bytes": 10 * 1024 * 1024 + 1}),
        ("header.letter_id", {"letter_id": "no uuid"}),
        ("header.sha256", {"sha256": "a"}),
    ],
)
def test_an_upload_has_bounds(world: World, field: str, values: dict[str, Any]) -> None:
    with pytest.raises(NotifyError) as caught:
        upload(world, new_id(), PDF, **values)
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == [field]


def test_uploads_that_no_letter_came_for_are_removed(world: World) -> None:
    taken, untaken, young = send(world), new_id(), new_id()
    upload(world, untaken, PDF)
    upload(world, young, PDF)
    old = "UPDATE pdf_uploads SET create_time = now() - interval '15 days' WHERE letter_id <> :young"
    world.run(old, young=young)
    blobs = world.parts().blobs
    assert remove_untaken_uploads(world.uow, blobs, 14) == 2
    assert stored(world, *map(upload_key, (taken, untaken, young))) == [True, False, True]
    assert remove_untaken_uploads(world.uow, blobs, 14) == 0
    check(world)
    assert get(world, taken).state == Letter.STATE_READY


def uploaded_copy(world: World, upload_id: str, pdf: bytes = PDF) -> BlobStore:
    """Put a PDF where the admin web app does; returns its bucket."""
    bucket = world.parts().uploads
    assert bucket is not None
    bucket.ensure_bucket()
    bucket.put(f"service-{SERVICE_ID}/{upload_id}.pdf", pdf, content_type="application/pdf")
    return bucket


def take(world: World, upload_id: str, service_id: str = SERVICE_ID) -> str:
    ask = pb.TakeUploadedPdfRequest(letter_id=upload_id, service_id=service_id)
    answer: pb.TakeUploadedPdfResponse = world.gateway_letters.TakeUploadedPdf(ask)
    return answer.sha256


def refusal_to_take(world: World, upload_id: str, service_id: str = SERVICE_ID) -> str:
    with pytest.raises(NotifyError) as caught:
        take(world, upload_id, service_id)
    return caught.value.reason


@pytest.mark.parametrize(
    ("pdf", "state"),
    [
        (PDF, Letter.STATE_READY),
        (pdfs.letter(pdfs.address() + pdfs.bar(2, 150, 8, 8)), Letter.STATE_VALIDATION_FAILED),
    ],
)
def test_a_letter_uploaded_in_the_web_app_goes_the_same_road(world: World, pdf: bytes, state: int) -> None:
    upload_id = str(uuid4())
    bucket = uploaded_copy(world, upload_id, pdf)
    key = f"service-{SERVICE_ID}/{upload_id}.pdf"
    digest = hashlib.sha256(pdf).hexdigest()
    assert take(world, upload_id) == digest
    # whatever becomes of the message, it can be shown and sent again
    assert bucket.get(key) == pdf
    bucket.delete(key)
    assert take(world, upload_id) == digest
    uploaded_copy(world, upload_id, pdf)
    precompiled = PrecompiledPdf(uploaded=True)
    one = letter(id=upload_id, personalisation=[], address_lines=[], precompiled=precompiled)
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=[one]))
    assert check(world) == 1
    assert get(world, upload_id).state == state
    with pytest.raises(BlobNotFound):
        bucket.head(key)


def test_uploads_that_cant_be_taken(world: World) -> None:
    upload_id = str(uuid4())
    bucket = uploaded_copy(world, upload_id)
    assert refusal_to_take(world, upload_id, new_id()) == "UPLOAD_NOT_FOUND"
    assert refusal_to_take(world, str(uuid4())) == "UPLOAD_NOT_FOUND"
    take(world, upload_id)
    assert refusal_to_take(world, upload_id, new_id()) == "REQUEST_ID_REUSED"
    large = str(uuid4())
    bucket.put(f"service-{SERVICE_ID}/{large}.pdf", bytes(10 * 1024 * 1024 + 1))
    assert refusal_to_take(world, large) == "UPLOAD_NOT_FOUND"
