"""Handing messages to notifications: those that come at the same time share one call (docs/adr/0012)."""

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf.message import Message
from notify.notifications.v1.notifications_service_pb2 import (
    BatchSendRequest,
    SendEmailRequest,
    SendItem,
    SendLetterRequest,
    SendPrecompiledLetterRequest,
    SendResult,
    SendSmsRequest,
)
from notify_common import clock, current
from notify_common.errors import NotifyError
from notify_common.gathering import Gatherer
from notify_common.logging import get_logger
from notify_common.rpc import status

from notify_gateway.clients import Clients
from notify_gateway.quotas import quota_facts

SEND_SECONDS: Final = 2.0
"""Time of one attempt to have a message accepted (design.md §2.7); all of a request ends in its budget."""

_MOST_ITEMS: Final = 64
_MOST_BYTES: Final = 1024 * 1024
_LARGE_BYTES: Final = 64 * 1024
"""A message from this size on has a call of its own, for which no other waits."""
_LINGER_SECONDS: Final = 0.01
"""About what a client takes from one answer to its next request. A call costs ten times what each message in
it does, so those who came together are waited for."""
_WAY_BACK_SECONDS: Final = 0.02
_LEAST_SECONDS: Final = 0.25
"""A message with less time than that goes into no call: as a call ends when the time of the first of its
messages does, it would cut those of the others short."""

_KINDS: Final[dict[type[Message], str]] = {
    SendSmsRequest: "sms",
    SendEmailRequest: "email",
    SendLetterRequest: "letter",
    SendPrecompiledLetterRequest: "precompiled_letter",
}


class _Outgoing(NamedTuple):
    item: SendItem
    size: int
    until: float
    """Reading of `clock.monotonic()` at which this attempt ends."""
    deadline: float
    """Reading at which its request must be answered, whatever became of it."""


Outcome = SendResult | NotifyError


class SendBatcher:
    """Accepts messages through notifications. Safe to share between threads; made once a process.

    Whoever comes while a call is under way goes into the next one, and one alone waits for nobody; after a
    shared call those who shared it are waited for, for a moment. Each message keeps its own request id,
    trace, time and result.

    Where a call's outcome is not known (no answer in time, the connection broke), the message is asked for
    once more under the same id, which accepts nothing twice, so that a client is not told that the service is
    busy while its message goes out. While notifications takes calls and does not answer them, one message at
    a time tries whether it answers again, and all others are refused at once instead of queueing for seconds.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._gatherer: Gatherer[_Outgoing, Outcome] = Gatherer(
            self._call,
            most_items=_MOST_ITEMS,
            most_weight=_MOST_BYTES,
            weigh=lambda one: one.size,
            linger_seconds=_LINGER_SECONDS,
        )
        self._silent = False
        self._trying = threading.Lock()

    def send(self, message: Message) -> SendResult:
        """Return the result, with the response of the message's own kind: one of those that `SendItem` has.

        Raises NotifyError: why it was not accepted, with what is left of the service's limits among its
        facts; UNAVAILABLE or DEADLINE_EXCEEDED also where that is not known in the end. A client that sends
        an Idempotency-Key repeats its request without harm then.
        """
        if not self._silent:
            return self._send(message)
        if not self._trying.acquire(blocking=False):
            raise NotifyError("UNAVAILABLE")
        try:
            return self._send(message)
        finally:
            self._trying.release()

    def _send(self, message: Message) -> SendResult:
        item = SendItem(
            **{_KINDS[type(message)]: message},  # type: ignore[arg-type] # each its own kind
            origin_request_id=current.request_id.get(),
            traceparent=current.traceparent.get(),
        )
        outcome = self._attempt(item)
        if _is_unknown(outcome) and _seconds_left() > _LEAST_SECONDS:
            get_logger().warning("outcome of a send is not known, asking again")
            item.is_repeat = True
            outcome = self._attempt(item)
        if isinstance(outcome, NotifyError):
            raise outcome.with_traceback(None)
        return outcome

    def _attempt(self, item: SendItem) -> Outcome:
        seconds = _seconds_left()
        size = item.ByteSize()
        now = clock.monotonic()
        deadline = current.deadline.get()
        outgoing = _Outgoing(item, size, now + seconds, now + seconds if deadline is None else deadline)
        if size >= _LARGE_BYTES:
            (outcome,) = self._call([outgoing])
        else:
            (outcome,) = self._gatherer.submit([outgoing], seconds)
        if isinstance(outcome, NotifyError) and outcome.reason == "OVERLOADED":
            # its answer had no room beside the others'; alone it has
            (outcome,) = self._call([outgoing])
        return outcome

    def _call(self, several: Sequence[_Outgoing]) -> list[Outcome]:
        """Make one call for all of them. Raises nothing: a failed call is the outcome of each."""
        now = clock.monotonic()
        taken = [one for one in several if one.deadline - now >= _LEAST_SECONDS]
        outcomes = iter(self._call_in_time(taken, now) if taken else [])
        return [
            next(outcomes) if one.deadline - now >= _LEAST_SECONDS else NotifyError("DEADLINE_EXCEEDED")
            for one in several
        ]

    def _call_in_time(self, several: Sequence[_Outgoing], now: float) -> list[Outcome]:
        request = BatchSendRequest()
        for one in several:
            left = max(0.0, one.until - now - _WAY_BACK_SECONDS)
            one.item.time_left.FromMicroseconds(int(left * 1_000_000))
            request.items.append(one.item)
        # As long as for the most patient of them: where the others' attempts end before, an answer that is
        # late is still better than none. But none waits for others beyond its request's end.
        timeout = max(one.until for one in several) - now
        timeout = min(max(timeout, _LEAST_SECONDS), min(one.deadline for one in several) - now)
        try:
            response = self._clients.notifications.BatchSend(request, timeout=timeout)
        except NotifyError as error:
            self._silent = error.reason == "DEADLINE_EXCEEDED" and timeout > SEND_SECONDS / 2
            return [_unknown(error)] * len(several)
        self._silent = False
        return [outcome_of(result) for result in response.results]


def outcome_of(result: SendResult) -> Outcome:
    """Return the result of a message that was accepted, or why it was not, with what is left of the limits
    among its facts.
    """
    if result.WhichOneof("result") != "error":
        return result
    error = status.from_bytes(result.error)
    if result.HasField("quota"):
        error.metadata = {**error.metadata, **quota_facts(result.quota)}
    return error


def _unknown(error: NotifyError) -> NotifyError:
    return NotifyError(error.reason, error.message, metadata={"outcome": "unknown"}, code=error.code)


def _is_unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, NotifyError) and outcome.metadata.get("outcome") == "unknown"


def _seconds_left() -> float:
    left = current.time_left()
    return SEND_SECONDS if left is None else min(left, SEND_SECONDS)
