"""What sends come to while admin hangs instead of dying: `make drill-admin-hangs`.

Starts the platform with two services, of which one has sent before and one has not, stops admin with SIGSTOP
for SECONDS, and meanwhile sends RATE texts a second, every tenth for the service that is not known by heart.
Prints the statuses and the slowest send; fails where a send took longer than BOUND_SECONDS, or admin did not
come back. Admin is continued at the end, whatever happens.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import jwt
import requests
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack

BOUND_SECONDS: Final = 3.0
ROUNDING_SECONDS: Final = 0.25
"""What the client, the network and the way through the gateway's queue may add."""
STRANGER_SHARE: Final = 10
SENDERS: Final = 64


class Sent(NamedTuple):
    """What became of one send."""

    known: bool
    status: int
    seconds: float
    has_retry_after: bool


def main() -> int:
    """Return the exit status: 0 where the bound was kept and admin came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long admin hangs, at most 120")
    parser.add_argument("--rate", type=int, default=20, help="texts a second, at most 100")
    arguments = parser.parse_args()
    seconds, rate = min(arguments.seconds, 120.0), min(arguments.rate, 100)
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="notify-drill-")))
        folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
        stack = Stack(Options(folder / "stack", console=False))
        exits.callback(stack.stop)
        stack.start(lambda text: print(f"starting {text}", flush=True))
        known, stranger = seed(stack, "Known"), seed(stack, "Stranger")
        for _ in range(20):  # each of the gateway's processes learns it
            _send(stack, known, known=True)
        pid = stack.processes["admin"].pid
        assert pid is not None
        with _stopped(pid):
            sent = _send_all(stack, known, stranger, round(seconds * rate), rate)
        kept = all([_say("known", sent, known=True), _say("not known", sent, known=False)])
        back = _comes_back(stack, stranger)
        word, there = "kept" if kept else "BROKEN", "is" if back else "IS NOT"
        print(f"bound {BOUND_SECONDS:.0f} s: {word}; admin {there} back")
        return 0 if kept and back else 1


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _send_all(stack: Stack, known: Seeded, stranger: Seeded, count: int, rate: int) -> list[Sent]:
    """Send `count` texts at `rate` a second, whatever becomes of those before."""
    started = time.monotonic()
    pause = threading.Event()
    with ThreadPoolExecutor(SENDERS) as pool:
        under_way = []
        for number in range(count):
            pause.wait(max(0.0, started + number / rate - time.monotonic()))
            is_known = number % STRANGER_SHARE != 0
            under_way.append(pool.submit(_send, stack, known if is_known else stranger, known=is_known))
        return [one.result() for one in under_way]


def _send(stack: Stack, service: Seeded, *, known: bool) -> Sent:
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
    return Sent(known, answer.status_code, seconds, "Retry-After" in answer.headers)


def _say(what: str, sent: list[Sent], *, known: bool) -> bool:
    """Print what became of one service's texts; returns whether all was as it should be."""
    ours = [one for one in sent if one.known is known]
    statuses = Counter(one.status for one in ours)
    slowest = max(one.seconds for one in ours)
    middle = sorted(one.seconds for one in ours)[len(ours) // 2]
    shown = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    print(f"{what:10} {shown}; p50 {middle * 1000:.0f} ms, slowest {slowest:.2f} s", flush=True)
    told = all(one.has_retry_after for one in ours if one.status == 503)
    expected = set(statuses) <= ({201} if known else {201, 503})
    return slowest <= BOUND_SECONDS + ROUNDING_SECONDS and told and expected


def _comes_back(stack: Stack, service: Seeded) -> bool:
    """Whether the service that was not known can send within 10 s."""
    until = time.monotonic() + 10
    pause = threading.Event()
    while _send(stack, service, known=False).status != 201:
        if time.monotonic() > until:
            return False
        pause.wait(0.2)
    return True


if __name__ == "__main__":
    sys.exit(main())
