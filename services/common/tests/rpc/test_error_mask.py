"""What leaves a server when a method fails: our errors whole, everything else masked (design.md §2.6)."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import psycopg2
import pytest
import sqlalchemy
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify.letters.v1 import letters_service_pb2 as letters_pb
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common import current
from notify_common.db.engine import create_engine
from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.rpc.options import channel_options
from notify_common.rpc.tls import channel_credentials
from notify_testing.database import FreshDatabase
from notify_testing.requests import CREATE_USER, DOWNLOAD_PDF, GET_USER, PRINT_BATCH
from notify_testing.rpc import InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]
LogLines = Callable[[], list[dict[str, Any]]]

DSN = "postgres://owner:hunter2@db/notify"
RECIPIENT = "07700900123"


def leak(*args: object) -> Any:
    try:
        raise KeyError(RECIPIENT)
    except KeyError:
        raise RuntimeError(f"could not connect to {DSN}") from None


def leak_in_stream(request: object, context: object) -> Iterator[letters_pb.DownloadPdfResponse]:
    yield letters_pb.DownloadPdfResponse(chunk=b"first")
    leak()


def read(responses: Iterator[letters_pb.DownloadPdfResponse], into: list[bytes]) -> None:
    for response in responses:
        into.append(response.chunk)


def raw_channel(server: InProcessServer, context: str) -> grpc.Channel:
    """Return a channel without our client side, to see what is really on the wire."""
    return grpc.secure_channel(
        server.target, channel_credentials(tls_settings("gateway-internal")), options=channel_options(context)
    )


def everything_in(error: grpc.RpcError) -> str:
    return repr((error.code(), error.details(), error.trailing_metadata(), str(error)))


class TestAnUnexpectedException:
    def test_reaches_the_caller_as_internal_with_a_reference_alone(
        self, serve_users: Serve, log_lines: LogLines
    ) -> None:
        server = serve_users(leak)
        with pytest.raises(grpc.RpcError) as caught, raw_channel(server, "admin") as channel:
            UsersServiceStub(channel).GetUser(GET_USER, timeout=WAIT_SECONDS)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert re.fullmatch(r"internal error \(ref [0-9a-f]{16}\)", caught.value.details() or "")
        for secret in (DSN, "hunter2", RECIPIENT, "RuntimeError", "Traceback", ".py"):
            assert secret not in everything_in(caught.value)

    def test_is_logged_with_that_reference_where_it_happened_but_without_its_text(
        self, serve_users: Serve, log_lines: LogLines
    ) -> None:
        server = serve_users(leak)
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(server.channel()).GetUser(GET_USER)
        lines = log_lines()
        [line] = [line for line in lines if line["event"] == "internal error"]
        assert line["reference"] in caught.value.message
        assert line["level"] == "error"
        assert line["method"] == "/notify.admin.v1.UsersService/GetUser"
        assert line["error_type"] == "builtins.RuntimeError < builtins.KeyError"
        assert line["frames"][-1].endswith(" leak")
        assert "hunter2" not in repr(lines)
        assert RECIPIENT not in repr(lines)

    def test_never_reaches_the_reader_of_a_stream(self, serve_letters: Serve, log_lines: LogLines) -> None:
        server = serve_letters(leak_in_stream)
        received: list[bytes] = []
        with raw_channel(server, "letters") as channel:
            responses = LettersServiceStub(channel).DownloadPdf(DOWNLOAD_PDF, timeout=WAIT_SECONDS)
            with pytest.raises(grpc.RpcError) as caught:
                read(responses, received)
        assert received == [b"first"]
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "hunter2" not in everything_in(caught.value)
        assert "hunter2" not in repr(log_lines())

    def test_never_reaches_the_sender_of_a_stream(self, serve_dispatch: Serve, log_lines: LogLines) -> None:
        server = serve_dispatch(leak)
        with pytest.raises(NotifyError) as caught:
            DispatchServiceStub(server.channel()).SubmitPrintBatch(iter([PRINT_BATCH]))
        assert caught.value.reason == "INTERNAL"
        assert "hunter2" not in caught.value.message
        assert "hunter2" not in repr(log_lines())

    def test_from_aborting_by_hand_is_masked_too(self, serve_users: Serve) -> None:
        def abort(request: object, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNKNOWN, DSN)

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(abort).channel()).GetUser(GET_USER)
        assert caught.value.reason == "INTERNAL"
        assert "hunter2" not in caught.value.message


class TestADatabase:
    """That one does not answer, or not in time, is no fault of the request (design.md §2.6)."""

    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            ("SELECT pg_terminate_backend(pg_backend_pid())", "UNAVAILABLE"),
            ("SET LOCAL statement_timeout = 10; SELECT pg_sleep(10)", "DEADLINE_EXCEEDED"),
            ("SET TRANSACTION READ ONLY; CREATE TABLE t ()", "UNAVAILABLE"),
            ("SELECT 1 / 0", "INTERNAL"),
        ],
    )
    def test_that_fails_is_told_from_a_bad_request(
        self,
        serve_users: Serve,
        log_lines: LogLines,
        fresh_database: FreshDatabase,
        statement: str,
        reason: str,
    ) -> None:
        engine = create_engine(fresh_database())

        def run(request: object, context: object) -> None:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(run).channel()).GetUser(GET_USER)
        assert caught.value.reason == reason
        assert any(line.get("error_type", "").startswith("sqlalchemy.exc") for line in log_lines())

    @pytest.mark.parametrize("connect", ["sqlalchemy", "psycopg2"])
    def test_that_can_t_be_reached_is_unavailable(self, serve_users: Serve, connect: str) -> None:
        def run(request: object, context: object) -> None:
            if connect == "psycopg2":
                psycopg2.connect("host=/nowhere")
            create_engine("postgresql:///?host=/nowhere").connect()

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(run).channel()).GetUser(GET_USER)
        assert caught.value.reason == "UNAVAILABLE"
        assert "nowhere" not in caught.value.message

    def test_without_a_free_connection_is_unavailable(self, serve_users: Serve) -> None:
        def run(request: object, context: object) -> None:
            raise sqlalchemy.exc.TimeoutError("QueuePool limit of size 8 overflow 0 reached")

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(run).channel()).GetUser(GET_USER)
        assert caught.value.reason == "UNAVAILABLE"


class TestANotifyError:
    def test_arrives_with_all_that_it_knew(self, serve_users: Serve) -> None:
        sent = NotifyError(
            "DAILY_LIMIT_REACHED",
            "Exceeded send limits (1,000) for today",
            violations=(FieldViolation("service", "has sent 1,000 today"),),
            metadata={"limit": "1000"},
            retry_after=timedelta(minutes=3, milliseconds=250),
        )

        def fail(request: object, context: object) -> None:
            raise sent

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(fail).channel()).GetUser(GET_USER)
        received = caught.value
        assert (received.reason, received.code, received.message) == (sent.reason, sent.code, sent.message)
        assert received.violations == sent.violations
        assert received.metadata == sent.metadata
        assert received.retry_after == sent.retry_after

    def test_is_a_google_rpc_status_to_other_clients(self, serve_users: Serve) -> None:
        def fail(request: object, context: object) -> None:
            raise invalid_field(FieldViolation("user_id", "is required"))

        server = serve_users(fail)
        with raw_channel(server, "admin") as channel, pytest.raises(grpc.RpcError) as caught:
            UsersServiceStub(channel).GetUser(
                GET_USER, timeout=2, metadata=(("x-request-id", "the-request"),)
            )
        assert isinstance(caught.value, grpc.Call)
        status = rpc_status.from_call(caught.value)
        info, request_info, bad_request = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.RequestInfo(),
            error_details_pb2.BadRequest(),
        )
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(request_info)
        assert status.details[2].Unpack(bad_request)
        assert (info.reason, info.domain) == ("INVALID_FIELD", "admin.notify")
        assert request_info.request_id == "the-request"
        assert [(item.field, item.description) for item in bad_request.field_violations] == [
            ("user_id", "is required")
        ]
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "user_id is required"

    def test_in_a_stream_comes_after_what_was_sent(self, serve_letters: Serve) -> None:
        def stream(request: object, context: object) -> Iterator[letters_pb.DownloadPdfResponse]:
            yield letters_pb.DownloadPdfResponse(chunk=b"first")
            raise NotifyError("PDF_NOT_READY")

        received: list[bytes] = []
        stub = LettersServiceStub(serve_letters(stream).channel())
        with pytest.raises(NotifyError) as caught:
            read(stub.DownloadPdf(DOWNLOAD_PDF), received)
        assert received == [b"first"]
        assert caught.value.reason == "PDF_NOT_READY"

    def test_of_hostile_size_still_arrives(self, serve_users: Serve) -> None:
        def fail(request: object, context: object) -> None:
            raise NotifyError(
                "MISSING_PERSONALISATION",
                "€" * 1_000_000,
                violations=tuple(FieldViolation(f"letters[{n}]", "ü" * 2000) for n in range(500)),
                metadata={"keys": "€" * 1_000_000},
            )

        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users(fail).channel()).GetUser(GET_USER)
        assert caught.value.reason == "MISSING_PERSONALISATION"
        assert caught.value.message.startswith("€€€")
        assert 5 < len(caught.value.violations) < 500

    def test_with_a_reason_outside_the_table_can_not_be_made(self) -> None:
        with pytest.raises(ValueError, match="NO_SUCH_REASON"):
            NotifyError("NO_SUCH_REASON")


class TestWithoutAReason:
    def test_a_method_that_nobody_wrote_is_unimplemented(self, serve_users: Serve) -> None:
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(serve_users().channel()).CreateUser(CREATE_USER)
        assert caught.value.reason == "UNIMPLEMENTED"

    def test_a_service_that_nobody_serves_is_unimplemented(self, serve_users: Serve) -> None:
        from notify.admin.v1 import services_service_pb2 as services_pb
        from notify.admin.v1.services_service_pb2_grpc import ServicesServiceStub

        with pytest.raises(NotifyError) as caught:
            ServicesServiceStub(serve_users().channel()).GetService(services_pb.GetServiceRequest())
        assert caught.value.reason == "UNIMPLEMENTED"

    def test_nobody_listening_is_unavailable_and_names_no_address(self, tmp_path: Any) -> None:
        from notify_common.rpc.channel import Channels

        channels = Channels(tls_settings("gateway-internal"))
        with pytest.raises(NotifyError) as caught:
            UsersServiceStub(channels.get("admin", f"unix:{tmp_path}/nobody")).GetUser(GET_USER)
        channels.close()
        assert caught.value.reason == "UNAVAILABLE"
        assert str(tmp_path) not in caught.value.message

    def test_details_that_can_not_be_read_count_as_missing(self, serve_users: Serve) -> None:
        def garble(request: object, context: grpc.ServicerContext) -> pb.GetUserResponse:
            context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
            context.set_code(grpc.StatusCode.UNAVAILABLE)
            return pb.GetUserResponse()

        server = serve_users(garble)
        with pytest.raises(NotifyError) as caught, current.bind():
            UsersServiceStub(server.channel()).GetUser(GET_USER)
        assert caught.value.reason == "UNAVAILABLE"
