"""MMG, a provider of text messages (pipeline.md §3.1)."""

import json
from collections.abc import Callable, Sequence

from notify_providers.clients.base import Report
from notify_providers.clients.http import BAD_ANSWER, HttpAnswer, HttpCaller, HttpRequest
from notify_providers.domain.dispatch import ACCEPTED, RETRYABLE, CallResult
from notify_providers.domain.message import Message, SmsContent


class MmgClient:
    """Sends texts through MMG's JSON interface, one call a message, our id as its `cid`.

    Whatever is not a 2xx answer with a JSON body is worth another try, refusals included (pipeline.md §3.7).
    """

    name = "mmg"

    def __init__(self, http: HttpCaller, url: str, api_key: str, receipt_url: str = "") -> None:
        """`receipt_url` is where MMG reports to; empty leaves that to MMG's own settings."""
        self._http = http
        self._url = url
        self._receipt_url = receipt_url
        self._headers = {"Content-Type": "application/json", "Authorization": f"Basic {api_key}"}

    def send(self, messages: Sequence[Message], report: Report) -> None:
        """As of ProviderClient. Returns before the calls end."""
        for message in messages:
            request = HttpRequest(self._url, self._headers, self._body(message), message.start_before)
            self._http.call(request, self._reporter(message, report))

    def close(self) -> None:
        """As of ProviderClient; the HTTP caller belongs to who made it."""

    def _body(self, message: Message) -> bytes:
        content = message.content
        if not isinstance(content, SmsContent):
            raise TypeError("MMG takes text messages only")
        fields: dict[str, object] = {
            "reqType": "BULK",
            "MSISDN": content.phone_number,
            "msg": content.body,
            "sender": content.sender,
            "cid": str(message.id),
            "multi": True,
        }
        if self._receipt_url:
            fields["delurl"] = self._receipt_url
        return json.dumps(fields).encode()

    def _reporter(self, message: Message, report: Report) -> Callable[[HttpAnswer], None]:
        def done(answer: HttpAnswer) -> None:
            reason = answer.failure or _refusal(answer)
            report(CallResult(message.id, message.attempt, RETRYABLE if reason else ACCEPTED, reason))

        return done


def _refusal(answer: HttpAnswer) -> str:
    if not 200 <= answer.status < 300:
        return f"http_{answer.status}"
    try:
        json.loads(answer.body)
    except (ValueError, RecursionError):
        return BAD_ANSWER
    return ""
