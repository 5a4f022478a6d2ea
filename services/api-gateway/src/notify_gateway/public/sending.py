"""POST /v2/notifications/…: sending (public-api.md §2)."""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from flask import Blueprint, abort
from notify.admin.v1.templates_service_pb2 import EnsurePrecompiledTemplateRequest
from notify.common.v1.common_pb2 import Channel, KeyType, Postage
from notify.letters.v1.letters_service_pb2 import UploadPdfHeader, UploadPdfRequest
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify.notifications.v1.files_service_pb2 import SendEmailWithFilesRequest
from notify_common import clock, current, tracing
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid, new_id
from notify_common.logging import get_logger
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from opentelemetry.trace import SpanKind
from werkzeug.wsgi import get_content_length

from notify_gateway import middleware
from notify_gateway.answers import V2, InvalidRequest, json_text
from notify_gateway.auth import Authenticator, Caller
from notify_gateway.batching import SendBatcher, outcome_of
from notify_gateway.clients import Clients, PublicClients
from notify_gateway.errors import row_of
from notify_gateway.presenters import notifications as presenter
from notify_gateway.presenters import timestamps
from notify_gateway.public import schemas, v2
from notify_gateway.public.body import parse_json, read_body, too_large
from notify_gateway.public.files import announce, check_structure, is_file
from notify_gateway.public.personalisation import to_fields
from notify_gateway.public.schemas import Schema
from notify_gateway.quotas import quota_facts, quota_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST_PDF_BYTES: Final = 5 * 1024 * 1024
"""Size of a letter that comes as a PDF, above which the official client sends none (public-api.md §8.3)."""
_POSTAGES: Final = {
    "": Postage.POSTAGE_UNSPECIFIED,
    "first": Postage.POSTAGE_FIRST,
    "second": Postage.POSTAGE_SECOND,
    "economy": Postage.POSTAGE_ECONOMY,
}
_LONGEST_IDEMPOTENCY_KEY: Final = 255
_CHUNK_BYTES: Final = 256 * 1024
_CREATED: Final = "201 CREATED"
_REPLAYED: Final = ("Idempotent-Replayed", "true")
_NO_SPAN: Final[AbstractContextManager[None]] = nullcontext()

_STREAM_WAIT_SECONDS: Final = 1.5
"""How long a request waits for a stream to a service: all gateways together have a few at once."""
_STREAM_PAUSE_SECONDS: Final = 0.05

