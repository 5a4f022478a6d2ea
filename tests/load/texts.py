"""Texts for drills: sent one by one at a steady rate, whatever becomes of those before."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final, NamedTuple, TypeVar

import jwt
import requests
from notify_local.seed import Seeded
from notify_local.stack import Stack

SENDERS: Final = 64

T = TypeVar("T")


class Sent(NamedTuple):
    """What became of one text."""

    at: float
    """Reading of the monotonic clock at which it was sent."""
    status: int
    seconds: float
    has_retry_after: bool
    id: str
    """Of the message, where it was accepted."""

    @property
    def answered_at(self) -> float:
        """Reading of the monotonic clock at which the answer was there."""
        return self.at + self.seconds


def send(stack: Stack, service: Seeded) -> Sent:
    """Send a text with a service's live key, once."""
    key = service.api_keys["normal"]
    token = jwt.encode({"iss": service.service_id, "iat": int(time.time())}, key[-36:], "HS256")
    started = time.monotonic()
    answer = requests.post(
        f"{stack.base_url}/v2/notifications/sms",
        json={
            "template_id": service.templates["sms"],
            "phone_number": "07700900123",
            "personalisation": {"name": "Ada", "date": "Monday"},
        },
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    seconds = time.monotonic() - started
    id = str(answer.json()["id"]) if answer.status_code == 201 else ""
    return Sent(started, answer.status_code, seconds, "Retry-After" in answer.headers, id)


def at_rate(count: int, rate: float, act: Callable[[int], T]) -> list[T]:
    """Begin `act(0)` to `act(count - 1)`, `rate` a second, in threads; return what they returned."""
    started = time.monotonic()
    pause = Event()
    with ThreadPoolExecutor(SENDERS) as pool:
        under_way = []
        for number in range(count):
            pause.wait(max(0.0, started + number / rate - time.monotonic()))
            under_way.append(pool.submit(act, number))
        return [one.result() for one in under_way]


def summary(sent: Sequence[Sent]) -> str:
    """Say how many had which status, the median and the slowest."""
    statuses = Counter(one.status for one in sent)
    shown = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    seconds = sorted(one.seconds for one in sent)
    return f"{shown}; p50 {seconds[len(seconds) // 2] * 1000:.0f} ms, slowest {seconds[-1]:.2f} s"
