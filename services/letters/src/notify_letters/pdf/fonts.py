"""The fonts that letters are set in, and which characters they have (content.md §7.5)."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import fontpkg_arimo
import manimgx_fonts
import manimgx_fonts_cjk
import typst
import uharfbuzz
from notify_content.text import compose

_PACKAGES: Final = (fontpkg_arimo, manimgx_fonts, manimgx_fonts_cjk)
_FONT_FILES: Final = frozenset({".ttf", ".otf", ".ttc", ".otc"})
# As wide as the face that letters of government are printed in; then what it lacks.
_PREFERRED: Final = ("Arimo", "Noto Sans")
# Of its faces for Chinese, Japanese and Korean, all of which have all characters.
_CJK: Final = "Noto Sans CJK SC"
_CJK_FACES: Final = "Noto Sans CJK"
_LAST: Final = "Noto Emoji"
# Typst's own, which no setting takes away; what only they have is not checked for.
_BUILT_IN: Final = frozenset(
    {"DejaVu Sans Mono", "Libertinus Serif", "New Computer Modern", "New Computer Modern Math"}
)

_NO_INK: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})
_VARIATION_SELECTORS: Final = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_CODE_POINTS: Final = 0x110000


class Fonts:
    """The fonts of a set of directories; immutable and safe to share between threads."""

    def __init__(self, more_directories: Sequence[Path] = ()) -> None:
        """Look for fonts.

        Args:
            more_directories: searched with all that is in them, beside the fonts that the platform brings.

        Raises:
            NotADirectoryError: one of them does not exist.
        """
        for directory in more_directories:
            if not directory.is_dir():
                raise NotADirectoryError(f"no directory of fonts: {directory}")
        own = [path for package in _PACKAGES for path in map(Path, package.__path__)]
        self.directories = (*own, *more_directories)
        """Where the fonts are."""
        found = set(typst.Fonts(include_system_fonts=False, font_paths=list(self.directories)).families())
        others = sorted(
            family for family in found - {*_PREFERRED, _LAST} - _BUILT_IN if not family.startswith(_CJK_FACES)
        )
        self.families = (*_PREFERRED, *others, _CJK, _LAST)
        """Names of the families, in the order in which a character's glyph is looked for."""
        self._has_glyph = _coverage(self.directories)

    def without_glyph(self, texts: Iterable[str]) -> list[str]:
        """The characters of texts that no font has, each once, in the order in which they first come up.

        Texts are composed first; what leaves no ink needs no glyph.
        """
        missing: dict[str, None] = {}
        for text in texts:
            if text.isascii():
                continue
            for character in compose(text):
                if not self._has_glyph[ord(character)] and _needs_ink(character):
                    missing[character] = None
        return list(missing)


def _needs_ink(character: str) -> bool:
    return unicodedata.category(character) not in _NO_INK and character not in _VARIATION_SELECTORS


@lru_cache(maxsize=2)
def _coverage(directories: tuple[Path, ...]) -> bytes:
    """For each code point, whether some font has it."""
    covered = bytearray(_CODE_POINTS)
    for face in _faces(directories):
        for code_point in face.unicodes:
            covered[code_point] = 1
    return bytes(covered)


def _faces(directories: Iterable[Path]) -> Iterator[uharfbuzz.Face]:
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if path.suffix.lower() in _FONT_FILES:
                blob = uharfbuzz.Blob.from_file_path(str(path))
                first = uharfbuzz.Face(blob)
                yield first
                yield from (uharfbuzz.Face(blob, index) for index in range(1, first.count))
