"""How long reads of the admin web app take, 200 at once: `make bench-admin`.

Starts the platform without its edge and reads, over 200 connections, each again as soon as it was answered,
what the app's pages read most: a service, its templates, one template, members, keys, the lists of senders,
what was sent, counts. The same number of reads is then asked of a bare skeleton (Flask, one gRPC hop, one
select), in turns: whoever has 200 unanswered at once waits 200 times as long as one answer keeps the machine
busy, so its wait is the least that this stack can have here. Prints the percentiles of the waits, processor
time and one JSON line; ends with 1 where an answer was not 200. On a machine that is busy with other things
go by the processor time and the ratio.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from http_load import LoadResult, http_request, run_load
from meter import Meter, pids
from notify_local.seed import fixed_id, seed
from notify_local.stack import ADMIN_CLIENT_SECRET
from notify_testing.folders import passable_folder
from skeleton import ROW
from stacks import SKELETON, running_skeleton, running_stack

CONNECTIONS: Final = 200
TOKEN_SECONDS: Final = 10.0
BOUND_MS: Final = 100.0
ROUNDS: Final = 4
MEASURED: Final = ("gateway-internal", "admin", "notifications")


class Tokens:
    """A token of the app, made anew from time to time as it holds for 30 seconds."""

    def __init__(self) -> None:
        self._made = 0.0
        self._token = ""

    def now(self) -> str:
        """Return one that holds."""
        if time.monotonic() - self._made > TOKEN_SECONDS:
            claims = {"iss": "notify-admin", "iat": int(time.time())}
            self._token, self._made = jwt.encode(claims, ADMIN_CLIENT_SECRET, "HS256"), time.monotonic()
        return self._token


def main() -> int:
    """Return the exit status: 0 where every answer was 200."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000)
    requests: int = parser.parse_args().requests
    with ExitStack() as exits:
        stack = exits.enter_context(running_stack())
        seeded = seed(stack)
        service = f"/service/{seeded.service_id}"
        paths = [
            service,
            f"{service}/template",
            f"{service}/template/{seeded.templates['sms']}",
            f"{service}/users",
            f"{service}/api-keys",
            f"{service}/sms-sender",
            f"{service}/email-reply-to",
            f"{service}/template-folder",
            f"{service}/notifications",
            f"{service}/template-statistics?limit_days=7",
            f"/user/{fixed_id('user')}",
        ]
        tokens = Tokens()

        def read(number: int) -> bytes:
            headers = {"Authorization": f"Bearer {tokens.now()}"}
            return http_request("GET", paths[number % len(paths)], headers)

        def read_bare(number: int) -> bytes:
            return http_request("GET", f"/read/{ROW}", {})

        port, skeleton = exits.enter_context(
            running_skeleton(stack, exits.enter_context(passable_folder("notify-bench-")))
        )
        platform = pids(stack, MEASURED, ["postgres"])
        turns = {
            "platform": Turns(stack.internal_gateway_port, read, Meter(platform)),
            SKELETON: Turns(port, read_bare, Meter(skeleton | {"postgres": platform["postgres"]})),
        }
        for turn in turns.values():
            turn.run(8, 8 * len(paths))  # caches, connections and prepared statements
        for number in range(ROUNDS):
            for turn in turns.values():
                turn.measure(-(-requests // ROUNDS))
            print(f"round {number + 1} of {ROUNDS}", flush=True)
    figures = {name: turn.figures() for name, turn in turns.items()}
    kept = figures["platform"]["p95_ms"] <= BOUND_MS
    for name, found in figures.items():
        print(f"{name}: {found}")
    print(f"bound of p95, {BOUND_MS:.0f} ms: {'kept' if kept else 'NOT KEPT'}")
    print(json.dumps({"bench": "admin", "connections": CONNECTIONS, "requests": requests, **figures}))
    return 0 if all(set(turn.result.statuses) == {200} for turn in turns.values()) else 1


@dataclass
class Turns:
    """Reads of one kind, a turn at a time, and what they came to."""

    port: int
    make: Callable[[int], bytes]
    meter: Meter
    result: LoadResult = field(default_factory=LoadResult)
    processor: Counter[str] = field(default_factory=Counter)
    """Seconds, by process."""

    def run(self, connections: int, requests: int) -> LoadResult:
        """One turn."""
        return run_load(self.port, self.make, connections=connections, requests=requests)

    def measure(self, requests: int) -> None:
        """One turn that counts."""
        before = self.meter.read()
        found = self.run(CONNECTIONS, requests)
        self.processor.update({name: after - before[name] for name, after in self.meter.read().items()})
        self.result.seconds += found.seconds
        self.result.latencies += found.latencies
        self.result.statuses += found.statuses

    def figures(self) -> dict[str, Any]:
        """Reads a second, percentiles of the waits, processor time of each process for a read."""
        answers = len(self.result.latencies)
        return {
            "statuses": dict(self.result.statuses),
            "per_second": round(self.result.per_second),
            **{f"p{percent}_ms": round(self.result.percentile(percent), 1) for percent in (50, 95, 99)},
            "processor_us": {name: round(spent / answers * 1e6) for name, spent in self.processor.items()},
        }


if __name__ == "__main__":
    sys.exit(main())
