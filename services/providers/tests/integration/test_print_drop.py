"""Letters to a printer in zips by SFTP (pipeline.md §4.8): what is put, and that no letter is in two."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.enums import KeyType, Postage
from notify_common.ids import new_id
from notify_local.backing import ObjectStore
from notify_providers.clients.letter_pdfs import LetterPdfs
from notify_providers.clients.print_drop import Door, PrintDropClient, PrintDropSettings
from notify_providers.domain.dispatch import CallResult, Outcome
from notify_providers.domain.message import Message, NewDispatch, PrintContent
from notify_providers.domain.print_drop import Drop
from notify_providers.usecases.print_drops import KeptDrops
from pydantic import ValidationError

from .configured import provider_settings
from .conftest import World
from .fake_printer import USERNAME, FakePrinter
from .messages import OTHER_SERVICE_ID, SERVICE_ID, new

PDF = b"%PDF-1.7 a letter"
SHA256 = hashlib.sha256(PDF).hexdigest()


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[FakePrinter]:
    """Provide a printer with an empty folder."""
    made = FakePrinter(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Provide an S3-compatible store."""
    started = ObjectStore(tmp_path_factory.mktemp("objects"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def blobs(store: ObjectStore) -> BlobStore:
    """Provide the bucket of the PDFs, with one PDF that letters share."""
    made = BlobStore(store.url, "notify-letters", store.access_key, store.secret_key, region=store.region)
    made.ensure_bucket()
    made.put("letters/1.pdf", PDF)
    return made


@pytest.fixture
def settings(printer: FakePrinter, store: ObjectStore, blobs: BlobStore) -> Callable[..., PrintDropSettings]:
    """Provide the settings of the printer's server, with some changed."""

    def made(**values: object) -> PrintDropSettings:
        return PrintDropSettings.model_validate(
            {
                "host": "127.0.0.1",
                "port": printer.port,
                "username": USERNAME,
                "private_key": printer.client_key.export_private_key().decode(),
                "host_keys": printer.host_key,
                "blob_endpoint": store.url,
                "blob_region": store.region,
                "blob_access_key": store.access_key,
                "blob_secret_key": store.secret_key,
                **values,
            }
        )

    return made


def letter(
    service_id: str = SERVICE_ID,
    postage: Postage = Postage.SECOND,
    *,
    pdf_key: str = "letters/1.pdf",
    sha256: str = SHA256,
) -> NewDispatch:
    """Return a letter to take over."""
    lines = ("A Person", "1 Street", "SW1A 1AA")
    made = new(PrintContent(pdf_key, lines, postage, "0123456789ABCDEF", 1, sha256), KeyType.NORMAL)
    return NewDispatch(made.id, service_id, made.key_type, made.content, made.request_id, made.traceparent)


def through(settings: PrintDropSettings) -> dict[str, object]:
    """Return settings that make workers use the printer for letters, and nothing else."""
    return {
        "providers": provider_settings(**{"print-drop": settings}),
        "sandbox_live_messages": False,
    }


def message(sent: NewDispatch, attempt: int = 1) -> Message:
    """Return a letter as a dispatcher hands it over."""
    return Message(
        sent.id,
        sent.service_id,
        sent.key_type,
        sent.content,
        attempt,
        attempt > 1,
        clock.monotonic() + 60,
        sent.request_id,
        sent.traceparent,
    )


class Died(BaseException):
    """The process is no more."""


class Mortal:
    """The effects of a client, in their order, of which one is its last moment.

    Args:
        last: effects that are still done.
    """

    NAMES = ("plan", "put_file", "file_stands", "put_manifest", "done")

    def __init__(self, last: int) -> None:
        self.left = last

    def do(self, effect: Callable[..., Any], *arguments: Any) -> Any:
        """Do one more effect, or die."""
        if self.left == 0:
            raise Died
        self.left -= 1
        return effect(*arguments)


def client(
    world: World, settings: PrintDropSettings, blobs: BlobStore, mortal: Mortal | None = None
) -> PrintDropClient:
    """Return the client of a process, which may die."""
    door, drops = Door(settings), KeptDrops(world.uow)
    if mortal is not None:
        for name in Mortal.NAMES:
            part = door if hasattr(door, name) else drops
            effect = getattr(part, name)
            setattr(part, name, lambda *arguments, effect=effect: mortal.do(effect, *arguments))
    return PrintDropClient(settings, door, LetterPdfs(blobs), drops)


def hand_over(client: PrintDropClient, *messages: Message) -> dict[str, tuple[Outcome, str]]:
    """Hand letters over and return what is reported before the client has ended, each letter once."""
    results: list[CallResult] = []
    client.send(messages, results.append)
    client.close()
    assert all(count == 1 for count in Counter(one.dispatch_id for one in results).values())
    return {one.dispatch_id: (one.outcome, one.reason) for one in results}


def once(letters: Sequence[NewDispatch]) -> Counter[str]:
    """Return each letter once, as the printer should have taken them."""
    return Counter(one.id for one in letters)


def test_letters_arrive_in_zips_by_service_and_class_of_post(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings]
) -> None:
    letters = [
        letter(),
        letter(),
        letter(OTHER_SERVICE_ID),
        letter(postage=Postage.EUROPE),
    ]
    world.take_over(*letters)
    world.workers(world.parts(**through(settings()))).settle()
    assert world.states() == {"sent": 4}
    names = printer.names()
    assert [name.rpartition(".")[2] for name in names] == ["JSONL", "ZIP"] * 3
    day = clock.now().astimezone(clock.LONDON).date()
    assert {name.split(".")[1] for name in names} == {str(day)}
    assert {name.split(".")[2] for name in names} == {"2", "E"}
    printer.take()
    assert Counter(printer.taken) == once(letters)
    sizes = {
        (lines[0]["service_id"], lines[0]["postage"]): lines[0]["letters"] for lines in printer.manifests
    }
    assert sizes == {(SERVICE_ID, "second"): 2, (OTHER_SERVICE_ID, "second"): 1, (SERVICE_ID, "europe"): 1}
    [first, *_] = [lines[1] for lines in printer.manifests if lines[0]["postage"] == "europe"]
    assert first["reference"] == "0123456789ABCDEF"
    assert first["file"] == f"NOTIFY.0123456789ABCDEF.D.E.C.{first['id'].upper()}.PDF"


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"most_letters": 2}, [2, 2, 1]),
        ({"most_bytes": 3 * (len(PDF) + 512)}, [3, 2]),
        # larger than a zip may be: alone
        ({"most_bytes": 1}, [1, 1, 1, 1, 1]),
    ],
)
def test_a_zip_is_not_larger_than_the_printer_takes(
    world: World,
    printer: FakePrinter,
    settings: Callable[..., PrintDropSettings],
    blobs: BlobStore,
    limits: dict[str, int],
    sizes: list[int],
) -> None:
    letters = [letter() for _ in range(5)]
    results = hand_over(client(world, settings(**limits), blobs), *map(message, letters))
    assert set(results.values()) == {(Outcome.ACCEPTED, "")}
    printer.take()
    assert sorted((len(lines) - 1 for lines in printer.manifests), reverse=True) == sizes
    assert Counter(printer.taken) == once(letters)


