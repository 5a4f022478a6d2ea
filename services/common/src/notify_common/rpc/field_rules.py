"""Checks of what the protos say that fields of requests must be (`notify/common/v1/field.proto`).

The rules of a message type are compiled once, into one function a field. A message that has rules, or holds
one that has, is also checked for what is never right: NUL in a text, which databases refuse; a number that
the enum does not have; a list with unspecified enum values; a timestamp that is none.

A request whose name begins with `Update` or `Set` updates the resource in it: its id, its parent's and its
version must be there, and of the other fields those count that `update_mask` names, or all where the request
has no mask.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from operator import attrgetter
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from notify.common.v1 import field_pb2
from notify.common.v1.field_pb2 import FieldRules

from notify_common import ids
from notify_common.errors import FieldViolation, invalid_field
from notify_common.rpc.interceptors.base import Behaviour, Handler

Violations = list[FieldViolation]
Rule = Callable[[Message, Violations], None]
"""Adds what is wrong with a message, or with one field of it, by paths that begin at the message."""

_FIELD: Final[Any] = field_pb2.field
_CHOICE: Final[Any] = field_pb2.choice
_MASK: Final = "google.protobuf.FieldMask"
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_DURATION: Final = "google.protobuf.Duration"
_UPDATES: Final = ("Update", "Set")
_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class RuleError(Exception):
    """A proto gives a field a rule that it can't have; the message names both."""


def check(request: Message) -> None:
    """Raise NotifyError INVALID_FIELD if `request` breaks rules of its type, naming every field that does."""
    rule = rules_of(type(request).DESCRIPTOR)
    if rule is not None:
        _enforce(rule, request)


@cache
def rules_of(message: Any) -> Rule | None:
    """Return what checks messages of the type with this descriptor; None where nothing of it has a rule.

    Raises RuleError for a rule that its field can't have.
    """
    return _message_rule(message) if _has_rules(message, set()) else None


