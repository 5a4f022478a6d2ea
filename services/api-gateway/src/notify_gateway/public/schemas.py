"""Whether a request is valid, and what a client reads if not (public-api.md §1.7, §2.2 to §2.7, §3.2, §3.6).

Each kind of request is described once, as a JSON Schema (draft 7). `jsonschema` words the errors, but it
takes hundreds of microseconds; so `Schema.check` first asks a predicate compiled from the same schema, which
knows no words, and only what it rejects is handed to `jsonschema`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, reduce
from itertools import islice
from typing import Any, Final

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from notify.common.v1.common_pb2 import Channel
from notify_common import clock
from notify_common.ids import canonical_uuid
from notify_content import email_address, phone
from rfc3986_validator import validate_rfc3986  # type: ignore[import-untyped] # ships no type information

from notify_gateway.answers import InvalidRequest
from notify_gateway.presenters import timestamps

Json = Any
Predicate = Callable[[Json], bool]

MOST_MESSAGES: Final = 1000

_SCHEDULE_LIMIT: Final = timedelta(hours=24)


class _Refused(ValueError):
    """A value that breaks a format; the text is the contract's."""


def _check_uuid(value: str) -> None:
    canonical_uuid(value)


def _check_https_url(value: str) -> None:
    # The validator's pattern lets a line feed at the end pass, which would stand in a header of an email.
    if not value.startswith("https") or value.endswith("\n") or not validate_rfc3986(value, rule="URI"):
        raise _Refused


def _check_phone_number(value: str) -> None:
    try:
        phone.parse(value, allow_international=True, allow_uk_landline=True)
    except phone.InvalidPhoneNumber as error:
        raise _Refused(error.api_message) from None


def _check_email_address(value: str) -> None:
    try:
        email_address.parse(value)
    except email_address.InvalidEmailAddress as error:
        raise _Refused(error.message) from None


def _check_schedule(value: str) -> None:
    try:
        # Any offset is discarded: the contract takes what stands there as UTC.
        moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        raise _Refused(
            "datetime format is invalid. It must be a valid ISO8601 date time format, "
            "https://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    now = clock.now()
    if moment < now:
        raise _Refused("datetime can not be in the past")
    if moment > now + _SCHEDULE_LIMIT:
        raise _Refused("datetime can only be 24 hours in the future")


def _check_moment(value: str) -> None:
    timestamps.moment(value)


def _check_postage(value: str) -> None:
    if value not in ("first", "second", "economy"):
        raise _Refused("invalid. It must be either first, second or economy.")


def _check_date(value: str) -> None:
    date.fromisoformat(value)


STATUSES: Final = (
    *("cancelled", "created", "sending", "sent", "delivered", "pending", "failed", "technical-failure"),
    *("temporary-failure", "permanent-failure", "pending-virus-check", "validation-failed"),
    *("virus-scan-failed", "returned-letter", "accepted", "received"),
)
"""Statuses of the contract that lists are filtered by; what refuses another one names them."""
OWN_STATUSES: Final = ("expired",)
"""Those that the contract does not have."""


def _check_status(value: str) -> None:
    if value not in STATUSES and value not in OWN_STATUSES:
        raise _Refused(f"{value} is not one of [{', '.join(STATUSES)}]")


_FORMATS: Final[Mapping[str, Callable[[str], None]]] = {
    "uuid": _check_uuid,
    "https_url": _check_https_url,
    "phone_number": _check_phone_number,
    "email_address": _check_email_address,
    "schedule": _check_schedule,
    "moment": _check_moment,
    "postage": _check_postage,
    "date": _check_date,
    "status": _check_status,
}

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
    "number": (int, float),
}


def _format_checker() -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, check in _FORMATS.items():

        def passes(value: object, check: Callable[[str], None] = check) -> bool:
            if isinstance(value, str):
                check(value)
            return True

        checker.checks(name, raises=ValueError)(passes)
    return checker


_CHECKER: Final = _format_checker()


