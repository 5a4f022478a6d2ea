"""How many messages a second one process prepares and stores in bulk, and that its memory stays flat.

The real road (`send_messages`) with a PostgreSQL that writes durably and a Redis of the bench's own; services
and templates are held in memory, as they are in a process that runs for a while. Texts go in batches of 500,
each with its own number, personalisation and reference. At the end messages, outbox and counters are
compared.

Prints a table and one JSON line.
"""

import argparse
import json
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import redis
import sqlalchemy as sa
from notify_common import ids, interpreter
from notify_common.db import migrations
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Lane
from notify_common.errors import NotifyError
from notify_content.sms import SmsTemplate
from notify_local.backing import Postgres, Redis, free_ports
from notify_notifications.domain.files import FileLinks
from notify_notifications.domain.record import Origin
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.store.acceptance import MOST_ROWS, AcceptanceStore
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.limits import LimitStore
from notify_notifications.usecases.prepare import Caller, SmsCommand
from notify_notifications.usecases.send import SendingParts, send_messages
from notify_testing.folders import passable_folder
from notify_testing.provisioning import app_role, provision

THREADS: Final = 2
"""One prepares while the other waits for the database."""
EARLY_ROWS: Final = 10_000
"""After so many messages memory is looked at first."""


class KnownSnapshots:
    """A service and its template, known by heart."""

    def __init__(self) -> None:
        self.service_id, self.template_id = ids.new_id(), ids.new_id()
        self._service = Service(
            id=self.service_id,
            name="Bench",
            active=True,
            restricted=False,
            permissions=frozenset({"sms"}),
            rate_limit_per_minute=10**9,
            daily_limits=dict.fromkeys(("sms", "email", "letter", "international_sms"), 10**9),
            prefix_sms=True,
            email_local_part="bench",
            email_from_name="Bench",
            sms_senders={},
            reply_tos={},
        )
        self._template = Template(
            id=self.template_id,
            name="Appointment",
            service_id=self.service_id,
            channel=Channel.SMS,
            version=1,
            archived=False,
            hidden=False,
            postage=None,
            make_time=datetime.now(UTC),
            has_unsubscribe_link=False,
            wording=SmsTemplate("Dear ((name)), your appointment is on ((date)). Reply NO to cancel."),
        )

    def service(self, service_id: str) -> Service:
        """As of Snapshots."""
        return self._service

    def template(self, service_id: str, template_id: str, version: int = 0) -> Template:
        """As of Snapshots."""
        return self._template


def commands(snapshots: KnownSnapshots, count: int) -> Iterator[SmsCommand]:
    """Return the messages, made one after the other."""
    caller = Caller(snapshots.service_id, ids.new_id(), KeyType.NORMAL)
    for number in range(count):
        yield SmsCommand(
            request_id=ids.new_id(),
            caller=caller,
            template_id=snapshots.template_id,
            personalisation=[("name", f"Amala {number}"), ("date", "Tuesday 3 March at 10:40")],
            has_file=False,
            reference=f"order {number}",
            idempotency_key="",
            content_hash=number.to_bytes(16, "big"),
            is_repeat=False,
            origin=Origin("bench", "", Lane.JOB),
            phone_number=f"07400{number % 1_000_000:06}",
            sms_sender_id="",
        )


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    rows: int = parser.parse_args().rows
    with ExitStack() as exits:
        folder = exits.enter_context(passable_folder("notify-bench-"))
        database = Postgres(folder / "postgres")
        cache = Redis(folder / "redis", free_ports(1)[0])
        for server in (database, cache):
            server.start()
            exits.callback(server.stop)
        owner_url, url = provision(database.url, "notifications")
        migrations.migrate("notify_notifications", owner_url, app_role("notifications"))
        uow = UnitOfWork(create_engine(url, 1))
        exits.callback(uow.engine.dispose)
        snapshots: Any = KnownSnapshots()
        store = AcceptanceStore(url)
        exits.callback(store.close)
        limits = LimitStore(redis.Redis.from_url(cache.url, decode_responses=True))
        links = FileLinks("http://localhost:6011", "http://localhost:6011")
        parts = SendingParts(
            uow, snapshots, limits, CounterStore(uow), store, "GOVUK", "example.gov.uk", links
        )
        result = _run(parts, snapshots, rows)
        result |= _compared(uow, rows)
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps({"bench": "bulk", **result}))


def _run(parts: SendingParts, snapshots: KnownSnapshots, rows: int) -> dict[str, Any]:
    source = commands(snapshots, rows)
    batches = iter(lambda: list(islice(source, MOST_ROWS)), [])
    turn = threading.Lock()
    stored, early = 0, 0.0

    def work() -> None:
        nonlocal stored, early
        while True:
            with turn:
                batch = next(batches, None)
            if batch is None:
                return
            for answer, _, _ in send_messages(parts, batch):
                if isinstance(answer, NotifyError):
                    raise SystemExit(f"a message was refused: {answer.reason}")
            with turn:
                stored += len(batch)
                if not early and stored >= min(EARLY_ROWS, rows):
                    early = _peak_mib()
                if stored % 20_000 == 0:
                    print(f"bench: {stored} stored", file=sys.stderr, flush=True)

    interpreter.settle()
    started, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work) for _ in range(THREADS)]:
            done.result()
    seconds = time.perf_counter() - started
    return {
        "rows": rows,
        "threads": THREADS,
        "per_second": round(rows / seconds),
        "cpu_us_per_message": round((time.process_time() - worked) / rows * 1e6),
        "peak_rss_mib_early": round(early),
        "peak_rss_mib_end": round(_peak_mib()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _compared(uow: UnitOfWork, rows: int) -> dict[str, Any]:
    """Raise SystemExit unless messages, outbox and counters agree."""
    statement = sa.text(
        "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM outbox), "
        "(SELECT sum(count) FROM service_day_counters)"
    )
    with uow.autocommit() as conn:
        counts = tuple(map(int, conn.execute(statement).one()))
    if set(counts) != {rows}:
        raise SystemExit(f"{rows} messages were accepted, but messages, outbox and counters are {counts}")
    return {"messages": counts[0], "outbox": counts[1], "counted": counts[2]}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
