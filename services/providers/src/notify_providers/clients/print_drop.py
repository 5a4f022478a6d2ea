"""A printer without an API: letters in zip files with manifests, put by SFTP (pipeline.md §4.8).

The printer takes a zip once its manifest stands beside it. A file is put whole or not at all: under another
name first, then renamed. Which letters are in which zip is kept in the database before anything is put, one
zip a letter, and so is each step, so that whoever goes on knows what the printer may have:

| died | then |
|---|---|
| before the zip stands | the same zip is put again, or, where that can't be done, dissolved: nobody took it |
| before the manifest stands | the zip is there: the manifest is put; it is gone: the printer took both |
| before the outcome was recorded | the zip is known to be done |
"""

import asyncio
import hashlib
import json
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self, TypeVar

from notify_common import clock
from notify_common.enums import Channel, Postage
from notify_common.ids import new_id
from notify_common.logging import describe_exception, get_logger
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import Adapter, PrintDrops, Report, Tools
from notify_providers.clients.http_provider import ACCEPTED, Verdict
from notify_providers.clients.letter_pdfs import LetterPdfs, LetterPdfSettings
from notify_providers.domain.dispatch import NOT_STARTED, CallResult, Outcome
from notify_providers.domain.message import Message, PrintContent
from notify_providers.domain.print_drop import Drop, DropLetter, DropState
from notify_providers.domain.routing import UnknownOutcomeRule

if TYPE_CHECKING:
    from asyncssh import SFTPClient

T = TypeVar("T")

MAX_LETTERS: Final = 500
MAX_BYTES: Final = 40 * 1024 * 1024
"""Of a zip; only a letter that is larger itself is in a larger one, alone (pipeline.md §4.8.2)."""

_ENTRY_BYTES: Final = 512
"""What a zip holds for each file besides its bytes, at most, as names are here."""
_CLASSES: Final[Mapping[Postage, str]] = {
    Postage.FIRST: "1",
    Postage.SECOND: "2",
    Postage.ECONOMY: "ECONOMY",
    Postage.EUROPE: "E",
    Postage.REST_OF_WORLD: "N",
}
_MAY_BE_TAKEN: Final = Verdict(Outcome.UNKNOWN, "manifest_unknown")
_NOT_PUT: Final = Verdict(Outcome.RETRYABLE, "unreachable")
_ELSEWHERE: Final = Verdict(Outcome.UNKNOWN, "in_another_file")
"""Another worker has the letter in hand, so that it must not go by another way: the next try finds out."""


