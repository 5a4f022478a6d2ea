"""What the routes of the admin web app share (internal-api.md §1): token, forms, answers, errors."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from flask import Blueprint, Response, g, request
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from notify_common import current, ids
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

from notify_gateway.admin.forms import Form, InvalidForm
from notify_gateway.admin.shapes import Shape as JsonShape
from notify_gateway.admin.shapes import fill
from notify_gateway.answers import Answers, Shape, json_response, legacy_response
from notify_gateway.auth import ClientAuthenticator, TokenAuthenticator
from notify_gateway.clients import InternalClients, method_of
from notify_gateway.errors import NO_RESULT, Row, Rows
from notify_gateway.middleware import BUDGET_SECONDS, limit
from notify_gateway.public.body import parse_json, read, too_large

Json = Any
Answer = tuple[Json, int]
"""A body and a status; no body at all where it is None and the status 204."""

_FIELD: Final = "field:"
_KEY: Final = "key:"
_ALONE: Final = "alone"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked."""

    path: Mapping[str, Any]
    """Values of the path, which are texts, ids in their canonical spelling."""
    form: Mapping[str, Json] = field(default_factory=dict)
    """The body; empty where there is none."""

    def id(self, name: str) -> str:
        """Return a value of the path."""
        return str(self.path[name])

    def flag(self, name: str) -> bool:
        """Tell whether a query parameter says so, in Python's spelling."""
        return request.args.get(name, "").lower() == "true"

    def query(self, name: str) -> str:
        """Return a query parameter, or an empty text."""
        return request.args.get(name, "")

    def queries(self) -> list[tuple[str, str]]:
        """Return all query parameters, the first of each name."""
        return list(request.args.items())


Wrap = Callable[[Json, int], Answer]
"""Makes an answer of a body and a status: `data`, `bare`, `under(…)`."""
Check = Callable[[Call], None]
"""Raises what is answered whatever the body says."""
View = Callable[[Call], Answer | Response]
V = TypeVar("V", bound=View)


def data(body: Json, status: int = 200) -> Answer:
    """Return an answer inside of `data`."""
    return {"data": body}, status


def bare(body: Json, status: int = 200) -> Answer:
    """Return an answer as it is."""
    return body, status


def under(name: str) -> "Wrap":
    """Return what makes an answer inside of a key."""

    def wrap(body: Json, status: int = 200) -> Answer:
        return {name: body}, status

    return wrap


def nothing() -> Answer:
    """Return an answer without a body."""
    return None, 204


def by_field(name: str, sentence: str, status: int = 400) -> Row:
    """Make a row whose sentence is told as that of a field: `{"name": ["…"]}`."""
    return Row(status, f"{_FIELD}{name}", sentence)


def by_key(name: str, sentence: str, status: int = 400) -> Row:
    """Make a row whose sentence stands alone under a key: `{"name": "…"}`."""
    return Row(status, f"{_KEY}{name}", sentence)


def plain(sentence: str, status: int = 400) -> Row:
    """Make a row whose sentence is the message."""
    return Row(status, "BadRequestError", sentence)


def of_field(name: str, row: Any) -> Row:
    """Return a row of the table whose sentence is told as that of a field."""
    return by_field(name, row.sentence)


def alone(row: Any) -> Row:
    """Return a row of the table whose sentence stands in the answer without `result`."""
    return Row(row.status, _ALONE, row.sentence)


def internal_shape(status: int, entries: list[dict[str, Any]]) -> Response:
    """Return the shape of the internal routes."""
    error, sentence = entries[0]["error"], entries[0]["message"]
    if error == "AuthError":
        return legacy_response(status, {"token": [sentence]})
    if error == _ALONE:
        return json_response({"message": sentence}, status)
    if error.startswith(_FIELD):
        return legacy_response(status, {error.removeprefix(_FIELD): [sentence]})
    if error.startswith(_KEY):
        return legacy_response(status, {error.removeprefix(_KEY): sentence})
    return legacy_response(status, sentence)


ROWS: Final[Rows] = {
    "SENDER_NOT_FOUND": NO_RESULT,
    "TEMPLATE_NOT_FOUND": NO_RESULT,
    # what no column can hold is found nowhere (internal-api.md §1.5)
    "INVALID_FIELD": NO_RESULT,
}
"""Rows of all internal routes that differ from the table's."""


