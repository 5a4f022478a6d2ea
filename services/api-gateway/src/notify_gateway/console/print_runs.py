"""Print runs, for people who watch one: the list, and the progress of each."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from flask import Blueprint, render_template
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1.common_pb2 import Postage
from notify.letters.v1.print_run_pb2 import PrintRun, PrintVolume
from notify.letters.v1.print_runs_service_pb2 import GetPrintRunRequest, ListPrintRunsRequest
from notify_common.rpc import enums

from notify_gateway.clients import InternalClients

RUNS: Final = 25

_STATES: Final = {
    PrintRun.STATE_COLLECTING: "collecting its letters",
    PrintRun.STATE_SUBMITTING: "handing its batches to the printer",
    PrintRun.STATE_SUBMITTED: "complete",
    PrintRun.STATE_UNRECONCILED: "complete, but counts disagree: see its report",
}
_COMPLETE: Final = (PrintRun.STATE_SUBMITTED, PrintRun.STATE_UNRECONCILED)


@dataclass(frozen=True)
class Run:
    """A run, in the words of the page."""

    id: str
    started: str
    deadline: str
    state: str
    moving: bool
    """Whether more is to come."""
    collecting: bool
    """Whether more letters may join it: they are collected only a little ahead of being submitted."""
    size: int
    """Letters in all, expected while it collects; 0 while nobody knows."""
    letters: int
    submitted: int
    batches: int
    submitted_batches: int
    parked: int
    per_second: int | None
    """Letters a second from the start to the end; None until it is complete, or where it took no time."""


@dataclass(frozen=True)
class Volume:
    """What a run holds of one class of post."""

    postage: str
    letters: int
    sheets: int


def add_pages(pages: Blueprint, clients: InternalClients) -> None:
    """Add the pages below /console/print-runs to those of the console."""

    @pages.get("/print-runs")
    def print_runs() -> str:
        response = clients.print_runs.ListPrintRuns(ListPrintRunsRequest(page_size=RUNS))
        return render_template("console/print_runs.html", runs=[_run(run) for run in response.print_runs])

    @pages.get("/print-runs/<uuid:run_id>")
    def print_run(run_id: UUID) -> str:
        response = clients.print_runs.GetPrintRun(GetPrintRunRequest(print_run_id=str(run_id)))
        return render_template(
            "console/print_run.html",
            run=_run(response.print_run),
            volumes=[_volume(volume) for volume in response.volumes],
        )


def _run(run: PrintRun) -> Run:
    complete = run.state in _COMPLETE
    state = "paused" if run.HasField("pause_time") else _STATES.get(run.state, "unknown")
    seconds = run.complete_time.seconds - run.create_time.seconds if complete else 0
    return Run(
        id=run.id,
        started=_time(run.create_time),
        deadline=_time(run.deadline),
        state=state,
        moving=not complete,
        collecting=run.state == PrintRun.STATE_COLLECTING,
        size=_size(run),
        letters=run.letter_count,
        submitted=run.submitted_letter_count,
        batches=run.batch_count,
        submitted_batches=run.submitted_batch_count,
        parked=run.parked_batch_count,
        per_second=run.letter_count // seconds if seconds > 0 else None,
    )


def _size(run: PrintRun) -> int:
    if run.state != PrintRun.STATE_COLLECTING:
        return run.letter_count
    return max(run.letter_count, run.expected_letter_count) if run.expected_letter_count else 0


def _volume(volume: PrintVolume) -> Volume:
    postage = enums.to_text(Postage, volume.postage).replace("-", " ")
    return Volume(postage, volume.letter_count, volume.sheet_count)


def _time(moment: Timestamp) -> str:
    return moment.ToDatetime().strftime("%d %B %Y, %H:%M")