class FieldRulesInterceptor(grpc.ServerInterceptor):
    """Innermost on a server: refuses requests that break a rule of their fields.

    Of a stream each request is checked when the method reads it.
    """

    def __init__(self, grpc_services: Iterable[str]) -> None:
        """Compile the rules of the methods of these services, given by full name. Raises RuleError."""
        self._rules: dict[str, Rule] = {}
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}
        pool = descriptor_pool.Default()
        for name in grpc_services:
            for method in pool.FindServiceByName(name).methods:
                rule = rules_of(method.input_type)
                if rule is not None:
                    self._rules[f"/{name}/{method.name}"] = rule

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the handler of a call; gRPC asks for each call."""
        handler = continuation(handler_call_details)
        path = handler_call_details.method
        rule = self._rules.get(path)
        if handler is None or rule is None:
            return handler
        kept = self._wrapped.get(path)
        if kept is None or kept[0] is not handler:
            kept = self._wrapped[path] = (handler, _wrap(handler, rule))
        return kept[1]


def _wrap(handler: "Handler", rule: Rule) -> "Handler":
    kind = ("stream" if handler.request_streaming else "unary") + (
        "_stream" if handler.response_streaming else "_unary"
    )
    behaviour: Behaviour = getattr(handler, kind)

    def one(request: Message, context: grpc.ServicerContext) -> Any:
        _enforce(rule, request)
        return behaviour(request, context)

    def many(requests: Iterator[Message], context: grpc.ServicerContext) -> Any:
        return behaviour(_checked(rule, requests), context)

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    wrapped: Handler = make(
        many if handler.request_streaming else one, handler.request_deserializer, handler.response_serializer
    )
    return wrapped


def _checked(rule: Rule, requests: Iterator[Message]) -> Iterator[Message]:
    for request in requests:
        _enforce(rule, request)
        yield request


def _enforce(rule: Rule, request: Message) -> None:
    violations: Violations = []
    rule(request, violations)
    if violations:
        raise invalid_field(*violations)


@dataclass(slots=True)
class _Compiled:
    """The rules of a message type; filled in while being compiled, so that a type may hold itself."""

    fields: list[tuple[str, Rule]]
    """What is checked wherever the message is not being updated."""
    identifying: list[tuple[str, Rule]]
    """What is checked of it in an update, whatever the mask names."""
    updated: list[tuple[str, Rule]]
    """What else is checked of it in an update, by field."""
    is_resource: bool = False
    """Whether it has an id or version of its own, so that an update may be of it."""


_compiled: dict[str, _Compiled] = {}


def _compile(message: Descriptor) -> _Compiled:
    done = _compiled.get(message.full_name)
    if done is None:
        done = _compiled[message.full_name] = _Compiled([], [], [])
        try:
            for field in message.fields:
                rules = _rules(field)
                own = rules.id == field_pb2.ID_OWN or rules.version
                done.is_resource |= own
                if rules.output_only:
                    _refuse_misplaced(field, rules)
                    continue
                checks = [(field.name, rule) for rule in _field_rules(field, rules)]
                if not own and not _is_choice(field):
                    done.fields += checks
                if own or rules.id == field_pb2.ID_PARENT:
                    done.identifying += checks
                elif not rules.immutable:
                    done.updated += checks
            for choice in filter(_is_real, message.oneofs):
                required = choice.GetOptions().Extensions[_CHOICE].required
                done.fields.append((choice.name, _choice_rule(choice, required)))
                if required:
                    done.updated.append((choice.name, _required_rule(choice.name)))
        except BaseException:
            del _compiled[message.full_name]
            raise
    return done


def _has_rules(message: Descriptor, seen: set[str]) -> bool:
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return (
        message.full_name == _TIMESTAMP
        or any(field.GetOptions().HasExtension(_FIELD) for field in message.fields)
        or any(choice.GetOptions().HasExtension(_CHOICE) for choice in message.oneofs)
        or any(field.message_type and _has_rules(field.message_type, seen) for field in message.fields)
    )


def _rules(field: FieldDescriptor) -> FieldRules:
    rules: FieldRules = field.GetOptions().Extensions[_FIELD]
    return rules


def _message_rule(message: Descriptor) -> Rule:
    compiled = _compile(message)
    if message.name.startswith(_UPDATES):
        return _update_rule(message)

    def check(value: Message, violations: Violations) -> None:
        for _, rule in compiled.fields:
            rule(value, violations)

    return check


def _update_rule(message: Descriptor) -> Rule:
    has_mask = "update_mask" in message.fields_by_name
    outer: list[Rule] = []
    for field in message.fields:
        rules = _rules(field)
        resource = None if field.message_type is None or field.is_repeated else _compile(field.message_type)
        if resource is not None and resource.is_resource:
            outer.append(_resource_rule(field, rules, resource, has_mask))
        else:
            outer += _field_rules(field, rules)

    def check(value: Message, violations: Violations) -> None:
        for rule in outer:
            rule(value, violations)

    return check


def _resource_rule(field: FieldDescriptor, rules: FieldRules, resource: _Compiled, has_mask: bool) -> Rule:
    name, required, get = field.name, rules.required, attrgetter(field.name)
    mask = attrgetter("update_mask")

    def check(value: Any, violations: Violations) -> None:
        if not value.HasField(name):
            if required:
                violations.append(FieldViolation(name, "is required"))
            return
        inner, before = get(value), len(violations)
        masked = {path.partition(".")[0] for path in mask(value).paths} if has_mask else ()
        for _, rule in resource.identifying:
            rule(inner, violations)
        for named, rule in resource.updated:
            if not has_mask or named in masked:
                rule(inner, violations)
        if len(violations) > before:
            _put_below(name, violations, before)

    return check


def _put_below(path: str, violations: Violations, start: int) -> None:
    """Make the paths of the violations from `start` on begin at the message above."""
    violations[start:] = [
        FieldViolation(f"{path}.{one.field}", one.description) for one in violations[start:]
    ]


def _choice_rule(choice: OneofDescriptor, required: bool) -> Rule:
    """Return what is checked of a choice: that of the field that is set."""
    name = choice.name
    tests = {
        field.name: (_value_test(field, _rules(field)), attrgetter(field.name)) for field in choice.fields
    }

    def check(message: Message, violations: Violations) -> None:
        chosen = message.WhichOneof(name)
        if chosen is None:
            if required:
                violations.append(FieldViolation(name, "is required"))
            return
        test, get = tests[chosen]
        before = len(violations)
        wrong = test(get(message), violations) if test else None
        if wrong is not None:
            violations.append(FieldViolation(chosen, wrong))
        elif len(violations) > before:
            _put_below(chosen, violations, before)

    return check


def _required_rule(name: str) -> Rule:
    def check(message: Message, violations: Violations) -> None:
        if message.WhichOneof(name) is None:
            violations.append(FieldViolation(name, "is required"))

    return check


def _field_rules(field: FieldDescriptor, rules: FieldRules) -> list[Rule]:
    """Return what is checked of one field in its message."""
    _refuse_misplaced(field, rules)
    name, get = field.name, attrgetter(field.name)
    if field.is_repeated:
        return _list_rules(field, rules)
    test = _value_test(field, rules)
    if test is None:
        return []
    # a field with presence that is absent breaks no rule but that of being required
    if field.has_presence:
        required = _is_required(rules) and not _is_choice(field)

        def check_present(message: Message, violations: Violations) -> None:
            if message.HasField(name):
                before = len(violations)
                wrong = test(get(message), violations)
                if wrong is not None:
                    violations.append(FieldViolation(name, wrong))
                elif len(violations) > before:
                    _put_below(name, violations, before)
            elif required:
                violations.append(FieldViolation(name, "is required"))

        return [check_present]

    def check(message: Message, violations: Violations) -> None:
        wrong = test(get(message), violations)
        if wrong is not None:
            violations.append(FieldViolation(name, wrong))

    # nearly all that is checked is ids and texts that are right, which is told without a call for each
    if rules.id:
        is_right = _right_id(rules).fullmatch

        def check_id(message: Message, violations: Violations) -> None:
            if is_right(get(message)) is None:
                check(message, violations)

        return [check_id]
    if field.type == FieldDescriptor.TYPE_STRING:
        least, most = _text_bounds(field, rules)

        def check_text(message: Message, violations: Violations) -> None:
            text = get(message)
            if "\0" in text or not least <= len(text) <= most:
                check(message, violations)

        return [check_text]
    return [check]


def _right_id(rules: FieldRules) -> re.Pattern[str]:
    """Return what matches the values that an id with these rules may have."""
    if rules.id == field_pb2.ID_MINTED:
        return ids.MINTED
    if rules.id == field_pb2.ID_OPTIONAL:
        return re.compile(f"(?:{ids.CANONICAL.pattern})?")
    return ids.CANONICAL


def _text_bounds(field: FieldDescriptor, rules: FieldRules) -> tuple[int, int]:
    least, most = _bounds(field, rules.length or "..", (int(rules.required), 2**31 - 1))
    return max(least, int(rules.required)), most


def _list_rules(field: FieldDescriptor, rules: FieldRules) -> list[Rule]:
    name, get = field.name, attrgetter(field.name)
    found: list[Rule] = []
    if rules.required or rules.items:
        least, most = _bounds(field, rules.items or "1..", (0, 2**31 - 1))
        wrong = f"should have between {least} and {most} items" if rules.items else "is required"

        def check_size(message: Message, violations: Violations) -> None:
            if not least <= len(get(message)) <= most:
                violations.append(FieldViolation(name, wrong))

        found.append(check_size)
    if rules.checked_apart:
        return found
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return [*found, _map_rule(field.name, field.message_type, rules)]
    item_rules = FieldRules(id=rules.id, length=rules.length, range=rules.range)
    if field.enum_type is not None:
        item_rules.required = True
    test = _value_test(field, item_rules)
    if test is not None:

        def check_items(message: Message, violations: Violations) -> None:
            for index, item in enumerate(get(message)):
                before = len(violations)
                wrong = test(item, violations)
                if wrong is not None:
                    violations.append(FieldViolation(f"{name}[{index}]", wrong))
                elif len(violations) > before:
                    _put_below(f"{name}[{index}]", violations, before)

        found.append(check_items)
    return found


def _map_rule(name: str, entry: Descriptor, rules: FieldRules) -> Rule:
    get = attrgetter(name)
    parts = (entry.fields_by_name[part] for part in ("key", "value"))
    key_test, value_test = (_value_test(part, FieldRules(length=rules.length)) for part in parts)

    def check(message: Message, violations: Violations) -> None:
        for key, value in get(message).items():
            wrong = (key_test and key_test(key, [])) or (value_test and value_test(value, []))
            if wrong:
                violations.append(FieldViolation(name, wrong))
                return

    return check


Test = Callable[[Any, Violations], str | None]
"""Returns what is wrong with a value; of a message, adds what is wrong below it and returns None."""


def _value_test(field: FieldDescriptor, rules: FieldRules) -> Test | None:
    """Return what is checked of one value; None where anything goes."""
    if rules.id:
        return _id_test(rules.id != field_pb2.ID_OPTIONAL, minted=rules.id == field_pb2.ID_MINTED)
    if field.message_type is not None and field.message_type.full_name == _DURATION:
        return _duration_test(field, rules) if rules.range else None
    if field.message_type is not None:
        return _message_test(field.message_type, rules.required)
    if field.enum_type is not None:
        return _enum_test(field.enum_type, rules.required)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_test(*_text_bounds(field, rules))
    if field.type == FieldDescriptor.TYPE_BYTES:
        if not (rules.length or rules.required):
            return None
        least, most = _bounds(field, rules.length or "1..", (int(rules.required), 2**31 - 1))
        return _size_test(least, most, "bytes")
    if rules.range or rules.version:
        least, most = _bounds(field, rules.range or "1..", _INTEGERS[field.cpp_type])
        return _range_test(least, most)
    return _nonzero if rules.required else None


def _id_test(required: bool, *, minted: bool) -> Test:
    def check(text: str, _: Violations) -> str | None:
        if text:
            return None if ids.is_uuid(text) else "is not a valid UUID"
        return "is required" if required else None

    def check_minted(text: str, violations: Violations) -> str | None:
        return check(text, violations) or (None if ids.is_minted(text) else "is not a UUID of version 7")

    return check_minted if minted else check


def _message_test(kind: Descriptor, required: bool) -> Test | None:
    if kind.full_name == _TIMESTAMP:
        return _timestamp_test
    if kind.full_name == _MASK:
        return (lambda mask, _: None if mask.paths else "is required") if required else None
    return _message_rule(kind)


def _timestamp_test(value: Any, _: Violations) -> str | None:
    try:
        value.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return "is not a valid timestamp"
    return None


def _duration_test(field: FieldDescriptor, rules: FieldRules) -> Test:
    within = _range_test(*_bounds(field, rules.range, _INTEGERS[FieldDescriptor.CPPTYPE_INT64]))
    return lambda duration, violations: within(duration.seconds, violations)


def _enum_test(enum: EnumDescriptor, required: bool) -> Test:
    known = frozenset(value.number for value in enum.values)

    def test(value: int, _: Violations) -> str | None:
        if value == 0:
            return "is required" if required else None
        return None if value in known else "is not a known value"

    return test


def _text_test(least: int, most: int) -> Test:
    def test(text: str, _: Violations) -> str | None:
        length = len(text)
        if length > most:
            return f"is longer than {most} characters"
        if length < least:
            return "is required" if length == 0 else f"is shorter than {least} characters"
        return "holds a NUL character" if "\0" in text else None

    return test


def _size_test(least: int, most: int, unit: str) -> Test:
    def test(items: bytes, _: Violations) -> str | None:
        return None if least <= len(items) <= most else f"should have between {least} and {most} {unit}"

    return test


def _range_test(least: int, most: int) -> Test:
    def test(value: int, _: Violations) -> str | None:
        return None if least <= value <= most else f"should be between {least} and {most}"

    return test


def _nonzero(value: int, _: Violations) -> str | None:
    return None if value else "is required"


def _is_required(rules: FieldRules) -> bool:
    return rules.required or rules.id > field_pb2.ID_OPTIONAL or rules.length[:1] not in ("", "0", ".")


def _is_choice(field: FieldDescriptor) -> bool:
    """Tell whether the field is one of several; `optional` makes a choice of one, named `_…`."""
    return field.containing_oneof is not None and _is_real(field.containing_oneof)


def _is_real(choice: OneofDescriptor) -> bool:
    return not choice.name.startswith("_")


def _bounds(field: FieldDescriptor, text: str, default: tuple[int, int]) -> tuple[int, int]:
    """Read `1..255`; a bound that is left out is that of `default`."""
    least, dots, most = text.partition("..")
    try:
        if not dots:
            raise ValueError
        found = int(least) if least else default[0], int(most) if most else default[1]
    except ValueError:
        raise RuleError(
            f"{field.full_name}: {text!r} should be bounds such as 1..255, 1.. or ..255"
        ) from None
    if found[0] > found[1]:
        raise RuleError(f"{field.full_name}: no value is within {text}")
    return found


def _refuse_misplaced(field: FieldDescriptor, rules: FieldRules) -> None:
    text = field.type == FieldDescriptor.TYPE_STRING
    kind = field.message_type
    is_map = kind is not None and kind.GetOptions().map_entry
    fits = {
        "id": text,
        "required": field.type != FieldDescriptor.TYPE_BOOL,
        "length": text or is_map or field.type == FieldDescriptor.TYPE_BYTES,
        "range": field.cpp_type in _INTEGERS or (kind is not None and kind.full_name == _DURATION),
        "items": field.is_repeated,
        "version": field.cpp_type in _INTEGERS and not field.is_repeated,
        "output_only": True,
        "immutable": True,
        "checked_apart": field.is_repeated and not is_map,
    }
    for rule, _ in rules.ListFields():
        if not fits[rule.name]:
            raise RuleError(f"{field.full_name} can't have the rule {rule.name}")
