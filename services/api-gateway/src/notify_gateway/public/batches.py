"""/v2/batches: up to 100,000 messages in one request (public-api.md §2, docs/adr/0026)."""

import contextvars
import hashlib
import json
import re
import tempfile
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Generic, TypeVar

from flask import Blueprint, Response, request
from notify.notifications.v1 import batches_service_pb2 as pb
from notify.notifications.v1.notification_pb2 import Notification
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid, new_id
from notify_common.logging import get_logger
from notify_common.rpc import enums, status
from notify_common.scratch import needs_room
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_content_length, get_input_stream

from notify_gateway import middleware
from notify_gateway.answers import InvalidRequest, json_response
from notify_gateway.auth import Authenticator, Caller
from notify_gateway.clients import PublicClients
from notify_gateway.errors import entries_of, row_of
from notify_gateway.places import Places
from notify_gateway.presenters import timestamps
from notify_gateway.public import schemas, v2
from notify_gateway.public.body import parse_text
from notify_gateway.public.files import is_file
from notify_gateway.public.personalisation import to_fields
from notify_gateway.public.rows import LARGEST_BODY_BYTES, Read, Rows, take_array, take_lines
from notify_gateway.public.sending import (
    email_request,
    files_page,
    idempotency_key,
    letter_request,
    micropounds,
    sms_request,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import MultiDict

NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
BUDGET_SECONDS: Final = 600.0
"""Time in which a batch is answered."""
BATCHES_AT_ONCE: Final = 2
"""Batches that a process works off at the same time: it has more threads, for those who send one by one."""
BATCHES_AT_ONCE_OF_A_SERVICE: Final = 1
LISTED_ROWS: Final = 1000
"""Refused rows whose errors an answer has."""
LISTED_BYTES: Final = 512 * 1024
"""Text of those errors."""
ERRORS_OF_A_ROW: Final = 10

CALL_SECONDS: Final = 4.0
"""Time of one call that brings rows."""
CALLS_AT_ONCE: Final = 2
"""Of one batch: one is prepared while the other waits for the database."""
ATTEMPTS: Final = 3
"""Calls that are made for the same rows before the client is asked to repeat its request."""
LATEST_EFFECT_SECONDS: Final = 2.0
"""After a call's time is up, what it was about to store is stored, or never will be (`store.acceptance`)."""

_AGAIN: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED", "TOO_MANY_AT_ONCE"})
_RECIPIENTS: Final = {"sms": "phone_number", "email": "email_address", "letter": "personalisation"}
_FIELDS: Final = {
    "TEMPLATE_NOT_FOUND": "template_id",
    "TEMPLATE_ARCHIVED": "template_id",
    "TEMPLATE_WRONG_CHANNEL": "template_id",
    "CHANNEL_NOT_ALLOWED": "type",
    "LETTERS_NOT_ALLOWED_FOR_KEY": "type",
    "MISSING_PERSONALISATION": "personalisation",
    "MESSAGE_EMPTY": "personalisation",
    "MESSAGE_TOO_LONG": "personalisation",
    "ADDRESS_INVALID": "personalisation",
    "QR_CODE_TOO_LONG": "personalisation",
    "FILE_NOT_ALLOWED": "personalisation",
    "FILE_IN_BATCH": "personalisation",
    "FILES_NOT_SET_UP": "template_id",
    "TEMPLATE_FILE_MISSING": "template_id",
    "COST_ABOVE_MAXIMUM": "max_cost",
}
"""Which key of a row an error is about, where the error does not say so itself."""
_POUNDS: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
_ABOUT_RECIPIENTS: Final = frozenset({"RECIPIENT_NOT_ALLOWED", "INTERNATIONAL_NOT_ALLOWED"})

Form = Mapping[str, Any]
Row = tuple[int, bytes]
Entry = dict[str, Any]


def blueprint(authenticator: Authenticator, clients: PublicClients, admin_base_url: str) -> Blueprint:
    """Return the routes of batches."""
    routes = v2.blueprint("batches", authenticator, clients)
    places = Places(BATCHES_AT_ONCE, BATCHES_AT_ONCE_OF_A_SERVICE, most_waiting=0, seconds=0)

    @routes.post("/v2/batches")
    def create_batch() -> Response:
        middleware.limit(BUDGET_SECONDS)
        key = _key(request.environ)
        max_cost = _max_cost(request.args)
        take = _taker(request.environ)
        with places.taken(v2.caller().service.id), needs_room(), tempfile.TemporaryFile() as file:
            rows = take(file)
            facts = files_page(admin_base_url, v2.caller().service.id)
            return _accept(clients, v2.caller(), key, rows, max_cost, facts)

    @routes.get("/v2/batches/<batch_id>")
    def get_batch(batch_id: str) -> Response:
        checked = v2.checked_id(schemas.BATCH_ID, "batch_id", batch_id)
        ask = pb.GetBatchRequest(service_id=v2.caller().service.id, batch_id=checked)
        return json_response(_shown(clients.batches.GetBatch(ask)))

    return routes


# --- the request --------------------------------------------------------------------------------------------


def _key(environ: "WSGIEnvironment") -> str:
    key = idempotency_key(environ)
    if key is None:
        raise NotifyError("IDEMPOTENCY_KEY_MISSING")
    return key


def _max_cost(args: "MultiDict[str, str]") -> int | None:
    """Return the most that the batch may cost, in millionths of a pound; None for any amount."""
    given = args.getlist("max_cost")
    if not given:
        return None
    written = _POUNDS.fullmatch(given[0]) if len(given) == 1 else None
    amount = Decimal(written[0]) if written else None
    if amount is None or amount > schemas.MOST_POUNDS:
        raise InvalidRequest(f"max_cost {schemas.MAX_COST_WORDING}")
    return micropounds(amount)


def _taker(environ: "WSGIEnvironment") -> Callable[[IO[bytes]], Rows]:
    """Return what takes in the body. Raises NotifyError where its headers say that it can't be taken in."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise NotifyError("CONTENT_ENCODED")
    length = get_content_length(environ)
    if length is not None and length > LARGEST_BODY_BYTES:
        raise NotifyError("BODY_TOO_LARGE", metadata={"limit": str(LARGEST_BODY_BYTES)})
    read = _reader(environ)
    if request.mimetype == JSON:
        return partial(take_array, read, length=length)
    if request.mimetype == NDJSON:
        if length is None:
            # A server hands on a body that broke off as one that has ended.
            raise NotifyError("LENGTH_MISSING", metadata={"type": NDJSON})
        return partial(take_lines, read, length=length)
    raise NotifyError("CONTENT_TYPE_UNKNOWN", metadata={"types": f"{NDJSON}, {JSON}"})


def _reader(environ: "WSGIEnvironment") -> Read:
    stream = get_input_stream(environ, max_content_length=LARGEST_BODY_BYTES + 1)

    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except ClientDisconnected:
            return b""

    return read


# --- the run ------------------------------------------------------------------------------------------------


def _accept(
    clients: PublicClients,
    caller: Caller,
    key: str,
    rows: Rows,
    max_cost: int | None,
    facts: Mapping[str, str],
) -> Response:
    run_id = new_id()
    content_hash = rows.content_hash
    costs: list[int] = []
    if max_cost is not None:
        # who allows another amount asks for something else
        content_hash = hashlib.sha256(content_hash + f"max_cost={max_cost}".encode()).digest()
        costs = _Pricing(clients, caller).work(rows)
    opened = clients.batches.OpenBatch(
        pb.OpenBatchRequest(
            request_id=new_id(),
            caller=v2.caller_message(caller),
            idempotency_key=key,
            content_hash=content_hash,
            row_count=rows.count,
            run_id=run_id,
            max_cost_micropounds=max_cost,
            cost_micropounds=sum(costs),
        )
    )
    batch_id = opened.batch.id
    if opened.batch.HasField("complete_time"):
        return _answered(batch_id, json.loads(opened.answer), replayed=True)
    allowed = None if max_cost is None else shares(max_cost, costs)
    run = _Run(clients, caller, batch_id, run_id, allowed, facts, is_repeat=opened.replayed)
    try:
        answer = run.work(rows)
        clients.batches.FinishBatch(
            pb.FinishBatchRequest(
                batch_id=batch_id,
                run_id=run_id,
                accepted_count=answer["accepted_count"],
                answer=json.dumps(answer, separators=(",", ":")).encode(),
            )
        )
    except BaseException:
        _leave(clients, batch_id, run_id)
        raise
    return _answered(batch_id, answer, replayed=False)


def _leave(clients: PublicClients, batch_id: str, run_id: str) -> None:
    """Let the client's repeat go on at once; without that it waits for some seconds."""
    try:
        clients.batches.LeaveBatch(pb.LeaveBatchRequest(batch_id=batch_id, run_id=run_id))
    except NotifyError as error:
        get_logger().warning("batch not left", batch_id=batch_id, reason=error.reason)


def shares(max_cost: int, costs: Iterable[int]) -> list[int]:
    """Return what each part of a batch may cost: what it was priced at, as long as it lasts.

    A repeat of a batch that was begun is not refused as a whole, whatever its rows would cost by then.
    """
    found = []
    for cost in costs:
        found.append(min(cost, max_cost))
        max_cost -= found[-1]
    return found


_Made = tuple[int, list[pb.BatchRow], dict[int, str]]
"""Number of a part, from 0; its rows that are valid; the type of each."""
T = TypeVar("T")


class _Pass(ABC, Generic[T]):
    """Goes once through the rows of a batch, a part at a time; the next one is made meanwhile."""

    def __init__(self, clients: PublicClients, caller: Caller) -> None:
        self._clients = clients
        self._caller = v2.caller_message(caller)
        self._given_up = threading.Event()

    def _results(self, rows: Rows) -> Iterator[T]:
        """Yield what `_call` returns of each part, in order. Raises NotifyError."""
        under_way: deque[Future[T]] = deque()
        with ThreadPoolExecutor(CALLS_AT_ONCE, "batch") as pool:
            try:
                for number, part in enumerate(rows.parts()):
                    made = (number, *self._made(part))
                    if len(under_way) == CALLS_AT_ONCE:
                        yield under_way.popleft().result()
                    context = contextvars.copy_context()
                    under_way.append(pool.submit(context.run, self._call, made))
                while under_way:
                    yield under_way.popleft().result()
            finally:
                self._given_up.set()

    def _made(self, part: list[Row]) -> tuple[list[pb.BatchRow], dict[int, str]]:
        """Return the rows that are valid, and the type of each."""
        made, kinds = [], {}
        for number, text in part:
            kind = ""
            try:
                kind, message = row_message(number, _form(text))
                made.append(message)
                kinds[number] = kind
            except InvalidRequest as invalid:
                self._refuse(number, entries_of_messages(invalid.messages))
            except NotifyError as refusal:
                self._refuse(number, entries_of_error(refusal, kind))
        return made, kinds

    @abstractmethod
    def _call(self, made: _Made) -> T:
        """Ask notifications about a part. Raises NotifyError."""

    def _refuse(self, number: int, entries: list[Entry]) -> None:
        """Note that a row is refused, and why."""


class _Pricing(_Pass[int]):
    """Finds out what a batch could cost."""

    def work(self, rows: Rows) -> list[int]:
        """Return what each part could cost, in millionths of a pound. Raises NotifyError."""
        return list(self._results(rows))

    def _call(self, made: _Made) -> int:
        _, rows, _ = made
        if not rows:
            return 0
        ask = pb.PriceRowsRequest(caller=self._caller, rows=rows)
        return int(self._clients.batches.PriceRows(ask, timeout=CALL_SECONDS).cost_micropounds)


class _Run(_Pass[list[tuple[int, list[Entry]]]]):
    """One attempt to have all rows of a batch accepted."""

    def __init__(
        self,
        clients: PublicClients,
        caller: Caller,
        batch_id: str,
        run_id: str,
        allowed: list[int] | None,
        facts: Mapping[str, str],
        *,
        is_repeat: bool,
    ) -> None:
        """Take what each part may cost as `allowed`, None for any amount, and `facts` of errors that only the
        gateway knows.
        """
        super().__init__(clients, caller)
        self._batch_id = batch_id
        self._run_id = run_id
        self._allowed = allowed
        self._facts = facts
        self._is_repeat = is_repeat
        self._refused: list[int] = []
        self._listed: list[Entry] = []
        self._listed_rows = 0
        self._listed_bytes = 0

    def work(self, rows: Rows) -> dict[str, Any]:
        """Have the rows accepted; return what the client is told. Raises NotifyError."""
        for refused in self._results(rows):
            for number, entries in refused:
                self._refuse(number, entries)
        return self._answer(rows.count)

    def _call(self, made: _Made) -> list[tuple[int, list[Entry]]]:
        """Have rows accepted; return those that are not, and why. Raises NotifyError."""
        number, rows, kinds = made
        if not rows:
            return []
        ask = pb.BatchAcceptRowsRequest(
            batch_id=self._batch_id,
            run_id=self._run_id,
            caller=self._caller,
            rows=rows,
            is_repeat=self._is_repeat,
            max_cost_micropounds=None if self._allowed is None else self._allowed[number],
        )
        answer = self._asked(ask)
        return [
            (one.number, entries_of_refusal(one.error, kinds[one.number], self._facts))
            for one in answer.refusals
        ]

    def _asked(self, ask: pb.BatchAcceptRowsRequest) -> pb.BatchAcceptRowsResponse:
        for attempt in range(1, ATTEMPTS + 1):
            over = clock.monotonic() + CALL_SECONDS + LATEST_EFFECT_SECONDS
            try:
                answer: pb.BatchAcceptRowsResponse
                answer = self._clients.batches.BatchAcceptRows(ask, timeout=CALL_SECONDS)
                return answer
            except NotifyError as error:
                if error.reason not in _AGAIN or attempt == ATTEMPTS or self._given_up.is_set():
                    raise
                get_logger().warning("rows of a batch are asked for again", reason=error.reason)
            # What the call before was about to store is stored by then, so that it is told as accepted.
            self._given_up.wait(over - clock.monotonic())
            ask.is_repeat = True
        raise AssertionError("the last attempt returns or raises")

    def _refuse(self, number: int, entries: list[Entry]) -> None:
        self._refused.append(number)
        if not entries or self._listed_rows >= LISTED_ROWS or self._listed_bytes >= LISTED_BYTES:
            return
        self._listed_rows += 1
        for entry in entries[:ERRORS_OF_A_ROW]:
            self._listed_bytes += len(entry["message"])
            self._listed.append({"row": number, **entry})

    def _answer(self, count: int) -> dict[str, Any]:
        return {
            "row_count": count,
            "accepted_count": count - len(self._refused),
            "refused_count": len(self._refused),
            "refused_rows": list(_ranges(sorted(self._refused))),
            "errors": sorted(self._listed, key=lambda entry: entry["row"]),
            "unlisted_count": len(self._refused) - self._listed_rows,
        }


# --- rows ---------------------------------------------------------------------------------------------------


def _form(text: bytes) -> Any:
    try:
        return parse_text(text.decode())
    except UnicodeDecodeError:
        raise NotifyError("JSON_INVALID") from None


def row_message(number: int, form: Any) -> tuple[str, pb.BatchRow]:
    """Return the type of a row and the row as notifications takes it.

    Raises InvalidRequest and NotifyError as for the same message alone.
    """
    schemas.BATCH_ROW.check(form)
    kind: str = form.pop("type")
    schemas.SEND_BY_CHANNEL[kind].check(form)
    message = _MESSAGES[kind](form, template_id=canonical_uuid(form["template_id"]))
    personalisation = form.get("personalisation")
    if personalisation:
        if kind == "email" and any(map(is_file, personalisation.values())):
            raise NotifyError("FILE_IN_BATCH")
        try:
            message.personalisation.extend(to_fields(personalisation, sending=True))
        except RecursionError:
            raise NotifyError("JSON_INVALID") from None
    return kind, pb.BatchRow(number=number, **{kind: message})


_MESSAGES: Final[dict[str, Callable[..., Any]]] = {
    "sms": sms_request,
    "email": email_request,
    "letter": letter_request,
}


def entries_of_messages(messages: Iterable[str]) -> list[Entry]:
    """Return what a row's schema says of it, each sentence with the key that it is about."""
    entries = []
    for message in messages:
        first = message.split(" ", 1)[0]
        entries.append(
            {
                "field": first if first in _KEYS else None,
                "status_code": 400,
                "error": "ValidationError",
                "message": message,
            }
        )
    return entries


_KEYS: Final = frozenset({"type"}).union(*(schema.keys for schema in schemas.SEND_BY_CHANNEL.values()))


def entries_of_refusal(error: bytes, kind: str, facts: Mapping[str, str]) -> list[Entry]:
    """Return the same of an error as notifications tells it, with `facts` that only the gateway knows;
    nothing for none.
    """
    if not error:
        return []
    refusal = status.from_bytes(error)
    refusal.metadata = {**facts, **refusal.metadata}
    return entries_of_error(refusal, kind)


def entries_of_error(error: NotifyError, kind: str) -> list[Entry]:
    """Return why a row of a type is refused, with the key that it is about."""
    row = row_of(error)
    entries = entries_of(error, row)
    if error.violations:
        # worded as a schema's, with the field in front
        return [
            {**entry, "status_code": row.status}
            for entry in entries_of_messages(entry["message"] for entry in entries)
        ]
    field = error.metadata.get("field") or _FIELDS.get(error.reason)
    if error.reason in _ABOUT_RECIPIENTS:
        field = _RECIPIENTS[kind]
    return [{"field": field, "status_code": row.status, **entry} for entry in entries]


# --- answers ------------------------------------------------------------------------------------------------


def _answered(batch_id: str, answer: dict[str, Any], *, replayed: bool) -> Response:
    response = json_response({"id": batch_id, "uri": _uri(batch_id), **answer}, 201)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _uri(batch_id: str) -> str:
    return f"{v2.root()}v2/batches/{batch_id}"


def _ranges(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Return ascending numbers as [first, last] of those that follow each other."""
    found: list[int] = []
    for number in numbers:
        if found and number == found[1] + 1:
            found[1] = number
            continue
        if found:
            yield found
        found = [number, number]
    if found:
        yield found


def _shown(found: pb.GetBatchResponse) -> dict[str, Any]:
    batch = found.batch
    complete = batch.HasField("complete_time")
    return {
        "id": batch.id,
        "uri": _uri(batch.id),
        "status": "complete" if complete else "processing",
        "created_at": timestamps.text(batch.create_time),
        "completed_at": timestamps.text_or_none(batch, "complete_time"),
        "row_count": batch.row_count,
        "accepted_count": batch.accepted_count if complete else None,
        "refused_count": batch.row_count - batch.accepted_count if complete else None,
        "counts": {enums.to_text(Notification.State, one.state): one.message_count for one in found.counts},
        "notifications": f"{v2.root()}v2/notifications?batch_id={batch.id}",
    }
