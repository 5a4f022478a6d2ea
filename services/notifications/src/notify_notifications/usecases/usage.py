"""Rates in force, and allowances of services (internal-api.md §4.15)."""

from dataclasses import dataclass

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError

from notify_notifications.domain.allowances import FIRST_YEAR, default_allowance, financial_year
from notify_notifications.store import usage
from notify_notifications.store.usage import LetterRate, SmsRate


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


def get_allowance(uow: UnitOfWork, service_id: str, year: int, organisation_type: str) -> Allowance:
    """Return the allowance of a financial year, 0 for the current one.

    What was set counts from its year on; before, and where the default was set, the default of the
    organisation's type. Raises NotifyError ALLOWANCE_NOT_FOUND for years that have none.
    """
    current = financial_year(clock.now())
    year = year or current
    if not FIRST_YEAR <= year <= current:
        raise NotifyError("ALLOWANCE_NOT_FOUND")
    with uow.autocommit() as tx:
        custom = usage.custom_allowance(tx, service_id, year)
    count = default_allowance(organisation_type, year) if custom is None else custom
    return Allowance(service_id, year, count)


def set_allowance(uow: UnitOfWork, service_id: str, count: int, organisation_type: str) -> Allowance:
    """Set the allowance from the current year on. Idempotency key: the year; the last one counts."""
    year = financial_year(clock.now())
    custom = None if count == default_allowance(organisation_type, year) else count
    with uow.begin() as tx:
        usage.set_allowance(tx, service_id, year, custom)
    return Allowance(service_id, year, count)
