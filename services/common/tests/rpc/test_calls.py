"""How calls behave on the way: retries, load, context, streams (design.md §2.7, §2.8)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify.letters.v1 import letters_service_pb2 as letters_pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify.providers.v1 import dispatch_service_pb2 as dispatch_pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common import current
from notify_common.errors import NotifyError
from notify_common.reasons import Code
from notify_testing.requests import DOWNLOAD_PDF, GET_USER, PRINT_BATCH
from notify_testing.rpc import InProcessServer
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]


class Failing:
    """A method that fails `times` times with `reason`, then answers."""

    def __init__(self, reason: str, times: int) -> None:
        self.reason = reason
        self.times = times
        self.calls = 0

    def __call__(self, request: object, servicer_context: object) -> pb.GetUserResponse:
        self.calls += 1
        if self.calls <= self.times:
            raise NotifyError(self.reason)
        return pb.GetUserResponse()


class TestRetries:
    def test_a_read_is_tried_three_times_while_the_service_is_away(self, serve_users: Serve) -> None:
        twice = Failing("UNAVAILABLE", 2)
        UsersServiceStub(serve_users(twice).channel()).GetUser(GET_USER)
        assert twice.calls == 3

    def test_no_more_than_three_times(self, serve_users: Serve) -> None:
        always = Failing("UNAVAILABLE", 100)
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(always).channel()).GetUser(GET_USER)
        assert caught.value.reason == "UNAVAILABLE"
        assert always.calls == 3

    @pytest.mark.parametrize("reason", ["USER_NOT_FOUND", "OVERLOADED", "INTERNAL", "DEADLINE_EXCEEDED"])
    def test_an_answer_is_an_answer(self, serve_users: Serve, reason: str) -> None:
        failing = Failing(reason, 100)
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(failing).channel()).GetUser(GET_USER)
        assert caught.value.reason == reason
        assert failing.calls == 1

    def test_a_method_outside_of_the_list_is_tried_once(self, serve_dispatch: Serve) -> None:
        failing = Failing("UNAVAILABLE", 100)
        with pytest.raises(NotifyError) as caught:
            DispatchServiceStub(serve_dispatch(failing).channel()).SubmitPrintBatch(iter(()))
        assert caught.value.reason == "UNAVAILABLE"
        assert failing.calls == 1


class Blocking:
    """A method that answers once the test lets it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, request: object, servicer_context: object) -> pb.GetUserResponse:
        self.entered.release()
        assert self.release.wait(WAIT_SECONDS)
        return pb.GetUserResponse()


class TestLoad:
    def test_one_call_too_many_is_refused_at_once_and_not_retried(self, serve_users: Serve) -> None:
        blocking = Blocking()
        stub = UsersServiceStub(serve_users(blocking, grpc_threads=2, grpc_max_concurrent=2).channel())
        with ThreadPoolExecutor(2) as pool:
            held = [pool.submit(stub.GetUser, GET_USER) for _ in range(2)]
            for _ in range(2):
                assert blocking.entered.acquire(timeout=WAIT_SECONDS)
            with pytest.raises(NotifyError) as caught:
                stub.GetUser(GET_USER)
            blocking.release.set()
            assert [future.result() for future in held] == [pb.GetUserResponse()] * 2
        assert caught.value.reason == "OVERLOADED"
        assert caught.value.code is Code.RESOURCE_EXHAUSTED