@pytest.mark.parametrize("taken", [False, True], ids=["waits", "taken"])
@pytest.mark.parametrize("last", range(len(Mortal.NAMES) + 1))
def test_whenever_the_process_dies_no_letter_is_in_two_zips_and_none_is_lost(
    world: World,
    printer: FakePrinter,
    settings: Callable[..., PrintDropSettings],
    blobs: BlobStore,
    last: int,
    taken: bool,
) -> None:
    letters = [letter() for _ in range(3)]
    assert not hand_over(client(world, settings(), blobs, Mortal(last)), *map(message, letters)) or last == 5
    if taken:
        printer.take()
    # others come along, and not all come at once
    more = letter()
    groups = [[letters[2], more], letters[:2], letters]
    for group in groups:
        results = hand_over(client(world, settings(), blobs), *(message(one, 2) for one in group))
        assert {id for id, result in results.items() if result == (Outcome.ACCEPTED, "")} >= {
            one.id for one in group
        }
    printer.take()
    assert Counter(printer.taken) == once([*letters, more])
    assert not [name for name in printer.names() if name.endswith(".JSONL")]


@pytest.mark.parametrize("fault", ["open", "write", "posix_rename"])
@pytest.mark.parametrize("after", [0, 1], ids=["file", "manifest"])
def test_what_the_printer_refuses_is_put_again(
    world: World,
    printer: FakePrinter,
    settings: Callable[..., PrintDropSettings],
    blobs: BlobStore,
    fault: str,
    after: int,
) -> None:
    letters = [letter(), letter()]
    if after:
        # the first of a pair is the zip's own
        assert hand_over(client(world, settings(), blobs, Mortal(3)), *map(message, letters)) == {}
    printer.faults.append(fault)
    results = hand_over(client(world, settings(), blobs), *map(message, letters))
    expected = (Outcome.UNKNOWN, "manifest_unknown") if after else (Outcome.RETRYABLE, "unreachable")
    assert set(results.values()) == {expected}
    assert not [name for name in printer.names() if name.endswith((".part", ".JSONL"))]
    results = hand_over(client(world, settings(), blobs), *(message(one, 2) for one in letters))
    assert set(results.values()) == {(Outcome.ACCEPTED, "")}
    printer.take()
    assert Counter(printer.taken) == once(letters)


