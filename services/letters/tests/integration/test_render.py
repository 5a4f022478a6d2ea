"""From taking letters over to their PDFs, task by task."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pypdfium2
import pytest
from notify.common.v1.common_pb2 import (
    KEY_TYPE_TEAM,
    KEY_TYPE_TEST,
    POSTAGE_UNSPECIFIED,
    PersonalisationField,
    TextList,
)
from notify.letters.v1 import letters_service_pb2 as pb
from notify.letters.v1.letter_pb2 import Letter
from notify_common import ids
from notify_common.db.migrations import schema_differences
from notify_common.errors import NotifyError
from notify_common.ops import queues
from notify_common.reasons import Code
from notify_letters.domain.letter import pdf_key
from notify_letters.pdf.typesetter import Pdf, Typesetter
from notify_letters.store.tables import metadata
from notify_letters.usecases import render_batch
from notify_letters.usecases.ops import OPS
from notify_local.backing import wait_until
from notify_testing.waiting import WAIT_SECONDS, until

from .conftest import SERVICE_ID, World, letter


def create(world: World, *letters: Letter) -> tuple[int, int]:
    """Return created and duplicate counts."""
    answer = world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=letters))
    return answer.created_count, answer.duplicate_count


def render_all(world: World, **settings: Any) -> list[bool]:
    """Run the tasks of all render batches."""
    parts = world.parts(**settings)
    return [parts.render_batch(batch_id) for batch_id in world.batch_ids("render_batches")]


def get(world: World, letter_id: str) -> Letter:
    """Return a letter as it stands."""
    request = pb.GetLetterRequest(service_id=SERVICE_ID, letter_id=letter_id)
    answer: pb.GetLetterResponse = world.letters.GetLetter(request)
    return answer.letter


def download(world: World, letter_id: str) -> tuple[pb.PdfMetadata, list[bytes]]:
    """Return a PDF's metadata and chunks."""
    first, *rest = world.letters.DownloadPdf(
        pb.DownloadPdfRequest(service_id=SERVICE_ID, letter_id=letter_id)
    )
    assert all(part.WhichOneof("part") == "chunk" for part in rest)
    return first.metadata, [part.chunk for part in rest]


