"""What is wrong with a message, field by field."""

from collections.abc import Callable, Collection, Iterable
from typing import Self

from notify_common.errors import FieldViolation, invalid_field


class Violations:
    """Collects the rules that fields break; its `with` ends in NotifyError INVALID_FIELD with all of them."""

    def __init__(self, resource: str) -> None:
        """Take `resource`, the name of the message in the request."""
        self._resource = resource
        self._found: list[FieldViolation] = []

    def require(self, holds: bool, field: str, description: str) -> None:
        """Note a field unless its rule holds; the description does not repeat its value."""
        if not holds:
            self._found.append(FieldViolation(f"{self._resource}.{field}", description))

    def require_known(self, value: str, known: Collection[str], field: str) -> None:
        """Note a field unless it holds one of the values that there are."""
        self.require(value in known, field, "is not a known value")

    def require_short(self, text: str, most: int, field: str) -> None:
        """Note a field that holds more characters than it may."""
        self.require(len(text) <= most, field, f"is longer than {most} characters")

    def require_permissions(self, given: Iterable[str], known: Collection[str]) -> None:
        """Note `permissions` unless all of them are known."""
        self.require(set(given) <= set(known), "permissions", "holds a permission that there is not")

    def __enter__(self) -> Self:
        """Begin to collect."""
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Raise what was collected, unless something else is raised."""
        if error is None and self._found:
            raise invalid_field(*dict.fromkeys(self._found))


def settled(rule: Callable[[str], str], value: str, field: str) -> str:
    """Return the value as `rule` stores it. Raises NotifyError INVALID_FIELD where it refuses."""
    try:
        return rule(value)
    except ValueError as error:
        raise invalid_field(FieldViolation(field, str(error))) from None
