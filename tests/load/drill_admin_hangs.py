"""What sends come to while admin hangs instead of dying: `make drill-admin-hangs`.

Starts the platform with two services, of which one has sent before and one has not, stops admin with SIGSTOP
for SECONDS, and meanwhile sends RATE texts a second, every tenth for the service that is not known by heart.
Prints the statuses and the slowest send; fails where a send took longer than BOUND_SECONDS, or admin did not
come back. Admin is continued at the end, whatever happens.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from notify_local.backing import wait_until
from notify_local.seed import seed
from stacks import running_stack
from texts import Sent, at_rate, send, summary

BOUND_SECONDS: Final = 3.0
ROUNDING_SECONDS: Final = 0.25
"""What the client, the network and the way through the gateway's queue may add."""
STRANGER_SHARE: Final = 10
BACK_SECONDS: Final = 10.0
"""How long after admin goes on a service that is not known by heart may wait for its first text."""


def main() -> int:
    """Return the exit status: 0 where the bound was kept and admin came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long admin hangs, at most 120")
    parser.add_argument("--rate", type=int, default=20, help="texts a second, at most 100")
    arguments = parser.parse_args()
    seconds, rate = min(arguments.seconds, 120.0), min(arguments.rate, 100)
    with running_stack() as stack:
        known, stranger = seed(stack, "Known"), seed(stack, "Stranger")
        for _ in range(20):  # each of the gateway's processes learns it
            send(stack, known)
        services = [stranger] + [known] * (STRANGER_SHARE - 1)
        count = round(seconds * rate)
        with stack.frozen("admin"):
            sent = at_rate(count, rate, lambda number: send(stack, services[number % STRANGER_SHARE]))
        strangers = sent[::STRANGER_SHARE]
        others = [one for number, one in enumerate(sent) if number % STRANGER_SHARE]
        kept = all([_say("known", others, {201}), _say("not known", strangers, {201, 503})])
        back = wait_until(lambda: send(stack, stranger).status == 201, BACK_SECONDS, interval=0.2)
        word, there = "kept" if kept else "BROKEN", "is" if back else "IS NOT"
        print(f"bound {BOUND_SECONDS:.0f} s: {word}; admin {there} back")
        return 0 if kept and back else 1


def _say(what: str, sent: Sequence[Sent], expected: set[int]) -> bool:
    """Print what became of one service's texts; returns whether all was as it should be."""
    print(f"{what:10} {summary(sent)}", flush=True)
    told = all(one.has_retry_after for one in sent if one.status == 503)
    slowest = max(one.seconds for one in sent)
    return slowest <= BOUND_SECONDS + ROUNDING_SECONDS and told and {one.status for one in sent} <= expected


if __name__ == "__main__":
    sys.exit(main())
