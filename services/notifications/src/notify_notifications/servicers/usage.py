"""UsageService: conversion, nothing else."""

from typing import Final

import grpc
from notify.notifications.v1 import usage_service_pb2 as pb
from notify.notifications.v1 import usage_service_pb2_grpc as pb_grpc
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc import enums

from notify_notifications.domain.statistics import UsageGroup
from notify_notifications.servicers.statistics import days_of, group_fields
from notify_notifications.usecases import usage

SERVICE: Final = pb.DESCRIPTOR.services_by_name["UsageService"].full_name


class UsageServicer(pb_grpc.UsageServiceServicer):
    """Serves notify.notifications.v1.UsageService."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def GetRates(self, request: pb.GetRatesRequest, context: grpc.ServicerContext) -> pb.GetRatesResponse:
        found = usage.get_rates(self._uow)
        rates = pb.Rates(
            sms_rate_micropounds=found.sms.rate_micropounds, sms_valid_from_time=found.sms.valid_from
        )
        for rate in found.letters:
            rates.letter_rates.add(
                postage=enums.to_proto(rate.postage),
                sheet_count=rate.sheet_count,
                rate_micropounds=rate.rate_micropounds,
                valid_from_time=rate.valid_from,
            )
        return pb.GetRatesResponse(rates=rates)

    def GetAllowance(
        self, request: pb.GetAllowanceRequest, context: grpc.ServicerContext
    ) -> pb.GetAllowanceResponse:
        found = usage.get_allowance(self._uow, request.service_id, request.year, request.organisation_type)
        return pb.GetAllowanceResponse(allowance=_allowance(found))

    def SetAllowance(
        self, request: pb.SetAllowanceRequest, context: grpc.ServicerContext
    ) -> pb.SetAllowanceResponse:
        given = request.allowance
        stored = usage.set_allowance(
            self._uow, given.service_id, given.fragment_count, request.organisation_type
        )
        return pb.SetAllowanceResponse(allowance=_allowance(stored))

    def SumUsage(self, request: pb.SumUsageRequest, context: grpc.ServicerContext) -> pb.SumUsageResponse:
        types = {one.service_id: one.organisation_type for one in request.services}
        groups = [UsageGroup(enums.to_text(pb.UsageGroup, one)) for one in request.group_by]
        sums, allowances = usage.sum_usage(
            self._uow, types, days_of(request), groups, without_allowances=request.without_allowances
        )
        return pb.SumUsageResponse(
            sums=[pb.UsageSum(**group_fields(one)) for one in sums], allowances=map(_allowance, allowances)
        )


def _allowance(found: usage.Allowance) -> pb.Allowance:
    return pb.Allowance(service_id=found.service_id, year=found.year, fragment_count=found.fragment_count)
