"""What a transaction that stays open in a producer's database does to its feed: `make drill-stuck-feed`.

Starts the platform, opens a transaction in providers' database that has written, as a forgotten session does,
and sends TEXTS texts. They are handed over all the same; that they are delivered is not told while it is
open. Then finds who holds the feed back as an operator does, and ends that session. Prints what the command
says; ends with status 1 where the session was not named, or a text was not told as delivered afterwards, or
was handed over twice.
"""

import re
import sys
from contextlib import closing
from typing import Final

import psycopg2

from tests.chaos.faults import execute, superuser_url
from tests.chaos.run import senders
from tests.harness.drilling import drill_folder, drill_house, typed
from tests.harness.house import SETTLE_SECONDS, House, eventually

TEXTS: Final = 40


def main() -> int:
    """Return the exit status: 0 where the holder was named and all went on after its end."""
    with (
        drill_folder() as folder,
        drill_house(folder) as house,
    ):
        url = superuser_url(house, "providers")
        with closing(psycopg2.connect(url, application_name="a forgotten psql")) as forgotten:
            forgotten.cursor().execute("SELECT pg_current_xact_id()")
            return _drill(house, forgotten.info.backend_pid)


def _drill(house: House, pid: int) -> int:
    with senders(house) as sender:
        ids = [sender.send_text(number).id for number in range(TEXTS)]
    sent = "SELECT count(*) FROM attempts WHERE dispatch_id = ANY(%s::uuid[]) AND outcome = 'accepted'"
    handed_over = eventually(lambda: house.query("providers", sent, ids) == [(TEXTS,)], SETTLE_SECONDS)
    stuck = "delivered" not in house.states(ids)
    print(f"{TEXTS} texts were handed over; notifications knows of them: {house.states(ids)}")
    shown = "\n".join(typed(house, "providers", "cursors"))
    named = re.findall(r"^held back by session (\d+) .*\(a forgotten psql\)", shown, re.MULTILINE)
    execute(house, "providers", f"SELECT pg_terminate_backend({pid})")
    print(f"SELECT pg_terminate_backend({pid})")
    house.wait_for_states(ids, "delivered")
    once = set(house.sandbox_copies().values()) == {1}
    kept = handed_over and stuck and named == [str(pid)] and once
    print(f"all {TEXTS} are delivered, each handed over once" if kept else "BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
