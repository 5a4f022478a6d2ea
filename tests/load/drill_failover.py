"""What becomes of texts while their providers fail: one is killed, one answers slowly, all are gone.

Three stand-ins on 127.0.0.1 speak the protocols of MMG, Firetext and Twilio and count the texts that they
take; the first two report each. The worker is the deployed process. Texts come at a steady rate, and in turn:

1. Firetext is killed, with its calls under way, and comes back;
2. MMG answers 200, but only after 3 s, and is quick again;
3. all three are killed, and come back.

Prints a timeline and ends with status 1 where a bound is broken: a text that failed, was doubled or got
lost; a provider that fails or is slow and still gets a tenth of the texts after 10 s; one that is well again
and has less than half of its share after 5 minutes. What was cut off in the middle of a call to Twilio, which
reports nothing here, ends in doubt and is counted apart.
"""

import argparse
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlencode

from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_providers.clients.base import Callback
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.clients.registry import load_provider_settings
from notify_providers.usecases.record_receipt import record_callback
from notify_providers.usecases.settings import list_providers, update_provider
from notify_testing.folders import passable_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import dispatching
from dispatching import database, rows, run, take_over, value, wait

from tests.harness.text_providers import CallFault, Firetext, Mmg, TextProvider, Twilio

SHIFT_SECONDS = 10.0
RETURN_SECONDS = 300.0
SLOW_ANSWER_SECONDS = 3.0
RETRY_SECONDS = 10
UNKNOWN_SECONDS = 20
STEADY_SECONDS = 15.0
DOWN_SECONDS = 20.0
SHARE_OVER = "2 seconds"

_RECEIPTS: dict[str, Callable[[str], bytes]] = {
    "mmg": lambda id: json.dumps({"CID": id, "status": "3"}).encode(),
    "firetext": lambda id: urlencode({"reference": id, "status": "0"}).encode(),
}


_DOUBTS = """
    SELECT a.provider || ' ' || a.reason, count(*) FROM dispatches d JOIN attempts a ON a.dispatch_id = d.id
    WHERE d.state = 'in-doubt' AND a.outcome = 'unknown' GROUP BY 1 ORDER BY 1
"""


class Drill:
    """The providers, the load on them, and what is seen of it."""

    def __init__(self, uow: UnitOfWork, rate: int) -> None:
        """Take the texts a second."""
        self.uow = uow
        self.providers: dict[str, TextProvider] = {
            "mmg": Mmg(SLOW_ANSWER_SECONDS),
            "firetext": Firetext(),
            "twilio": Twilio(),
        }
        self.ids: list[str] = []
        self._rate = rate
        self._taken: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._begun = clock.monotonic()
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._load, self._report)
        ]
        for name, provider in self.providers.items():
            if name in _RECEIPTS:
                provider.on_taken = lambda id, name=name: self._taken.put((name, id))  # type: ignore[misc]
            provider.listen()

    def say(self, text: str) -> None:
        """Print a line of the timeline."""
        print(f"{clock.monotonic() - self._begun:6.1f} s  {text}", flush=True)

    def begin(self) -> None:
        """Begin the load."""
        self._begun = clock.monotonic()
        for thread in self._threads:
            thread.start()

    def end_load(self) -> None:
        """Let no more texts come; what is reported is still read."""
        self._stop.set()
        self._threads[0].join()

    def close(self) -> None:
        """Read no more of what is reported."""
        self._stop.set()
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def shares(self) -> dict[str, float]:
        """Return the part of the latest calls that each provider got."""
        since = f"SELECT provider, count(*) FROM attempts WHERE start_time > now() - interval '{SHARE_OVER}'"
        counts = dict(rows(self.uow, f"{since} GROUP BY 1"))
        return {name: counts.get(name, 0) / max(1, sum(counts.values())) for name in self.providers}

    def seconds_until(self, condition: Callable[[], bool], most: float) -> float:
        """Return how long a condition took to come about."""
        begun = clock.monotonic()
        wait(condition, most)
        return clock.monotonic() - begun

    def _load(self) -> None:
        begun = clock.monotonic()
        while not self._stop.wait(0.25):
            due = int((clock.monotonic() - begun) * self._rate) - len(self.ids)
            if due > 0:
                self.ids += take_over(self.uow, due)

    def _report(self) -> None:
        reader = CallbackReader(load_provider_settings(), a_second=100_000)
        while not self._closed.is_set():
            try:
                name, id = self._taken.get(timeout=0.5)
            except Empty:
                continue
            record_callback(self.uow, reader, name, Callback(_RECEIPTS[name](id)))


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=40, help="texts a second")
    rate = parser.parse_args().rate
    with ExitStack() as stack:
        folder = stack.enter_context(passable_folder("notify-drill-"))
        url = stack.enter_context(database(folder))
        uow = UnitOfWork(create_engine(url, 4))
        stack.callback(uow.engine.dispose)
        drill = Drill(uow, rate)
        stack.callback(drill.close)
        for provider in list_providers(uow):
            if provider.name in drill.providers:
                even = replace(provider, active=True, priority=33)
                update_provider(uow, even, {"active", "priority"}, "drill")
        run(uow, "UPDATE provider_settings SET unknown_outcome_wait_seconds = :wait", wait=UNKNOWN_SECONDS)
        worker = dispatching.worker(folder, url, "dispatch,housekeeping", _settings(drill.providers))
        worker.start()
        stack.callback(worker.stop)
        sys.exit(_drill(drill))


