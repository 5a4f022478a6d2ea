"""How calls of services end, when they are made again, and when an endpoint is left alone."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

MOST_ATTEMPTS: Final = 6
"""Of one event, unless it is asked for again (public-api.md §6.2)."""
RETRY_SECONDS: Final = 300.0
"""Between two of them (public-api.md §6.2)."""
KEPT: Final = timedelta(days=3)
"""How long an event is kept: the shortest retention that a service can have for its messages."""

FAILURES_BEFORE_PAUSE: Final = 5
LONGEST_PAUSE_SECONDS: Final = 300.0
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with is none


class CallbackState(StrEnum):
    """Where an event stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    """The service took it."""
    REFUSED = "refused"
    """The service answered that it never will."""
    FAILED = "failed"
    """All attempts were used up."""
    REMOVED = "removed"
    """The service has no callback of this kind any more."""


class Verdict(StrEnum):
    """What the end of one call says."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    RETRYABLE = "retryable"


def judge(status: int) -> Verdict:
    """Return what an answer says; a `status` of 0 stands for none (public-api.md §6.2).

    Redirects are not followed, since whoever is led elsewhere would be told what is the service's alone. They
    are tried again, as they come from pages that say "back soon" as well.
    """
    if 200 <= status < 300:
        return Verdict.DELIVERED
    return Verdict.REFUSED if 400 <= status < 500 and status != 429 else Verdict.RETRYABLE


def state_after(verdict: Verdict, attempts: int) -> CallbackState:
    """Return where an event stands after so many attempts, of which the last ended so."""
    match verdict:
        case Verdict.DELIVERED:
            return CallbackState.DELIVERED
        case Verdict.REFUSED:
            return CallbackState.REFUSED
        case Verdict.RETRYABLE:
            return CallbackState.FAILED if attempts >= MOST_ATTEMPTS else CallbackState.WAITING


@dataclass(slots=True)
class Endpoint:
    """What is known of the URL that a service is called at. Times are readings of the monotonic clock.

    After five failures in a row it is left alone, for longer each time, and then asked by one call at a time
    until one goes well.
    """

    url: str
    calls: int = 0
    """Under way."""
    failures: int = 0
    """In a row."""
    pauses: int = 0
    """In a row."""
    paused_at: float = float("-inf")
    paused_until: float = float("-inf")

    def room(self, now: float, free: int) -> int:
        """Return how many more calls may begin where `free` places are left for all endpoints.

        None has more calls under way than places are free, so that however many are slow, some are left.
        """
        if now < self.paused_until:
            return 0
        most = min(1, free) if self.pauses else free
        return max(0, most - self.calls)

    def begin(self) -> None:
        """Count a call that begins."""
        self.calls += 1

    def end(self, verdict: Verdict, started: float, now: float, pause_seconds: float) -> None:
        """Count a call that ended.

        Args:
            started: when it began: one from before the pause says nothing new.
            pause_seconds: length of the first pause.
        """
        self.calls -= 1
        if verdict is not Verdict.RETRYABLE:
            self.failures = self.pauses = 0
            self.paused_until = float("-inf")
            return
        self.failures += 1
        if self.failures >= FAILURES_BEFORE_PAUSE and started >= self.paused_at:
            length = min(LONGEST_PAUSE_SECONDS, pause_seconds * 2.0 ** min(self.pauses, 20))
            self.pauses += 1
            self.paused_at, self.paused_until = now, now + length

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.calls or self.failures)


def signed_headers(id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the headers of the Standard Webhooks scheme: one signature for each secret, newest first.

    Args:
        timestamp: seconds since 1970 of this attempt.
        secrets: `whsec_` and Base64; without any, nothing is signed.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    signed = f"{id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})


def bearer(token: str) -> str | None:
    """Return the header that says who calls; None for a token that no header can hold."""
    return f"Bearer {token}" if token.isascii() and token.isprintable() else None


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a signing secret should be Base64") from None
