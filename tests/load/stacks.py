"""The platform that a drill is done to, and the bare skeleton that a bench compares it with."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from notify_local.backing import ChildProcess, free_ports, port_is_free
from notify_local.stack import Options, Stack
from notify_testing.folders import passable_folder
from notify_testing.provisioning import provision

SKELETON = "skeleton"
SKELETON_PROCESSES = os.cpu_count() or 1
"""Of its gateway: it shares nothing between requests, so it is quickest with one a processor."""


@contextmanager
def running_stack(*, with_edge: bool = False) -> Iterator[Stack]:
    """Provide the platform in a folder of its own, and say on the terminal what is being started."""
    with passable_folder("notify-drill-") as folder:
        stack = Stack(Options(folder / "stack", console=False, with_edge=with_edge))
        try:
            stack.start(lambda text: print(f"starting {text}", flush=True))
            yield stack
        finally:
            stack.stop()


@contextmanager
def running_skeleton(stack: Stack, folder: Path) -> Iterator[tuple[int, dict[str, int]]]:
    """Provide the bare skeleton with a database of its own on the stack's server; its logs lie in `folder`.

    Gives the port of its gateway, and the process id of each of its parts by its name.
    """
    assert stack.postgres is not None, "the stack was started"
    database_url = provision(stack.postgres.url, SKELETON).owner_url
    grpc_port, http_port = free_ports(2)
    command = [sys.executable, str(Path(__file__).with_name("skeleton.py"))]
    parts = [
        (grpc_port, ["server", "--port", str(grpc_port), "--database-url", database_url]),
        (http_port, ["gateway", "--port", str(http_port), "--workers", str(SKELETON_PROCESSES)]),
    ]
    environment = os.environ | {"SKELETON_BACKEND": f"127.0.0.1:{grpc_port}"}
    pids: dict[str, int] = {}
    with ExitStack() as exits:
        for port, part in parts:
            log = folder / f"skeleton-{part[0]}.log"
            process = ChildProcess(f"skeleton {part[0]}", [*command, *part], log, environment)
            exits.callback(process.stop)
            process.start()
            process.wait_ready(partial(_is_taken, port))
            assert process.pid is not None, "it was started"
            pids[f"skeleton-{part[0]}"] = process.pid
        yield http_port, pids


def stored_rows(stack: Stack, batch_id: str, rows: int) -> dict[str, int]:
    """Return how many messages of a batch or job are stored, queued and counted. Raises SystemExit unless
    each is `rows`.
    """
    statement = (
        "SELECT (SELECT count(*) FROM notifications WHERE batch_id = %(id)s), "
        "(SELECT count(*) FROM outbox JOIN notifications ON id = notification_id WHERE batch_id = %(id)s), "
        "(SELECT sum(count) FROM batch_counts WHERE batch_id = %(id)s)"
    )
    messages, outbox, counted = map(int, query(stack, statement, batch_id)[0])
    if {messages, outbox, counted} != {rows}:
        raise SystemExit(f"of {rows} rows {messages} are stored, {outbox} queued, {counted} counted")
    return {"messages": messages, "outbox": outbox, "counted": counted}


def query(stack: Stack, statement: str, id: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement about one `id` in the database of notifications."""
    with closing(psycopg2.connect(stack.app_urls["notifications"])) as made, made.cursor() as cursor:
        cursor.execute(statement, {"id": id})
        return cursor.fetchall()


def _is_taken(port: int) -> bool:
    return not port_is_free(port)
