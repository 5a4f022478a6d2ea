"""ProviderSettingsService."""

import grpc
from google.protobuf.duration_pb2 import Duration
from notify.providers.v1 import provider_settings_service_pb2 as pb
from notify.providers.v1.provider_settings_service_pb2_grpc import ProviderSettingsServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.rpc.enums import to_proto, to_text
from notify_common.rpc.masks import check_mask
from notify_common.rpc.paging import Pager, page_size

from notify_providers.domain.routing import Provider, UnknownOutcomeRule
from notify_providers.servicers import convert
from notify_providers.usecases.settings import list_providers, update_provider

SERVICE = pb.DESCRIPTOR.services_by_name["ProviderSettingsService"].full_name
_CHANGEABLE = ("active", "priority", "unknown_outcome_rule", "unknown_outcome_wait")
_FILTERS = {"list": "providers"}


class ProviderSettingsServicer(ProviderSettingsServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def ListProviders(
        self, request: pb.ListProvidersRequest, context: grpc.ServicerContext
    ) -> pb.ListProvidersResponse:
        size = page_size(request.page_size)
        after = self._pager.decode(request.page_token, _FILTERS)
        rest = [p for p in list_providers(self._uow) if after is None or (p.channel, p.name) > after]
        token = ""
        if len(rest) > size:
            token = self._pager.encode((rest[size - 1].channel, rest[size - 1].name), _FILTERS)
        return pb.ListProvidersResponse(providers=map(_to_proto, rest[:size]), next_page_token=token)

    def UpdateProvider(
        self, request: pb.UpdateProviderRequest, context: grpc.ServicerContext
    ) -> pb.UpdateProviderResponse:
        fields = check_mask(request.update_mask, _CHANGEABLE)
        given = request.provider
        rule = UnknownOutcomeRule.HOLD
        if "unknown_outcome_rule" in fields:
            rule = UnknownOutcomeRule(to_text(pb.Provider.UnknownOutcomeRule, given.unknown_outcome_rule))
        wanted = Provider(
            name=given.name,
            channel=Channel.SMS,
            active=given.active,
            priority=given.priority,
            supports_international=False,
            unknown_outcome_rule=rule,
            unknown_outcome_wait=given.unknown_outcome_wait.seconds,
            version=given.version,
        )
        return pb.UpdateProviderResponse(provider=_to_proto(update_provider(self._uow, wanted, fields)))


def _to_proto(provider: Provider) -> pb.Provider:
    return pb.Provider(
        name=provider.name,
        channel=to_proto(provider.channel),
        active=provider.active,
        priority=provider.priority,
        supports_international=provider.supports_international,
        unknown_outcome_rule=convert.enum_value(
            pb.Provider.UnknownOutcomeRule, provider.unknown_outcome_rule
        ),
        version=provider.version,
        unknown_outcome_wait=Duration(seconds=provider.unknown_outcome_wait),
    )