T = TypeVar("T")
Form = Mapping[str, Any]
SendRequest = pb.SendSmsRequest | pb.SendEmailRequest | pb.SendLetterRequest


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to send, of a caller whose token was verified."""

    environ: "WSGIEnvironment"
    caller: Caller
    body_limit: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    """What the answer says besides its body."""

    @property
    def root(self) -> str:
        """See `v2.root`."""
        return v2.root_of(self.environ)


def blueprint(authenticator: Authenticator, clients: Clients) -> Blueprint:
    """Return what the router knows of the routes that send: that they are there, and who may ask for their
    OPTIONS. `SendDoor` answers what is sent there.
    """
    routes = v2.blueprint("sending", authenticator, clients)
    for channel in schemas.CHANNELS:
        routes.add_url_rule(f"/v2/notifications/{channel}", f"send_{channel}", methods=["POST"])

    @routes.post("/v2/notifications/<channel>")
    def send_by_unknown_channel(channel: str) -> NoReturn:
        abort(404)

    return routes


class SendDoor:
    """WSGI middleware that answers requests to send itself and hands all others on.

    These are nearly all requests that come, and Flask's contexts, router, hooks and responses would be half
    of what one costs here (docs/adr/0012).
    """

    def __init__(
        self, app: "WSGIApplication", authenticator: Authenticator, sending: "Sending", body_limit: int
    ) -> None:
        """`body_limit` is in bytes."""
        self._app = app
        self._authenticator = authenticator
        self._body_limit = body_limit
        self._routes: dict[str, Callable[[_Asked], dict[str, Any]]] = {
            "/v2/notifications/sms": sending.sms,
            "/v2/notifications/email": sending.email,
            "/v2/notifications/letter": sending.letter,
        }

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        route = environ["PATH_INFO"]
        send = self._routes.get(route) if environ["REQUEST_METHOD"] == "POST" else None
        if send is None:
            return self._app(environ, start_response)
        environ[middleware.ROUTE] = route
        # Every wait, that for the service and keys which a token needs among them, ends within this time.
        middleware.limit(middleware.SEND_BUDGET_SECONDS)
        with tracing.span(f"POST {route}", SpanKind.SERVER) if tracing.is_recording() else _NO_SPAN:
            try:
                asked = self._asked(environ)
                text = json_text(send(asked)).encode()
            except Exception as error:
                response = V2.answer(error, route)
                middleware.read_rest(environ, self._body_limit)
                return response(environ, start_response)
        length = ("Content-Length", str(len(text)))
        start_response(_CREATED, [("Content-Type", "application/json"), length, *asked.headers])
        return [text]

    def _asked(self, environ: "WSGIEnvironment") -> _Asked:
        caller = self._authenticator.authenticate(environ.get("HTTP_AUTHORIZATION"))
        current.note(service_id=caller.service.id)
        return _Asked(environ, caller, self._body_limit)


class Sending:
    """One method a channel: read, check, one call, the body of the answer 201."""

    def __init__(self, clients: PublicClients, batcher: SendBatcher, admin_base_url: str) -> None:
        self._clients = clients
        self._batcher = batcher
        self._admin_base_url = admin_base_url
        self._precompiled_templates = PrecompiledTemplates(clients)

    def sms(self, asked: _Asked) -> dict[str, Any]:
        """Accept a text message (public-api.md §2.3)."""
        caller = asked.caller
        form = self._form(asked, Channel.CHANNEL_SMS, lambda form: schemas.SEND_SMS)
        template_id = canonical_uuid(form["template_id"])
        message = sms_request(
            form,
            request_id=new_id(),
            caller=v2.caller_message(caller),
            template_id=template_id,
            idempotency_key=self._idempotency_key(asked, Channel.CHANNEL_SMS),
        )
        self._personalise(message, form, asked, Channel.CHANNEL_SMS)
        response = self._send(message, asked)
        return presenter.sent_sms(response, form, caller.service.id, template_id, asked.root)

    def email(self, asked: _Asked) -> dict[str, Any]:
        """Accept an email (public-api.md §2.4)."""
        caller = asked.caller
        form = self._form(asked, Channel.CHANNEL_EMAIL, lambda form: schemas.SEND_EMAIL)
        template_id = canonical_uuid(form["template_id"])
        message = email_request(
            form,
            request_id=new_id(),
            caller=v2.caller_message(caller),
            template_id=template_id,
            idempotency_key=self._idempotency_key(asked, Channel.CHANNEL_EMAIL),
        )
        self._personalise(message, form, asked, Channel.CHANNEL_EMAIL)
        files = [value for value in form.get("personalisation", {}).values() if is_file(value)]
        try:
            response = self._send_with_files(message, files, asked) if files else self._send(message, asked)
        except NotifyError as error:
            error.metadata = {**files_page(self._admin_base_url, caller.service.id), **error.metadata}
            raise
        return presenter.sent_email(response, form, caller.service.id, template_id, asked.root)

    def letter(self, asked: _Asked) -> dict[str, Any]:
        """Accept a letter (public-api.md §2.6)."""
        caller = asked.caller
        form = self._form(asked, Channel.CHANNEL_LETTER, _letter_schema)
        if "content" in form:
            return self._precompiled_letter(form, asked)
        template_id = canonical_uuid(form["template_id"])
        message = letter_request(
            form,
            request_id=new_id(),
            caller=v2.caller_message(caller),
            template_id=template_id,
            idempotency_key=self._idempotency_key(asked, Channel.CHANNEL_LETTER),
        )
        self._personalise(message, form, asked, Channel.CHANNEL_LETTER)
        response = self._send(message, asked)
        return presenter.sent_letter(
            response, form, caller.service.id, template_id, v2.root_of(asked.environ)
        )

    def _precompiled_letter(self, form: Form, asked: _Asked) -> dict[str, Any]:
        """Upload the PDF, then have the letter accepted: one that is accepted always has its PDF."""
        middleware.limit(middleware.BUDGET_SECONDS)
        caller = asked.caller
        pdf = self._pdf(form, caller)
        request_id, sha256 = new_id(), hashlib.sha256(pdf).hexdigest()
        message = pb.SendPrecompiledLetterRequest(
            request_id=request_id,
            caller=v2.caller_message(caller),
            template_id=self._precompiled_templates.of(caller.service.id),
            reference=form["reference"],
            postage=_POSTAGES[form.get("postage", "")],
            pdf_sha256=sha256,
            max_cost_micropounds=_max_cost(form),
            idempotency_key=self._idempotency_key(asked, Channel.CHANNEL_LETTER),
        )
        header = UploadPdfHeader(
            letter_id=request_id, service_id=caller.service.id, size_bytes=len(pdf), sha256=sha256
        )
        _when_free(lambda: self._clients.letters.UploadPdf(_upload(header, pdf)))
        response = self._send(message, asked)
        return presenter.sent_precompiled_letter(response, form)

    def _pdf(self, form: Form, caller: Caller) -> bytes:
        """Return the PDF of a letter that this key may send (public-api.md §2.7). Raises NotifyError.

        Who may send is checked before anything is stored; notifications checks it again.
        """
        refusal = refusal_of_letters(caller.service.permissions, caller.service.restricted, caller.key_type)
        if refusal is not None:
            self._refuse(refusal, caller, Channel.CHANNEL_LETTER)
        try:
            pdf = base64.b64decode(form["content"])
        except (binascii.Error, ValueError):
            self._refuse(NotifyError("LETTER_CONTENT_INVALID"), caller, Channel.CHANNEL_LETTER)
        if len(pdf) > LARGEST_PDF_BYTES:
            self._refuse(too_large(LARGEST_PDF_BYTES), caller, Channel.CHANNEL_LETTER)
        return pdf

    def _form(self, asked: _Asked, channel: Channel, schema_of: Callable[[Any], Schema]) -> Form:
        """Return the body as JSON, once it is valid.

        Raises InvalidRequest, NotifyError BODY_TOO_LARGE, JSON_INVALID; a passed limit wins over them.
        """
        try:
            form = parse_json(read_body(asked.environ, asked.body_limit))
            schema_of(form).check(form)
        except (InvalidRequest, NotifyError) as refusal:
            self._refuse(refusal, asked.caller, channel)
        except RecursionError:
            self._refuse(NotifyError("JSON_INVALID"), asked.caller, channel)
        return form  # type: ignore[no-any-return] # the schema says that it is an object

    def _idempotency_key(self, asked: _Asked, channel: Channel) -> str:
        """Return the client's Idempotency-Key; empty without one.

        Raises NotifyError IDEMPOTENCY_KEY_INVALID, or a passed limit that wins over it.
        """
        try:
            return idempotency_key(asked.environ) or ""
        except NotifyError as refusal:
            self._refuse(refusal, asked.caller, channel)

    def _personalise(self, message: SendRequest, form: Form, asked: _Asked, channel: Channel) -> None:
        """Put the personalisation into `message`. Raises NotifyError BODY_TOO_LARGE."""
        personalisation = form.get("personalisation")
        if not personalisation:
            return
        message.personalisation.extend(to_fields(personalisation, sending=True))
        # A value may take a few times the room on the wire that it took as JSON: `[1,1,1]` does.
        length = get_content_length(asked.environ) or LARGEST_CONTENT_BYTES
        if length >= LARGEST_CONTENT_BYTES // 4 and message.ByteSize() > LARGEST_CONTENT_BYTES:
            self._refuse(too_large(LARGEST_CONTENT_BYTES), asked.caller, channel)

    def _refuse(self, refusal: InvalidRequest | NotifyError, caller: Caller, channel: Channel) -> NoReturn:
        """Raise `refusal`, or the limit that it passed: refused requests count (public-api.md §2.1).

        Where the count can't be asked for, the refusal stands: it is true whatever the count is.
        """
        facts = self._count(caller, channel)
        if isinstance(refusal, NotifyError):
            refusal.metadata = {**refusal.metadata, **facts}
        else:
            refusal.facts = facts
        raise refusal

    def _count(self, caller: Caller, channel: Channel) -> Mapping[str, str]:
        """Return what is left, as `notify_gateway.quotas` has it."""
        count = pb.CountRefusedRequestRequest(caller=v2.caller_message(caller), channel=channel)
        try:
            counted = self._clients.notifications.CountRefusedRequest(count)
        except NotifyError as error:
            if row_of(error).status == 429:
                raise
            get_logger().warning("refused request not counted", reason=error.reason)
            return {}
        return quota_facts(counted.quota) if counted.HasField("quota") else {}

    def _send(self, message: SendRequest | pb.SendPrecompiledLetterRequest, asked: _Asked) -> Any:
        """Have a message accepted; return the response of its kind, and note what the answer says besides."""
        return self._noted(self._batcher.send(message), asked)

    def _noted(self, result: pb.SendResult, asked: _Asked) -> Any:
        if result.HasField("quota"):
            asked.headers.extend(quota_headers(quota_facts(result.quota)))
        if result.replayed:
            asked.headers.append(_REPLAYED)
        return getattr(result, str(result.WhichOneof("result")))

    def _send_with_files(
        self, message: pb.SendEmailRequest, files: Sequence[Mapping[str, Any]], asked: _Asked
    ) -> Any:
        """Have an email accepted together with its files (public-api.md §2.5).

        What is wrong with the form of a file is said in its turn: after all that is wrong with the email.
        """
        try:
            check_structure(files)
        except InvalidRequest as faults:
            try:
                # files that were not announced are refused in the end
                return self._send(message, asked)
            except NotifyError as error:
                if error.reason != "FILE_NOT_ALLOWED":
                    raise
                faults.facts = error.metadata
                raise faults from None
        middleware.limit(middleware.BUDGET_SECONDS)
        contents: list[bytes] = []
        for entry in message.personalisation:
            if entry.HasField("file"):
                file, content = announce(files[len(contents)])
                entry.file.CopyFrom(file)
                contents.append(content)
        item = pb.SendItem(
            email=message,
            origin_request_id=current.request_id.get(),
            traceparent=current.traceparent.get(),
        )
        response = _when_free(lambda: self._clients.files.SendEmailWithFiles(_with_files(item, contents)))
        outcome = outcome_of(response.result)
        if isinstance(outcome, NotifyError):
            raise outcome
        return self._noted(outcome, asked)


def _when_free(call: Callable[[], T]) -> T:
    """Return what a call answers that streams to a service; where no stream is free, wait for one.

    What it brings is kept by its request id, so that a call that is made again does nothing twice.
    """
    until = clock.monotonic() + _STREAM_WAIT_SECONDS
    while True:
        try:
            return call()
        except NotifyError as error:
            if error.reason != "OVERLOADED" or clock.monotonic() > until:
                raise
        time.sleep(_STREAM_PAUSE_SECONDS)


def files_page(admin_base_url: str, service_id: str) -> dict[str, str]:
    """Return the fact of FILES_NOT_SET_UP that only the gateway knows: where a member sets them up."""
    return {"page": f"{admin_base_url}/services/{service_id}/service-settings/send-files-by-email"}


def refusal_of_letters(
    permissions: Container[str], restricted: bool, key_type: KeyType
) -> NotifyError | None:
    """Return why a service may not send letters with a type of key; None where it may.

    As public-api.md §2.7 has it.
    """
    if "letter" not in permissions:
        return NotifyError("CHANNEL_NOT_ALLOWED", metadata={"channel": "letter"})
    if key_type == KeyType.KEY_TYPE_TEAM or (restricted and key_type != KeyType.KEY_TYPE_TEST):
        shown = "team" if key_type == KeyType.KEY_TYPE_TEAM else "normal"
        return NotifyError("LETTERS_NOT_ALLOWED_FOR_KEY", metadata={"key_type": shown})
    return None


class PrecompiledTemplates:
    """Ids of the hidden templates of services' ready-made letters, which never change once they are made."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: dict[str, str] = {}

    def of(self, service_id: str) -> str:
        """Return the id of a service's template. Raises NotifyError where admin can't be asked for it."""
        known = self._known.get(service_id)
        if known is None:
            ask = EnsurePrecompiledTemplateRequest(service_id=service_id)
            known = self._clients.templates.EnsurePrecompiledTemplate(ask).template.id
            self._known[service_id] = known
        return known


