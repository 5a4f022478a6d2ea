"""OpsService, which every context with queues serves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from notify.common.v1 import ops_service_pb2 as pb
from notify.common.v1.ops_service_pb2_grpc import OpsServiceServicer, add_OpsServiceServicer_to_server

from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import FieldViolation, invalid_field
from notify_common.ops import queues
from notify_common.ops.queues import MOST_COUNTED, Ops, OpsQueue
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time
from notify_common.rpc.server import Registration
from notify_common.rpc.tls import caller_name

T = TypeVar("T")

SERVICE: Final = pb.DESCRIPTOR.services_by_name["OpsService"].full_name
_DEFAULT_REDRIVEN: Final = 1_000
_DEFAULT_DROPPED: Final = 250


def ops_registration(ops: Ops, uow: UnitOfWork, pager: Pager) -> Registration:
    """Return OpsService over the queues of a context."""
    return Registration(add_OpsServiceServicer_to_server, OpsServicer(ops, uow, pager), SERVICE)


class OpsServicer(OpsServiceServicer):
    """Converts and calls `ops.queues`; the proto says what each method does."""

    def __init__(self, ops: Ops, uow: UnitOfWork, pager: Pager) -> None:
        self._ops = ops
        self._uow = uow
        self._pager = pager

    def ListQueues(
        self, request: pb.ListQueuesRequest, context: grpc.ServicerContext
    ) -> pb.ListQueuesResponse:
        named = sorted(self._ops.queues, key=lambda queue: queue.name)
        page, token = self._page(request, {"list": "queues"}, named, lambda queue: (queue.name,))
        with self._uow.begin() as tx:
            found = [self._queue(tx, queue) for queue in page]
        return pb.ListQueuesResponse(queues=found, next_page_token=token)

    def ListWorkers(
        self, request: pb.ListWorkersRequest, context: grpc.ServicerContext
    ) -> pb.ListWorkersResponse:
        with self._uow.autocommit() as tx:
            running = queues.list_workers(tx, self._ops.tables)
        page, token = self._page(request, {"list": "workers"}, running, lambda one: (one.process, one.name))
        workers = [
            pb.Worker(
                process=one.process,
                name=one.name,
                start_time=_timestamp(one.start_time),
                beat_time=_timestamp(one.beat_time),
                busy=_duration(one.busy_seconds),
                handled_count=one.handled_count,
                failing=one.failing,
            )
            for one in page
        ]
        return pb.ListWorkersResponse(workers=workers, next_page_token=token)

    def PauseQueue(
        self, request: pb.PauseQueueRequest, context: grpc.ServicerContext
    ) -> pb.PauseQueueResponse:
        asked = (request.queue, request.service_id, caller_name(context), request.reason)
        with self._uow.begin() as tx:
            queues.pause(tx, self._ops, *asked)
            return pb.PauseQueueResponse(queue=self._queue(tx, self._ops.find(request.queue)))

    def ResumeQueue(
        self, request: pb.ResumeQueueRequest, context: grpc.ServicerContext
    ) -> pb.ResumeQueueResponse:
        asked = (request.queue, request.service_id, caller_name(context), request.reason)
        with self._uow.begin() as tx:
            queues.resume(tx, self._ops, *asked)
            return pb.ResumeQueueResponse(queue=self._queue(tx, self._ops.find(request.queue)))

    def ListParkedCauses(
        self, request: pb.ListParkedCausesRequest, context: grpc.ServicerContext
    ) -> pb.ListParkedCausesResponse:
        queue = self._ops.find(request.queue)
        with self._uow.autocommit() as tx:
            found = queues.parked_causes(tx, queue)
        filters = {"list": "parked-causes", "queue": queue.name}
        page, token = self._page(
            request, filters, found, lambda one: (f"{MOST_COUNTED - one.count:05}", one.cause)
        )
        causes = [
            pb.ParkedCause(
                cause=one.cause,
                count=one.count,
                first_time=_timestamp(one.first_time),
                last_time=_timestamp(one.last_time),
            )
            for one in page
        ]
        return pb.ListParkedCausesResponse(causes=causes, next_page_token=token)

    def ListParkedRows(
        self, request: pb.ListParkedRowsRequest, context: grpc.ServicerContext
    ) -> pb.ListParkedRowsResponse:
        queue = self._ops.find(request.queue)
        size = page_size(request.page_size)
        filters = {"list": "parked-rows", "queue": queue.name, "cause": request.cause}
        after = read_position_in_time(self._pager.decode(request.page_token, filters))
        with self._uow.autocommit() as tx:
            found = queues.parked_rows(tx, queue, request.cause, after, size + 1)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = self._pager.encode(position_in_time(last.park_time, last.key), filters)
        return pb.ListParkedRowsResponse(rows=[_row(one) for one in found[:size]], next_page_token=token)

    def GetParkedRow(
        self, request: pb.GetParkedRowRequest, context: grpc.ServicerContext
    ) -> pb.GetParkedRowResponse:
        with self._uow.autocommit() as tx:
            row = queues.parked_row(tx, self._ops.find(request.queue), request.key)
        return pb.GetParkedRowResponse(row=_row(row), columns=row.columns)

    def RedriveParkedRows(
        self, request: pb.RedriveParkedRowsRequest, context: grpc.ServicerContext
    ) -> pb.RedriveParkedRowsResponse:
        with self._uow.begin() as tx:
            count = queues.redrive(
                tx,
                self._ops,
                request.queue,
                caller_name(context),
                request.reason,
                keys=list(request.keys),
                cause=request.cause,
                rows_per_second=request.rows_per_second,
                limit=request.max_count or _DEFAULT_REDRIVEN,
            )
            left = queues.parked_count(tx, self._ops.find(request.queue))
        return pb.RedriveParkedRowsResponse(redriven_count=count, parked_count=left)

    def DropParkedRows(
        self, request: pb.DropParkedRowsRequest, context: grpc.ServicerContext
    ) -> pb.DropParkedRowsResponse:
        if not request.keys and not request.cause:
            raise invalid_field(FieldViolation("keys", "or a cause is required"))
        with self._uow.begin() as tx:
            count = queues.drop(
                tx,
                self._ops,
                request.queue,
                caller_name(context),
                request.reason,
                keys=list(request.keys),
                cause=request.cause,
                limit=request.max_count or _DEFAULT_DROPPED,
            )
            left = queues.parked_count(tx, self._ops.find(request.queue))
        return pb.DropParkedRowsResponse(dropped_count=count, parked_count=left)

    def ListActions(
        self, request: pb.ListActionsRequest, context: grpc.ServicerContext
    ) -> pb.ListActionsResponse:
        size = page_size(request.page_size)
        filters = {"list": "actions"}
        position = self._pager.decode(request.page_token, filters)
        with self._uow.autocommit() as tx:
            found = queues.list_actions(
                tx, self._ops.tables, None if position is None else int(position[0]), size + 1
            )
        token = self._pager.encode((str(found[size - 1].id),), filters) if len(found) > size else ""
        return pb.ListActionsResponse(actions=[_action(one) for one in found[:size]], next_page_token=token)

    def _queue(self, tx: Tx, queue: OpsQueue) -> pb.Queue:
        state = queues.queue_state(tx, self._ops.tables, queue)
        return pb.Queue(
            name=state.name,
            due_count=state.due_count,
            leased_count=state.leased_count,
            scheduled_count=state.scheduled_count,
            parked_count=state.parked_count,
            oldest_due_age=_duration(state.oldest_due_age),
            paused=state.paused,
            paused_service_ids=state.paused_service_ids,
        )

    def _page(
        self,
        request: Any,
        filters: Mapping[str, object],
        ordered: Iterable[T],
        position: Callable[[T], tuple[str, ...]],
    ) -> tuple[Sequence[T], str]:
        """Return the page of a short list that is read whole, and the token of the next one."""
        size = page_size(request.page_size)
        after = self._pager.decode(request.page_token, filters)
        rest = [one for one in ordered if after is None or position(one) > after]
        token = self._pager.encode(position(rest[size - 1]), filters) if len(rest) > size else ""
        return rest[:size], token


def _row(row: queues.ParkedRow) -> pb.ParkedRow:
    return pb.ParkedRow(
        key=row.key,
        cause=row.cause,
        park_time=_timestamp(row.park_time),
        attempt=row.attempt,
        request_id=row.request_id,
    )


def _action(action: queues.Action) -> pb.Action:
    return pb.Action(
        create_time=None if action.create_time is None else _timestamp(action.create_time),
        action=action.action,
        queue=action.queue,
        caller=action.caller,
        request_id=action.request_id,
        reason=action.reason,
        service_id=action.service_id or "",
        keys=action.keys,
        cause=action.cause,
        count=action.count,
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=max(0.0, seconds)))
    return duration
