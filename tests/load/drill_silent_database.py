"""How long sends fail after the database of notifications fell silent: `make drill-silent-database`.

Starts the platform with notifications reaching its database through a proxy, and sends RATE texts a second.
Then the connections that there are go silent, as in a failover whose packets are dropped: nothing comes back
on them and nothing is refused, while new ones work. Prints the statuses, the slowest send, and when texts
were accepted again without a break; fails where that was later than BOUND_SECONDS.
"""

import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import jwt
import requests
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack
from notify_testing.proxy import SilentProxy

BOUND_SECONDS: Final = 5.0
RATE: Final = 10
BEFORE_SECONDS: Final = 3
AFTER_SECONDS: Final = 15
SENDERS: Final = 64


class Sent(NamedTuple):
    """What became of one send."""

    at: float
    """Reading of the monotonic clock at which it was sent."""
    status: int
    seconds: float


def main() -> int:
    """Return the exit status: 0 where texts were accepted again within the bound."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="notify-drill-")))
        folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
        stack = Stack(Options(folder / "stack", console=False))
        exits.callback(stack.stop)
        stack.start(lambda text: print(f"starting {text}", flush=True))
        proxy = exits.enter_context(SilentProxy(stack.app_urls["notifications"]))
        variables = stack.processes["notifications"].environment
        variables["NOTIFY_NOTIFICATIONS_DATABASE_URL"] = proxy.url
        stack.kill("notifications")
        stack.restart("notifications")
        service = seed(stack)
        while _send(stack, service).status != 201:
            pass
        silent_at, sent = _send_all(stack, service, proxy)
    return 0 if _say(sent, silent_at, proxy.accepted) else 1


def _send_all(stack: Stack, service: Seeded, proxy: SilentProxy) -> tuple[float, list[Sent]]:
    """Send through the silence; returns when it began and what became of each send."""
    silent_at = 0.0
    started = time.monotonic()
    pause = threading.Event()
    under_way = []
    with ThreadPoolExecutor(SENDERS) as pool:
        for number in range((BEFORE_SECONDS + AFTER_SECONDS) * RATE):
            pause.wait(max(0.0, started + number / RATE - time.monotonic()))
            if number == BEFORE_SECONDS * RATE:
                proxy.go_silent()
                silent_at = time.monotonic()
            under_way.append(pool.submit(_send, stack, service))
        return silent_at, [one.result() for one in under_way]


def _send(stack: Stack, service: Seeded) -> Sent:
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
    return Sent(started, answer.status_code, time.monotonic() - started)


def _say(sent: list[Sent], silent_at: float, connections: int) -> bool:
    """Print what happened; returns whether the bound was kept."""
    for what, some in (
        ("before", [one for one in sent if one.at < silent_at]),
        ("from the silence on", [one for one in sent if one.at >= silent_at]),
    ):
        statuses = Counter(one.status for one in some)
        shown = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        print(f"{what:20} {shown}; slowest {max(one.seconds for one in some):.2f} s")
    # A send that was under way when the silence began, or that waited for it to end, counts by its answer.
    troubled = [one for one in sent if one.at + one.seconds >= silent_at and one.status != 201]
    seconds = max((one.at + one.seconds for one in troubled), default=silent_at) - silent_at
    accepted = sent[-1].status == 201
    print(f"{connections} connections in all; accepting again after {seconds:.2f} s")
    kept = accepted and seconds <= BOUND_SECONDS
    print(f"bound {BOUND_SECONDS:.0f} s: {'kept' if kept else 'BROKEN'}")
    return kept


if __name__ == "__main__":
    sys.exit(main())