def _upload(header: UploadPdfHeader, pdf: bytes) -> Iterator[UploadPdfRequest]:
    yield UploadPdfRequest(header=header)
    for chunk in _chunks(pdf):
        yield UploadPdfRequest(chunk=chunk)


def _with_files(item: pb.SendItem, contents: Iterable[bytes]) -> Iterator[SendEmailWithFilesRequest]:
    yield SendEmailWithFilesRequest(item=item)
    for content in contents:
        for chunk in _chunks(content):
            yield SendEmailWithFilesRequest(chunk=chunk)


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK_BYTES):
        yield content[start : start + _CHUNK_BYTES]


def sms_request(form: Form, **fields: Any) -> pb.SendSmsRequest:
    """Return a valid form as a request, without its personalisation. `fields` are set besides."""
    return pb.SendSmsRequest(
        phone_number=form["phone_number"],
        max_cost_micropounds=_max_cost(form),
        reference=form.get("reference"),
        sms_sender_id=_optional_uuid(form, "sms_sender_id"),
        send_at=_optional_moment(form, "send_at"),
        deliver_by=_optional_moment(form, "deliver_by"),
        **fields,
    )


def email_request(form: Form, **fields: Any) -> pb.SendEmailRequest:
    """Return a valid form as a request, without its personalisation. `fields` are set besides."""
    return pb.SendEmailRequest(
        email_address=form["email_address"],
        max_cost_micropounds=_max_cost(form),
        reference=form.get("reference"),
        email_reply_to_id=_optional_uuid(form, "email_reply_to_id"),
        one_click_unsubscribe_url=form.get("one_click_unsubscribe_url", ""),
        sanitise_content_for=form.get("sanitise_content_for"),
        send_at=_optional_moment(form, "send_at"),
        deliver_by=_optional_moment(form, "deliver_by"),
        **fields,
    )


