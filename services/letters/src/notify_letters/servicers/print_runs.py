"""PrintRunsService: converts and calls, decides nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC
from typing import Final

import grpc
from notify.letters.v1 import print_run_pb2
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceServicer
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.rpc.enums import from_text, to_proto
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time

from notify_letters.domain.manifest import batch_key, report_key, run_key
from notify_letters.domain.print_run import PrintBatch, PrintRun, Volume
from notify_letters.usecases.change_print_run import pause_print_run, resume_print_run, retry_print_batches
from notify_letters.usecases.read_print_runs import (
    get_print_run,
    list_print_batches,
    list_print_runs,
    watch_print_run,
)
from notify_letters.usecases.start_print_run import start_print_run

_LIST: Final = {"list": "print_runs"}
_WATCHERS: Final = 2
"""Of the process's threads, each of which serves one stream."""
_WATCH_EVERY_SECONDS: Final = 0.5
_WATCH_FOR_SECONDS: Final = 300.0


class PrintRunsServicer(PrintRunsServiceServicer):
    """Print runs."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager
        self._watchers = threading.BoundedSemaphore(_WATCHERS)

    def StartPrintRun(
        self, request: pb.StartPrintRunRequest, context: grpc.ServicerContext
    ) -> pb.StartPrintRunResponse:
        """Start a run; see the proto."""
        deadline = request.deadline.ToDatetime(UTC) if request.HasField("deadline") else clock.now()
        run = start_print_run(self._uow, request.request_id, deadline)
        return pb.StartPrintRunResponse(print_run=_print_run(run))

    def GetPrintRun(
        self, request: pb.GetPrintRunRequest, context: grpc.ServicerContext
    ) -> pb.GetPrintRunResponse:
        """Return one run; see the proto."""
        run, volumes = get_print_run(self._uow, request.print_run_id)
        return pb.GetPrintRunResponse(print_run=_print_run(run), volumes=map(_volume, volumes))

    def ListPrintRuns(
        self, request: pb.ListPrintRunsRequest, context: grpc.ServicerContext
    ) -> pb.ListPrintRunsResponse:
        """List runs, newest first; see the proto."""
        size = page_size(request.page_size)
        before = read_position_in_time(self._pager.decode(request.page_token, _LIST))
        runs = list_print_runs(self._uow, before, size + 1)
        token = ""
        if len(runs) > size:
            last = runs[size - 1]
            token = self._pager.encode(position_in_time(last.create_time, last.id), _LIST)
        return pb.ListPrintRunsResponse(print_runs=map(_print_run, runs[:size]), next_page_token=token)

    def ListPrintBatches(
        self, request: pb.ListPrintBatchesRequest, context: grpc.ServicerContext
    ) -> pb.ListPrintBatchesResponse:
        """List a run's batches by number; see the proto."""
        run_id = request.print_run_id
        size = page_size(request.page_size)
        filters = {"list": "print_batches", "print_run_id": run_id}
        position = self._pager.decode(request.page_token, filters)
        batches = list_print_batches(self._uow, run_id, int(position[0]) if position else 0, size + 1)
        token = ""
        if len(batches) > size:
            token = self._pager.encode((str(batches[size - 1].number),), filters)
        return pb.ListPrintBatchesResponse(
            print_batches=[_print_batch(run_id, batch) for batch in batches[:size]], next_page_token=token
        )

    def WatchPrintRun(
        self, request: pb.WatchPrintRunRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchPrintRunResponse]:
        """Stream a run's progress; see the proto."""
        run_id = request.print_run_id
        if not self._watchers.acquire(blocking=False):
            raise NotifyError("OVERLOADED", "print runs are being watched by as many callers as can be")
        try:
            for run in watch_print_run(self._uow, run_id, _WATCH_EVERY_SECONDS, _WATCH_FOR_SECONDS):
                yield pb.WatchPrintRunResponse(print_run=_print_run(run))
                if not context.is_active():
                    return
        finally:
            self._watchers.release()

    def PausePrintRun(
        self, request: pb.PausePrintRunRequest, context: grpc.ServicerContext
    ) -> pb.PausePrintRunResponse:
        """Pause a run; see the proto."""
        run = pause_print_run(self._uow, request.print_run_id)
        return pb.PausePrintRunResponse(print_run=_print_run(run))

    def ResumePrintRun(
        self, request: pb.ResumePrintRunRequest, context: grpc.ServicerContext
    ) -> pb.ResumePrintRunResponse:
        """Resume a run; see the proto."""
        run = resume_print_run(self._uow, request.print_run_id)
        return pb.ResumePrintRunResponse(print_run=_print_run(run))

    def RetryPrintBatches(
        self, request: pb.RetryPrintBatchesRequest, context: grpc.ServicerContext
    ) -> pb.RetryPrintBatchesResponse:
        """Try batches again; see the proto."""
        run, count = retry_print_batches(self._uow, request.print_run_id, request.print_batch_ids)
        return pb.RetryPrintBatchesResponse(print_run=_print_run(run), batch_count=count)


def _print_run(run: PrintRun) -> print_run_pb2.PrintRun:
    return print_run_pb2.PrintRun(
        id=run.id,
        state=from_text(print_run_pb2.PrintRun.State, run.state),  # type: ignore[arg-type]
        deadline=run.deadline,
        create_time=run.create_time,
        expected_letter_count=run.expected_letter_count,
        letter_count=run.letter_count,
        batch_count=run.batch_count,
        submitted_letter_count=run.submitted_letter_count,
        submitted_batch_count=run.submitted_batch_count,
        parked_batch_count=run.parked_batch_count,
        pause_time=run.pause_time,
        collect_time=run.collect_time,
        complete_time=run.complete_time,
        manifest_key=run_key(run.id) if run.complete_time else "",
        report_key=report_key(run.id) if run.complete_time else "",
    )


def _volume(volume: Volume) -> print_run_pb2.PrintVolume:
    return print_run_pb2.PrintVolume(
        postage=to_proto(volume.postage),
        batch_count=volume.batch_count,
        letter_count=volume.letter_count,
        page_count=volume.page_count,
        sheet_count=volume.sheet_count,
    )


def _print_batch(run_id: str, batch: PrintBatch) -> print_run_pb2.PrintBatch:
    return print_run_pb2.PrintBatch(
        id=batch.id,
        number=batch.number,
        postage=to_proto(batch.postage),
        service_id=batch.service_id or "",
        letter_count=batch.letter_count,
        page_count=batch.page_count,
        sheet_count=batch.sheet_count,
        submit_time=batch.submit_time,
        park_reason=batch.park_reason,
        manifest_key=batch_key(run_id, batch.number, batch.id) if batch.manifest_sha256 else "",
        manifest_sha256=batch.manifest_sha256,
    )
