"""BatchesService: conversion, nothing else."""

from collections.abc import Iterable, Mapping
from typing import Final

import grpc
from notify.notifications.v1 import batches_service_pb2 as pb
from notify.notifications.v1 import batches_service_pb2_grpc as pb_grpc
from notify.notifications.v1 import notifications_service_pb2
from notify_common import clock, current, tracing
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.ids import child_id, new_id
from notify_common.rpc import enums, field_rules, status
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

from notify_notifications.clients.previews import PreviewsClient
from notify_notifications.domain.batch import LEASE, Batch
from notify_notifications.domain.notification import State
from notify_notifications.servicers.notifications import (
    CONVERTERS,
    DOMAIN,
    Received,
    caller_of,
    max_cost_of,
    received_of,
    state_of,
)
from notify_notifications.usecases.accept_batch import (
    accept_rows,
    finish_batch,
    get_batch,
    leave_batch,
    open_batch,
    price_rows,
)
from notify_notifications.usecases.prepare import SendCommand, too_long_in_all
from notify_notifications.usecases.preview_rows import RowPreview, preview_rows
from notify_notifications.usecases.send import SendingParts

SERVICE: Final = pb.DESCRIPTOR.services_by_name["BatchesService"].full_name

MOST_ERROR_BYTES: Final = 256 * 1024
"""Of the errors in one answer; of rows beyond it the answer says that they are refused, and not why."""


class BatchesServicer(pb_grpc.BatchesServiceServicer):
    """Serves notify.notifications.v1.BatchesService."""

    def __init__(self, uow: UnitOfWork, sending: SendingParts, previews: PreviewsClient) -> None:
        self._uow = uow
        self._sending = sending
        self._previews = previews

    def OpenBatch(self, request: pb.OpenBatchRequest, context: grpc.ServicerContext) -> pb.OpenBatchResponse:
        caller, now = caller_of(request.caller), clock.now()
        asked = Batch(
            id=request.request_id,
            service_id=caller.service_id,
            key_type=caller.key_type,
            content_hash=request.content_hash,
            row_count=request.row_count,
            create_time=now,
            run_id=request.run_id,
            lease_time=now + LEASE,
            complete_time=None,
            accepted_count=None,
        )
        kept, answer = open_batch(
            self._uow,
            self._sending,
            asked,
            request.idempotency_key,
            request.cost_micropounds,
            max_cost_of(request),
        )
        return pb.OpenBatchResponse(batch=_batch(kept), replayed=kept.id != asked.id, answer=answer or b"")

    def BatchAcceptRows(
        self, request: pb.BatchAcceptRowsRequest, context: grpc.ServicerContext
    ) -> pb.BatchAcceptRowsResponse:
        received = received_of(
            request.caller,
            current.request_id.get(),
            tracing.current_traceparent(),
            current.deadline.get(),
            is_repeat=request.is_repeat,
            batch_id=request.batch_id,
        )
        commands, refusals = _commands(request.rows, request.batch_id, request.caller, received)
        if commands:
            decided = accept_rows(
                self._uow,
                self._sending,
                request.batch_id,
                request.run_id,
                list(commands.values()),
                is_repeat=request.is_repeat,
                max_cost_micropounds=max_cost_of(request),
            )
            for number, refusal in zip(commands, decided, strict=True):
                if refusal is not None:
                    refusals[number] = refusal
        return pb.BatchAcceptRowsResponse(refusals=_told(refusals))

    def FinishBatch(
        self, request: pb.FinishBatchRequest, context: grpc.ServicerContext
    ) -> pb.FinishBatchResponse:
        kept = finish_batch(
            self._uow, request.batch_id, request.run_id, request.accepted_count, request.answer
        )
        return pb.FinishBatchResponse(batch=_batch(kept))

    def LeaveBatch(
        self, request: pb.LeaveBatchRequest, context: grpc.ServicerContext
    ) -> pb.LeaveBatchResponse:
        leave_batch(self._uow, request.batch_id, request.run_id)
        return pb.LeaveBatchResponse()

    def GetBatch(self, request: pb.GetBatchRequest, context: grpc.ServicerContext) -> pb.GetBatchResponse:
        found, counts = get_batch(self._uow, request.service_id, request.batch_id)
        return pb.GetBatchResponse(batch=_batch(found), counts=state_counts(counts))

    def PriceRows(self, request: pb.PriceRowsRequest, context: grpc.ServicerContext) -> pb.PriceRowsResponse:
        commands, _ = _commands(request.rows, new_id(), request.caller, _unsent(request.caller))
        cost = price_rows(self._sending, list(commands.values())) if commands else 0
        return pb.PriceRowsResponse(cost_micropounds=cost)

    def PreviewRows(
        self, request: pb.PreviewRowsRequest, context: grpc.ServicerContext
    ) -> pb.PreviewRowsResponse:
        commands, refusals = _commands(request.rows, new_id(), request.caller, _unsent(request.caller))
        previews = {
            number: pb.RowPreview(number=number, error=_status(refusal))
            for number, refusal in refusals.items()
        }
        if commands:
            shown = preview_rows(self._sending, self._previews, list(commands.values()))
            previews |= {number: _preview(number, one) for number, one in zip(commands, shown, strict=True)}
        size = sum(one.ByteSize() for one in previews.values())
        if size > LARGEST_CONTENT_BYTES:
            raise too_long_in_all(size)
        return pb.PreviewRowsResponse(previews=[previews[row.number] for row in request.rows])


