"""DispatchService."""

from collections.abc import Iterator
from functools import partial

import grpc
from notify.providers.v1 import dispatch_pb2
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc.enums import to_text
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time

from notify_providers.domain.dispatch import State
from notify_providers.domain.message import NewDispatch
from notify_providers.servicers import convert
from notify_providers.usecases import resolve
from notify_providers.usecases.batch_dispatch import batch_dispatch
from notify_providers.usecases.submit_print_batch import count_mismatch, submit_print_batch

SERVICE = pb.DESCRIPTOR.services_by_name["DispatchService"].full_name


class DispatchServicer(DispatchServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager, retention_days: int) -> None:
        self._uow = uow
        self._new = partial(convert.new_dispatch, retention_days)
        self._pager = pager

    def BatchDispatch(
        self, request: pb.BatchDispatchRequest, context: grpc.ServicerContext
    ) -> pb.BatchDispatchResponse:
        new = [
            self._new(f"dispatches[{place}]", message, printed=False)
            for place, message in enumerate(request.dispatches)
        ]
        accepted, duplicate = batch_dispatch(self._uow, new)
        return pb.BatchDispatchResponse(accepted_count=accepted, duplicate_count=duplicate)

    def SubmitPrintBatch(
        self, request_iterator: Iterator[pb.SubmitPrintBatchRequest], context: grpc.ServicerContext
    ) -> pb.SubmitPrintBatchResponse:
        """Read the whole stream before anything is written."""
        letter_count = -1
        letters: list[NewDispatch] = []
        for request in request_iterator:
            is_header = request.WhichOneof("part") == "header"
            if is_header != (letter_count < 0):
                raise invalid_field(FieldViolation("header", "should come first, and once"))
            if is_header:
                letter_count = request.header.letter_count
            letters += [
                self._new(f"chunk.dispatches[{place}]", message, printed=True)
                for place, message in enumerate(request.chunk.dispatches)
            ]
            if len(letters) > letter_count:
                raise count_mismatch(letter_count)
        if letter_count < 0:
            raise invalid_field(FieldViolation("header", "is required"))
        accepted, duplicate = submit_print_batch(self._uow, letter_count, letters)
        return pb.SubmitPrintBatchResponse(accepted_count=accepted, duplicate_count=duplicate)

    def GetDispatch(
        self, request: pb.GetDispatchRequest, context: grpc.ServicerContext
    ) -> pb.GetDispatchResponse:
        timeline = resolve.get_timeline(self._uow, request.service_id, request.dispatch_id)
        return pb.GetDispatchResponse(
            dispatch=convert.dispatch_to_proto(timeline.dispatch),
            attempts=[convert.attempt_to_proto(one) for one in timeline.attempts],
            receipts=[convert.receipt_to_proto(one) for one in timeline.receipts],
        )

    def ListDispatches(
        self, request: pb.ListDispatchesRequest, context: grpc.ServicerContext
    ) -> pb.ListDispatchesResponse:
        state = to_text(dispatch_pb2.Dispatch.State, request.state)
        size = page_size(request.page_size)
        filters = {"list": "dispatches", "state": state}
        after = read_position_in_time(self._pager.decode(request.page_token, filters))
        found = resolve.list_dispatches(self._uow, State(state), after, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pager.encode(position_in_time(last.create_time, last.id), filters)
        return pb.ListDispatchesResponse(
            dispatches=[convert.dispatch_to_proto(one) for one in found[:size]], next_page_token=token
        )

    def ResolveDispatch(
        self, request: pb.ResolveDispatchRequest, context: grpc.ServicerContext
    ) -> pb.ResolveDispatchResponse:
        retry = request.resolution == pb.ResolveDispatchRequest.RESOLUTION_RETRY
        decided = resolve.resolve_dispatch(self._uow, request.service_id, request.dispatch_id, retry=retry)
        return pb.ResolveDispatchResponse(dispatch=convert.dispatch_to_proto(decided))
