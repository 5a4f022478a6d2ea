"""CallbacksService: conversion, nothing else."""

from dataclasses import asdict
from datetime import UTC
from typing import Final

import grpc
from notify.notifications.v1 import callbacks_service_pb2 as pb
from notify.notifications.v1 import callbacks_service_pb2_grpc as pb_grpc
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc import enums
from notify_common.rpc.paging import Pager, page_size, position_in_time, read_position_in_time

from notify_notifications.domain.calls import CallbackState
from notify_notifications.store.callbacks import Attempt, Callback, Filters
from notify_notifications.usecases import read_callbacks

SERVICE: Final = pb.DESCRIPTOR.services_by_name["CallbacksService"].full_name
_STATES: Final = pb.Callback.State


class CallbacksServicer(pb_grpc.CallbacksServiceServicer):
    """Serves notify.notifications.v1.CallbacksService."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def ListCallbacks(
        self, request: pb.ListCallbacksRequest, context: grpc.ServicerContext
    ) -> pb.ListCallbacksResponse:
        state = CallbackState(enums.to_text(_STATES, request.state)) if request.state else None
        filters = Filters(request.type, request.subject_id, state)
        bound = {"list": "callbacks", "service": request.service_id, **asdict(filters)}
        before = read_position_in_time(self._pager.decode(request.page_token, bound))
        size = page_size(request.page_size)
        found, more = read_callbacks.list_callbacks(self._uow, request.service_id, filters, before, size)
        answer = pb.ListCallbacksResponse(callbacks=map(_callback, found))
        if more:
            last = position_in_time(found[-1].create_time, found[-1].id)
            answer.next_page_token = self._pager.encode(last, bound)
        return answer

    def GetCallback(
        self, request: pb.GetCallbackRequest, context: grpc.ServicerContext
    ) -> pb.GetCallbackResponse:
        found, attempts = read_callbacks.get_callback(self._uow, request.service_id, request.callback_id)
        return pb.GetCallbackResponse(callback=_callback(found), attempts=map(_attempt, attempts))

    def ReplayCallbacks(
        self, request: pb.ReplayCallbacksRequest, context: grpc.ServicerContext
    ) -> pb.ReplayCallbacksResponse:
        if request.callback_ids:
            count = read_callbacks.replay_ids(self._uow, request.service_id, request.callback_ids)
            return pb.ReplayCallbacksResponse(replayed_count=count)
        if not (request.HasField("start_time") and request.HasField("end_time")):
            raise invalid_field(
                FieldViolation("start_time", "and end_time are required without callback_ids")
            )
        start, end = request.start_time.ToDatetime(UTC), request.end_time.ToDatetime(UTC)
        bound = {
            "list": "replay",
            "service": request.service_id,
            "type": request.type,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "with_delivered": request.with_delivered,
        }
        count, position = read_callbacks.replay_range(
            self._uow,
            request.service_id,
            request.type,
            start,
            end,
            request.with_delivered,
            read_position_in_time(self._pager.decode(request.page_token, bound)),
        )
        token = self._pager.encode(position_in_time(*position), bound) if position else ""
        return pb.ReplayCallbacksResponse(replayed_count=count, next_page_token=token)


def _callback(found: Callback) -> pb.Callback:
    return pb.Callback(
        id=found.id,
        service_id=found.service_id,
        type=found.type,
        subject_id=found.subject_id,
        state=enums.from_text(_STATES, found.state),  # type: ignore[arg-type] # a value of the enum
        create_time=found.create_time,
        end_time=found.end_time,
        next_attempt_time=found.due_at,
        attempt_count=found.attempt,
    )


def _attempt(found: Attempt) -> pb.CallbackAttempt:
    return pb.CallbackAttempt(
        number=found.number,
        start_time=found.start_time,
        end_time=found.end_time,
        status=found.status or 0,
        failure=found.failure,
    )