class TestContext:
    def test_request_id_trace_and_origin_travel_with_the_call(self, serve_users: Serve) -> None:
        seen = []

        def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
            seen.append((current.request_id.get(), current.traceparent.get(), current.origin.get()))
            return pb.GetUserResponse()

        trace = current.new_traceparent()
        with current.bind(request_id="the-request", traceparent=trace, origin="api"):
            UsersServiceStub(serve_users(get_user).channel()).GetUser(GET_USER)
        assert seen == [("the-request", trace, "api")]

    def test_what_is_malformed_is_made_anew(self, serve_users: Serve) -> None:
        seen = []

        def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
            seen.append((current.request_id.get(), current.traceparent.get(), current.origin.get()))
            return pb.GetUserResponse()

        hostile = (
            ("x-request-id", "a b\u007e" * 40),
            ("traceparent", "00-zz"),
            ("x-notify-origin", "<script>"),
        )
        UsersServiceStub(serve_users(get_user).channel()).GetUser(GET_USER, metadata=hostile)
        [(request_id, traceparent, origin)] = seen
        assert len(request_id) == 32
        assert len(traceparent) == 55
        assert origin == ""

    def test_one_call_s_context_is_not_the_next_one_s(self, serve_users: Serve) -> None:
        seen = []

        def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
            seen.append((current.request_id.get(), current.origin.get()))
            return pb.GetUserResponse()

        stub = UsersServiceStub(serve_users(get_user, grpc_threads=1).channel())
        with current.bind(request_id="first", origin="api"):
            stub.GetUser(GET_USER)
        stub.GetUser(GET_USER)
        assert seen[0] == ("first", "api")
        assert seen[1][0] not in ("", "first")
        assert seen[1][1] == ""


class TestStreams:
    def test_a_reader_that_leaves_ends_the_method(self, serve_letters: Serve) -> None:
        ended = threading.Event()

        def download(request: object, servicer_context: object) -> Iterator[letters_pb.DownloadPdfResponse]:
            try:
                while True:
                    yield letters_pb.DownloadPdfResponse(chunk=bytes(256 * 1024))
            finally:
                ended.set()

        responses = LettersServiceStub(serve_letters(download).channel()).DownloadPdf(DOWNLOAD_PDF)
        next(responses)
        responses.close()
        assert ended.wait(WAIT_SECONDS)

    def test_a_writer_s_own_error_comes_back_to_it(self, serve_dispatch: Serve) -> None:
        class Mine(Exception):
            pass

        def requests() -> Iterator[dispatch_pb.SubmitPrintBatchRequest]:
            yield PRINT_BATCH
            raise Mine

        def submit(received: Iterator[object], servicer_context: object) -> None:
            list(received)

        with pytest.raises(Mine):
            DispatchServiceStub(serve_dispatch(submit).channel()).SubmitPrintBatch(requests())

    def test_a_writer_reads_its_rows_in_its_own_context(self, serve_dispatch: Serve) -> None:
        seen = []

        def requests() -> Iterator[dispatch_pb.SubmitPrintBatchRequest]:
            seen.append(current.request_id.get())
            yield PRINT_BATCH

        def submit(
            received: Iterator[object], servicer_context: object
        ) -> dispatch_pb.SubmitPrintBatchResponse:
            return dispatch_pb.SubmitPrintBatchResponse(accepted_count=len(list(received)))

        with current.bind(request_id="the-run"):
            answer = DispatchServiceStub(serve_dispatch(submit).channel()).SubmitPrintBatch(requests())
        assert answer.accepted_count == 1
        assert seen == ["the-run"]

    def test_a_caller_that_leaves_is_no_fault_of_the_service(
        self, serve_dispatch: Serve, log_lines: Callable[[], list[dict[str, object]]]
    ) -> None:
        reading, ended = threading.Event(), threading.Event()

        def submit(
            received: Iterator[object], servicer_context: object
        ) -> dispatch_pb.SubmitPrintBatchResponse:
            try:
                for _ in received:
                    reading.set()
            finally:
                ended.set()
            return dispatch_pb.SubmitPrintBatchResponse()

        def requests() -> Iterator[dispatch_pb.SubmitPrintBatchRequest]:
            yield PRINT_BATCH
            assert reading.wait(WAIT_SECONDS)
            raise RuntimeError("the caller leaves")

        server = serve_dispatch(submit)
        with pytest.raises(RuntimeError, match="the caller leaves"):
            DispatchServiceStub(server.channel()).SubmitPrintBatch(requests())
        assert ended.wait(WAIT_SECONDS)
        server.server.stop()
        assert "internal error" not in {line["event"] for line in log_lines()}


class TestMessagesOverTheLimit:
    def test_are_refused_without_reaching_the_method(self, serve_users: Serve) -> None:
        reached = []

        def get_user(request: object, servicer_context: object) -> pb.GetUserResponse:
            reached.append(request)
            return pb.GetUserResponse()

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(get_user).channel()).GetUser(
                pb.GetUserRequest(user_id="x" * (4 * 1024 * 1024 + 1))
            )
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert reached == []
