"""Forms: what a request's body may hold, in one of the contract's two styles of error (internal-api.md §1.5).

`schema` answers as JSON Schema does, a list of sentences; `fields` answers lists of sentences by key.
A checked form has the keys that it names and no others.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from notify_common.ids import canonical_uuid
from notify_content import email_address

from notify_gateway.public.schemas import Schema

Json = Any
MISSING: Final = "Missing data for required field."


class InvalidForm(Exception):
    """A body with wrong fields: sentences by key, or one for the whole of it."""

    def __init__(self, messages: Mapping[str, list[str]] | Mapping[str, str] | str) -> None:
        super().__init__()
        self.messages = messages


class Form(Protocol):
    """What a route takes."""

    names: tuple[str, ...]
    """Keys of a checked form."""

    def check(self, body: Json) -> dict[str, Json]:
        """Return the checked form. Raises InvalidForm or InvalidRequest."""


UUID: Final = {"type": "string", "format": "uuid", "wording": "is not a valid UUID"}
NULLABLE_UUID: Final = {**UUID, "type": ["string", "null"]}
STRING: Final = {"type": "string"}
NULLABLE_TEXT: Final = {"type": ["string", "null"]}
TEXT: Final = {"type": "string", "minLength": 1}
BOOLEAN: Final = {"type": "boolean"}
INTEGER: Final = {"type": "integer"}
EMAIL: Final = {"type": "string", "format": "email_address"}
DATE: Final = {"type": ["string", "null"], "format": "date", "wording": "is not a date"}
HTTPS: Final = {"type": "string", "format": "https_url", "wording": "is not a valid https url"}


class JsonForm:
    """A form with the sentences of JSON Schema."""

    def __init__(self, wanted: Mapping[str, Json], keep_others: bool) -> None:
        self.names = tuple(wanted["properties"])
        self._keep_others = keep_others
        self._schema = Schema(wanted, quick=False)

    def check(self, body: Json) -> dict[str, Json]:
        """See Form."""
        self._schema.check(body)
        return dict(body) if self._keep_others else {name: body[name] for name in self.names if name in body}


def schema(
    required: str = "",
    *,
    closed: bool = False,
    keep_others: bool = False,
    first: Json = None,
    more: Json = None,
    **properties: Json,
) -> JsonForm:
    """Make a form described by JSON Schema; `required` keys are parted by spaces.

    `first` and `more` are further keywords, told before and after what is missing. A closed form refuses
    other keys, one that keeps them hands them on unchecked, all others ignore them.
    """
    others = {"additionalProperties": False} if closed else {}
    wanted = {"type": "object", "properties": properties, **others, **(first or {})}
    return JsonForm({**wanted, "required": required.split(), **(more or {})}, keep_others)


def words(text: str) -> list[str]:
    """Split names that are parted by spaces."""
    return text.split()


Rule = Callable[[Json], Json]
"""Returns the value to pass on, or raises ValueError with the sentence."""


class FieldsForm:
    """A form whose errors are told by key."""

    def __init__(self, rules: Mapping[str, Rule], required: str, unknown: bool, first: str) -> None:
        self.names = tuple(rules)
        self._rules = rules
        self._first = first
        self._required = required.split()
        self._refuse_unknown = unknown

    def check(self, body: Json) -> dict[str, Json]:
        """See Form."""
        if not isinstance(body, dict):
            raise InvalidForm({"_schema": ["Invalid input type."]})
        if self._refuse_unknown and (others := [name for name in body if name not in self._rules]):
            raise InvalidForm({"_schema": [f"Unknown field name {name}" for name in others]})
        if self._first and self._first not in body:
            raise InvalidForm({self._first: [MISSING]})
        messages = {name: [MISSING] for name in self._required if name not in body}
        form: dict[str, Json] = {}
        for name, rule in self._rules.items():
            if name in body:
                try:
                    form[name] = rule(body[name])
                except ValueError as error:
                    messages[name] = [str(error)]
        if messages:
            raise InvalidForm(messages)
        return form


def fields(required: str = "", *, refuse_unknown: bool = False, first: str = "", **rules: Rule) -> FieldsForm:
    """Make a form of named rules; `required` keys are parted by spaces. Others are ignored, or refused.

    Of a body without the key `first` nothing else is told.
    """
    return FieldsForm(rules, required, refuse_unknown, first)


def nullable(rule: Rule) -> Rule:
    """Return the rule, for a value that may be null too."""
    return lambda value: None if value is None else rule(value)


def string(value: Json) -> str:
    """Return a text."""
    return _of(value, str, "Not a valid string.")  # type: ignore[no-any-return] # it is one


def boolean(value: Json) -> bool:
    """Check a value that is true or false."""
    return _of(value, bool, "Not a valid boolean.")  # type: ignore[no-any-return] # it is one


def integer(value: Json) -> int:
    """Return the whole number, if a column can hold it."""
    number = _of(value, int, "Not a valid integer.")
    if isinstance(number, bool) or not -(2**31) <= number < 2**31:
        raise ValueError("Not a valid integer.")
    return number  # type: ignore[no-any-return] # it is one


def uuid(value: Json) -> str:
    """Return an id, in its canonical spelling."""
    try:
        return canonical_uuid(string(value))
    except ValueError:
        raise ValueError("Not a valid UUID.") from None


def moment(value: Json) -> datetime:
    """Return a time in any ISO 8601 spelling; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(string(value))
    except ValueError:
        raise ValueError("Not a valid datetime.") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def email(value: Json) -> str:
    """Return an email address."""
    try:
        email_address.parse(string(value))
    except email_address.InvalidEmailAddress:
        raise ValueError("Not a valid email address") from None
    return str(value)


def list_of(rule: Rule) -> Rule:
    """Make the rule of a list whose items all keep `rule`."""
    return lambda values: [rule(value) for value in _of(values, list, "Not a valid list.")]


def _of(value: Json, kind: type, sentence: str) -> Any:
    if value is None:
        raise ValueError("Field may not be null.")
    if not isinstance(value, kind):
        raise ValueError(sentence)
    return value