def _preview(number: int, shown: RowPreview) -> pb.RowPreview:
    made = pb.RowPreview(
        number=number,
        error=b"" if shown.refusal is None else _status(shown.refusal),
        limits=map(_status, shown.limits),
        postage=enums.to_proto(shown.postage),
        cost_micropounds=shown.cost_micropounds,
    )
    if shown.preview is not None:
        made.template_version = shown.preview.template.version
        made.subject, made.body, made.html = shown.preview.subject, shown.preview.body, shown.preview.html
    if shown.size is not None:
        made.page_count, made.sheet_count = shown.size.page_count, shown.size.sheet_count
    if shown.sms is not None:
        made.sms.is_unicode = shown.sms.is_unicode
        made.sms.unicode_characters.extend(shown.sms.non_gsm_characters)
        made.sms.unencodable_characters.extend(shown.sms.unencodable_characters)
        made.sms.character_count = shown.sms.character_count
        made.sms.fragment_count = shown.sms.fragment_count
    return made


def _status(error: NotifyError) -> bytes:
    told: bytes = status.to_status(error, DOMAIN, current.request_id.get()).SerializeToString()
    return told


def _unsent(caller: notifications_service_pb2.Caller) -> Received:
    """Return what comes with rows that are only looked at. Raises NotifyError as `caller_of`."""
    return received_of(caller, current.request_id.get(), "", None, is_repeat=False)


def _commands(
    rows: Iterable[pb.BatchRow],
    batch_id: str,
    caller: notifications_service_pb2.Caller,
    received: Received,
) -> tuple[dict[int, SendCommand], dict[int, NotifyError]]:
    """Return the commands of rows by their numbers, and why others are none."""
    commands: dict[int, SendCommand] = {}
    refusals: dict[int, NotifyError] = {}
    for row in rows:
        try:
            commands[row.number] = _command(row, batch_id, caller, received)
        except NotifyError as error:
            refusals[row.number] = error
    return commands, refusals


def _command(
    row: pb.BatchRow, batch_id: str, caller: notifications_service_pb2.Caller, received: Received
) -> SendCommand:
    """Return the command of a row. Raises NotifyError INVALID_FIELD."""
    kind = row.WhichOneof("request")
    if kind is None:
        raise invalid_field(FieldViolation("request", "is required"))
    send = getattr(row, kind)
    # an id that rules of fields let pass: a row's own is derived
    send.request_id = batch_id
    send.caller.CopyFrom(caller)
    field_rules.check(row)
    send.request_id = child_id(batch_id, row.number)
    return CONVERTERS[kind](send, received)


def _told(refusals: dict[int, NotifyError]) -> list[pb.RowRefusal]:
    told, left = [], MOST_ERROR_BYTES
    for number, refusal in sorted(refusals.items()):
        error = _status(refusal)
        left -= len(error)
        told.append(pb.RowRefusal(number=number, error=error if left >= 0 else b""))
    return told


def state_counts(counts: Mapping[State, int]) -> list[pb.StateCount]:
    """Return how many messages of a batch or job stand in each state that has any."""
    return [
        pb.StateCount(state=state_of(state), message_count=count) for state, count in sorted(counts.items())
    ]


def _batch(kept: Batch) -> pb.Batch:
    return pb.Batch(
        id=kept.id,
        create_time=kept.create_time,
        complete_time=kept.complete_time,
        row_count=kept.row_count,
        accepted_count=kept.accepted_count or 0,
    )