def _drill(drill: Drill) -> int:
    say, providers = drill.say, drill.providers
    figures: dict[str, float] = {}

    def shifted(name: str) -> bool:
        return drill.shares()[name] < 0.1

    def returned(name: str) -> bool:
        return drill.shares()[name] >= 1 / 6

    drill.begin()
    wait(lambda: value(drill.uow, "SELECT count(*) FROM attempts WHERE outcome = 'accepted'") > 0, 30)
    _look_on(drill, STEADY_SECONDS, "three providers, each with a third")

    providers["firetext"].leave()
    say("Firetext is killed")
    figures["shift_after_kill_s"] = drill.seconds_until(lambda: shifted("firetext"), 60)
    _look_on(drill, 5.0, f"it gets no more after {figures['shift_after_kill_s']:.1f} s")
    providers["firetext"].listen()
    say("Firetext is back")
    figures["return_after_kill_s"] = drill.seconds_until(lambda: returned("firetext"), RETURN_SECONDS)
    _look_on(drill, 2.0, f"it has its share again after {figures['return_after_kill_s']:.1f} s")

    providers["mmg"].fault_of = lambda _: CallFault.LATE
    say(f"MMG answers 200, after {SLOW_ANSWER_SECONDS:.0f} s each")
    figures["shift_after_slow_s"] = drill.seconds_until(lambda: shifted("mmg"), 60)
    _look_on(drill, 5.0, f"it gets no more after {figures['shift_after_slow_s']:.1f} s")
    providers["mmg"].fault_of = lambda _: CallFault.NONE
    say("MMG is quick again")
    figures["return_after_slow_s"] = drill.seconds_until(lambda: returned("mmg"), RETURN_SECONDS)
    _look_on(drill, 2.0, f"it has its share again after {figures['return_after_slow_s']:.1f} s")

    for provider in providers.values():
        provider.leave()
    say("all three are killed")
    _look_on(drill, DOWN_SECONDS, "texts come all the while")
    for provider in providers.values():
        provider.listen()
    say("all three are back")
    drill.end_load()
    waiting = "SELECT count(*) FROM dispatches WHERE state = 'queued'"
    figures["all_sent_after_s"] = drill.seconds_until(lambda: value(drill.uow, waiting) == 0, RETURN_SECONDS)
    say(f"nothing waits any more after {figures['all_sent_after_s']:.1f} s")
    cut = rows(drill.uow, _DOUBTS)
    say(f"in doubt: {', '.join(f'{number} {what}' for what, number in cut) or 'none'}")
    return _judge(drill, figures)


def _judge(drill: Drill, figures: dict[str, float]) -> int:
    states = dict(rows(drill.uow, "SELECT state, count(*) FROM dispatches GROUP BY 1 ORDER BY 1"))
    copies: Counter[str] = Counter()
    for provider in drill.providers.values():
        copies.update(provider.taken)
    in_doubt = {
        id for id, _ in rows(drill.uow, "SELECT id::text, 1 FROM dispatches WHERE state = 'in-doubt'")
    }
    result = {
        "drill": "failover",
        "texts": len(drill.ids),
        "states": states,
        "failed": states.get("failed", 0),
        "doubled": sum(1 for id in drill.ids if copies[id] > 1),
        "lost": sum(1 for id in drill.ids if not copies[id] and id not in in_doubt),
        "in_doubt": len(in_doubt),
        **{name: round(seconds, 1) for name, seconds in figures.items()},
    }
    broken = [f"{result[name]} {name}" for name in ("failed", "doubled", "lost") if result[name]]
    broken += [name for name in figures if name.startswith("shift") and figures[name] > SHIFT_SECONDS]
    print(f"of {len(drill.ids)} texts {result['failed']} failed, {result['doubled']} were doubled, ", end="")
    print(f"{result['lost']} got lost (bounds: 0); {len(in_doubt)} are in doubt")
    print(
        f"a provider is out after at most {SHIFT_SECONDS:.0f} s, back after {RETURN_SECONDS:.0f} s: ", end=""
    )
    print("broken: " + ", ".join(broken) if broken else "kept")
    print(json.dumps(result))
    return int(bool(broken))


def _look_on(drill: Drill, seconds: float, text: str) -> None:
    """Let time pass, then say what the providers get."""
    threading.Event().wait(seconds)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in drill.shares().items())
    waiting = value(drill.uow, "SELECT count(*) FROM dispatches WHERE state = 'queued'")
    drill.say(f"{text}: {shares}; {waiting} wait")


def _settings(providers: dict[str, TextProvider]) -> dict[str, str]:
    return {
        "MMG_URL": providers["mmg"].url,
        "MMG_API_KEY": "drill",
        "FIRETEXT_URL": providers["firetext"].url,
        "FIRETEXT_API_KEY": "drill",
        "TWILIO_URL": providers["twilio"].url,
        "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
        "TWILIO_AUTH_TOKEN": "drill",
        "TWILIO_RECEIPT_URL": "http://127.0.0.1:1/notifications/receipts/twilio",
        "RETRY_INTERVAL_SECONDS": str(RETRY_SECONDS),
    }


if __name__ == "__main__":
    main()
