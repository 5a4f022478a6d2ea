"""Going through all that a PDF holds."""

from collections.abc import Iterator
from typing import Any

from pikepdf import Array, Dictionary, Pdf, Stream


def dictionaries(pdf: Pdf) -> Iterator[Any]:
    """Every dictionary and stream of a PDF, those within others too; each once.

    What is added meanwhile is left out.
    """
    waiting: list[Any] = list(pdf.objects)
    while waiting:
        one = waiting.pop()
        if isinstance(one, Dictionary | Stream):
            yield one
            inner = [value for _, value in one.items()]
        elif isinstance(one, Array):
            inner = list(one)
        else:
            continue
        # what has a number of its own is in `objects`
        waiting += [
            value for value in inner if isinstance(value, Dictionary | Array) and not value.is_indirect
        ]