def letter_request(form: Form, **fields: Any) -> pb.SendLetterRequest:
    """Return a valid form as a request, without its personalisation. `fields` are set besides."""
    return pb.SendLetterRequest(
        reference=form.get("reference"), max_cost_micropounds=_max_cost(form), **fields
    )


def idempotency_key(environ: "WSGIEnvironment") -> str | None:
    """Return the client's Idempotency-Key; None without one. Raises NotifyError IDEMPOTENCY_KEY_INVALID.

    A client that sends a key counts on it, so none is dropped. Servers hand on bytes beyond ASCII as "".
    """
    key: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and (not key.isascii() or not 0 < len(key) <= _LONGEST_IDEMPOTENCY_KEY):
        raise NotifyError("IDEMPOTENCY_KEY_INVALID", metadata={"limit": str(_LONGEST_IDEMPOTENCY_KEY)})
    return key


def _letter_schema(form: Any) -> Schema:
    precompiled = isinstance(form, dict) and "content" in form
    return schemas.SEND_PRECOMPILED_LETTER if precompiled else schemas.SEND_LETTER


def micropounds(pounds: Decimal) -> int:
    """Return an amount in millionths of a pound, rounded down."""
    return int(pounds * 1_000_000)


def _max_cost(form: Form) -> int | None:
    # of a double, what was written and not the binary fraction next to it
    return micropounds(Decimal(repr(form["max_cost"]))) if "max_cost" in form else None


def _optional_moment(form: Form, name: str) -> datetime | None:
    return timestamps.moment(form[name]) if name in form else None


def _optional_uuid(form: Form, name: str) -> str:
    return canonical_uuid(form[name]) if name in form else ""
