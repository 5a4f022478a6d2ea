"""What becomes of texts whose provider takes them and answers late, resets, or answers nonsense.

A stand-in for MMG on 127.0.0.1 takes every text and counts it, but gives no proper answer: a quarter of the
calls each end in an answer that comes too late, a reset, a page of HTML with status 200, and status 500. The
worker is the deployed process, with the rule `hold`. Receipts come for half of the texts; then the wait for
the others' ends. Last, texts are handed over while nobody listens, and somebody listens again.

Prints what happened, and ends with status 1 if a text was doubled or is unaccounted for.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_providers.clients.base import Callback
from notify_providers.clients.callbacks import CallbackReader
from notify_providers.clients.registry import load_provider_settings
from notify_providers.usecases.record_receipt import record_callback
from notify_testing.folders import passable_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import dispatching
from dispatching import database, rows, run, take_over, value, wait

from tests.harness.text_providers import CallFault, Mmg

FAULTS = (CallFault.LATE, CallFault.RESET, CallFault.HTML, CallFault.STATUS_500)
TIMEOUT_SECONDS = 1.0
WAIT_SECONDS = 30


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=400, help="texts that get no proper answer")
    count = parser.parse_args().texts
    with ExitStack() as stack:
        folder = stack.enter_context(passable_folder("notify-drill-"))
        url = stack.enter_context(database(folder))
        uow = UnitOfWork(create_engine(url, 2))
        stack.callback(uow.engine.dispose)
        mmg = Mmg(late_seconds=2 * TIMEOUT_SECONDS)
        mmg.listen()
        run(uow, "UPDATE provider_settings SET unknown_outcome_wait_seconds = :wait", wait=WAIT_SECONDS)
        worker = dispatching.worker(folder, url, "dispatch", _settings(mmg.url))
        worker.start()
        stack.callback(worker.stop)
        sys.exit(_drill(uow, mmg, count))


def _drill(uow: UnitOfWork, mmg: Mmg, count: int) -> int:
    ids = take_over(uow, count)
    faults = {id: FAULTS[number % len(FAULTS)] for number, id in enumerate(ids)}
    mmg.fault_of = lambda id: faults.get(id, CallFault.NONE)
    begun = clock.monotonic()

    def say(text: str) -> None:
        print(f"{clock.monotonic() - begun:6.1f} s  {text}", flush=True)

    say(f"{count} texts are handed to a provider that takes each and gives no proper answer")
    unknown = "SELECT count(*) FROM attempts WHERE outcome = 'unknown'"
    wait(lambda: value(uow, unknown) == count)
    reasons = rows(uow, "SELECT reason, count(*) FROM attempts GROUP BY 1 ORDER BY 1")
    say(f"all calls have ended: {', '.join(f'{number} {reason}' for reason, number in reasons)}")
    reader = CallbackReader(load_provider_settings(), a_second=100_000)
    for id in ids[: count // 2]:
        body = json.dumps({"CID": id, "status": "3"}).encode()
        assert record_callback(uow, reader, "mmg", Callback(body))[0]
    say(f"receipts have come for {count // 2} of them")
    held = "SELECT count(*) FROM dispatches WHERE state = 'in-doubt'"
    wait(lambda: value(uow, held) == count - count // 2)
    say(f"the wait of {WAIT_SECONDS} s is over: {value(uow, held)} are held for a person to decide")

    mmg.leave()
    away = take_over(uow, count // 4)
    refused = "SELECT count(*) FROM attempts WHERE outcome = 'retryable' AND reason = 'unreachable'"
    wait(lambda: value(uow, refused) >= 2 * len(away))
    say(f"{len(away)} texts were tried twice while nobody listened")
    mmg.listen()
    run(uow, "UPDATE dispatches SET due_at = now() WHERE state = 'queued'")
    sent = "SELECT count(*) FROM dispatches WHERE state = 'sent'"
    wait(lambda: value(uow, sent) == count // 2 + len(away))
    say("somebody listens again: they are sent")

    everything = [*ids, *away]
    result = {
        "drill": "ambiguous",
        "texts": count,
        "doubled": sum(1 for id in everything if mmg.taken[id] > 1),
        "never_taken": sum(1 for id in everything if not mmg.taken[id]),
        "states": dict(rows(uow, "SELECT state, count(*) FROM dispatches GROUP BY 1 ORDER BY 1")),
    }
    print(f"{result['doubled']} of {count} texts doubled (bound: 0)")
    print(json.dumps(result))
    return int(bool(result["doubled"] or result["never_taken"]))


def _settings(mmg_url: str) -> dict[str, str]:
    return {
        "MMG_URL": mmg_url,
        "MMG_API_KEY": "drill",
        "PROVIDER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        # all calls fail here, and a provider that does is left alone
        "HEALTH_LEAST_CALLS": "1000000",
    }


if __name__ == "__main__":
    main()
