"""Where on a page of a ready-made PDF there may be what (content.md §7.6, pipeline.md §4.3).

All lengths are millimetres from the top left corner of an A4 page.
"""

from typing import Final, NamedTuple

MM: Final = 72 / 25.4
"""Points in a millimetre."""
PAGE_WIDTH: Final = 210.0
PAGE_HEIGHT: Final = 297.0
SIZE_TOLERANCE: Final = 2.0
"""How much a page's width and height may differ from those of A4."""
PRINT_TOLERANCE: Final = 1.0
"""How much each printable area is wider than what senders are told, on each side."""


class Box(NamedTuple):
    """An area of a page."""

    left: float
    top: float
    right: float
    bottom: float

    def wider(self, by: float) -> "Box":
        """The area with so much more on each side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def points(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in points from the bottom left corner, as PDFs count."""
        return (
            self.left * MM,
            (PAGE_HEIGHT - self.bottom) * MM,
            self.right * MM,
            (PAGE_HEIGHT - self.top) * MM,
        )


LATER_PAGE: Final = (Box(15, 5, 195, 292),)
"""What may be printed on from the second page on."""
LOGO: Final = Box(15, 5, 125, 30)
CONTACT: Final = Box(125, 5, 195, 95)
ADDRESS_WINDOW: Final = Box(24.6, 39.5, 120, 66.3)
BODY: Final = Box(15, 95, 195, 292)
FIRST_PAGE: Final = (LOGO, CONTACT, ADDRESS_WINDOW, BODY)
"""What may be printed on on the first page."""

ADDRESS_SEARCH: Final = ADDRESS_WINDOW.wider(3)
"""Where the address is looked for. Nothing else may be printed here, so all of it is redrawn."""
START_MARK: Final = Box(0, 0, 15.191, 6.149)
"""Where the printer looks for the mark of a letter's first page."""


ZONE_COLOUR: Final = (212, 53, 28)
"""Red, green and blue of what is drawn over the parts of a page where nothing may be printed."""
ZONE_OPACITY: Final = 0.4
"""How much of it hides what is below."""


def printable(page_number: int, *, is_attachment: bool = False) -> tuple[Box, ...]:
    """What may be printed on on a page, from 1, without any tolerance.

    Args:
        is_attachment: whether the pages come after a letter, so that none of them is a first page.
    """
    return FIRST_PAGE if page_number == 1 and not is_attachment else LATER_PAGE
