"""Tracing: one trace follows a message from the HTTP request to the provider call (design.md §2.8).

The current span lives in `current.traceparent` alone, as the text that also travels in metadata and rows; so
traces pass through processes that record nothing, and through queues. Spans are recorded once
`configure_tracing` was given a place to send them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from notify_common import current

_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def configure_tracing(service: str, endpoint: str | None, exporter: SpanExporter | None = None) -> None:
    """Send spans of this process to the OTLP collector at `endpoint`; do nothing without one.

    Call it once, after any fork. `exporter` takes the place of the collector in tests and gets each span as
    it ends.
    """
    global _provider, _tracer
    if endpoint is None and exporter is None:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=True)
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        # Imported here because it takes a third of a process's start, and most have no collector.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    _provider, _tracer = provider, provider.get_tracer("notify_common")


def shutdown_tracing() -> None:
    """Send what is left and record no more."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def is_recording() -> bool:
    """Tell whether spans are recorded, for callers that would rather not prepare one in vain."""
    return _tracer is not None


def current_traceparent() -> str:
    """Return the trace context to store in a row or header; a new trace begins where there is none."""
    text = current.traceparent.get()
    if not text:
        text = current.new_traceparent()
        current.traceparent.set(text)
    return text


@contextmanager
def span(name: str, kind: SpanKind = SpanKind.INTERNAL, **ids: str) -> Iterator[None]:
    """Record the `with` block as a span below the current one; `ids` become its attributes.

    Attributes hold ids and names only, never content or recipients. An error marks the span with its type,
    not with its text, which may hold either.
    """
    if _tracer is None:
        yield
        return
    parent = current.traceparent.get()
    started = _tracer.start_span(
        name,
        context=set_span_in_context(NonRecordingSpan(_parse(parent))) if parent else None,
        kind=kind,
        attributes={key: value for key, value in ids.items() if value},
        record_exception=False,
        set_status_on_exception=False,
    )
    spanned = started.get_span_context()
    current.traceparent.set(
        f"00-{spanned.trace_id:032x}-{spanned.span_id:016x}-{int(spanned.trace_flags):02x}"
    )
    try:
        yield
    except BaseException as error:
        started.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        started.end()
        current.traceparent.set(parent)


def _parse(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
