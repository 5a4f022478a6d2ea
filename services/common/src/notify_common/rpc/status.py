"""`NotifyError` to `google.rpc.Status` and back (design.md §2.6)."""

from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from notify_common.errors import FieldViolation, NotifyError
from notify_common.reasons import REASONS, Code

_MAX_MESSAGE_BYTES = 4096
_MAX_DESCRIPTION_BYTES = 512
_MAX_DETAILS_BYTES = 12288

_NUMBERS = frozenset(code.value for code in Code)

_REASON_BY_CODE = {
    Code.UNAVAILABLE: "UNAVAILABLE",
    Code.RESOURCE_EXHAUSTED: "OVERLOADED",
    Code.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    Code.CANCELLED: "CANCELLED",
    Code.UNIMPLEMENTED: "UNIMPLEMENTED",
}


def to_status(error: NotifyError, domain: str, request_id: str) -> status_pb2.Status:
    """Return the `google.rpc.Status` of `error`: ErrorInfo first, then what else it knows.

    `domain` is `<context>.notify`. Violations travel as BadRequest, for RESOURCE_EXHAUSTED as QuotaFailure
    and for FAILED_PRECONDITION as PreconditionFailure. Long texts are cut and violations past about 12 KiB
    left out, because the whole of it travels in the trailers, whose size is limited.
    """
    status = status_pb2.Status(code=error.code.value, message=_cut(error.message, _MAX_MESSAGE_BYTES))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=domain)
    for key, value in error.metadata.items():
        info.metadata[key] = _cut(value, _MAX_MESSAGE_BYTES)
    _add(status, info)
    if request_id:
        _add(status, error_details_pb2.RequestInfo(request_id=request_id))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        _add(status, retry)
    if error.violations:
        _add(status, _violations(error))
    return status


def to_error(call: grpc.RpcError) -> NotifyError:
    """Return the NotifyError that a failed call stands for.

    A status without ErrorInfo (the other end can't be reached, is overloaded, or is no service of ours) gets
    the reason that belongs to its code. Details that can't be read count as missing.
    """
    code = Code[call.code().name] if isinstance(call, grpc.Call) else Code.UNKNOWN
    try:
        status = rpc_status.from_call(call) if isinstance(call, grpc.Call) else None
    except (ValueError, DecodeError):
        status = None
    return _without_details(code) if status is None else _from_status(status, code)


def from_bytes(serialized: bytes) -> NotifyError:
    """Return the NotifyError that a serialized `google.rpc.Status` in a field stands for; as `to_error`."""
    try:
        status = status_pb2.Status.FromString(serialized)
    except DecodeError:
        return _without_details(Code.UNKNOWN)
    return _from_status(status, Code(status.code) if status.code in _NUMBERS else Code.UNKNOWN)


def _from_status(status: status_pb2.Status, code: Code) -> NotifyError:
    info = error_details_pb2.ErrorInfo()
    violations: list[FieldViolation] = []
    retry_after: timedelta | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToTimedelta()
        else:
            violations += _read_violations(detail)
    if not info.reason:
        return _without_details(code)
    return NotifyError(
        info.reason,
        status.message,
        violations=tuple(violations),
        metadata=dict(info.metadata),
        retry_after=retry_after,
        code=Code(status.code) if status.code in _NUMBERS else Code.UNKNOWN,
    )


def _without_details(code: Code) -> NotifyError:
    # The text of a foreign status is not passed on: it names addresses and certificates.
    reason = _REASON_BY_CODE.get(code, "INTERNAL")
    return NotifyError(reason, REASONS[reason].doc, code=code)


def _violations(error: NotifyError) -> Any:
    room = _MAX_DETAILS_BYTES
    message: Any
    if error.code is Code.RESOURCE_EXHAUSTED:
        message = error_details_pb2.QuotaFailure()
    elif error.code is Code.FAILED_PRECONDITION:
        message = error_details_pb2.PreconditionFailure()
    else:
        message = error_details_pb2.BadRequest()
    for violation in error.violations:
        field = _cut(violation.field, _MAX_DESCRIPTION_BYTES)
        description = _cut(violation.description, _MAX_DESCRIPTION_BYTES)
        room -= len(field.encode()) + len(description.encode()) + 8
        if room < 0:
            break
        if isinstance(message, error_details_pb2.BadRequest):
            message.field_violations.add(field=field, description=description)
        elif isinstance(message, error_details_pb2.QuotaFailure):
            message.violations.add(subject=field, description=description)
        else:
            message.violations.add(type=error.reason, subject=field, description=description)
    return message


def _read_violations(detail: AnyMessage) -> list[FieldViolation]:
    if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
        bad_request = error_details_pb2.BadRequest()
        detail.Unpack(bad_request)
        return [FieldViolation(item.field, item.description) for item in bad_request.field_violations]
    if detail.Is(error_details_pb2.QuotaFailure.DESCRIPTOR):
        quota = error_details_pb2.QuotaFailure()
        detail.Unpack(quota)
        return [FieldViolation(item.subject, item.description) for item in quota.violations]
    if detail.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
        precondition = error_details_pb2.PreconditionFailure()
        detail.Unpack(precondition)
        return [FieldViolation(item.subject, item.description) for item in precondition.violations]
    return []


def _add(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def _cut(text: str, limit: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
