"""DispatchService."""

from collections.abc import Iterator

import grpc
from notify.providers.v1 import dispatch_pb2
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager, page_size
from notify_common.rpc.validate import validating

from notify_providers.domain.dispatch import State
from notify_providers.domain.message import NewDispatch
from notify_providers.servicers import convert
from notify_providers.usecases import resolve
from notify_providers.usecases.batch_dispatch import MAX_BATCH, batch_dispatch
from notify_providers.usecases.submit_print_batch import MAX_LETTERS, count_mismatch, submit_print_batch

SERVICE = pb.DESCRIPTOR.services_by_name["DispatchService"].full_name


class DispatchServicer(DispatchServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def BatchDispatch(
        self, request: pb.BatchDispatchRequest, context: grpc.ServicerContext
    ) -> pb.BatchDispatchResponse:
        with validating() as check:
            check.size("dispatches", request.dispatches, 1, MAX_BATCH)
            new = [
                convert.new_dispatch(check, f"dispatches[{place}]", message, printed=False)
                for place, message in enumerate(request.dispatches[:MAX_BATCH])
            ]
        accepted, duplicate = batch_dispatch(self._uow, new)
        return pb.BatchDispatchResponse(accepted_count=accepted, duplicate_count=duplicate)

    def SubmitPrintBatch(
        self, request_iterator: Iterator[pb.SubmitPrintBatchRequest], context: grpc.ServicerContext
    ) -> pb.SubmitPrintBatchResponse:
        """Reads the whole stream before anything is written."""
        letter_count = -1
        letters: list[NewDispatch] = []
        for request in request_iterator:
            part = request.WhichOneof("part")
            with validating() as check:
                if part is None:
                    check.fail("part", "is required")
                elif part == "header":
                    if letter_count >= 0:
                        check.fail("header", "should come once")
                    check.id("header.print_batch_id", request.header.print_batch_id)
                    letter_count = check.number(
                        "header.letter_count", request.header.letter_count, 1, MAX_LETTERS
                    )
                elif letter_count < 0:
                    check.fail("header", "should come first")
                else:
                    check.size("chunk.dispatches", request.chunk.dispatches, 1, MAX_BATCH)
                    letters += [
                        convert.new_dispatch(check, f"chunk.dispatches[{place}]", message, printed=True)
                        for place, message in enumerate(request.chunk.dispatches[:MAX_BATCH])
                    ]
            if len(letters) > letter_count:
                raise count_mismatch(letter_count)
        with validating() as check:
            if letter_count < 0:
                check.fail("header", "is required")
        accepted, duplicate = submit_print_batch(self._uow, letter_count, letters)
        return pb.SubmitPrintBatchResponse(accepted_count=accepted, duplicate_count=duplicate)

    def GetDispatch(
        self, request: pb.GetDispatchRequest, context: grpc.ServicerContext
    ) -> pb.GetDispatchResponse:
        with validating() as check:
            service_id = check.id("service_id", request.service_id)
            dispatch_id = check.id("dispatch_id", request.dispatch_id)
        timeline = resolve.get_timeline(self._uow, service_id, dispatch_id)
        return pb.GetDispatchResponse(
            dispatch=convert.dispatch_to_proto(timeline.dispatch),
            attempts=[convert.attempt_to_proto(one) for one in timeline.attempts],
            receipts=[convert.receipt_to_proto(one) for one in timeline.receipts],
        )

    def ListDispatches(
        self, request: pb.ListDispatchesRequest, context: grpc.ServicerContext
    ) -> pb.ListDispatchesResponse:
        with validating() as check:
            state = check.enum("state", dispatch_pb2.Dispatch.State, request.state)
        size = page_size(request.page_size)
        filters = {"list": "dispatches", "state": state}
        after = convert.read_position(self._pager.decode(request.page_token, filters))
        found = resolve.list_dispatches(self._uow, State(state), after, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pager.encode(convert.position_of(last.create_time, last.id), filters)
        return pb.ListDispatchesResponse(
            dispatches=[convert.dispatch_to_proto(one) for one in found[:size]], next_page_token=token
        )

    def ResolveDispatch(
        self, request: pb.ResolveDispatchRequest, context: grpc.ServicerContext
    ) -> pb.ResolveDispatchResponse:
        with validating() as check:
            service_id = check.id("service_id", request.service_id)
            dispatch_id = check.id("dispatch_id", request.dispatch_id)
            resolution = check.enum("resolution", pb.ResolveDispatchRequest.Resolution, request.resolution)
        decided = resolve.resolve_dispatch(self._uow, service_id, dispatch_id, retry=resolution == "retry")
        return pb.ResolveDispatchResponse(dispatch=convert.dispatch_to_proto(decided))
