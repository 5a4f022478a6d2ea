"""From the colours of screens to those of the printer's inks (pipeline.md §4.3 step 8).

Red, green and blue become cyan, magenta, yellow and black by the PDF standard's own rule with all that the
three inks have in common taken over by black, so that black text stays black ink alone. Greys are left: they
are black ink already. What is left in RGB besides: shadings, pictures within the drawing's text, and pictures
of which one colour is transparent.
"""

from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, PdfImage, Stream
from PIL import Image, ImageChops

from notify_letters.pdf.objects import dictionaries

_LONGEST_DRAWING: Final = 16 * 1024 * 1024
_JPEG_QUALITY: Final = 90
_RGB: Final = 3
_RGB_NAMES: Final = (Name.DeviceRGB, Name.CalRGB, Name.RGB)
_TO_INK: Final = {"rg": "k", "RG": "K"}
_FILL: Final = frozenset({"cs", "sc", "scn", "g", "k", "rg"})
_SETS_COLOUR: Final = frozenset({"sc", "scn", "SC", "SCN"})
_SETS_OTHER_SPACE: Final = frozenset({"g", "G", "k", "K"})


def to_ink(letter: Pdf) -> None:
    """Turn the RGB colours of drawings and pictures to CMYK, in place."""
    for one in dictionaries(letter):
        if isinstance(one, Stream):
            if one.get("/Subtype") == Name.Image:
                _picture_to_ink(letter, one)
            elif one.get("/Subtype") == Name.Form or one.get("/PatternType") == 1:
                _drawing_to_ink(one)
        elif isinstance(one, Dictionary) and one.get("/Subtype") == Name.Type3:
            for drawing in one.get("/CharProcs", Dictionary()).values():
                if isinstance(drawing, Stream):
                    _drawing_to_ink(drawing, one.get("/Resources"))


def ink(red: float, green: float, blue: float) -> tuple[float, float, float, float]:
    """Cyan, magenta, yellow and black of a colour; all from 0 to 1."""
    cyan, magenta, yellow = (1 - min(max(part, 0.0), 1.0) for part in (red, green, blue))
    black = min(cyan, magenta, yellow)
    return cyan - black, magenta - black, yellow - black, black


def _is_rgb(space: Any) -> bool:
    if isinstance(space, Name):
        return space in _RGB_NAMES
    if isinstance(space, Array) and len(space):
        if space[0] == Name.ICCBased and len(space) > 1:
            return bool(int(space[1].get("/N", 0)) == _RGB)
        return space[0] in _RGB_NAMES
    return False


def _drawing_to_ink(drawing: Any, resources: Any = None) -> None:
    group = drawing.get("/Group")
    if isinstance(group, Dictionary) and _is_rgb(group.get("/CS")):
        group.CS = Name.DeviceCMYK
    with suppress(pikepdf.PdfError, ValueError):  # one that can't be read as it should be is left as it is
        if len(drawing.read_bytes()) > _LONGEST_DRAWING:
            return
        resources = drawing.get("/Resources", resources)
        spaces = resources.get("/ColorSpace") if isinstance(resources, Dictionary) else None
        steps = pikepdf.parse_content_stream(drawing)
        changed = _Inked(spaces if isinstance(spaces, Dictionary) else Dictionary())
        written = [changed.step(step) for step in steps]
        if changed.any:
            drawing.write(pikepdf.unparse_content_stream(written))


class _Inked:
    """Goes through a drawing with an eye on which colour space is in force."""

    def __init__(self, spaces: Dictionary) -> None:
        self.any = False
        self._spaces = spaces
        self._rgb = {True: False, False: False}  # of filling, of lines
        self._saved: list[dict[bool, bool]] = []

    def step(self, step: Any) -> Any:
        """The step as it is to be drawn."""
        operator = str(step.operator)
        operands = step.operands
        if operator == "q":
            self._saved.append(dict(self._rgb))
        elif operator == "Q" and self._saved:
            self._rgb = self._saved.pop()
        elif operator in _TO_INK and len(operands) == _RGB:
            self._rgb[operator in _FILL] = False
            return self._with(_inks(operands), _TO_INK[operator])
        elif operator in _SETS_OTHER_SPACE:
            self._rgb[operator in _FILL] = False
        elif operator in ("cs", "CS") and len(operands) == 1:
            name = operands[0]
            rgb = self._rgb[operator in _FILL] = _is_rgb(self._spaces.get(str(name), name))
            if rgb:
                return self._with([Name.DeviceCMYK], operator)
        elif (
            operator in ("sc", "scn", "SC", "SCN") and len(operands) == _RGB and self._rgb[operator in _FILL]
        ):
            return self._with(_inks(operands), operator)
        return step

    def _with(self, operands: list[Any], operator: str) -> Any:
        self.any = True
        return pikepdf.ContentStreamInstruction(operands, pikepdf.Operator(operator))


def _inks(operands: Iterable[Any]) -> list[Decimal]:
    return [Decimal(f"{part:.4f}").normalize() for part in ink(*map(float, operands))]


def _picture_to_ink(letter: Pdf, picture: Any) -> None:
    space = picture.get("/ColorSpace")
    if isinstance(space, Array) and len(space) > _RGB and space[0] == Name.Indexed and _is_rgb(space[1]):
        _palette_to_ink(letter, picture, space)
        return
    if not _is_rgb(space) or "/Decode" in picture or isinstance(picture.get("/Mask"), Array):
        return
    with suppress(pikepdf.PdfError, ValueError, OSError, NotImplementedError):  # left as it is
        image: Image.Image = PdfImage(picture).as_pil_image()
        if image.mode != "RGB":
            return
        inked = _image_to_ink(image)
        if Name.DCTDecode in _filters(picture):
            out = BytesIO()
            inked.save(out, "JPEG", quality=_JPEG_QUALITY)
            picture.write(out.getvalue(), filter=Name.DCTDecode)
            # the file format has them the other way round
            picture.Decode = Array([1, 0] * len(inked.getbands()))
        else:
            picture.write(inked.tobytes())
        picture.ColorSpace = Name.DeviceCMYK
        picture.BitsPerComponent = 8


def _filters(picture: Any) -> list[Any]:
    given = picture.get("/Filter")
    return list(given) if isinstance(given, Array) else [given]


def _image_to_ink(image: Image.Image) -> Image.Image:
    inks = [ImageChops.invert(band) for band in image.split()]
    black = ImageChops.darker(ImageChops.darker(inks[0], inks[1]), inks[2])
    return Image.merge("CMYK", [*(ImageChops.subtract(one, black) for one in inks), black])


def _palette_to_ink(letter: Pdf, picture: Any, space: Any) -> None:
    palette = space[3]
    colours = palette.read_bytes() if isinstance(palette, Stream) else bytes(palette)
    inked = bytearray()
    for start in range(0, len(colours) - len(colours) % _RGB, _RGB):
        parts = (part / 255 for part in colours[start : start + _RGB])
        inked += bytes(round(part * 255) for part in ink(*parts))
    picture.ColorSpace = Array([Name.Indexed, Name.DeviceCMYK, space[2], letter.make_stream(bytes(inked))])