def text_of(pdf: bytes) -> str:
    """Return all text of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def test_the_models_are_the_schema(world: World) -> None:
    assert schema_differences(metadata, world.url) == []


def test_a_letter_becomes_a_pdf_and_an_event(world: World) -> None:
    one = letter(
        personalisation=[
            PersonalisationField(key="NAME", text="Ann"),
            PersonalisationField(key="name", text="Bea"),
        ]
    )
    assert create(world, one) == (1, 0)
    assert get(world, one.id).state == Letter.STATE_CREATED
    assert render_all(world) == [True]

    now = get(world, one.id)
    assert (now.state, now.page_count, now.sheet_count) == (Letter.STATE_READY, 1, 1)
    assert not now.personalisation
    metadata, chunks = download(world, one.id)
    pdf = b"".join(chunks)
    assert (metadata.size_bytes, metadata.page_count) == (len(pdf), 1)
    assert "Dear Bea" in text_of(pdf), "of two keys that are the same name the last one wins"
    assert "5 March 2026" in text_of(pdf)

    answer = world.letters.ListLetterEvents(pb.ListLetterEventsRequest())
    assert [(event.letter_id, event.kind) for event in answer.events] == [(one.id, pb.LetterEvent.KIND_READY)]
    assert answer.events[0].page_count == 1
    again = world.letters.ListLetterEvents(pb.ListLetterEventsRequest(cursor=answer.next_cursor))
    assert (list(again.events), again.next_cursor) == ([], answer.next_cursor)


def test_letters_are_taken_over_once_per_id(world: World) -> None:
    letters = [letter() for _ in range(90)]
    assert create(world, *letters[:60]) == (60, 0)
    assert create(world, *letters) == (30, 60)
    assert create(world, *letters) == (0, 90)
    assert world.value("SELECT count(*) FROM letters") == 90
    batches = world.rows("SELECT count(*) FROM letters GROUP BY render_batch_id")
    assert max(size for (size,) in batches) <= 50
    assert world.value("SELECT count(*) FROM render_batches") == len(batches), "no batch without letters"
    assert all(render_all(world))
    assert world.states() == {"ready": 90}
    assert len(world.events()) == 90
    assert world.value("SELECT count(*) FROM render_batches") == 0


def test_a_repeated_id_within_one_call_counts_as_a_duplicate(world: World) -> None:
    one = letter()
    assert create(world, one, one) == (1, 1)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("letters[1].id", {"id": "no uuid"}),
        ("letters[1].service_id", {"service_id": ""}),
        ("letters[1].key_type", {"key_type": KEY_TYPE_TEAM}),
        ("letters[1].template_version", {"template_version": 0}),
        ("letters[1].address_lines", {"address_lines": ["one", "two"]}),
        ("letters[1].address_lines[1]", {"address_lines": ["one", "", "three"]}),
        ("letters[1].postage", {"postage": POSTAGE_UNSPECIFIED}),
        ("letters[1].reference", {"reference": "A" * 17}),
        (
            "letters[1].personalisation[0].text",
            {"personalisation": [PersonalisationField(key="a", text="\0")]},
        ),
    ],
)
def test_a_bad_letter_is_named_and_nothing_is_written(
    world: World, field: str, values: dict[str, Any]
) -> None:
    with pytest.raises(NotifyError) as caught:
        create(world, letter(), letter(**values))
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == [field]
    assert world.states() == {}


def test_the_number_of_letters_is_bounded(world: World) -> None:
    for count in (0, 501):
        with pytest.raises(NotifyError) as caught:
            create(world, *([letter()] * count))
        assert [violation.field for violation in caught.value.violations] == ["letters"]
    assert world.states() == {}


def test_a_letter_of_more_than_ten_pages_fails_validation_and_keeps_its_pdf(world: World) -> None:
    version = world.template("\n\n***\n\n".join(["page"] * 11))
    one = letter(template_version=version)
    create(world, one)
    render_all(world)
    now = get(world, one.id)
    assert (now.state, now.page_count, now.sheet_count) == (Letter.STATE_VALIDATION_FAILED, 11, 6)
    assert now.failure == "letter-too-long"
    assert world.events() == [(one.id, "validation-failed")]
    assert download(world, one.id)[0].page_count == 11


def test_a_letter_that_no_font_can_print_fails_alone_and_names_the_characters(world: World) -> None:
    unprintable = PersonalisationField(key="name", text="\U00012000 \ue000 \U00012000")
    letters = [letter() for _ in range(3)] + [letter(personalisation=[unprintable])]
    create(world, *letters)
    assert render_all(world) == [True]
    *good, bad = letters
    kinds = dict(world.events())
    assert {kinds[one.id] for one in good} == {"ready"}
    now = get(world, bad.id)
    assert (now.state, now.failure) == (Letter.STATE_VALIDATION_FAILED, "characters-not-printable")
    assert now.failure_detail == "\U00012000 (U+12000), \ue000 (U+E000)"
    assert kinds[bad.id] == "validation-failed"
    assert {get(world, one.id).failure for one in good} == {""}


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("((name))", {"personalisation": [PersonalisationField(key="name", text="a\n\n" * 33_334)]}),
        ("((name))" * 20, {"personalisation": [PersonalisationField(key="name", text="a" * 5_001)]}),
        ("x", {"address_lines": ["Ann", "1 Street", "b" * 201, "EX1 1EX"]}),
        ("((name))", {"personalisation": [PersonalisationField(key="name", text="a\n\n" * 33_000)]}),
        ("((name))", {"personalisation": [PersonalisationField(key="name", text="a\n" * 49_000)]}),
    ],
    ids=["content", "value used often", "address line", "paragraphs", "lines"],
)
def test_a_letter_that_is_too_long_in_any_layout_fails_validation_alone_and_unrendered(
    world: World, template: str, values: dict[str, Any]
) -> None:
    version = world.template(template)
    good, bad = letter(template_version=version), letter(template_version=version, **values)
    create(world, good, bad)
    assert render_all(world) == [True]
    assert dict(world.events()) == {good.id: "ready", bad.id: "validation-failed"}
    now = get(world, bad.id)
    assert (now.state, now.page_count, now.sheet_count) == (Letter.STATE_VALIDATION_FAILED, 0, 0)
    with pytest.raises(NotifyError) as caught:
        download(world, bad.id)
    assert caught.value.reason == "PDF_NOT_READY"


def test_letters_without_a_template_version_fail_alone(world: World) -> None:
    good, bad = letter(), letter(template_version=7)
    create(world, good, bad)
    render_all(world)
    assert get(world, good.id).state == Letter.STATE_READY
    assert get(world, bad.id).state == Letter.STATE_TECHNICAL_FAILURE
    assert dict(world.events()) == {good.id: "ready", bad.id: "technical-failure"}
    with pytest.raises(NotifyError, match="PDF") as caught:
        download(world, bad.id)
    assert caught.value.reason == "PDF_NOT_READY"


def test_a_qr_code_with_too_much_data_fails_its_letter_alone(world: World) -> None:
    version = world.template("QR: ((name))")
    too_much = [PersonalisationField(key="name", text="x" * 505)]
    good = letter(template_version=version)
    bad = letter(template_version=version, personalisation=too_much)
    create(world, good, bad)
    render_all(world)
    assert dict(world.events()) == {good.id: "ready", bad.id: "technical-failure"}


def test_what_letters_of_a_template_version_cost_admin_is_two_calls_a_process(world: World) -> None:
    calls: list[str] = []
    world.admin.before_call = lambda method, _: calls.append(method)
    parts = world.parts()
    for _ in range(3):
        create(world, letter())
        for batch_id in world.batch_ids("render_batches"):
            assert parts.render_batch(batch_id)
    # the version, and the service for its logo
    assert calls == ["GetSnapshots"] * 2


def test_hostile_values_are_printed_as_they_are(world: World) -> None:
    hostile = '#panic("x") #read("/etc/passwd") $x$ \\u{41} */ @ref <label> "]) {{evil}}'
    contact = world.admin.add_letter_contact(SERVICE_ID, "((name))")
    content = "Dear ((name)) ((list))"
    one = letter(
        template_version=world.template(content, subject="((name))", letter_contact_id=contact),
        personalisation=[
            PersonalisationField(key="name", text=hostile),
            PersonalisationField(key="list", list=TextList(items=["#eval(1)", "= no heading"])),
            PersonalisationField(key="none"),
        ],
        address_lines=["#set page(fill: red)", "1 $High$ Street", "EX1 1EX"],
    )
    create(world, one)
    render_all(world)
    text = text_of(b"".join(download(world, one.id)[1]))
    squeezed = "".join(text.split()).translate(str.maketrans("“”‘’", "\"\"''"))
    assert squeezed.count("".join(hostile.split())) == 3, "in the subject, the body and the contact block"
    assert "#eval(1)" in text
    assert "#SET PAGE(FILL: RED)" in text


def test_control_characters_in_an_address_line_add_no_line_and_change_no_order(world: World) -> None:
    breaks = ["\n", "\r\n", "\x01", "\x07", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
    letters = [
        letter(address_lines=["Ms A Example", f"27{character}Abc{character}Street", "EX1 1EX"])
        for character in (*breaks, "\u202e", "\u2066", "\u200b")
    ]
    create(world, *letters)
    render_all(world)
    for one in letters:
        assert get(world, one.id).state == Letter.STATE_READY
        lines = text_of(b"".join(download(world, one.id)[1])).splitlines()
        (printed,) = [line for line in lines if "27" in line]
        assert "".join(printed.replace("\u200b", "").split()) == "27ABCSTREET"


def test_downloads_come_in_chunks_of_at_most_256_kib(world: World) -> None:
    one = letter()
    create(world, one)
    render_all(world)
    content = bytes(range(256)) * 4096
    world.parts().blobs.put(pdf_key(one.id), content)
    metadata, chunks = download(world, one.id)
    assert metadata.size_bytes == len(content)
    assert b"".join(chunks) == content
    assert [len(chunk) for chunk in chunks] == [256 * 1024] * 4


def test_pages_are_pictures(world: World) -> None:
    one = letter(template_version=world.template("one\n\n***\n\ntwo"))
    create(world, one)
    render_all(world)

    def page(number: int) -> pb.GetPageImageResponse:
        request = pb.GetPageImageRequest(service_id=SERVICE_ID, letter_id=one.id, page_number=number)
        answer: pb.GetPageImageResponse = world.letters.GetPageImage(request)
        return answer

    first, second = page(1), page(2)
    assert first.page_count == 2
    assert first.png[:8] == second.png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(first.png[16:20]) == 1000
    assert first.png != second.png
    assert len(first.png) < 2 * 1024 * 1024
    for number, reason in ((-1, "INVALID_FIELD"), (0, "INVALID_FIELD"), (3, "PAGE_NOT_FOUND")):
        with pytest.raises(NotifyError) as caught:
            page(number)
        assert caught.value.reason == reason


def test_only_the_owning_service_sees_a_letter(world: World) -> None:
    one = letter()
    create(world, one)
    render_all(world)
    stranger = ids.new_id()
    calls: list[Callable[[], object]] = [
        lambda: world.letters.GetLetter(pb.GetLetterRequest(service_id=stranger, letter_id=one.id)),
        lambda: list(world.letters.DownloadPdf(pb.DownloadPdfRequest(service_id=stranger, letter_id=one.id))),
        lambda: world.letters.GetPageImage(
            pb.GetPageImageRequest(service_id=stranger, letter_id=one.id, page_number=1)
        ),
    ]
    for call in calls:
        with pytest.raises(NotifyError) as caught:
            call()
        assert (caught.value.reason, caught.value.code) == ("LETTER_NOT_FOUND", Code.NOT_FOUND)


def test_a_pdf_is_not_ready_until_it_is_made(world: World) -> None:
    one = letter()
    create(world, one)
    with pytest.raises(NotifyError) as caught:
        download(world, one.id)
    assert caught.value.reason == "PDF_NOT_READY"


def test_when_admin_is_down_the_batch_comes_up_again_later(world: World) -> None:
    one = letter()
    create(world, one)
    world.admin.away = True
    assert render_all(world) == [False]
    assert get(world, one.id).state == Letter.STATE_CREATED
    row = world.rows(
        "SELECT attempt, due_at > now() AS later, leased_until, park_reason FROM render_batches"
    )[0]
    assert tuple(row) == (1, True, None, None)
    assert render_all(world) == [False], "not due yet"
    world.admin.away = False

    def rendered() -> bool:
        world.due_again()
        return render_all(world) == [True]

    until(rendered)
    assert get(world, one.id).state == Letter.STATE_READY


def test_when_the_blob_store_is_down_nothing_is_marked(world: World) -> None:
    one = letter()
    create(world, one)
    assert render_all(world, blob_bucket="there-is-no-such-bucket") == [False]
    assert (world.states(), world.events()) == ({"created": 1}, [])
    world.due_again()
    assert render_all(world) == [True]
    assert len(world.events()) == 1


def test_a_doubled_task_does_nothing(world: World) -> None:
    create(world, letter(), letter())
    (batch_id,) = world.batch_ids("render_batches")
    parts = world.parts()
    assert parts.render_batch(batch_id)
    assert not parts.render_batch(batch_id)
    assert len(world.events()) == 2


def test_a_task_whose_lease_was_taken_over_changes_nothing(world: World) -> None:
    create(world, letter(), letter())
    (batch_id,) = world.batch_ids("render_batches")
    slow, quick = world.parts(), world.parts()
    put = slow.blobs.put

    first = iter((True,))

    def overtaken(*arguments: Any, **keywords: Any) -> None:
        if next(first, False):
            world.expire_leases()
            assert quick.render_batch(batch_id)
        put(*arguments, **keywords)

    slow.blobs.put = overtaken  # type: ignore[method-assign] # the moment at which the other task overtakes
    assert not slow.render_batch(batch_id)
    assert world.states() == {"ready": 2}
    assert len(world.events()) == 2, "each letter is told of once"


def test_a_batch_that_kills_its_workers_is_parked(world: World) -> None:
    create(world, letter())
    (batch_id,) = world.batch_ids("render_batches")
    world.run("UPDATE render_batches SET attempt = 20")
    assert not world.parts().render_batch(batch_id)
    assert world.value("SELECT park_reason FROM render_batches") == "no worker finished it"
    world.due_again()
    assert not world.parts().render_batch(batch_id)


def test_a_dropped_batch_fails_its_letters(world: World) -> None:
    create(world, letter())
    (batch_id,) = world.batch_ids("render_batches")
    world.run("UPDATE render_batches SET parked_at = now(), park_reason = 'why'")
    with world.parts().uow.begin() as tx:
        assert queues.drop(tx, OPS, "render_batches", "operator", "why", keys=[batch_id]) == 1
    assert world.states() == {"technical-failure": 1}
    assert [kind for _, kind in world.events()] == ["technical-failure"]
    assert world.batch_ids("render_batches") == []


def test_no_batch_is_begun_while_its_queue_is_paused(world: World) -> None:
    create(world, letter())
    (batch_id,) = world.batch_ids("render_batches")
    with world.parts().uow.begin() as tx:
        queues.pause(tx, OPS, "render_batches", "", "operator", "why")
    assert not world.parts().render_batch(batch_id)
    with world.parts().uow.begin() as tx:
        queues.resume(tx, OPS, "render_batches", "", "operator", "why")
    assert world.parts().render_batch(batch_id)


def test_test_letters_are_submitted_at_once_in_a_batch_of_their_own(world: World) -> None:
    real, test = letter(), letter(key_type=KEY_TYPE_TEST)
    create(world, real, test)
    render_all(world)
    assert world.states() == {"ready": 1, "submitting": 1}
    assert dict(world.events()) == {real.id: "ready", test.id: "ready"}
    (batch_id,) = world.batch_ids("print_batches")
    assert world.value("SELECT print_run_id FROM print_batches") is None
    assert world.parts().submit_batch(batch_id)
    assert list(world.providers.dispatches) == [test.id]
    assert world.providers.dispatches[test.id].key_type == KEY_TYPE_TEST
    assert get(world, test.id).state == Letter.STATE_SUBMITTED
    assert get(world, real.id).state == Letter.STATE_READY


def test_a_batch_stays_leased_while_a_slow_store_takes_its_pdfs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_batch, "HEARTBEAT_SECONDS", 0.05)
    create(world, letter())
    (batch_id,) = world.batch_ids("render_batches")
    parts = world.parts()
    put = parts.blobs.put
    leased_anew: list[bool] = []

    def slow(*arguments: Any, **keywords: Any) -> None:
        world.expire_leases()
        leased = "SELECT leased_until > now() FROM render_batches"
        leased_anew.append(wait_until(lambda: world.value(leased), WAIT_SECONDS))
        put(*arguments, **keywords)

    parts.blobs.put = slow  # type: ignore[method-assign] # the store at its slowest
    assert parts.render_batch(batch_id)
    assert leased_anew == [True]


def test_an_error_that_nobody_thought_of_fails_its_letter_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = letter(), letter(address_lines=["Mr Other", "1 High Street", "EX1 1EX"])
    create(world, bad, good)
    typeset = Typesetter.typeset

    def breaks(self: Typesetter, content: dict[str, Any], create_time: datetime) -> Pdf:
        if content["address_lines"][0] == "Ms Example":
            raise RecursionError
        return typeset(self, content, create_time)

    monkeypatch.setattr(Typesetter, "typeset", breaks)
    assert render_all(world) == [True]
    assert dict(world.events()) == {bad.id: "technical-failure", good.id: "ready"}
