"""Streams to a server: silent ones, and too many of one caller."""

import threading
from collections.abc import Callable, Iterator

import pytest
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common.errors import NotifyError
from notify_testing.requests import PRINT_BATCH
from notify_testing.rpc import InProcessServer
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]


class Silence:
    """Requests of which the first comes, and no other until it is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __iter__(self) -> Iterator[pb.SubmitPrintBatchRequest]:
        yield PRINT_BATCH
        self.over.wait(WAIT_SECONDS)


def submit(requests: Iterator[object], context: object) -> pb.SubmitPrintBatchResponse:
    return pb.SubmitPrintBatchResponse(accepted_count=len(list(requests)))


def test_a_silent_stream_is_ended_and_its_thread_freed(
    serve_dispatch: Serve, log_lines: Callable[[], list[dict[str, object]]]
) -> None:
    server = serve_dispatch(submit, grpc_threads=1, stream_idle_seconds=0.2)
    stub = DispatchServiceStub(server.channel("letters"))
    silence = Silence()
    with pytest.raises(NotifyError) as caught:
        stub.SubmitPrintBatch(silence)
    silence.over.set()
    assert caught.value.reason == "CANCELLED"
    # the only thread serves again
    assert stub.SubmitPrintBatch(iter([PRINT_BATCH])).accepted_count == 1
    assert "silent stream ended" in {line["event"] for line in log_lines()}


def test_a_caller_has_its_share_of_streams_and_others_theirs(serve_dispatch: Serve) -> None:
    reading = threading.Event()

    def read(requests: Iterator[object], context: object) -> pb.SubmitPrintBatchResponse:
        next(requests)
        reading.set()
        return submit(requests, context)

    server = serve_dispatch(read, grpc_threads=4, streams_per_caller=1)
    letters, operator = (DispatchServiceStub(server.channel(name)) for name in ("letters", "operator"))
    silence = Silence()
    first = threading.Thread(target=letters.SubmitPrintBatch, args=(silence,))
    first.start()
    assert reading.wait(WAIT_SECONDS)

    with pytest.raises(NotifyError) as caught:
        letters.SubmitPrintBatch(iter([PRINT_BATCH]))
    assert caught.value.reason == "OVERLOADED"
    assert operator.SubmitPrintBatch(iter([PRINT_BATCH])).accepted_count == 0

    silence.over.set()
    first.join(WAIT_SECONDS)
    assert letters.SubmitPrintBatch(iter([PRINT_BATCH])).accepted_count == 0
