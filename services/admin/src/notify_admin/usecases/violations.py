"""What is wrong with a message, field by field."""

from collections.abc import Callable

from notify_common.errors import FieldViolation, NotifyError, invalid_field


class Violations:
    """Collects the rules that fields break, so that one answer names all."""

    def __init__(self, resource: str) -> None:
        """Take `resource`, the name of the message in the request."""
        self._resource = resource
        self._found: list[FieldViolation] = []

    def require(self, holds: bool, field: str, description: str) -> None:
        """Note a field unless its rule holds; the description does not repeat its value."""
        if not holds:
            self._found.append(FieldViolation(f"{self._resource}.{field}", description))

    def end(self) -> None:
        """Raise NotifyError INVALID_FIELD with all that was noted."""
        if self._found:
            raise invalid_field(*dict.fromkeys(self._found))


def settled(rule: Callable[[str], str], value: str, field: str) -> str:
    """Return the value as `rule` stores it. Raises NotifyError INVALID_FIELD where it refuses."""
    try:
        return rule(value)
    except ValueError as error:
        raise _refused(field, error) from None


def _refused(field: str, error: ValueError) -> NotifyError:
    return invalid_field(FieldViolation(field, str(error)))
