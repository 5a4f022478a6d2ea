"""Which countries promise a delivery receipt for a text (content.md appendix B)."""

from typing import Final

_NOT_AVAILABLE_OR_CARRIER_ONLY: Final = (
    "1 52 54 56 57 84 86 263 373 681 683 686 690 886 1242 1246 1684 1809 1829 1849"
)
_UNKNOWN: Final = (
    "211 222 228 229 231 236 238 239 240 245 246 249 252 253 257 262 266 269 297 298 299 378 383 504 505 508 "
    "509 593 594 595 596 597 670 672 674 676 677 678 680 682 685 691 692 960 967 970 975 993 1441 1721 "
    "1868"
)
_WITHOUT_RECEIPTS: Final = frozenset(f"{_NOT_AVAILABLE_OR_CARRIER_ONLY} {_UNKNOWN}".split())


def promises_receipts(prefix: str) -> bool:
    """Tell whether receipts from the destination with this billing prefix count."""
    return prefix not in _WITHOUT_RECEIPTS
