"""Send messages while processes are killed at random and the database once, then count: `make chaos-kills`.

Eight clients send texts and emails, and repeat what was not answered with the same Idempotency-Key.
Meanwhile notifications, providers and their workers, NOTIFY_COPIES of each, die as by `kill -9`, one or two
at a time, at random, once for each 250 messages at least; half-way PostgreSQL does. Texts go to a stand-in
for MMG, which counts the copies that it takes and reports on each; what nobody knows of is held in doubt
after a short wait. Then an operator decides by what MMG says it took, and there is a census: each accepted
message was handed over exactly once, nothing else was, and the day's counters are right. A text that is
doubled although the in-doubt list does not name it, or lost, is a fault.

Prints the seed, and a line now and then; ends with status 1 if a message was lost or doubled.
"""

import argparse
import random
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from notify.providers.v1 import dispatch_service_pb2 as dispatch_pb
from notify.providers.v1 import provider_settings_service_pb2 as settings_pb
from notify.providers.v1.dispatch_pb2 import Dispatch
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify.providers.v1.provider_settings_service_pb2_grpc import ProviderSettingsServiceStub

from tests.chaos.faults import Fault, execute, postgres_ended
from tests.chaos.run import CLIENTS, VALUES, Census, Sent, Verdict, judge
from tests.harness.house import (
    AGAIN,
    ASK_SECONDS,
    SETTLE_SECONDS,
    Accepted,
    House,
    eventually,
)

MESSAGES: Final = 10_000
MESSAGES_A_DEATH: Final = 250
"""Clients don't get further ahead of the deaths than this, however long processes take to start again."""
DEATH_SECONDS: Final = 60.0
"""For how long a client waits for a death that does not come."""
VICTIMS: Final = ("notifications", "notifications-work", "providers", "providers-work")
UNKNOWN_SECONDS: Final = 5
"""For how long a receipt is waited for where nobody knows how a call ended."""
LEASES: Final = {
    "notifications-work": ("notifications", "outbox"),
    "providers-work": ("providers", "dispatches"),
}
_PAGE: Final = 250


@dataclass
class Deaths:
    """What was killed, and how often."""

    seed: int
    counted: Counter[str] = field(default_factory=Counter)
    _died: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def add(self, name: str) -> None:
        """Count one."""
        with self._died:
            self.counted[name] += 1
            self._died.notify_all()

    def wait_for(self, number: int) -> None:
        """Wait until there were so many, but not for ever."""
        with self._died:
            self._died.wait_for(lambda: self.counted.total() >= number, DEATH_SECONDS)

    def __str__(self) -> str:
        times = ", ".join(f"{name} {number}" for name, number in sorted(self.counted.items()))
        return f"seed {self.seed}: {times}"


