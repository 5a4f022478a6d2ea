"""Rates in force, allowances of services, and what they used (internal-api.md §4.15)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.leases.table import NO_SERVICE

from notify_notifications.domain.allowances import (
    FIRST_YEAR,
    allowance,
    days_of,
    default_allowance,
    financial_year,
    year_of,
)
from notify_notifications.domain.cost import Prices
from notify_notifications.domain.statistics import Days, UsageGroup, UsageSum
from notify_notifications.store import statistics, usage
from notify_notifications.store.usage import LetterRate, SmsRate

_SERVICES_AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class Rates:
    """What messages cost now."""

    sms: SmsRate
    letters: list[LetterRate]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Fragments of texts that are free in a financial year."""

    service_id: str
    year: int
    fragment_count: int


def get_rates(uow: UnitOfWork) -> Rates:
    """Return the rates in force."""
    now = clock.now()
    with uow.autocommit() as tx:
        sms, letters = usage.sms_rate(tx, now), usage.current_letter_rates(tx, now)
    if sms is None:
        raise NotifyError("INTERNAL")
    return Rates(sms, letters)


def get_prices(uow: UnitOfWork) -> Prices:
    """Return the rates in force as prices of what would be sent now."""
    rates = get_rates(uow)
    letters = {(one.postage, one.sheet_count): one.rate_micropounds for one in rates.letters}
    return Prices(rates.sms.rate_micropounds, letters)


def get_allowance(uow: UnitOfWork, service_id: str, year: int, organisation_type: str) -> Allowance:
    """Return the allowance of a financial year, 0 for the current one.

    What was set counts from its year on. Where nothing was set, a service that sent 300,000 fragments in the
    year before has none, and others the default of the organisation's type. Raises NotifyError
    ALLOWANCE_NOT_FOUND for years that have none.
    """
    current = financial_year(clock.now())
    year = year or current
    if not FIRST_YEAR <= year <= current:
        raise NotifyError("ALLOWANCE_NOT_FOUND")
    with uow.autocommit() as tx:
        (found,) = _allowances(tx, {service_id: organisation_type}, year)
    return found


def set_allowance(uow: UnitOfWork, service_id: str, count: int, organisation_type: str) -> Allowance:
    """Set the allowance from the current year on. Idempotency key: the year; the last one counts."""
    year = financial_year(clock.now())
    custom = None if count == default_allowance(organisation_type, year) else count
    with uow.begin() as tx:
        usage.set_allowance(tx, service_id, year, custom)
    return Allowance(service_id, year, count)


def sum_usage(
    uow: UnitOfWork,
    organisation_types: Mapping[str, str],
    days: Days,
    groups: Sequence[UsageGroup],
    *,
    without_allowances: bool,
) -> tuple[list[UsageSum], list[Allowance]]:
    """Return what was used, by group, and the allowances of the services.

    Args:
        uow: of the database.
        organisation_types: by service; empty for all services, whose allowances are left aside.
        days: of one financial year where allowances of named services count.
        groups: what to tell apart.
        without_allowances: leaves them aside.

    Raises:
        NotifyError: INVALID_FIELD for groups by service of all services, or for days of two financial years.
    """
    if not organisation_types and UsageGroup.SERVICE in groups:
        raise invalid_field(FieldViolation("group_by", "asks for too many groups"))
    year = year_of(days.first)
    if organisation_types and not without_allowances and year_of(days.last) != year:
        raise invalid_field(FieldViolation("to_day", "is not of the financial year of from_day"))
    with uow.begin() as tx:
        found = _allowances(tx, organisation_types, year) if organisation_types else []
        counts = {one.service_id: 0 if without_allowances else one.fragment_count for one in found} or None
        return statistics.sum_usage(tx, days, groups, counts, days_of(year).first), found


def list_allowances(
    uow: UnitOfWork, organisation_type: Callable[[str], str], year: int
) -> Iterator[tuple[Allowance, int]]:
    """Yield the allowances of a financial year of services that have used something or for which one was
    set, with the fragments that they used.
    """
    for ids in _pages(uow, year):
        types = {id: organisation_type(id) for id in ids}
        with uow.begin() as tx:
            found = _allowances(tx, types, year)
            used = statistics.chargeable_counts(tx, ids, days_of(year))
        yield from ((one, used.get(one.service_id, 0)) for one in found)


def keep_allowances(uow: UnitOfWork, organisation_type: Callable[[str], str], year: int) -> int:
    """Store the allowances of a past financial year as they are, so that what was billed does not change with
    a service's organisation; return how many. Those that were set stay, and later years follow the type.

    Idempotency key: service and year. Raises NotifyError ALLOWANCE_NOT_FOUND for a year that is not over.
    """
    if not FIRST_YEAR <= year < financial_year(clock.now()):
        raise NotifyError("ALLOWANCE_NOT_FOUND")
    stored = 0
    for ids in _pages(uow, year):
        types = {id: organisation_type(id) for id in ids}
        with uow.begin() as tx:
            custom = usage.custom_allowances(tx, ids, year)
            found = {one.service_id: one.fragment_count for one in _allowances(tx, types, year)}
            stored += usage.keep_allowances(
                tx, year, {id: count for id, count in found.items() if id not in custom}
            )
    return stored


def _pages(uow: UnitOfWork, year: int) -> Iterator[list[str]]:
    ids = [NO_SERVICE]
    while True:
        with uow.autocommit() as tx:
            ids = usage.next_services(tx, days_of(year), year, ids[-1], _SERVICES_AT_ONCE)
        if not ids:
            return
        yield ids


def _allowances(tx: Tx, organisation_types: Mapping[str, str], year: int) -> list[Allowance]:
    ids = list(organisation_types)
    custom = usage.custom_allowances(tx, ids, year)
    last_year = statistics.chargeable_counts(tx, ids, days_of(year - 1))
    return [
        Allowance(id, year, allowance(custom.get(id), last_year.get(id, 0), organisation_types[id], year))
        for id in ids
    ]