class PrintDropSettings(LetterPdfSettings):
    """What a printer's SFTP server needs: `NOTIFY_PROVIDERS_PRINT_DROP_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_PRINT_DROP_")

    host: str | None = None
    """The server; it is used once this is set."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 22
    username: str | None = None
    private_key: SecretStr | None = None
    """Whom the server lets in: a private key in OpenSSH's or PEM form, without a passphrase."""
    host_keys: str | None = None
    """The server's public keys, one a line, such as `ssh-ed25519 AAAA…`; no other server is talked to."""
    folder: str = "."
    """Where zips and manifests are put; it has to be there."""
    most_letters: Annotated[int, Field(ge=1, le=MAX_LETTERS)] = MAX_LETTERS
    """Letters in a zip; a worker hands over `DISPATCH_WINDOW` at once."""
    most_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)] = MAX_BYTES
    """Bytes of a zip."""
    transfer_seconds: Annotated[float, Field(ge=0.1, le=300)] = 30.0
    """How long putting one zip may take."""
    connections: Annotated[int, Field(ge=1, le=8)] = 2
    """Zips that a worker process puts at once."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.host is None:
            return self
        if not (self.username and self.private_key and self.host_keys and self.blob_access_key):
            raise ValueError(
                "print_drop_username, print_drop_private_key, print_drop_host_keys,"
                " print_drop_blob_access_key and print_drop_blob_secret_key should be set together with"
                " print_drop_host"
            )
        Door(self)
        return self


class PrintDrop(Adapter[PrintDropSettings]):
    """An SFTP server that a printer takes zips from. It reports nothing, so that letters stay `sent`."""

    name = "print-drop"
    channel = Channel.LETTER
    settings = PrintDropSettings
    unknown_outcome_rule = UnknownOutcomeRule.RETRY
    unknown_outcome_wait = 0
    times_calls = False

    def client(self, settings: PrintDropSettings, tools: Tools) -> "PrintDropClient | None":
        """See Adapter."""
        if settings.host is None:
            return None
        pdfs = LetterPdfs.of(settings, tools.call_seconds)
        return PrintDropClient(settings, Door(settings), pdfs, tools.print_drops)


class Door:
    """The way into the printer's folder. Raises ValueError where a key can't be read.

    asyncssh is imported by those processes alone that have a printer behind SFTP: it takes 15 MB of each.
    """

    def __init__(self, settings: PrintDropSettings) -> None:
        import asyncssh

        self._settings = settings
        private = settings.private_key.get_secret_value() if settings.private_key else ""
        try:
            self._key = asyncssh.import_private_key(private)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise ValueError("print_drop_private_key should be a private key without a passphrase") from None
        lines = [line for line in (settings.host_keys or "").splitlines() if line.strip()]
        try:
            self._trusted = [asyncssh.import_public_key(line) for line in lines]
        except asyncssh.KeyImportError:
            raise ValueError("print_drop_host_keys should be public keys, one a line") from None
        self.failures: Final = (OSError, asyncssh.Error)
        """What is raised where the server can't be reached, lets nobody in or does not do as it is asked."""

    def put_file(self, name: str, path: Path) -> None:
        """Put a file under its name, whole or not at all, in place of what has that name."""
        self._run(lambda sftp: _put(sftp, name, path))

    def put_manifest(self, file_name: str, name: str, text: str) -> bool:
        """Put a manifest unless the file that it is of is gone; return whether it was there."""

        async def work(sftp: "SFTPClient") -> bool:
            if not await sftp.exists(file_name):
                return False
            with tempfile.NamedTemporaryFile() as file:
                file.write(text.encode())
                file.flush()
                await _put(sftp, name, Path(file.name))
            return True

        return self._run(work)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there and the server lets it."""
        with suppress(*self.failures):
            self._run(lambda sftp: sftp.remove(name))

    def _run(self, work: "Callable[[SFTPClient], Awaitable[T]]") -> T:
        import asyncssh

        settings = self._settings

        async def session() -> T:
            async with (
                asyncssh.connect(
                    settings.host or "",
                    settings.port,
                    username=settings.username or "",
                    client_keys=[self._key],
                    known_hosts=(self._trusted, [], []),
                    # nothing of the machine's own: neither its settings nor its agent
                    config=None,
                    agent_path=None,
                    login_timeout=settings.transfer_seconds,
                ) as connection,
                connection.start_sftp_client() as sftp,
            ):
                await sftp.chdir(settings.folder)
                return await work(sftp)

        async def bounded() -> T:
            return await asyncio.wait_for(session(), settings.transfer_seconds)

        return asyncio.run(bounded())


async def _put(sftp: "SFTPClient", name: str, path: Path) -> None:
    import asyncssh

    temporary = f".{name}.{new_id()}.part"
    try:
        await sftp.put(path, temporary)
        try:
            await sftp.posix_rename(temporary, name)
        except asyncssh.SFTPOpUnsupported:
            if await sftp.exists(name):
                await sftp.remove(name)
            await sftp.rename(temporary, name)
    except BaseException:
        with suppress(OSError, asyncssh.Error):
            await sftp.remove(temporary)
        raise


@dataclass
class _Zip:
    """A zip in the making, in a file on disk."""

    path: Path
    letters: list[tuple[Message, PrintContent, DropLetter]] = field(default_factory=list)
    bytes: int = 0


class PrintDropClient:
    """Hands letters to a printer in zips, each on a thread of its own."""

    def __init__(self, settings: PrintDropSettings, door: Door, pdfs: LetterPdfs, drops: PrintDrops) -> None:
        self._settings = settings
        self._door = door
        self._pdfs = pdfs
        self._drops = drops
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="print-drop")

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """See ProviderClient. It returns before the files are put."""
        groups: dict[tuple[Postage, str], list[Message]] = defaultdict(list)
        for message in messages:
            groups[_content(message).postage, message.service_id].append(message)
        for group in groups.values():
            self._threads.submit(self._hand_over, group, report)

    def close(self) -> None:
        """See ProviderClient."""
        self._threads.shutdown()

    def _hand_over(self, messages: Sequence[Message], report: Report) -> None:
        """Report on every message once, whatever happens."""
        left = {message.id: message for message in messages}
        try:
            for id, verdict in self._verdicts(messages):
                message = left.pop(id, None)
                if message is not None:
                    report(CallResult(id, message.attempt, verdict.outcome, verdict.reason))
        except Exception as error:
            get_logger().error("letters can't be handed over", **describe_exception(error))
        for message in left.values():
            report(CallResult(message.id, message.attempt, Outcome.UNKNOWN, "failed"))

    def _verdicts(self, messages: Sequence[Message]) -> Iterator[tuple[str, Verdict]]:
        """Yield the verdict on each letter: first those that are in a zip already, then new zips."""
        if clock.monotonic() > min(message.start_before for message in messages):
            yield from ((message.id, Verdict(Outcome.RETRYABLE, NOT_STARTED)) for message in messages)
            return
        known: set[str] = set()
        for drop in self._drops.find([message.id for message in messages]):
            known.update(letter.id for letter in drop.letters)
            yield from self._go_on(drop)
        yield from self._new_drops([message for message in messages if message.id not in known])

    def _go_on(self, drop: Drop) -> Iterator[tuple[str, Verdict]]:
        """Bring a zip to its end that somebody else began."""
        if drop.provider != PrintDrop.name:
            verdict = _ELSEWHERE
        elif drop.state is DropState.DONE:
            verdict = ACCEPTED
        elif drop.state is DropState.FILE_STANDS:
            verdict = self._put_manifest(drop)
        else:
            with tempfile.NamedTemporaryFile(suffix=".zip") as file:
                faults = self._write_again(drop, Path(file.name))
                if not faults:
                    verdict = self._put(drop, Path(file.name))
                elif self._dissolve(drop):
                    yield from faults.items()
                    verdict = Verdict(Outcome.RETRYABLE, "file_dissolved")
                else:
                    verdict = _MAY_BE_TAKEN
        yield from ((letter.id, verdict) for letter in drop.letters)

    def _write_again(self, drop: Drop, path: Path) -> dict[str, Verdict]:
        """Write the same zip once more; return the verdicts on letters whose PDF it can't hold again."""
        faults: dict[str, Verdict] = {}
        with zipfile.ZipFile(path, "w") as file:
            for letter in drop.letters:
                pdf = self._pdfs.read_as(letter.pdf_key, letter.pdf_sha256)
                if isinstance(pdf, Verdict):
                    faults[letter.id] = pdf
                else:
                    file.writestr(_entry(letter.file_name), pdf)
        return faults

    def _new_drops(self, messages: Sequence[Message]) -> Iterator[tuple[str, Verdict]]:
        """Read PDF after PDF into a zip on disk, and put it once it is full."""
        waiting = list(messages)
        while waiting:
            with tempfile.NamedTemporaryFile(suffix=".zip") as file:
                made = _Zip(Path(file.name))
                waiting, faults = self._fill(made, waiting)
                yield from faults
                if made.letters:
                    verdict = self._new_drop(made)
                    yield from ((message.id, verdict) for message, _, _ in made.letters)

    def _fill(
        self, made: _Zip, messages: Sequence[Message]
    ) -> tuple[list[Message], list[tuple[str, Verdict]]]:
        """Write letters into a zip until it is full; return those left, and verdicts on those left out."""
        faults: list[tuple[str, Verdict]] = []
        with zipfile.ZipFile(made.path, "w") as file:
            for place, message in enumerate(messages):
                content = _content(message)
                pdf = self._pdfs.read(content)
                if isinstance(pdf, Verdict):
                    faults.append((message.id, pdf))
                    continue
                size = made.bytes + len(pdf) + _ENTRY_BYTES
                if made.letters and size > self._settings.most_bytes:
                    return list(messages[place:]), faults
                letter = DropLetter(
                    message.id, content.pdf_key, hashlib.sha256(pdf).hexdigest(), _file_name(message, content)
                )
                file.writestr(_entry(letter.file_name), pdf)
                made.letters.append((message, content, letter))
                made.bytes = size
                if len(made.letters) == self._settings.most_letters:
                    return list(messages[place + 1 :]), faults
        return [], faults

    def _new_drop(self, made: _Zip) -> Verdict:
        drop = _drop(made)
        if not self._drops.plan(drop):
            return _ELSEWHERE
        return self._put(drop, made.path)

    def _put(self, drop: Drop, path: Path) -> Verdict:
        try:
            self._door.put_file(drop.file_name, path)
        except self._door.failures as error:
            get_logger().warning("file not put", drop_id=drop.id, **describe_exception(error))
            return _NOT_PUT if self._dissolve(drop) else _MAY_BE_TAKEN
        if not self._drops.file_stands(drop.id):
            # dissolved by somebody else, or done
            return _ELSEWHERE
        return self._put_manifest(drop)

    def _put_manifest(self, drop: Drop) -> Verdict:
        """Put the manifest, unless the printer has taken the file, and so the manifest, already."""
        try:
            put = self._door.put_manifest(drop.file_name, _manifest_name(drop.file_name), drop.manifest)
        except self._door.failures as error:
            get_logger().warning("manifest not put", drop_id=drop.id, **describe_exception(error))
            return _MAY_BE_TAKEN
        self._drops.done(drop.id)
        get_logger().info(
            "print drop done", drop_id=drop.id, letter_count=len(drop.letters), put_before=not put
        )
        return ACCEPTED

    def _dissolve(self, drop: Drop) -> bool:
        if not self._drops.dissolve(drop.id):
            return False
        self._door.remove(drop.file_name)
        return True


