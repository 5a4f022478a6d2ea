"""One trace follows a message through calls and rows (design.md §2.8)."""

from collections.abc import Callable, Iterator

import pytest
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify.letters.v1 import letters_service_pb2 as letters_pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify_common import current
from notify_common.errors import NotifyError
from notify_common.tracing import configure_tracing, current_traceparent, shutdown_tracing, span
from notify_testing.requests import DOWNLOAD_PDF, GET_USER
from notify_testing.rpc import InProcessServer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

Serve = Callable[..., InProcessServer]


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    configure_tracing("under-test", None, exporter)
    yield exporter
    shutdown_tracing()


def names_to_parents(
    spans: tuple[ReadableSpan, ...],
) -> dict[tuple[str, SpanKind], tuple[str, SpanKind] | None]:
    """Return each span's name and kind with its parent's, all of one trace."""
    by_id = {item.context.span_id: item for item in spans if item.context is not None}
    assert len({item.context.trace_id for item in by_id.values() if item.context is not None}) == 1
    parents: dict[tuple[str, SpanKind], tuple[str, SpanKind] | None] = {}
    for item in by_id.values():
        parent = by_id.get(item.parent.span_id) if item.parent is not None else None
        parents[(item.name, item.kind)] = None if parent is None else (parent.name, parent.kind)
    return parents


def test_a_message_s_way_is_one_trace(serve_users: Serve, recorded: InMemorySpanExporter) -> None:
    row: dict[str, str] = {}

    def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
        row["traceparent"] = current_traceparent()  # what an outbox row keeps
        return pb.GetUserResponse()

    stub = UsersServiceStub(serve_users(get_user).channel())
    with current.bind(request_id="the-request"), span("POST /v2/notifications/sms", SpanKind.SERVER):
        stub.GetUser(GET_USER)
    # Later, in a worker, from the row alone.
    with (
        current.bind(request_id="the-request", traceparent=row["traceparent"]),
        span("relay"),
        span("provider call", SpanKind.CLIENT, notification_id="n"),
    ):
        pass
    method = "notify.admin.v1.UsersService/GetUser"
    http = ("POST /v2/notifications/sms", SpanKind.SERVER)
    assert names_to_parents(recorded.get_finished_spans()) == {
        http: None,
        (method, SpanKind.CLIENT): http,
        (method, SpanKind.SERVER): (method, SpanKind.CLIENT),
        ("relay", SpanKind.INTERNAL): (method, SpanKind.SERVER),
        ("provider call", SpanKind.CLIENT): ("relay", SpanKind.INTERNAL),
    }


def test_a_stream_is_in_the_trace_too(serve_letters: Serve, recorded: InMemorySpanExporter) -> None:
    def download(request: object, servicer_context: object) -> Iterator[letters_pb.DownloadPdfResponse]:
        yield letters_pb.DownloadPdfResponse(chunk=b"x")
        with span("read blob"):
            pass

    server = serve_letters(download)
    with current.bind(), span("GET pdf"):
        list(LettersServiceStub(server.channel()).DownloadPdf(DOWNLOAD_PDF))
    server.server.stop(5)
    method = "notify.letters.v1.LettersService/DownloadPdf"
    assert names_to_parents(recorded.get_finished_spans()) == {
        ("GET pdf", SpanKind.INTERNAL): None,
        (method, SpanKind.CLIENT): ("GET pdf", SpanKind.INTERNAL),
        (method, SpanKind.SERVER): (method, SpanKind.CLIENT),
        ("read blob", SpanKind.INTERNAL): (method, SpanKind.SERVER),
    }


def test_an_error_marks_the_span_without_its_text(recorded: InMemorySpanExporter) -> None:
    with pytest.raises(NotifyError), current.bind(), span("work"):
        raise NotifyError("RECIPIENT_INVALID", "07700900123 is no number")
    [item] = recorded.get_finished_spans()
    assert not item.status.is_ok
    assert "07700900123" not in item.to_json()


def test_the_trace_passes_where_nothing_is_recorded(serve_users: Serve) -> None:
    seen = []

    def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
        with span("inside"):
            seen.append(current_traceparent())
        return pb.GetUserResponse()

    stub = UsersServiceStub(serve_users(get_user).channel())
    with current.bind(), span("outside"):
        outside = current_traceparent()
        stub.GetUser(GET_USER)
    assert seen == [outside]


def test_the_context_before_comes_back(recorded: InMemorySpanExporter) -> None:
    with current.bind():
        before = current_traceparent()
        with span("work"):
            assert current_traceparent() != before
        assert current_traceparent() == before
