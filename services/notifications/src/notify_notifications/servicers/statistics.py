"""StatisticsService: conversion, nothing else."""

from collections.abc import Callable
from dataclasses import fields
from datetime import date
from typing import Any, Final, Protocol

import grpc
from notify.notifications.v1 import statistics_service_pb2 as pb
from notify.notifications.v1 import statistics_service_pb2_grpc as pb_grpc
from notify.notifications.v1.notification_pb2 import Notification
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc import enums

from notify_notifications.domain.statistics import (
    CountFilters,
    CountGroup,
    Days,
    MessageCount,
    PlatformDay,
    ProcessingDay,
    ProcessingTime,
    UsageSum,
)
from notify_notifications.usecases.statistics import count_messages, get_performance, list_processing_times

SERVICE: Final = pb.DESCRIPTOR.services_by_name["StatisticsService"].full_name
_WRITERS: Final[dict[str, Callable[[Any], Any]]] = {
    "day": date.isoformat,
    "channel": enums.to_proto,
    "key_type": enums.to_proto,
    "postage": enums.to_proto,
    "state": lambda state: enums.from_text(Notification.State, state),
}


class StatisticsServicer(pb_grpc.StatisticsServiceServicer):
    """Serves notify.notifications.v1.StatisticsService."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def GetMessageCounts(
        self, request: pb.GetMessageCountsRequest, context: grpc.ServicerContext
    ) -> pb.GetMessageCountsResponse:
        filters = CountFilters(
            days=days_of(request),
            service_ids=list(request.service_ids),
            template_id=request.template_id,
            without_test_keys=request.without_test_keys,
        )
        groups = [CountGroup(enums.to_text(pb.CountGroup, one)) for one in request.group_by]
        found = count_messages(self._uow, filters, list(dict.fromkeys(groups)))
        return pb.GetMessageCountsResponse(counts=[pb.MessageCount(**group_fields(one)) for one in found])

    def GetPerformance(
        self, request: pb.GetPerformanceRequest, context: grpc.ServicerContext
    ) -> pb.GetPerformanceResponse:
        found = get_performance(self._uow, days_of(request))
        return pb.GetPerformanceResponse(
            totals=[
                pb.PlatformDay(channel=enums.to_proto(channel), message_count=count)
                for channel, count in found.totals.items()
            ],
            days=[pb.PlatformDay(**group_fields(one)) for one in found.days],
            processing_days=[pb.ProcessingDay(**group_fields(one)) for one in found.processing],
        )

    def GetProcessingTimes(
        self, request: pb.GetProcessingTimesRequest, context: grpc.ServicerContext
    ) -> pb.GetProcessingTimesResponse:
        found = list_processing_times(self._uow, days_of(request))
        return pb.GetProcessingTimesResponse(
            processing_times=[pb.ProcessingTime(**group_fields(one)) for one in found]
        )


class DaysAsked(Protocol):
    """A request that names its days."""

    from_day: str
    to_day: str


def days_of(request: DaysAsked) -> Days:
    """Return the days that a request names. Raises NotifyError INVALID_FIELD for what is no day."""
    return Days(_day("from_day", request.from_day), _day("to_day", request.to_day))


def group_fields(
    group: MessageCount | UsageSum | PlatformDay | ProcessingDay | ProcessingTime,
) -> dict[str, Any]:
    """Return the fields of a group as its message has them; those that it was not grouped by are left out."""
    values = {field.name: getattr(group, field.name) for field in fields(group)}
    plain: Callable[[Any], Any] = lambda value: value  # noqa: E731 - a def says no more
    return {name: _WRITERS.get(name, plain)(value) for name, value in values.items() if value is not None}


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid_field(FieldViolation(name, "is not a day such as 2026-11-30")) from None
