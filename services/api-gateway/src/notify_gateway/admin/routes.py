"""What the routes of the admin web app share (internal-api.md §1): token, forms, answers, errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from flask import Blueprint, Response, g, request
from notify_common import current, ids
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

from notify_gateway.admin.forms import Form, InvalidForm
from notify_gateway.answers import Answers, Shape, json_response, legacy_response
from notify_gateway.auth import ClientAuthenticator, TokenAuthenticator
from notify_gateway.errors import NO_RESULT, Row, Rows
from notify_gateway.middleware import BUDGET_SECONDS, limit
from notify_gateway.public.body import parse_json, read, too_large

Json = Any
Answer = tuple[Json, int]
"""A body and a status; no body at all where it is None and the status 204."""

_PAGE_SIZE: Final = 250
_FIELD: Final = "field:"
_KEY: Final = "key:"
_ALONE: Final = "alone"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked."""

    path: Mapping[str, str]
    """Values of the path, ids in their canonical spelling."""
    form: Mapping[str, Json] = field(default_factory=dict)
    """The body; empty where there is none."""

    def id(self, name: str) -> str:
        """Return a value of the path."""
        return self.path[name]

    def flag(self, name: str) -> bool:
        """Tell whether a query parameter says so, in Python's spelling."""
        return request.args.get(name, "").lower() == "true"

    def query(self, name: str) -> str:
        """Return a query parameter, or an empty text."""
        return request.args.get(name, "")

    def queries(self) -> list[tuple[str, str]]:
        """Return all query parameters, the first of each name."""
        return list(request.args.items())


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
        client: ClientAuthenticator | TokenAuthenticator | None,
        rows: Rows = ROWS,
        shape: Shape = internal_shape,
        *,
        seconds: float = BUDGET_SECONDS,
    ) -> None:
        """Serve those that `client` lets in, everybody for None; `seconds` is the time of a request."""
        self.blueprint = Blueprint(f"internal_{name}", __name__)
        self._answers = Answers(shape, {**ROWS, **rows})
        self._answers.install(self.blueprint)
        self.blueprint.register_error_handler(InvalidForm, _on_invalid_form)

        @self.blueprint.before_request
        def authenticate() -> None:
            limit(seconds)
            if client is None:
                return
            client.authenticate(request.headers.get("Authorization"))
            person = request.headers.get("X-Notify-User-Id", "")
            current.actor.set(person if ids.is_uuid(person) else "")

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
                self.blueprint.add_url_rule(spelling, _endpoint(name), answered, methods=[method])
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


def every(call: Callable[[Any], Any], ask: Any) -> Iterator[Any]:
    """Yield all of a list that is bounded, page by page."""
    ask.page_size = _PAGE_SIZE
    while True:
        page = call(ask)
        for item, value in page.ListFields():
            if item.is_repeated:
                yield from value
        if not page.next_page_token:
            return
        ask.page_token = page.next_page_token


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
