"""UnsubscribeService: conversion, nothing else."""

from datetime import UTC
from typing import Final

import grpc
from notify.notifications.v1 import unsubscribe_service_pb2 as pb
from notify.notifications.v1 import unsubscribe_service_pb2_grpc as pb_grpc
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager, page_size, read_position_in_time

from notify_notifications.domain.unsubscribe import UnsubscribeLinks, UnsubscribeReport, UnsubscribeRequest
from notify_notifications.usecases import unsubscribe

SERVICE: Final = pb.DESCRIPTOR.services_by_name["UnsubscribeService"].full_name


class UnsubscribeServicer(pb_grpc.UnsubscribeServiceServicer):
    """Serves notify.notifications.v1.UnsubscribeService."""

    def __init__(self, uow: UnitOfWork, links: UnsubscribeLinks, pager: Pager) -> None:
        self._uow = uow
        self._links = links
        self._pager = pager

    def RecordUnsubscribeRequest(
        self, request: pb.RecordUnsubscribeRequestRequest, context: grpc.ServicerContext
    ) -> pb.RecordUnsubscribeRequestResponse:
        new = unsubscribe.record_unsubscribe_request(
            self._uow, self._links, request.notification_id, request.token
        )
        return pb.RecordUnsubscribeRequestResponse(new_request=new)

    def GetUnsubscribeStatistics(
        self, request: pb.GetUnsubscribeStatisticsRequest, context: grpc.ServicerContext
    ) -> pb.GetUnsubscribeStatisticsResponse:
        found = unsubscribe.get_statistics(self._uow, request.service_id)
        statistics = pb.UnsubscribeStatistics(
            open_count=found.open_count,
            latest_time=found.latest_time,
            unreported_count=found.unreported_count,
            unreported_earliest_time=found.unreported_earliest_time,
            unreported_latest_time=found.unreported_latest_time,
            unreported_delete_time=found.unreported_delete_time,
        )
        return pb.GetUnsubscribeStatisticsResponse(unsubscribe_statistics=statistics)

    def CreateUnsubscribeReport(
        self, request: pb.CreateUnsubscribeReportRequest, context: grpc.ServicerContext
    ) -> pb.CreateUnsubscribeReportResponse:
        made = unsubscribe.create_report(
            self._uow,
            request.request_id,
            request.service_id,
            request.earliest_time.ToDatetime(UTC),
            request.latest_time.ToDatetime(UTC),
        )
        return pb.CreateUnsubscribeReportResponse(unsubscribe_report=_report(made))

    def GetUnsubscribeReport(
        self, request: pb.GetUnsubscribeReportRequest, context: grpc.ServicerContext
    ) -> pb.GetUnsubscribeReportResponse:
        found = unsubscribe.get_report(self._uow, request.service_id, request.report_id)
        return pb.GetUnsubscribeReportResponse(unsubscribe_report=_report(found))

    def ListUnsubscribeReports(
        self, request: pb.ListUnsubscribeReportsRequest, context: grpc.ServicerContext
    ) -> pb.ListUnsubscribeReportsResponse:
        bound = {"list": "unsubscribe_reports", "service": request.service_id}
        size = page_size(request.page_size)
        before = read_position_in_time(self._pager.decode(request.page_token, bound))
        found = unsubscribe.list_reports(self._uow, request.service_id, before, size + 1)
        reports, token = self._pager.page_in_time(found, map(_report, found[:size]), bound)
        return pb.ListUnsubscribeReportsResponse(unsubscribe_reports=reports, next_page_token=token)

    def MarkUnsubscribeReport(
        self, request: pb.MarkUnsubscribeReportRequest, context: grpc.ServicerContext
    ) -> pb.MarkUnsubscribeReportResponse:
        marked = unsubscribe.mark_report(
            self._uow, request.service_id, request.report_id, processed=request.processed
        )
        return pb.MarkUnsubscribeReportResponse(unsubscribe_report=_report(marked))

    def ListUnsubscribeRequests(
        self, request: pb.ListUnsubscribeRequestsRequest, context: grpc.ServicerContext
    ) -> pb.ListUnsubscribeRequestsResponse:
        bound = {"list": "unsubscribe_requests", "service": request.service_id, "report": request.report_id}
        size = page_size(request.page_size)
        before = read_position_in_time(self._pager.decode(request.page_token, bound))
        found = unsubscribe.list_requests(self._uow, request.service_id, request.report_id, before, size + 1)
        requests, token = self._pager.page_in_time(found, map(_request, found[:size]), bound)
        return pb.ListUnsubscribeRequestsResponse(unsubscribe_requests=requests, next_page_token=token)


def _report(stored: UnsubscribeReport) -> pb.UnsubscribeReport:
    return pb.UnsubscribeReport(
        id=stored.id,
        service_id=stored.service_id,
        count=stored.count,
        earliest_time=stored.earliest_time,
        latest_time=stored.latest_time,
        create_time=stored.create_time,
        process_time=stored.process_time,
        delete_time=stored.delete_time,
    )


def _request(stored: UnsubscribeRequest) -> pb.UnsubscribeRequest:
    email = stored.email
    return pb.UnsubscribeRequest(
        id=stored.id,
        notification_id=email.notification_id,
        email_address=email.email_address,
        template_id=email.template_id,
        template_version=email.template_version,
        send_time=email.send_time,
        create_time=stored.create_time,
    )
