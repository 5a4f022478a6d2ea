"""Handing over by one HTTP request a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_common.logging import describe_exception, get_logger

from notify_providers.clients.base import Report
from notify_providers.domain.dispatch import CallResult, Outcome
from notify_providers.domain.message import Message


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer says about a message. `reason` is a short stable word, empty if it was accepted."""

    outcome: Outcome
    reason: str = ""


ACCEPTED = Verdict(Outcome.ACCEPTED)
NO_ANSWER = Verdict(Outcome.UNKNOWN, "bad_answer")
"""Of an answer that is none of the provider's protocol: the provider may have the message."""

_CAN_T_BE_MADE = Verdict(Outcome.RETRYABLE, "request_failed")


class HttpProviderClient:
    """A ProviderClient of a provider that takes each message in one HTTP request."""

    def __init__(
        self,
        http: HttpCaller,
        request: Callable[[Message], HttpRequest | Verdict],
        judge: Callable[[HttpAnswer], Verdict],
    ) -> None:
        """Args:
        request: returns what hands a message over, or the verdict on one that can't be.
        judge: returns what a complete answer says; `by_status` helps with those that are not 2xx.
        """
        self._http = http
        self._request = request
        self._judge = judge

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """See ProviderClient. It returns before the calls end."""
        for message in messages:
            try:
                request = self._request(message)
            except Exception as error:
                # Nothing was sent, and the others have nothing to do with it.
                get_logger().error("request can't be made", **describe_exception(error))
                request = _CAN_T_BE_MADE
            if isinstance(request, Verdict):
                report(CallResult(message.id, message.attempt, request.outcome, request.reason))
            else:
                self._http.call(request, self._reporter(message, report))

    def close(self) -> None:
        """See ProviderClient. The HTTP caller is closed by who made it."""

    def _reporter(self, message: Message, report: Report) -> Callable[[HttpAnswer], None]:
        def done(answer: HttpAnswer) -> None:
            verdict = without_answer(answer) or self._judge(answer)
            report(CallResult(message.id, message.attempt, verdict.outcome, verdict.reason))

        return done


def without_answer(answer: HttpAnswer) -> Verdict | None:
    """Return what it says that no complete answer came; None if one did."""
    if not answer.failure:
        return None
    return Verdict(Outcome.UNKNOWN if answer.request_was_sent else Outcome.RETRYABLE, answer.failure)


def by_status(answer: HttpAnswer) -> Verdict | None:
    """Return what the status of an answer says: None for 2xx.

    4xx and 503 say that the request was not acted on. Whoever answers 500, 502 or 504, or redirects, may have
    handed it on before (RFC 9110 §15.4 to §15.6).
    """
    if 200 <= answer.status < 300:
        return None
    refused = 400 <= answer.status < 500 or answer.status == 503
    return Verdict(Outcome.RETRYABLE if refused else Outcome.UNKNOWN, f"http_{answer.status}")
