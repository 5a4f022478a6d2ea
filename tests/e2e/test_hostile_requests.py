"""Every method of every service, asked for nothing, for garbage and for what there is not.

Each answers in the contract's words and repeats nothing: a request is never a fault of the server's.
"""

import importlib
import pkgutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import notify
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from notify_admin.settings import Settings as AdminSettings
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_common.rpc import status
from notify_common.rpc.options import channel_options
from notify_letters.settings import Settings as LettersSettings
from notify_notifications.settings import Settings as NotificationsSettings
from notify_providers.settings import Settings as ProvidersSettings
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House

WORD = "zanzibarina"
SETTINGS: dict[str, Any] = {
    "admin": AdminSettings,
    "letters": LettersSettings,
    "notifications": NotificationsSettings,
    "providers": ProvidersSettings,
}
ALLOWED: dict[str, dict[str, list[str]]] = {
    context: settings.model_fields["allowed_callers"].default for context, settings in SETTINGS.items()
}
CALLERS = {service: callers for allowed in ALLOWED.values() for service, callers in allowed.items()}
CONTEXTS = {service.split("/")[0]: context for context, allowed in ALLOWED.items() for service in allowed}
"""One that serves each; OpsService has several."""


def methods() -> Iterator[MethodDescriptor]:
    """Yield every method below `notify` that somebody may call."""
    for module in pkgutil.walk_packages(notify.__path__, "notify."):
        if module.name.endswith("_service_pb2"):
            for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    if CALLERS.get(f"{service.full_name}/{method.name}") != []:
                        yield method


@dataclass(frozen=True)
class Filling:
    """What stands in all fields of a request."""

    text: str
    number: int
    seconds: int
    """Of timestamps."""
    make_id: Callable[[], str]
    """What fields hold whose names say that they are ids."""


def unknown_id() -> str:
    return str(uuid.uuid4())


GARBAGE = Filling(text=WORD, number=-1, seconds=-(2**62), make_id=lambda: WORD)
FILLINGS = {
    "nul": Filling(text=f"{WORD}\0", number=2**31 - 1, seconds=2**62, make_id=unknown_id),
    "control": Filling(text=f"{WORD}\x1b[2J\u202e\u2028\ufffe", number=0, seconds=0, make_id=unknown_id),
    "long": Filling(text=WORD * 2000, number=1, seconds=253_402_300_799, make_id=unknown_id),
    "unknown": Filling(text=WORD, number=1, seconds=1_800_000_000, make_id=unknown_id),
    "shouted": Filling(text=WORD, number=1, seconds=0, make_id=lambda: unknown_id().upper()),
}

ANY_TEXT = (
    "LINK_INVALID",
    "ORGANISATION_NOT_FOUND",
    "PROVIDER_NOT_FOUND",
    "QUEUE_NOT_FOUND",
    "USER_NOT_FOUND",
)
"""Answers to garbage in fields that any text may stand in: names, domains, what somebody takes for an email
address or a link.
"""

EXPECTED = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "ABORTED",
    "FAILED_PRECONDITION",
    "PERMISSION_DENIED",
}


def fill(message: Message, filling: Filling) -> None:
    """Fill every field, messages within messages too; of a choice, the last one stays."""
    for field in message.DESCRIPTOR.fields:
        kind = field.message_type
        if field.name == "origin_request_id":
            continue  # logged as it stands, like that of a header
        if kind is not None and kind.full_name == "google.protobuf.Timestamp":
            getattr(message, field.name).seconds = filling.seconds
        elif kind is not None and kind.GetOptions().map_entry:
            getattr(message, field.name)[filling.text] = filling.text
        elif kind is not None:
            inner = getattr(message, field.name)
            fill(inner.add() if field.is_repeated else inner, filling)
        elif field.is_repeated:
            getattr(message, field.name).append(value(field, filling))
        else:
            setattr(message, field.name, value(field, filling))


def value(field: Any, filling: Filling) -> Any:
    """Return what stands in a field that is no message."""
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            is_id = field.name == "id" or field.name.endswith("_id")
            return filling.make_id() if is_id else filling.text
        case FieldDescriptor.TYPE_BYTES:
            return filling.text.encode()
        case FieldDescriptor.TYPE_BOOL:
            return True
        case FieldDescriptor.TYPE_ENUM:
            return 99 if filling.number < 0 else 1
        case _:
            return filling.number


@contextmanager
def channel(house: House, method: MethodDescriptor) -> Iterator[grpc.Channel]:
    """Provide a channel of someone who may call the method."""
    service = method.containing_service.full_name
    context = CONTEXTS[service]
    callers = CALLERS.get(f"{service}/{method.name}") or CALLERS[service]
    files = house.stack.certificates[callers[0]]
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.key.read_bytes(), files.cert.read_bytes()
    )
    target = house.stack.first_address(context)
    with grpc.secure_channel(target, credentials, channel_options(context)) as made:
        yield made


def ask(house: House, method: MethodDescriptor, request: Message) -> NotifyError | None:
    """Call a method with one request and read all that it answers; return its error."""
    streams = f"{'stream' if method.client_streaming else 'unary'}_"
    streams += "stream" if method.server_streaming else "unary"
    with channel(house, method) as made:
        call = getattr(made, streams)(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            answer = call(iter([request]) if method.client_streaming else request, timeout=WAIT_SECONDS)
            if method.server_streaming:
                list(answer)
        except grpc.RpcError as error:
            return status.to_error(error)
    return None


@pytest.fixture(params=methods(), ids=lambda method: f"{method.containing_service.name}.{method.name}")
def method(request: pytest.FixtureRequest) -> MethodDescriptor:
    found: MethodDescriptor = request.param
    return found


def test_a_request_for_nothing_is_told_what_is_missing(house: House, method: MethodDescriptor) -> None:
    error = ask(house, method, GetMessageClass(method.input_type)())
    if error is None:
        asks = method.input_type.fields and not method.name.startswith(("List", "Stream"))
        assert not asks, "only a list may ask for nothing in particular"
        return
    assert error.reason == "INVALID_FIELD"
    assert error.violations


def test_garbage_is_told_which_fields_are_at_fault(house: House, method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    fill(request, GARBAGE)
    error = ask(house, method, request)
    if not method.input_type.fields or method.name in ("BatchSend", "GetSenderIdProtection"):
        return  # each message of a batch is answered on its own, and any text may be a sender's name
    assert error is not None
    if error.reason in ANY_TEXT:
        return
    assert error.code is Code.INVALID_ARGUMENT
    assert error.violations
    assert WORD not in f"{error.message} {error.violations} {error.metadata}"


def test_what_looks_right_and_is_not_is_no_fault_of_the_server(
    house: House, method: MethodDescriptor
) -> None:
    for name, filling in FILLINGS.items():
        request = GetMessageClass(method.input_type)()
        fill(request, filling)
        error = ask(house, method, request)
        code = "OK" if error is None else error.code.name
        assert code in EXPECTED, (name, error)
        assert error is None or WORD not in f"{error.message} {error.violations}", name
