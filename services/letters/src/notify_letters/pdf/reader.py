"""Reading files of strangers, each in a process of its own that is bounded in time and memory."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

from notify_common.logging import get_logger

from notify_letters.domain.precompiled import Inspected

_MIB: Final = 1024 * 1024
_OUTPUT_BYTES: Final = 32 * _MIB
_LARGEST_WITHOUT_NOTICE: Final = 2 * _MIB
_GROWTH_WITHOUT_NOTICE: Final = 1.5
_LONGEST_HEAD: Final = 64 * 1024


class Zones(StrEnum):
    """Whose rules say where on pages something may be printed."""

    LETTER = "letter"
    ATTACHMENT = "attachment"
    """Pages that come after a letter, none of which is a first page."""


class Preview(NamedTuple):
    """What wording is like that was laid out: pages of which kind. None in all where it can't be."""

    page_count: int
    """In all."""
    welsh_page_count: int
    attachment_page_count: int


class ReaderDied(Exception):
    """The process that read the file went beyond its limits, or crashed. The text says how."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one PDF may take."""

    cpu_seconds: int = 20
    """Processor time; on the clock three times as much, as others want the processor too."""
    memory_mib: int = 1024
    """Address space, of which the program itself takes about a third."""

    @property
    def seconds(self) -> float:
        """Time on the clock."""
        return 3.0 * self.cpu_seconds


class PdfReader:
    """Reads PDFs and wording of strangers, each in a process that is made for it; safe to share between
    threads.

    Args:
        limits: of each process.
        font_dirs: directories of fonts beside those that the platform brings.
    """

    def __init__(self, limits: Limits, font_dirs: Sequence[Path] = ()) -> None:
        self.limits = limits
        self._options = [
            f"--memory-bytes={limits.memory_mib * _MIB}",
            f"--cpu-seconds={limits.cpu_seconds}",
            f"--output-bytes={_OUTPUT_BYTES}",
            *(f"--font-dir={folder}" for folder in font_dirs),
        ]

    def check(
        self, pdf: bytes, *, allow_international: bool, is_attachment: bool = False
    ) -> tuple[Inspected, bytes]:
        """Check a PDF and make it printable; see `precompiled.inspect`.

        Raises:
            ReaderDied: the process ended without an answer. A file that provokes it may do so again.
        """
        options = [f"--zones={Zones.ATTACHMENT if is_attachment else Zones.LETTER}"]
        if allow_international:
            options.append("--allow-international")
        said, printable = self._run(pdf, "check", options)
        inspected = _inspected(said, is_attachment=is_attachment)
        if not inspected.failure:
            if not printable.startswith(b"%PDF-"):
                raise ReaderDied("it made no PDF")
            _note(inspected, len(pdf), len(printable))
        return inspected, printable

    def page_png(
        self, pdf: bytes, page_number: int, zones: Zones | None = None, *, lone_page: bool = False
    ) -> tuple[bytes, int]:
        """A picture of a page, from 1, and how many pages there are; no picture past the last.

        Args:
            zones: marks where nothing may be printed, and the address window; see `pages.page_png`.
            lone_page: whether a PDF of one page is that page of its letter.

        Raises:
            ReaderDied: the process ended without an answer; so it does where the file is no PDF.
        """
        options = [f"--page-number={page_number}", *([f"--zones={zones}"] if zones else [])]
        said, png = self._run(pdf, "page", [*options, *(["--lone-page"] if lone_page else [])])
        return png, _count(said, "page_count")

    def with_zones(self, pdf: bytes, zones: Zones) -> tuple[bytes, int]:
        """A PDF with marks where nothing may be printed on every page, and how many pages it has.

        Raises:
            ReaderDied: as `page_png` does.
        """
        said, marked = self._run(pdf, "zones", [f"--zones={zones}"])
        if not marked.startswith(b"%PDF-"):
            raise ReaderDied("it made no PDF")
        return marked, _count(said, "page_count")

    def preview(self, wording: Mapping[str, Any]) -> tuple[Preview, bytes]:
        """Lay wording out; see `previews.preview`.

        Args:
            wording: the fields of `previews.Wording`.

        Raises:
            ReaderDied: the process ended without an answer: the wording took more than it may.
        """
        said, made = self._run(json.dumps(wording).encode(), "preview", [])
        counts = (_count(said, name) for name in Preview._fields)
        return Preview(*counts), made

    def _run(self, file: bytes, command: str, options: Sequence[str]) -> tuple[dict[str, Any], bytes]:
        arguments = [sys.executable, "-I", "-m", "notify_letters.pdf.reader_process", command]
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
            given.write(file)
            given.seek(0)
            try:
                ended = subprocess.run(  # noqa: S603 - the program and its arguments are ours
                    [*arguments, *self._options, *options],
                    stdin=given,
                    stdout=made,
                    stderr=subprocess.DEVNULL,
                    env={},
                    timeout=self.limits.seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise ReaderDied("it took too long") from None
            if ended.returncode != 0:
                raise ReaderDied(f"it ended with {ended.returncode}")
            made.seek(0)
            head = made.readline(_LONGEST_HEAD)
            rest = made.read()
        try:
            said = json.loads(head)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise ReaderDied("its answer can't be read")
        return said, rest


def _count(said: dict[str, Any], name: str) -> int:
    count = said.get(name)
    if not isinstance(count, int) or not 0 <= count < 2**31:
        raise ReaderDied("its answer can't be true")
    return count


def _note(inspected: Inspected, given: int, made: int) -> None:
    """Log what is printed all the same (pipeline.md §4.3 step 11)."""
    if made > _LARGEST_WITHOUT_NOTICE:
        get_logger().error("printable PDF is large", size_bytes=made)
    elif made > given * _GROWTH_WITHOUT_NOTICE:
        get_logger().warning("printable PDF has grown", size_bytes=made, given_bytes=given)
    if inspected.fonts_missing:
        get_logger().warning("printable PDF lacks fonts", font_count=inspected.fonts_missing)


def _inspected(said: dict[str, Any], *, is_attachment: bool) -> Inspected:
    """The answer, as far as it can be one: a file may have got the better of the process that read it."""
    try:
        inspected = Inspected(
            page_count=int(said["page_count"]),
            failure=str(said["failure"]),
            pages=tuple(int(page) for page in said["pages"]),
            address_lines=tuple(str(line) for line in said["address_lines"]),
            zone=str(said["zone"]),
            fonts_missing=int(said["fonts_missing"]),
        )
    except (ValueError, TypeError, KeyError):
        raise ReaderDied("its answer can't be read") from None
    if said.get("error"):
        get_logger().info("precompiled letter is unreadable", error_type=str(said["error"])[:100])
    if not inspected.is_possible(is_attachment=is_attachment):
        raise ReaderDied("its answer can't be true")
    return inspected