def _content(message: Message) -> PrintContent:
    if not isinstance(message.content, PrintContent):
        raise TypeError("a printer takes letters only")
    return message.content


def _drop(made: _Zip) -> Drop:
    """Return the drop of a zip, with its manifest.

    The name is that of pipeline.md §4.8.1, with the London day of the hand-over, and without a number in the
    day, which nobody counts here.
    """
    first, content, _ = made.letters[0]
    id = new_id()
    day = clock.now().astimezone(clock.LONDON).date()
    serial = id.replace("-", "")[:20].upper()
    name = f"NOTIFY.{day}.{_CLASSES[content.postage]}.{serial}.{first.service_id}.ZIP"
    with made.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    lines = [
        {
            "type": "print-drop",
            "version": 1,
            "file": name,
            "bytes": made.path.stat().st_size,
            "sha256": sha256,
            "postage": content.postage,
            "service_id": first.service_id,
            "letters": len(made.letters),
            "sheets": sum(content.sheet_count for _, content, _ in made.letters),
        },
        *(
            {
                "file": letter.file_name,
                "id": letter.id,
                "reference": content.reference,
                "sheets": content.sheet_count,
                "sha256": letter.pdf_sha256,
            }
            for _, content, letter in made.letters
        ),
    ]
    manifest = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return Drop(id, PrintDrop.name, name, manifest, [letter for _, _, letter in made.letters])


def _manifest_name(file_name: str) -> str:
    return file_name.removesuffix(".ZIP") + ".JSONL"


def _file_name(message: Message, content: PrintContent) -> str:
    """Return the name of a PDF (pipeline.md §4.1), with the letter's id in place of its time."""
    kept = "".join(letter for letter in content.reference if letter.isalnum()).upper()
    return f"NOTIFY.{kept}.D.{_CLASSES[content.postage]}.C.{message.id.upper()}.PDF"


def _entry(name: str) -> zipfile.ZipInfo:
    """Return a file's place in a zip, the same each time, so that the same letters make the same zip."""
    return zipfile.ZipInfo(name)
