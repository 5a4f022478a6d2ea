"""Records of which some are made for every message that passes.

A frozen dataclass sets each of its fields by a call, which takes three times as long as making one that is
not frozen; a batch makes half a million of them. So a `record` is frozen to type checkers alone: mypy refuses
whatever sets a field, as it does for a frozen dataclass, and nothing looks after it when the program runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(*, kw_only: bool = False, slots: bool = True) -> Callable[[type[T]], type[T]]:
    """Make a class a dataclass whose fields are never set again.

    Args:
        kw_only: whether its fields are named where it is made.
        slots: False for one that keeps a `cached_property`.
    """
    return dataclass(kw_only=kw_only, slots=slots, unsafe_hash=True)
