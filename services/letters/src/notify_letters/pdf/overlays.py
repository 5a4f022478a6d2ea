"""What the platform draws over letters that came as PDFs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typst

from notify_letters.pdf.fonts import Fonts
from notify_letters.pdf.precompiled import overlay_input

_TEMPLATE: Final = Path(__file__).with_name("overlay.typ")


class OverlayTypesetter:
    """Makes the overlay of a first page; what it is given only ever becomes text."""

    def __init__(self, fonts: Fonts) -> None:
        self._families = json.dumps(fonts.families)
        self._compiler = typst.Compiler(
            _TEMPLATE,
            root=_TEMPLATE.parent,
            font_paths=list(fonts.directories),
            ignore_system_fonts=True,
        )

    def overlay(self, address_lines: Sequence[str], start_mark: bool) -> bytes:
        """A PDF of one page with an address in its window, and the printer's mark or not."""
        told = overlay_input(address_lines, start_mark=start_mark)
        made = self._compiler.compile(
            format="pdf", sys_inputs={"overlay": told, "fonts": self._families}, timestamp=0
        )
        assert isinstance(made, bytes)  # noqa: S101 - a PDF is one file, unlike pages as pictures
        return made