def test_what_was_surely_not_put_may_go_another_way(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings], blobs: BlobStore
) -> None:
    """Two letters that were to travel together: one goes by another printer, and the zip is without it."""
    here, elsewhere = letter(), letter()
    printer.faults.append("open")
    hand_over(client(world, settings(), blobs), message(here), message(elsewhere))
    assert hand_over(client(world, settings(), blobs), message(here, 2)) == {here.id: (Outcome.ACCEPTED, "")}
    printer.take()
    assert printer.taken == [here.id]


def test_a_letter_whose_pdf_is_gone_or_changed_is_refused_and_the_others_go(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings]
) -> None:
    good, gone, changed = letter(), letter(pdf_key="letters/none.pdf"), letter(sha256="0" * 64)
    world.take_over(good, gone, changed)
    world.workers(world.parts(**through(settings()))).settle()
    assert world.attempts(good.id) == [("accepted", "")]
    assert world.attempts(gone.id) == [("refused", "pdf_missing")]
    assert world.attempts(changed.id) == [("refused", "pdf_changed")]
    printer.take()
    assert printer.taken == [good.id]


def test_a_zip_that_can_t_be_made_again_is_dissolved(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings], blobs: BlobStore
) -> None:
    key = f"letters/{new_id()}.pdf"
    blobs.put(key, PDF)
    good, gone = letter(), letter(pdf_key=key)
    hand_over(client(world, settings(), blobs, Mortal(2)), message(good), message(gone))
    blobs.delete(key)
    results = hand_over(client(world, settings(), blobs), message(good, 2), message(gone, 2))
    assert results == {
        good.id: (Outcome.RETRYABLE, "file_dissolved"),
        gone.id: (Outcome.REFUSED, "pdf_missing"),
    }
    assert hand_over(client(world, settings(), blobs), message(good, 3)) == {good.id: (Outcome.ACCEPTED, "")}
    printer.take()
    assert printer.taken == [good.id]


def test_a_server_without_posix_rename_will_do(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings], blobs: BlobStore
) -> None:
    printer.knows_posix_rename = False
    letters = [letter(), letter()]
    hand_over(client(world, settings(), blobs, Mortal(2)), *map(message, letters))
    results = hand_over(client(world, settings(), blobs), *(message(one, 2) for one in letters))
    assert set(results.values()) == {(Outcome.ACCEPTED, "")}
    printer.take()
    assert Counter(printer.taken) == once(letters)


@pytest.mark.parametrize("wrong", ["host_keys", "private_key", "port", "folder"])
def test_where_nobody_can_be_talked_to_letters_wait(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings], wrong: str
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    values = {
        "host_keys": other.export_public_key().decode(),
        "private_key": other.export_private_key().decode(),
        "port": 1,
        "folder": "not/there",
    }
    one = letter()
    world.take_over(one)
    parts = world.parts(**through(settings(**{wrong: values[wrong]})), retry_interval_seconds=300)
    world.workers(parts).settle()
    assert world.attempts(one.id) == [("retryable", "unreachable")]
    assert printer.names() == []


def test_a_letter_that_another_worker_put_into_a_zip_meanwhile_waits(
    world: World, printer: FakePrinter, settings: Callable[..., PrintDropSettings], blobs: BlobStore
) -> None:
    one = letter()

    class Late(KeptDrops):
        def find(self, dispatch_ids: Sequence[str]) -> list[Drop]:
            return []

    assert hand_over(client(world, settings(), blobs), message(one)) == {one.id: (Outcome.ACCEPTED, "")}
    late = PrintDropClient(settings(), Door(settings()), LetterPdfs(blobs), Late(world.uow))
    assert hand_over(late, message(one)) == {one.id: (Outcome.UNKNOWN, "in_another_file")}
    printer.take()
    assert printer.taken == [one.id]


@pytest.mark.parametrize(
    "values",
    [
        {"username": None},
        {"private_key": None},
        {"private_key": "no key"},
        {"host_keys": None},
        {"host_keys": "ssh-ed25519 no-key"},
        {"blob_access_key": None},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    settings: Callable[..., PrintDropSettings], values: dict[str, object]
) -> None:
    with pytest.raises(ValidationError, match="print_drop_"):
        settings(**values)
