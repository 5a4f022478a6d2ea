"""`python -m notify_capacity --messages 100000000`: what a day's messages need (docs/scaling.md)."""

import argparse
import sys
from collections.abc import Sequence

from notify_capacity.measured import MEASURED
from notify_capacity.model import Load, Plan, plan
from notify_capacity.simulation import flood, run_day


def main(told: Sequence[str] | None = None) -> int:
    """Print the plan that arguments ask for (by default the process's); return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m notify_capacity", description=__doc__)
    parser.add_argument("--messages", type=float, required=True, help="accepted a day, all channels")
    parser.add_argument("--peak-factor", type=float, default=5.0, help="the busiest minute against the mean")
    parser.add_argument(
        "--mix", default="0.5,0.48,0.02", help="shares of texts, emails and letters, together 1"
    )
    parser.add_argument("--told", type=float, default=0.5, help="share that services are told of by callback")
    parser.add_argument("--days", type=int, default=7, help="for which messages are kept")
    parser.add_argument("--provider-ms", type=float, default=60.0, help="that a provider's call takes")
    parser.add_argument("--simulate", action="store_true", help="run a day and a flood in seconds as well")
    parser.add_argument("--constants", action="store_true", help="print what was measured, and how")
    arguments = parser.parse_args(told)
    try:
        sms, email, letter = (float(share) for share in arguments.mix.split(","))
        load = Load(
            arguments.messages,
            arguments.peak_factor,
            sms,
            email,
            letter,
            arguments.told,
            arguments.days,
            arguments.provider_ms,
        )
    except ValueError as error:
        parser.error(str(error))
    if arguments.constants:
        for name, one in MEASURED.items():
            print(f"{name:32} {one.value:10.3f} {one.unit}; {one.command}; {one.source}")
    made = plan(load)
    print_plan(made)
    if arguments.simulate:
        simulate(made)
    return 0


def print_plan(made: Plan) -> None:
    """Print a plan as a table."""
    load = made.load
    print(f"{load.messages_a_day:,.0f} messages a day, {load.peak:,.0f} a second at the peak")
    print(f"{'process':26}{'count':>7}{'processors':>12}{'connections':>13}")
    for need in made.needs:
        print(f"{need.process:26}{need.count:7}{need.processors:12.1f}{need.connections:13}")
    print(f"{'database':26}{'GiB':>7}{'processors':>12}{'connections':>13}")
    for name, gib in made.gib.items():
        connections = made.connections(name)
        print(f"{name:26}{gib:7,.0f}{made.database_processors[name]:12.1f}{connections:13}")
    print(f"together: {made.processes} processes, {made.processors:.0f} processors at the peak")


def simulate(made: Plan) -> None:
    """Run the day, and a flood beside ordinary tenants, and print who waited how long."""
    load = made.load
    rate = load.peak / 0.6
    day = run_day(load, rate)
    print(
        f"a day: {day.handled:,.0f} handled, {day.left:,.0f} left at midnight, "
        f"longest wait {day.longest_wait:.1f} s, longest queue {day.longest_queue:,.0f}"
    )
    others = 100
    count = load.messages_a_day / 50
    for fair in (True, False):
        longest = flood(others, load.peak * 0.6 / others, count, rate, fair=fair)
        name = "fair shares" if fair else "first come, first served"
        print(f"a flood of {count:,.0f}, {name}: others wait {longest['others']:.0f} s at most")


if __name__ == "__main__":
    sys.exit(main())