def send_through_deaths(
    house: House,
    messages: int,
    deaths: Deaths,
    pause_seconds: tuple[float, float],
    *,
    wait_for_leases: bool,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Verdict, list[str]]:
    """Send, kill, let an operator decide, and count; return what was found, and what was in doubt.

    Args:
        pause_seconds: least and most time between deaths.
        wait_for_leases: whether what a dead worker held is free when its lease runs out, or at once, as if
            that time had passed while it was dead; of two copies the other one's leases go on.
    """
    draw = random.Random(deaths.seed)
    census = Census(house)
    sent = Sent(Fault("kills", VICTIMS, "", postgres_ended(signal.SIGKILL)))
    with unknown_outcomes_wait(house, UNKNOWN_SECONDS), house.texts_go_to_mmg():
        over = threading.Event()
        reaper = threading.Thread(
            target=_kill, args=(house, draw, deaths, pause_seconds, over), kwargs={"wait": wait_for_leases}
        )
        with ThreadPoolExecutor(CLIENTS) as pool:
            under_way = [pool.submit(_send, house, number, deaths) for number in range(messages)]
            reaper.start()
            try:
                for number, one in enumerate(under_way, start=1):
                    sent.accepted.append(one.result())
                    if number == messages // 2:
                        # not by the thread that kills: it may be waiting for a process to start
                        with postgres_ended(signal.SIGKILL)(house):
                            deaths.add("postgres")
                    if number % (messages // 10) == 0:
                        say(f"{number:,} accepted; {deaths}")
            finally:
                over.set()
                reaper.join()
        say("waiting until everything has arrived or is in doubt")
        doubtful = _decide(house, sent.ids)
        return census.take([sent], redis_too=False), doubtful


def _send(house: House, number: int, deaths: Deaths) -> Accepted:
    deaths.wait_for(number // MESSAGES_A_DEATH)
    templates = house.seeded.templates
    if number % 2:
        to = {"email_address": f"person-{number}@example.com"}
        return house.send("email", {"template_id": templates["email"], "personalisation": VALUES, **to})
    body = {"template_id": templates["sms"], "phone_number": f"07400{number:06d}", "personalisation": VALUES}
    return house.send("sms", body)


def _kill(
    house: House,
    draw: random.Random,
    deaths: Deaths,
    pause_seconds: tuple[float, float],
    over: threading.Event,
    *,
    wait: bool,
) -> None:
    victims = [copy for name in VICTIMS for copy in house.stack.copies_of(name)]
    while not over.wait(draw.uniform(*pause_seconds)):
        names = draw.sample(victims, draw.choice((1, 1, 2)))
        for name in names:
            house.stack.kill(name)
            deaths.add(name)
        if not wait and not house.stack.has_copies:
            for name in names:
                _end_leases(house, name)
        house.stack.restart(*names)


def _end_leases(house: House, name: str) -> None:
    """Do what the time of a lease does to the rows of a worker that is dead; nobody else holds any."""
    if name in LEASES:
        context, table = LEASES[name]
        ended = f"UPDATE {table} SET due_at = now(), leased_until = now() WHERE leased_until > now()"
        try:
            execute(house, context, ended)
        except Exception:
            return


@contextmanager
def unknown_outcomes_wait(house: House, seconds: int) -> Iterator[None]:
    """Have MMG's texts of unknown outcome wait so long for a receipt while the block runs."""
    before = _set_wait(house, Duration(seconds=seconds))
    try:
        yield
    finally:
        _set_wait(house, before)


def _set_wait(house: House, wait: Duration) -> Duration:
    with house.channel("providers") as channel:
        stub = ProviderSettingsServiceStub(channel)
        listed = stub.ListProviders(settings_pb.ListProvidersRequest(), timeout=ASK_SECONDS)
        mmg = next(one for one in listed.providers if one.name == "mmg")
        before = Duration(seconds=mmg.unknown_outcome_wait.seconds)
        mmg.unknown_outcome_wait.CopyFrom(wait)
        request = settings_pb.UpdateProviderRequest(provider=mmg, reason="kills")
        request.update_mask.paths.append("unknown_outcome_wait")
        stub.UpdateProvider(request, timeout=ASK_SECONDS)
        return before


def _decide(house: House, ids: Sequence[str]) -> list[str]:
    """Wait until all have arrived; meanwhile decide what is in doubt by what MMG took, as an operator would.

    Return the ids that were in doubt.
    """
    doubtful: list[str] = []

    def arrived() -> bool:
        for id in _in_doubt(house):
            if id not in doubtful:
                doubtful.append(id)
            _resolve(house, id, taken=house.mmg.taken[id] > 0)
        return house.states(list(ids)) == {"delivered": len(ids)}

    eventually(arrived, SETTLE_SECONDS)
    return doubtful


def _in_doubt(house: House) -> list[str]:
    request = dispatch_pb.ListDispatchesRequest(state=Dispatch.STATE_IN_DOUBT, page_size=_PAGE)
    found: list[str] = []
    with house.channel("providers") as channel:
        stub = DispatchServiceStub(channel)
        while True:
            page = stub.ListDispatches(request, timeout=ASK_SECONDS)
            found += [one.id for one in page.dispatches]
            request.page_token = page.next_page_token
            if not request.page_token:
                return found


def _resolve(house: House, id: str, *, taken: bool) -> None:
    kind = dispatch_pb.ResolveDispatchRequest
    decision = kind.RESOLUTION_MARK_SENT if taken else kind.RESOLUTION_RETRY
    request = kind(service_id=house.seeded.service_id, dispatch_id=id, resolution=decision)
    with house.channel("providers") as channel:
        try:
            DispatchServiceStub(channel).ResolveDispatch(request, timeout=ASK_SECONDS)
        except grpc.RpcError as error:
            # a receipt may have decided meanwhile
            if error.code() not in (*AGAIN, grpc.StatusCode.FAILED_PRECONDITION):
                raise


def report(verdict: Verdict, doubtful: Sequence[str], deaths: Deaths, messages: int) -> str:
    """Word what was found, as a person reads it."""
    lost, doubled = (sum(map(len, found.values())) for found in (verdict.lost, verdict.doubled))
    lines: list[Any] = [
        str(deaths),
        f"{messages:,} sent, {lost} lost, {doubled} doubled; {len(doubtful)} in doubt until somebody decided",
        f"{len(verdict.unasked)} that no client was told of; counters: {verdict.counters or 'right'}",
    ]
    if verdict.ended:
        lines.append(f"ended by themselves: {', '.join(verdict.ended)}")
    for what, found in (("lost", verdict.lost), ("doubled", verdict.doubled)):
        lines += [f"{what}: {' '.join(ids[:5])}" for ids in found.values() if ids]
    return "\n".join(lines)


def main() -> int:
    """Return the exit status: 0 where nothing was lost, doubled or miscounted."""
    parser = argparse.ArgumentParser(
        prog="make chaos-kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of an earlier run")
    parser.add_argument("--pause", type=float, nargs=2, default=(0.5, 5.0), help="seconds between deaths")
    arguments = parser.parse_args()
    deaths = Deaths(arguments.seed)
    print(f"seed {deaths.seed}", flush=True)

    def work(house: House, say: Callable[[str], None]) -> tuple[str, Verdict]:
        verdict, doubtful = send_through_deaths(
            house, arguments.messages, deaths, tuple(arguments.pause), wait_for_leases=True, say=say
        )
        return report(verdict, doubtful, deaths, arguments.messages), verdict

    return judge("notify-kills-", work)


if __name__ == "__main__":
    sys.exit(main())
