"""Where a message goes from here, and which lane it waits in meanwhile (design.md §3.3, §3.5)."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from notify_common.enums import Lane
from notify_common.ids import PLATFORM_SERVICE_ID


class Destination(StrEnum):
    """The context that takes a message next."""

    PROVIDERS = "providers"
    """Texts and emails."""
    LETTERS = "letters"
    """Letters."""


def lane_of(service_id: str, *, of_job: bool = False) -> Lane:
    """Return the lane of a service's message. The platform's own mail is first whatever it came with."""
    if service_id == PLATFORM_SERVICE_ID:
        return Lane.PLATFORM
    return Lane.JOB if of_job else Lane.API


def portions(sizes: Sequence[int], most_rows: int, most_bytes: int) -> Iterator[slice]:
    """Yield which rows of these sizes to read together, in their order: up to `most_rows` of `most_bytes`
    together; a larger one is read alone.
    """
    begin, total = 0, 0
    for place, size in enumerate(sizes):
        if place > begin and (place - begin == most_rows or total + size > most_bytes):
            yield slice(begin, place)
            begin, total = place, 0
        total += size
    if begin < len(sizes):
        yield slice(begin, len(sizes))
