"""What clients that owe the rest of a body cost the others: `make drill-idle-bodies`.

Starts the platform with its edge, opens CONNECTIONS that owe the last byte of a small body, then LARGE that
owe the last byte of 10 MB, and meanwhile asks for the status on new connections. Prints a table; fails where
somebody waited longer than BOUND_SECONDS.
"""

import argparse
import statistics
import sys
from pathlib import Path

import psutil
from stacks import running_stack

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.harness.owed_bodies import OwedBodies, allow_many_connections, answer_seconds

BOUND_SECONDS = 1.0
ASKED = 200
LARGE_BYTES = 10_000_000


def main() -> int:
    """Return the exit status: 0 where nobody else waited longer than the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=4096)
    parser.add_argument("--large", type=int, default=60)
    arguments = parser.parse_args()
    allow_many_connections()
    with running_stack(with_edge=True) as stack:
        edge = psutil.Process(stack.processes["edge"].pid)
        slowest = [
            _say("nothing else", stack.port, edge, None),
            _say(
                f"{arguments.connections} connections owe 1 byte",
                stack.port,
                edge,
                OwedBodies(stack.port, arguments.connections, 2),
            ),
            _say(
                f"{arguments.large} connections owe 1 byte of 10 MB",
                stack.port,
                edge,
                OwedBodies(stack.port, arguments.large, LARGE_BYTES),
            ),
        ]
    kept = max(slowest) <= BOUND_SECONDS
    print(f"bound {BOUND_SECONDS:.0f} s: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def _say(what: str, port: int, edge: psutil.Process, owed: OwedBodies | None) -> float:
    if owed is None:
        taken = answer_seconds(port, ASKED)
    else:
        with owed:
            taken = answer_seconds(port, ASKED)
    answered = [seconds for seconds in taken if seconds != float("inf")]
    middle = statistics.median(answered) * 1000 if answered else float("inf")
    print(
        f"{what:36} others answered {len(answered)} of {len(taken)}, p50 {middle:.1f} ms, "
        f"slowest {max(taken) * 1000:.0f} ms; edge {edge.memory_info().rss / 2**20:.0f} MiB"
        + (f"; {owed.refused} of them cut off" if owed else ""),
        flush=True,
    )
    return max(taken)


if __name__ == "__main__":
    sys.exit(main())
