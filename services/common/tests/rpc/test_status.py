"""The algebra of errors and statuses."""

from datetime import timedelta
from typing import Any

import grpc
from hypothesis import given
from hypothesis import strategies as st
from notify_common.errors import FieldViolation, NotifyError
from notify_common.reasons import REASONS, Code
from notify_common.rpc import status

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
errors = st.builds(
    NotifyError,
    st.sampled_from(sorted(REASONS)),
    texts.filter(bool),
    violations=st.lists(st.builds(FieldViolation, texts, texts), max_size=8).map(tuple),
    metadata=st.dictionaries(texts, texts, max_size=5),
    retry_after=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
)


class FailedCall(grpc.RpcError, grpc.Call):
    """A failed call with these trailers, as grpc hands one out."""

    def __init__(self, sent: grpc.Status) -> None:
        self._sent = sent

    def code(self) -> grpc.StatusCode:
        return self._sent.code

    def details(self) -> str:
        return self._sent.details

    def trailing_metadata(self) -> Any:
        return self._sent.trailing_metadata

    def initial_metadata(self) -> tuple[tuple[str, bytes | str], ...]:
        return ()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float:
        return 0.0

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: object) -> bool:
        return False


def received(error: NotifyError) -> NotifyError:
    from grpc_status import rpc_status

    return status.to_error(FailedCall(rpc_status.to_status(status.to_status(error, "admin.notify", "r"))))


@given(errors)
def test_an_error_comes_back_as_it_went(error: NotifyError) -> None:
    back = received(error)
    assert (back.reason, back.code, back.message) == (error.reason, error.code, error.message)
    assert back.violations == error.violations
    assert back.metadata == error.metadata
    assert back.retry_after == error.retry_after


@given(st.text(max_size=30), st.text(max_size=3000), st.text(max_size=30))
def test_any_text_can_be_sent(message: str, long: str, key: str) -> None:
    error = NotifyError(
        "INVALID_FIELD",
        message + long * 10,
        violations=(FieldViolation(long, long),) * 50,
        metadata={key.encode("utf-8", "replace").decode(): long},
    )
    sent = status.to_status(error, "admin.notify", "r")
    assert sent.ByteSize() < 32_000
    assert received(error).reason == "INVALID_FIELD"


def test_a_reason_that_only_the_sender_knows_is_kept() -> None:
    newer = NotifyError("BRAND_NEW", "new", code=Code.ABORTED)
    back = received(newer)
    assert (back.reason, back.code) == ("BRAND_NEW", Code.ABORTED)