class Routes:
    """A blueprint of internal routes.

    Each view takes a Call and returns an Answer, or what is no JSON as it is. Facts of an error's sentence
    are those that came with it and the texts of path and form. Both spellings of a trailing slash are served;
    a redirect would lose the body.
    """

    def __init__(
        self,
        name: str,
        clients: InternalClients,
        rows: Rows = ROWS,
        shape: Shape = internal_shape,
        *,
        seconds: float = BUDGET_SECONDS,
    ) -> None:
        """Serve what `clients` answer; `seconds` is the time of a request."""
        self._clients = clients
        self._blueprint = Blueprint(f"internal_{name}", __name__)
        self._answers = Answers(shape, {**ROWS, **rows})
        self._answers.install(self._blueprint)
        self._blueprint.register_error_handler(InvalidForm, _on_invalid_form)
        self._blueprint.before_request(partial(limit, seconds))

    def blueprint(self, client: ClientAuthenticator | TokenAuthenticator | None) -> Blueprint:
        """Return the blueprint, once; it serves those that `client` lets in, everybody for None."""

        def authenticate() -> None:
            if client is None:
                return
            client.authenticate(request.headers.get("Authorization"))
            person = request.headers.get("X-Notify-User-Id", "")
            current.actor.set(person if ids.is_uuid(person) else "")

        self._blueprint.before_request(authenticate)
        return self._blueprint

    def route(
        self,
        method: str,
        rule: str,
        form: Form | None = None,
        errors: Rows | None = None,
        before: Check | None = None,
    ) -> Callable[[V], V]:
        """Serve a view at a rule; `errors` are its own rows, `before` is called before the body is read."""

        def add(view: V) -> V:
            served = partial(_serve, view, form, before)
            answered = (self._answers.but(errors) if errors else self._answers).route(_facts(served))
            endpoint = f"{method.lower()}_{rule.strip('/').replace('/', '_').replace('.', '_')}"
            for spelling in {rule, rule.rstrip("/"), f"{rule.rstrip('/')}/"} - {""}:
                name = endpoint + ("_slash" if spelling.endswith("/") else "")
                self._blueprint.add_url_rule(spelling, _endpoint(name), answered, methods=[method])
            return view

        return add

    def get(self, rule: str, errors: Rows | None = None) -> Callable[[V], V]:
        """Serve GET."""
        return self.route("GET", rule, None, errors)

    def post(
        self, rule: str, form: Form | None = None, errors: Rows | None = None, before: Check | None = None
    ) -> Callable[[V], V]:
        """Serve POST; without a form the body is not read."""
        return self.route("POST", rule, form, errors, before)

    def delete(self, rule: str, errors: Rows | None = None) -> Callable[[V], V]:
        """Serve DELETE, whose body is ignored."""
        return self.route("DELETE", rule, None, errors)

    def call(
        self,
        method: str,
        rule: str,
        request: type[Message],
        shape: JsonShape[Any] | None = None,
        wrap: Wrap = data,
        *,
        given: JsonShape[Any] | None = None,
        form: Form | None = None,
        errors: Rows | None = None,
        status: int = 0,
        names: Mapping[str, str] | None = None,
        **fixed: Any,
    ) -> None:
        """Serve a route that is one call, and whose rule is its method's.

        Values of the path and the form go into the request's fields of their names, and into its resource,
        which the path names `<resource>_id`, by `given` or else `shape`. The answer is the response's
        resource, or all of a list, as `shape` writes it; without one it has no body, and the status 204.
        A form that changes nothing only reads.

        Args:
            status: 201 for a method that creates, and 200 for others, where it is 0.
            names: the request's field for keys of the form that are called otherwise; none for an empty one.
            fixed: fields that are always the same.

        Raises:
            TypeError: the declaration and the method don't fit each other.
        """
        made = Declared(request, shape, given or shape, names or {}, fixed)
        made.check(re.findall(r"<(?:\w+:)?(\w+)>", rule), () if form is None else form.names)

        @self.route(method, rule, form, errors)
        def view(call: Call) -> Answer:
            asked = made.request(call)
            body = made.body(self._clients, asked)
            if shape is None:
                return None, status or 204
            return wrap(body, status or made.status)


