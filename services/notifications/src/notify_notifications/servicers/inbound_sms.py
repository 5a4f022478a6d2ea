"""InboundSmsService: conversion, nothing else."""

from typing import Final

import grpc
from notify.notifications.v1 import inbound_sms_service_pb2 as pb
from notify.notifications.v1 import inbound_sms_service_pb2_grpc as pb_grpc
from notify_common.errors import FieldViolation, invalid_field
from notify_common.feeds.intake import Intake
from notify_common.rpc.paging import Pager, page_size, read_position_in_time

from notify_notifications.clients.snapshots import Snapshots
from notify_notifications.domain.inbound_sms import InboundSms
from notify_notifications.store.inbound_sms import InboundSmsStore
from notify_notifications.usecases import read_inbound_sms

SERVICE: Final = pb.DESCRIPTOR.services_by_name["InboundSmsService"].full_name


class InboundSmsServicer(pb_grpc.InboundSmsServiceServicer):
    """Serves notify.notifications.v1.InboundSmsService."""

    def __init__(self, store: InboundSmsStore, snapshots: Snapshots, intake: Intake, pager: Pager) -> None:
        self._store = store
        self._snapshots = snapshots
        self._intake = intake
        self._pager = pager

    def ListInboundSms(
        self, request: pb.ListInboundSmsRequest, context: grpc.ServicerContext
    ) -> pb.ListInboundSmsResponse:
        if request.older_than_id and request.page_token:
            raise invalid_field(FieldViolation("page_token", "can't be given together with older_than_id"))
        self._intake.take_in()
        bound = {"list": "inbound_sms", "service": request.service_id, "user_number": request.user_number}
        size = page_size(request.page_size)
        if request.older_than_id:
            before = self._store.position(request.service_id, request.older_than_id)
            if before is None:
                return pb.ListInboundSmsResponse()
        else:
            before = read_position_in_time(self._pager.decode(request.page_token, bound))
        found = read_inbound_sms.list_inbound_sms(
            self._store, self._snapshots, request.service_id, request.user_number, before, size + 1
        )
        texts, token = self._pager.page_in_time(found, map(_text, found[:size]), bound)
        return pb.ListInboundSmsResponse(inbound_sms=texts, next_page_token=token)

    def ListLatestInboundSms(
        self, request: pb.ListLatestInboundSmsRequest, context: grpc.ServicerContext
    ) -> pb.ListLatestInboundSmsResponse:
        bound = {"list": "latest_inbound_sms", "service": request.service_id}
        size = page_size(request.page_size)
        before = read_position_in_time(self._pager.decode(request.page_token, bound))
        found = read_inbound_sms.list_latest_inbound_sms(
            self._store, self._snapshots, request.service_id, before, size + 1
        )
        texts, token = self._pager.page_in_time(found, map(_text, found[:size]), bound)
        return pb.ListLatestInboundSmsResponse(inbound_sms=texts, next_page_token=token)

    def GetInboundSms(
        self, request: pb.GetInboundSmsRequest, context: grpc.ServicerContext
    ) -> pb.GetInboundSmsResponse:
        found = read_inbound_sms.get_inbound_sms(self._store, request.service_id, request.inbound_sms_id)
        return pb.GetInboundSmsResponse(inbound_sms=_text(found))

    def GetInboundSmsSummary(
        self, request: pb.GetInboundSmsSummaryRequest, context: grpc.ServicerContext
    ) -> pb.GetInboundSmsSummaryResponse:
        found = read_inbound_sms.get_summary(self._store, request.service_id)
        summary = pb.InboundSmsSummary(count=found.count, latest_time=found.latest_time)
        return pb.GetInboundSmsSummaryResponse(inbound_sms_summary=summary)


def _text(stored: InboundSms) -> pb.InboundSms:
    return pb.InboundSms(
        id=stored.id,
        service_id=stored.service_id,
        notify_number=stored.notify_number,
        user_number=stored.user_number,
        content=stored.content,
        create_time=stored.create_time,
    )
