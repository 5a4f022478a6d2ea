"""Counting messages (internal-api.md §4.13)."""

from collections.abc import Sequence
from typing import Final

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import FieldViolation, invalid_field

from notify_notifications.domain.statistics import (
    CountFilters,
    CountGroup,
    Days,
    MessageCount,
    Performance,
    ProcessingTime,
)
from notify_notifications.store import platform_days, statistics

MOST_DAYS: Final = 31
"""For which times are told at once."""


def count_messages(
    uow: UnitOfWork, filters: CountFilters, groups: Sequence[CountGroup]
) -> list[MessageCount]:
    """Return how many messages there are or were, by group, in the order of the groups' values.

    Raises NotifyError INVALID_FIELD for groups whose number nothing bounds.
    """
    of_many = len(filters.service_ids) != 1
    if (CountGroup.SERVICE in groups and not filters.service_ids) or (
        CountGroup.TEMPLATE in groups and of_many
    ):
        raise invalid_field(FieldViolation("group_by", "asks for too many groups"))
    with uow.autocommit() as tx:
        return statistics.count_messages(tx, filters, groups)


def get_performance(uow: UnitOfWork, days: Days) -> Performance:
    """Return how much the platform sent on days that are over, and how promptly."""
    with uow.begin() as tx:
        return platform_days.get_performance(tx, days)


def list_processing_times(uow: UnitOfWork, days: Days) -> list[ProcessingTime]:
    """Return how long texts and emails of days waited until a provider took them.

    Raises NotifyError INVALID_FIELD for more than 31 days.
    """
    if (days.last - days.first).days >= MOST_DAYS:
        raise invalid_field(FieldViolation("to_day", f"is more than {MOST_DAYS} days after the first one"))
    with uow.autocommit() as tx:
        return platform_days.list_times(tx, days)