class Declared:
    """A route that is one call: how its request is filled, and its answer made (see `Routes.call`)."""

    def __init__(
        self,
        request: type[Message],
        shape: JsonShape[Any] | None,
        given: JsonShape[Any] | None,
        names: Mapping[str, str],
        fixed: Mapping[str, Any],
    ) -> None:
        self._make = partial(request, **fixed)
        self._shape, self._given, self._names = shape, given, names
        self._fields: Mapping[str, Any] = request.DESCRIPTOR.fields_by_name
        method = method_of(request.DESCRIPTOR.full_name)
        self.status = 201 if method.name.startswith("Create") else 200
        self._resource = _field_of(request.DESCRIPTOR, given)
        self._inside = self._resource.message_type.fields_by_name if self._resource else {}
        self._taken = set(given.keys) if self._resource and given else set()
        self._answer = _field_of(method.output_type, shape)
        if shape is not None and self._answer is None and shape.descriptor is not method.output_type:
            raise TypeError(f"{method.name} does not answer with {shape.descriptor.name}")

    def check(self, path: Iterable[str], form: Iterable[str]) -> None:
        """Raise TypeError for a value of path or form that goes nowhere."""
        known = {*self._fields, *self._names}
        inside = {f"{self._resource.name}_id", *self._inside} if self._resource else set()
        lost = (set(path) - known - inside) | (set(form) - known - self._taken)
        lost |= set(self._names.values()) - known - {""}
        if lost:
            raise TypeError(f"{', '.join(lost)}: goes nowhere")

    def request(self, call: Call) -> Message:
        """Return the request."""
        made = self._make()
        if "request_id" in self._fields:
            fill(made, "request_id", new_id())
        if self._resource is not None and self._given is not None:
            name = self._resource.name
            ids = {("id" if key == f"{name}_id" else key): value for key, value in call.path.items()}
            known = {key: value for key, value in ids.items() if key in self._inside}
            getattr(made, name).CopyFrom(self._given.message(call.form, **known))
            if "update_mask" in self._fields:
                mask = self._given.mask(call.form)
                if not mask.paths:
                    return self._reading(call.path)
                getattr(made, "update_mask").CopyFrom(mask)  # noqa: B009 - of some
        rest = {name: value for name, value in call.form.items() if name not in self._taken}
        for name, value in {**call.path, **rest}.items():
            if (field := self._names.get(name, name)) in self._fields:
                fill(made, field, value)
        return made

    def _reading(self, path: Mapping[str, Any]) -> Message:
        """Return the request that reads the resource."""
        kind = self._resource.message_type
        name = f"{kind.full_name.removesuffix(kind.name)}Get{kind.name}Request"
        make = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
        return make(**path)

    def body(self, clients: InternalClients, asked: Message) -> Json:
        """Make the call and return what is answered."""
        if self._shape is None:
            return clients.ask(asked)
        if "page_token" in self._fields:
            return self._shape.list(clients.all(asked))
        answer = clients.ask(asked)
        return self._shape.json(answer if self._answer is None else getattr(answer, self._answer.name))


def _field_of(message: Any, shape: JsonShape[Any] | None) -> Any:
    """Return the field of a message that has the messages of a shape; None for none."""
    kind = None if shape is None else shape.descriptor
    return next((field for field in message.fields if kind and field.message_type is kind), None)


def new_id() -> str:
    """Return the id of what a request makes.

    The admin web app sends no key by which a repeat could be told, so each request makes something new.
    """
    return ids.new_id()


def _serve(view: View, form: Form | None, before: Check | None, **path: Any) -> Response:
    values = {name: str(value) for name, value in path.items()}
    checked: Mapping[str, Json] = {}
    if before is not None:
        g.facts = values
        before(Call(values))
    if form is not None:
        body = read(request)
        checked = form.check(parse_json(body) if body else {})
        if len(body) > LARGEST_CONTENT_BYTES:
            _check_size(checked)
    g.facts = {**values, **{name: value for name, value in checked.items() if isinstance(value, str)}}
    if not current.actor.get() and ids.is_uuid(by := str(checked.get("created_by"))):
        current.actor.set(by)
    answered = view(Call(values, checked))
    if isinstance(answered, Response):
        return answered
    answer, status = answered
    return Response(status=status) if status == 204 else json_response(answer, status)


def _check_size(form: Mapping[str, Json]) -> None:
    """Raise NotifyError BODY_TOO_LARGE for what no call of a service holds; escapes in the body don't count.

    Times and numbers of a checked form count as their texts.
    """
    if len(json.dumps(form, ensure_ascii=False, default=str).encode()) > LARGEST_CONTENT_BYTES:
        raise too_large(LARGEST_CONTENT_BYTES)


def _facts(view: Callable[..., Response]) -> Callable[..., Response]:
    def answering(**path: Any) -> Response:
        try:
            return view(**path)
        except NotifyError as error:
            error.metadata = {**g.get("facts", {}), **error.metadata}
            if error.reason == "INVALID_FIELD":
                error.violations = ()
            raise

    return answering


def _endpoint(name: str) -> str:
    return "".join(letter for letter in name if letter not in "<>:")


def _on_invalid_form(error: InvalidForm) -> Response:
    return legacy_response(400, error.messages)