class Schema:
    """A kind of request. Only the keywords that `_predicate` reads may be used, unless it is not quick."""

    def __init__(self, schema: Mapping[str, Json], *, quick: bool = True) -> None:
        """Let `wording` in a property's schema take the place of every message about that property.

        One that is not `quick` may use any keyword and always asks `jsonschema`.
        """
        self._schema = schema
        self._is_valid = _predicate(schema) if quick else self._has_no_messages

    @property
    def keys(self) -> frozenset[str]:
        """Names that the object may have."""
        return frozenset(name for name, one in self._schema["properties"].items() if one.get("enum") != [])

    @property
    def required(self) -> frozenset[str]:
        """Names that it must have."""
        return frozenset(self._schema.get("required", ()))

    def check(self, value: Json) -> None:
        """Raise InvalidRequest with a sentence for each thing wrong, in the contract's order."""
        if not self._is_valid(value):
            raise InvalidRequest(*self.messages(value))

    def is_valid(self, value: Json) -> bool:
        """Tell whether `value` is valid, that is, whether `messages` would be empty."""
        return self._is_valid(value)

    def messages(self, value: Json) -> list[str]:
        """Return the contract's sentence for each thing wrong with `value`; slow.

        At most MOST_MESSAGES: a list of half a million wrong items is no reason to work for seconds.
        """
        return [_sentence(error) for error in islice(self._validator.iter_errors(value), MOST_MESSAGES)]

    def _has_no_messages(self, value: Json) -> bool:
        return not self.messages(value)

    @cached_property
    def _validator(self) -> Draft7Validator:
        return Draft7Validator(self._schema, format_checker=_CHECKER)


def _sentence(error: ValidationError) -> str:
    where = [str(part) for part in error.path][:1]
    if isinstance(error.schema, Mapping) and "wording" in error.schema:
        return " ".join([*where, error.schema["wording"]])
    text = str(error.cause) if error.cause else error.message
    return " ".join([*where, text.replace("'", "")])


def _predicate(schema: Mapping[str, Json]) -> Predicate:
    """Compile a schema to a function that tells whether a value is valid."""
    checks: list[Predicate] = []
    allowed = schema.get("type")
    if allowed is not None:
        names = [allowed] if isinstance(allowed, str) else allowed
        types = tuple(kind for name in names for kind in _TYPES[name])
        # True and False are numbers to Python alone; no type here takes them
        checks.append(lambda value: isinstance(value, types) and not isinstance(value, bool))
    if "enum" in schema:
        values = schema["enum"]
        checks.append(lambda value: value in values)
    if "format" in schema:
        checks.append(_format_predicate(_FORMATS[schema["format"]]))
    if "maxLength" in schema:
        longest = schema["maxLength"]
        checks.append(lambda value: not isinstance(value, str) or len(value) <= longest)
    if "minimum" in schema:
        least = schema["minimum"]
        checks.append(lambda value: not isinstance(value, int | float) or not value < least)
    if "maximum" in schema:
        most = schema["maximum"]
        checks.append(lambda value: not isinstance(value, int | float) or not value > most)
    if "items" in schema:
        item_is_valid = _predicate(schema["items"])
        checks.append(lambda value: not isinstance(value, list) or all(map(item_is_valid, value)))
    if "properties" in schema:
        checks.append(_object_predicate(schema))
    return reduce(_both, checks)


def _both(first: Predicate, second: Predicate) -> Predicate:
    return lambda value: first(value) and second(value)


def _format_predicate(check: Callable[[str], None]) -> Predicate:
    def is_valid(value: Json) -> bool:
        if isinstance(value, str):
            try:
                check(value)
            except ValueError:
                return False
        return True

    return is_valid


def _object_predicate(schema: Mapping[str, Json]) -> Predicate:
    properties = {name: _predicate(inner) for name, inner in schema["properties"].items()}
    required = frozenset(schema.get("required", ()))
    closed = schema.get("additionalProperties", True) is False

    def is_valid(value: Json) -> bool:
        if not isinstance(value, dict):
            return True
        if not required <= value.keys():
            return False
        for name, item in value.items():
            item_is_valid = properties.get(name)
            if item_is_valid is None:
                if closed:
                    return False
            elif not item_is_valid(item):
                return False
        return True

    return is_valid


_UUID: Final = {"type": "string", "format": "uuid", "wording": "is not a valid UUID"}
_STRING: Final = {"type": "string"}
_REFERENCE: Final = {"type": "string", "maxLength": 1000}
_OBJECT: Final = {"type": "object"}
_SCHEDULE: Final = {"type": ["string", "null"], "format": "schedule"}
_MOMENT: Final = {
    "type": "string",
    "format": "moment",
    "wording": "is not a date-time with a time zone, such as 2026-01-31T09:00:00Z",
}

