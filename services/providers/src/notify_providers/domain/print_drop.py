"""Print drops: letters that travel to a printer together, in one file (pipeline.md §4.8.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class DropState(StrEnum):
    """How far a drop is; the value is what its row says. States only move down this list."""

    PLANNED = "planned"
    """Its letters are in it and in no other. Its file may be at the printer's, who takes none without a
    manifest."""
    FILE_STANDS = "file-stands"
    """The file is at the printer's under its name. The manifest may be too, and the printer may have taken
    both."""
    DONE = "done"
    """Both are there, or were taken already."""


@dataclass(frozen=True, slots=True)
class DropLetter:
    """A letter in a drop.

    Attributes:
        id: of its dispatch.
        pdf_sha256: of the PDF that is in the file, hexadecimal.
        file_name: of its PDF in the file.
    """

    id: str
    pdf_key: str
    pdf_sha256: str
    file_name: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Letters of one class of post and one service, in one file with one manifest.

    Attributes:
        provider: who gets it.
        file_name: unique for all time.
        manifest: its text, as it is put beside the file.
        letters: in their order in the file.
    """

    id: str
    provider: str
    file_name: str
    manifest: str
    letters: Sequence[DropLetter]
    state: DropState = DropState.PLANNED
