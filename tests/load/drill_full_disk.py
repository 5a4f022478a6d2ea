"""What becomes of messages while a disk is full: `make drill-full-disk`.

Starts the platform with three small disks: PostgreSQL's, the object store's, and that of the public gateway's
scratch files. Each is filled to its last byte while texts, emails and letters are sent by clients that repeat
what was not answered, with the same Idempotency-Key; then there is room again, PostgreSQL is started where it
has ended, and nobody else is touched. Prints what clients were told, and at the end the census; ends with
status 1 where a message was lost or doubled, where something was stored of a batch that was refused, or where
a client was told anything but the contract's words. Needs root, to mount disks.
"""

import contextlib
import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg2
import requests
from notify_local.backing import Postgres

from tests.chaos.faults import LATER, REFUSED, Fault, Harm, execute
from tests.chaos.run import VALUES, Census, senders, table
from tests.harness.drilling import drill_folder, drill_house
from tests.harness.house import ASK_SECONDS, Accepted, House, eventually
from tests.harness.small_disks import can_be_mounted, full, small_disk

SIZES: Final = {"postgres": 512, "objects": 64, "spool": 16}
"""Disk -> MiB."""
MESSAGES: Final = 60
HOLD_SECONDS: Final = 8.0
TOLD_SECONDS: Final = 30.0
"""How long until a full disk shows."""
REFUSALS: Final = 10
BATCH_ROWS: Final = 100_000
WORDS: Final = (503, "ServiceUnavailableError", "The service is busy, try again later")
"""What a client is told who should ask again."""


def main() -> int:
    """Return the exit status: 0 where nothing was lost, doubled or half stored, and clients were told so."""
    if not can_be_mounted():
        print("mounting disks needs root")
        return 1
    with ExitStack() as exits:
        folder = exits.enter_context(drill_folder())
        disks = {
            name: exits.enter_context(small_disk(folder / "stack" / name, size))
            for name, size in SIZES.items()
        }
        house = exits.enter_context(drill_house(folder))
        house.stack.processes["gateway-public"].stop()
        house.stack.processes["gateway-public"].environment["TMPDIR"] = str(disks["spool"])
        house.stack.restart("gateway-public")
        whole = _batch(house, disks["spool"])
        answers: Counter[tuple[int, str, str]] = Counter()
        taken: list[Accepted] = []
        faults = (
            Fault("full-disk-postgres", (), REFUSED, _database(disks["postgres"], answers, taken)),
            Fault("full-disk-objects", (), LATER, lambda _: full(disks["objects"]), lasts=True, prints=True),
        )
        census = Census(house)
        with senders(house) as sender:
            done = []
            for fault in faults:
                done.append(sender.send_through(fault, MESSAGES, HOLD_SECONDS))
                print(done[-1], flush=True)
        done[0].accepted += taken
        verdict = census.take(done, redis_too=True)
        print(table(done, verdict))
        for answer, count in answers.items():
            print(f"while PostgreSQL's disk was full: {count} x {answer}")
        told_so = set(answers) == {WORDS}
        return 0 if verdict.clean and told_so and whole else 1


def _database(disk: Path, answers: "Counter[tuple[int, str, str]]", taken: list[Accepted]) -> Harm:
    """Fill the database's disk, and send texts until some are refused.

    Args:
        answers: is told how.
        taken: is told those that were not refused.
    """

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        server = house.stack.server("postgres")
        assert isinstance(server, Postgres)
        assert server.pid is not None
        process = psutil.Process(server.pid)

        def ended() -> bool:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

        with full(disk):
            _send_until(house, answers, taken, lambda: answers.total() >= REFUSALS)
            print(f"tables had no room: {answers.total()} texts refused, {len(taken)} taken", flush=True)
            # then what is left of the file of the write-ahead log, which would last for a while
            with contextlib.suppress(psycopg2.Error):
                execute(house, "admin", "SELECT pg_switch_wal()")
            _send_until(house, answers, taken, ended)
            yield
        print("PostgreSQL ended by itself and is started" if ended() else "PostgreSQL goes on", flush=True)
        if ended():
            house.stack.restart("postgres")

    return harm


def _send_until(
    house: House,
    answers: "Counter[tuple[int, str, str]]",
    taken: list[Accepted],
    over: Callable[[], bool],
) -> None:
    """Send texts, each once, until it is over or time is up."""

    def send() -> bool:
        answer = _text(house)
        if answer.status_code == 201:
            taken.append(Accepted(answer.json()["id"], 1, answer.elapsed.total_seconds()))
        else:
            error = answer.json()["errors"][0]
            answers[answer.status_code, error["error"], error["message"]] += 1
        return over()

    eventually(send, TOLD_SECONDS)


def _text(house: House) -> requests.Response:
    body: dict[str, Any] = {
        "template_id": house.seeded.templates["sms"],
        "phone_number": "07400999999",
        "personalisation": VALUES,
    }
    url = f"{house.stack.base_url}/v2/notifications/sms"
    return requests.post(url, json=body, headers=house.headers(), timeout=ASK_SECONDS)


def _batch(house: House, disk: Path) -> bool:
    """Send a batch while the gateway's scratch files have no room, and again; return whether all was well."""
    row = {"type": "sms", "template_id": house.seeded.templates["sms"], "personalisation": VALUES}
    line = (json.dumps(row | {"phone_number": "07400999998"}) + "\n").encode()

    def post(rows: int) -> requests.Response:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        headers = house.headers("test", **key, **{"Content-Type": "application/x-ndjson"})
        url = f"{house.stack.base_url}/v2/batches"
        return requests.post(url, data=line * rows, headers=headers, timeout=ASK_SECONDS)

    def stored() -> list[tuple[Any, ...]]:
        return house.query("notifications", "SELECT count(*) FROM batches")

    # A process that finds no room for its first scratch file looks for another folder, where there is one.
    assert post(1).ok
    before = stored()
    with full(disk):
        answer = post(BATCH_ROWS)
        error = answer.json()["errors"][0]
        told = (answer.status_code, error["error"], error["message"])
        print(f"batch of {BATCH_ROWS} rows, no room in the gateway: {told}")
        nothing = stored() == before and not [one for one in disk.iterdir() if one.name != "ballast"]
        print("nothing of it was kept" if nothing else "SOMETHING OF IT WAS KEPT")
    taken = eventually(lambda: post(10).status_code == 201, ASK_SECONDS)
    print("with room again: the next one is taken" if taken else "with room again: NOT TAKEN")
    return told == WORDS and nothing and taken


if __name__ == "__main__":
    sys.exit(main())
