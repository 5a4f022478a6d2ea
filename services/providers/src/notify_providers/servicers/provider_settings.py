"""ProviderSettingsService."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import grpc
from google.protobuf.duration_pb2 import Duration
from notify.providers.v1 import provider_settings_service_pb2 as pb
from notify.providers.v1.provider_settings_service_pb2_grpc import ProviderSettingsServiceServicer
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc.enums import from_proto, to_proto, to_text
from notify_common.rpc.masks import check_mask
from notify_common.rpc.paging import Pager, page_size

from notify_providers.domain.health import as_points
from notify_providers.domain.routing import Mode, Provider, ProviderChange, Route, UnknownOutcomeRule
from notify_providers.servicers import convert
from notify_providers.usecases.settings import (
    list_country_routes,
    list_providers,
    list_versions,
    set_country_route,
    update_provider,
)
from notify_providers.usecases.simulate import simulate_routing

SERVICE = pb.DESCRIPTOR.services_by_name["ProviderSettingsService"].full_name
_CHANGEABLE = ("active", "mode", "priority", "unknown_outcome_rule", "unknown_outcome_wait")
_FILTERS = {"list": "providers"}
_COUNTRY_FILTERS = {"list": "country-routes"}


class ProviderSettingsServicer(ProviderSettingsServiceServicer):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager, available: AbstractSet[str]) -> None:
        """Take the names of the providers that are `available` to live messages."""
        self._uow = uow
        self._pager = pager
        self._available = available

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
        mode = Mode(to_text(pb.Provider.Mode, given.mode)) if "mode" in fields else Mode.SHARED
        wanted = Provider(
            name=given.name,
            channel=Channel.SMS,
            active=given.active,
            priority=given.priority,
            supports_international=False,
            unknown_outcome_rule=rule,
            unknown_outcome_wait=given.unknown_outcome_wait.seconds,
            version=given.version,
            mode=mode,
        )
        changed = update_provider(self._uow, wanted, fields, request.reason)
        return pb.UpdateProviderResponse(provider=_to_proto(changed))

    def ListProviderVersions(
        self, request: pb.ListProviderVersionsRequest, context: grpc.ServicerContext
    ) -> pb.ListProviderVersionsResponse:
        size = page_size(request.page_size)
        filters = {"list": "provider-versions", "provider": request.provider}
        after = self._pager.decode(request.page_token, filters)
        found = list_versions(self._uow, request.provider, int(after[0]) if after else None, size + 1)
        token = self._pager.encode((str(found[size - 1][0]),), filters) if len(found) > size else ""
        return pb.ListProviderVersionsResponse(
            versions=[_version_to_proto(version) for _, version in found[:size]], next_page_token=token
        )

    def SimulateRouting(
        self, request: pb.SimulateRoutingRequest, context: grpc.ServicerContext
    ) -> pb.SimulateRoutingResponse:
        route = Route(
            channel=from_proto(Channel, request.channel),
            key_type=from_proto(KeyType, request.key_type),
            international=request.international,
            turned_away_by=request.turned_away_by,
        )
        candidates, why = simulate_routing(self._uow, route, request.phone_number, self._available)
        weights = {c.provider.name: c.weight for c in candidates if c.unfit is None}
        chances = {name: _ppm(points) for name, points in as_points(weights).items()}
        return pb.SimulateRoutingResponse(
            candidates=[
                pb.RoutingCandidate(
                    provider=c.provider.name, chance_ppm=chances.get(c.provider.name), unfit=c.unfit or ""
                )
                for c in candidates
            ],
            choice=why if chances else "",
        )

    def ListCountryRoutes(
        self, request: pb.ListCountryRoutesRequest, context: grpc.ServicerContext
    ) -> pb.ListCountryRoutesResponse:
        size = page_size(request.page_size)
        after = self._pager.decode(request.page_token, _COUNTRY_FILTERS)
        tables = list_country_routes(self._uow)
        rest = [prefix for prefix in sorted(tables) if after is None or prefix > after[0]]
        token = self._pager.encode((rest[size - 1],), _COUNTRY_FILTERS) if len(rest) > size else ""
        return pb.ListCountryRoutesResponse(
            routes=[_route_to_proto(prefix, tables[prefix]) for prefix in rest[:size]], next_page_token=token
        )

    def SetCountryRoute(
        self, request: pb.SetCountryRouteRequest, context: grpc.ServicerContext
    ) -> pb.SetCountryRouteResponse:
        prefix = request.route.prefix
        weights = {one.provider: one.weight for one in request.route.weights}
        violations = []
        if not (prefix.isascii() and prefix.isdigit()):
            violations.append(FieldViolation("route.prefix", "should be digits"))
        if len(weights) < len(request.route.weights):
            violations.append(FieldViolation("route.weights", "should name each provider once"))
        if violations:
            raise invalid_field(*violations)
        set_country_route(self._uow, prefix, weights)
        return pb.SetCountryRouteResponse(route=_route_to_proto(prefix, weights))


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
        mode=convert.enum_value(pb.Provider.Mode, provider.mode),
        share_ppm=_ppm(provider.share),
        condition=convert.enum_value(pb.Provider.Condition, provider.condition),
    )


def _ppm(points: float | None) -> int | None:
    """Return points of 100 as millionths."""
    return None if points is None else round(points * 10_000)


def _version_to_proto(version: ProviderChange) -> pb.ProviderVersion:
    return pb.ProviderVersion(
        create_time=version.create_time,
        changed_by=version.changed_by,
        reason=version.reason,
        active=version.active,
        mode=convert.enum_value(pb.Provider.Mode, version.mode),
        priority=version.priority,
        share_ppm=_ppm(version.share),
    )


def _route_to_proto(prefix: str, weights: Mapping[str, int]) -> pb.CountryRoute:
    named = [pb.ProviderWeight(provider=name, weight=weight) for name, weight in sorted(weights.items())]
    return pb.CountryRoute(prefix=prefix, weights=named)
