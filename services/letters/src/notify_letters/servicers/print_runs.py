"""PrintRunsService: converts and calls, decides nothing."""

from datetime import UTC, datetime
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.letters.v1 import print_run_pb2
from notify.letters.v1 import print_runs_service_pb2 as pb
from notify.letters.v1.print_runs_service_pb2_grpc import PrintRunsServiceServicer
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager, page_size
from notify_common.rpc.validate import validating

from notify_letters.domain.print_run import PrintRun
from notify_letters.usecases.read_print_runs import get_print_run, list_print_runs
from notify_letters.usecases.start_print_run import start_print_run

_LIST = {"list": "print_runs"}


class PrintRunsServicer(PrintRunsServiceServicer):
    """Print runs."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def StartPrintRun(
        self, request: pb.StartPrintRunRequest, context: grpc.ServicerContext
    ) -> pb.StartPrintRunResponse:
        """Start a run; see the proto."""
        with validating() as check:
            run_id = check.uuid("request_id", request.request_id)
            deadline = check.optional_timestamp("deadline", request) or clock.now()
        return pb.StartPrintRunResponse(print_run=_print_run(start_print_run(self._uow, run_id, deadline)))

    def GetPrintRun(
        self, request: pb.GetPrintRunRequest, context: grpc.ServicerContext
    ) -> pb.GetPrintRunResponse:
        """Return one run; see the proto."""
        with validating() as check:
            run_id = check.uuid("print_run_id", request.print_run_id)
        return pb.GetPrintRunResponse(print_run=_print_run(get_print_run(self._uow, run_id)))

    def ListPrintRuns(
        self, request: pb.ListPrintRunsRequest, context: grpc.ServicerContext
    ) -> pb.ListPrintRunsResponse:
        """List runs, newest first; see the proto."""
        size = page_size(request.page_size)
        position = self._pager.decode(request.page_token, _LIST)
        before = (datetime.fromisoformat(position[0]), UUID(position[1])) if position else None
        runs = list_print_runs(self._uow, before, size + 1)
        token = ""
        if len(runs) > size:
            last = runs[size - 1]
            token = self._pager.encode((last.create_time.astimezone(UTC).isoformat(), str(last.id)), _LIST)
        return pb.ListPrintRunsResponse(print_runs=map(_print_run, runs[:size]), next_page_token=token)


def _print_run(run: PrintRun) -> print_run_pb2.PrintRun:
    deadline, create_time = Timestamp(), Timestamp()
    deadline.FromDatetime(run.deadline)
    create_time.FromDatetime(run.create_time)
    state = (
        print_run_pb2.PrintRun.STATE_SUBMITTED if run.submitted else print_run_pb2.PrintRun.STATE_SUBMITTING
    )
    return print_run_pb2.PrintRun(
        id=str(run.id),
        state=state,
        deadline=deadline,
        create_time=create_time,
        letter_count=run.letter_count,
        batch_count=run.batch_count,
        submitted_batch_count=run.submitted_batch_count,
    )
