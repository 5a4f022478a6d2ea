"""Methods that are no rule but a read of a resource: declared where use cases stand, by the method's name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from notify_common.db.unit_of_work import Tx

from notify_admin.store.mapping import Resource

UseCase = Callable[[Any, Any], Message | None]
"""A function of a transaction and a request that returns the answer, or what it holds: None for nothing."""
Fill = Callable[[Any, Sequence[Any]], object]
"""A function of a transaction and messages, which it fills with what their rows don't hold."""


def _no_fill(tx: Tx, found: Sequence[Any]) -> None:
    pass


def _no_conditions(tx: Tx, ask: Any) -> Sequence[Any]:
    return ()


@dataclass(frozen=True, slots=True)
class Gets:
    """A declared Get method: the row whose columns are as the request's ids say; `x_id` of an x is `id`."""

    resource: Resource[Any]
    where: Mapping[str, Any] = field(default_factory=dict)
    fill: Fill = _no_fill

    def usecase(self, method: Any, parts: Mapping[str, Any]) -> UseCase:
        """Return the function for a method."""
        name = method.output_type.fields[0].name
        keys = {f.name: "id" if f.name == f"{name}_id" else f.name for f in method.input_type.fields}

        def get(tx: Tx, ask: Message) -> Message:
            asked = {column: getattr(ask, name) for name, column in keys.items()}
            found: Message = self.resource.one(tx, **self.where, **asked)
            self.fill(tx, [found])
            return found

        return get


@dataclass(frozen=True, slots=True)
class Lists:
    """A declared List method: pages of the rows that the request's fields ask for."""

    resource: Resource[Any]
    where: Any = None
    """A further condition, or values of columns."""
    asked: Callable[[Any, Any], Sequence[Any]] = _no_conditions
    """A function of transaction and request that returns the conditions that no name of a field says."""
    parent: Resource[Any] | None = None
    """What the request's first id names, which must exist for the list to be empty."""
    fill: Fill = _no_fill

    def usecase(self, method: Any, parts: Mapping[str, Any]) -> UseCase:
        """Return the function for a method."""
        answer = GetMessageClass(method.output_type)
        keys = dict(self.where) if isinstance(self.where, Mapping) else {}
        fixed = () if self.where is None or keys else (self.where,)
        first, listed = method.input_type.fields[0].name, method.output_type.fields[0].name

        def list_(tx: Tx, ask: Any) -> Message:
            conditions = (*fixed, *self.asked(tx, ask))
            page: Message = self.resource.page(tx, parts["pager"], ask, answer, *conditions, **keys)
            if self.parent is not None and not page.ListFields():
                self.parent.one(tx, id=getattr(ask, first))
            self.fill(tx, getattr(page, listed))
            return page

        return list_
