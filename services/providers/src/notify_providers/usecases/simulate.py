"""Saying where a message would go, without sending one."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from notify_common.db.unit_of_work import UnitOfWork

from notify_providers.domain.routing import Judgement, Route, country_table, judge
from notify_providers.store import countries
from notify_providers.usecases.settings import settings_in_force


def simulate_routing(
    uow: UnitOfWork, route: Route, phone_number: str, available: AbstractSet[str]
) -> Judgement:
    """Return what the rules make of each provider for a message of this moment, and why one is drawn.

    Args:
        phone_number: of a text; decides with `route.international` on the table of a country.
        available: names of the providers that take live messages.
    """
    with uow.begin() as conn:
        country = country_table(countries.list_all(conn), phone_number) if route.international else {}
        providers = settings_in_force(conn)
    return judge(providers, replace(route, country=country), available)
