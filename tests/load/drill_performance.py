"""Whether /performance.json says what a stopwatch outside of the platform says: `make drill-performance`.

Starts the platform and sends 300 texts of three services while nobody hands them over, so that they wait for
between two and thirteen seconds. A stopwatch of this process runs for each, from the answer that it was
accepted until its provider's stand-in has it. The day is then made yesterday in the database, as the page
tells only of days that are over. Prints share and percentiles as told and as measured; ends with status 1
where one is off by more than 5 %.
"""

import argparse
import math
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import requests
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_local.seed import seed
from notify_notifications.store.platform_days import close_days

from tests.chaos.faults import execute
from tests.chaos.run import CLIENTS, VALUES
from tests.harness.drilling import drill_folder, drill_house
from tests.harness.house import ASK_SECONDS, SETTLE_SECONDS, House, eventually

MOST_OFF: Final = 0.05
PROMPT_SECONDS: Final = 10.0
SPREAD_SECONDS: Final = 11.0
SHORTEST_SECONDS: Final = 2.0
PERCENTILES: Final = (50, 95, 99)


def main() -> int:
    """Return the exit status: 0 where everything that is told was measured too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=300)
    texts = parser.parse_args().texts
    with (
        drill_folder() as folder,
        drill_house(folder) as house,
    ):
        waited = _measure(house, texts)
        _make_it_yesterday(house, texts)
        told = requests.get(f"{house.stack.base_url}/performance.json", timeout=ASK_SECONDS).json()
    told = told["channels"]["sms"]
    share = sum(seconds <= PROMPT_SECONDS for seconds in waited) / len(waited)
    pairs = {"share within 10 s": (told["share_within_10_seconds"], share)}
    for percentile in PERCENTILES:
        measured = waited[math.ceil(percentile * len(waited) / 100) - 1]
        pairs[f"percentile {percentile}"] = told["seconds_until_handed_over"][f"p{percentile}"], measured
    print(f"{told['sent']} texts{'':14} told  measured     off")
    kept = told["sent"] == texts
    for name, (said, seen) in pairs.items():
        off = said / seen - 1
        kept &= abs(off) <= MOST_OFF
        print(f"{name:20} {said:7.3f} {seen:9.3f} {off:+7.1%}")
    print(f"bound {MOST_OFF:.0%}: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def _measure(house: House, texts: int) -> Sequence[float]:
    """Send texts; return how long each waited until its provider had it, in order."""
    houses = [replace(house, seeded=seed(house.stack, f"Service {number}")) for number in range(3)]
    taken: dict[str, float] = {}
    accepted: dict[str, float] = {}
    pause = threading.Event()
    report = house.mmg.on_taken

    def note(id: str) -> None:
        taken[id] = time.monotonic()
        report(id)

    def send(number: int) -> None:
        each = houses[number % len(houses)]
        body = {
            "template_id": each.seeded.templates["sms"],
            "phone_number": f"07400{number:06d}",
            "personalisation": VALUES,
        }
        accepted[each.send("sms", body).id] = time.monotonic()

    house.mmg.on_taken = note
    with house.texts_go_to_mmg():
        with house.stack.frozen("providers-work"), ThreadPoolExecutor(CLIENTS) as pool:
            begun = time.monotonic()
            for number in range(texts):
                pause.wait(begun + number * SPREAD_SECONDS / texts - time.monotonic())
                pool.submit(send, number)
            pool.shutdown()
            pause.wait(SHORTEST_SECONDS)
        if not eventually(lambda: len(taken) == texts, SETTLE_SECONDS):
            raise SystemExit(f"{len(taken)} of {texts} texts arrived")
    return sorted(taken[id] - answered for id, answered in accepted.items())


def _make_it_yesterday(house: House, texts: int) -> None:
    """Wait until all texts are counted, and have that have been a day ago."""
    counted = "SELECT sum(message_count)::int FROM processing_times"
    if not eventually(lambda: house.query("notifications", counted) == [(texts,)], SETTLE_SECONDS):
        raise SystemExit(f"{house.query('notifications', counted)} of {texts} texts were counted")
    for table in ("processing_times", "processing_days", "message_counts"):
        execute(house, "notifications", f"UPDATE {table} SET day = day - 1")
    engine = create_engine(house.stack.app_urls["notifications"])
    with UnitOfWork(engine).begin() as tx:
        close_days(tx, clock.london_day(clock.now()))
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