MOST_POUNDS: Final = 1_000_000
MAX_COST_WORDING: Final = f"is not an amount in pounds from 0 to {MOST_POUNDS}"
_MAX_COST: Final = {"type": "number", "minimum": 0, "maximum": MOST_POUNDS, "wording": MAX_COST_WORDING}


def _request(properties: Mapping[str, Json], *required: str, closed: bool = True) -> Schema:
    # The order of the keywords, and of the properties, is the order of the messages.
    schema: dict[str, Json] = {"type": "object", "properties": properties, "required": list(required)}
    return Schema(schema | {"additionalProperties": False} if closed else schema)


SEND_SMS: Final = _request(
    {
        "reference": _REFERENCE,
        "phone_number": {"type": "string", "format": "phone_number"},
        "template_id": _UUID,
        "personalisation": _OBJECT,
        "scheduled_for": _SCHEDULE,
        "sms_sender_id": _UUID,
        "send_at": _MOMENT,
        "deliver_by": _MOMENT,
        "max_cost": _MAX_COST,
    },
    "phone_number",
    "template_id",
)

SEND_EMAIL: Final = _request(
    {
        "reference": _REFERENCE,
        "email_address": {"type": "string", "format": "email_address"},
        "template_id": _UUID,
        "personalisation": _OBJECT,
        "scheduled_for": _SCHEDULE,
        "email_reply_to_id": _UUID,
        "one_click_unsubscribe_url": {
            "type": "string",
            "format": "https_url",
            "wording": "is not a valid https url",
        },
        "sanitise_content_for": {"type": ["array", "null"], "items": _STRING},
        "send_at": _MOMENT,
        "deliver_by": _MOMENT,
        "max_cost": _MAX_COST,
    },
    "email_address",
    "template_id",
)

# The original has neither time, so no wording of the contract is in the way of one that says what to do.
_NO_TIME_FOR_LETTERS: Final = {
    "enum": [],
    "wording": "is not for letters, which go to print once a day: leave it out, send the letter on its day",
}
_NO_TIMES: Final = {"send_at": _NO_TIME_FOR_LETTERS, "deliver_by": _NO_TIME_FOR_LETTERS}

SEND_LETTER: Final = _request(
    {
        "reference": _REFERENCE,
        "template_id": _UUID,
        "personalisation": _OBJECT,
        "max_cost": _MAX_COST,
        **_NO_TIMES,
    },
    "template_id",
    "personalisation",
)

SEND_PRECOMPILED_LETTER: Final = _request(
    {
        "reference": _STRING,
        "content": _STRING,
        "postage": {"type": "string", "format": "postage"},
        "max_cost": _MAX_COST,
        **_NO_TIMES,
    },
    "reference",
    "content",
)

SEND_BY_CHANNEL: Final[Mapping[str, Schema]] = {"sms": SEND_SMS, "email": SEND_EMAIL, "letter": SEND_LETTER}
"""What a row of a batch is besides its `type`."""
BATCH_ROW: Final = _request({"type": {"enum": list(SEND_BY_CHANNEL)}}, "type", closed=False)

CHANNELS: Final[Mapping[str, Channel]] = {
    "sms": Channel.CHANNEL_SMS,
    "email": Channel.CHANNEL_EMAIL,
    "letter": Channel.CHANNEL_LETTER,
}

LIST_NOTIFICATIONS: Final = _request(
    {
        "reference": _STRING,
        "status": {"type": "array", "items": {"format": "status"}},
        "template_type": {"type": "array", "items": {"enum": list(CHANNELS)}},
        "include_jobs": {"enum": ["true", "True"]},
        "older_than": _UUID,
        "batch_id": _UUID,
    }
)

RESCHEDULE: Final = _request({"send_at": _MOMENT}, "send_at")
NOTIFICATION_ID: Final = _request({"notification_id": _UUID}, "notification_id")
BATCH_ID: Final = _request({"batch_id": _UUID}, "batch_id")
TEMPLATE_ID: Final = _request({"id": _UUID}, "id")
PREVIEW_TEMPLATE: Final = _request({"id": _UUID, "personalisation": _OBJECT}, "id", closed=False)
LIST_RECEIVED_TEXTS: Final = _request({"older_than": _UUID})
LIST_TEMPLATES: Final = _request({"type": {"enum": list(CHANNELS)}})
