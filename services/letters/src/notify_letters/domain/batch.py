"""Batches that a task has for itself for a while."""

from dataclasses import dataclass
from typing import Any

from notify_common.enums import Postage


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch of letters, leased by the task at hand."""

    id: str
    attempt: int
    """Which try this is, from 1."""
    request_id: str
    traceparent: str
    lease: Any
    """The store's own: what tells this lease from others."""


@dataclass(frozen=True, slots=True)
class ClaimedPrintBatch(ClaimedBatch):
    """A print batch, leased by the task at hand. Fields as in `domain.print_run.PrintBatch`."""

    print_run_id: str | None
    """None for letters of test keys, which belong to no run; so are the next two."""
    postage: Postage | None
    service_id: str | None
    number: int
    letter_count: int
