"""How long reads of the admin web app take, 200 at once: `make bench-admin`.

Starts the platform without its edge and reads, over 200 connections, each again as soon as it was answered,
what the app's pages read most: a service, its templates, one template, members, keys, the lists of senders,
what was sent, counts. Prints the percentiles of the waits and one JSON line; ends with 1 where an answer was
not 200. On a machine that is busy with other things the figures say little.
"""

import argparse
import json
import sys
import time
from typing import Final

import jwt
from http_load import http_request, run_load
from notify_local.seed import fixed_id, seed
from notify_local.stack import ADMIN_CLIENT_SECRET
from stacks import running_stack

CONNECTIONS: Final = 200
TOKEN_SECONDS: Final = 10.0
BOUND_MS: Final = 100.0


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
    with running_stack() as stack:
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

        def make(number: int) -> bytes:
            headers = {"Authorization": f"Bearer {tokens.now()}"}
            return http_request("GET", paths[number % len(paths)], headers)

        run_load(stack.internal_gateway_port, make, connections=8, requests=8 * len(paths))
        found = run_load(stack.internal_gateway_port, make, connections=CONNECTIONS, requests=requests)
    figures = {
        "connections": CONNECTIONS,
        "requests": len(found.latencies),
        "per_second": round(found.per_second),
        **{f"p{percent}_ms": round(found.percentile(percent), 1) for percent in (50, 95, 99)},
    }
    kept = figures["p95_ms"] <= BOUND_MS
    print(f"answers by status: {dict(found.statuses)}")
    print(f"bound of p95, {BOUND_MS:.0f} ms: {'kept' if kept else 'NOT KEPT'}")
    print(json.dumps({"bench": "admin", **figures}))
    return 0 if set(found.statuses) == {200} else 1


if __name__ == "__main__":
    sys.exit(main())
