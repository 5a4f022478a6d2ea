"""The table of faults: what is done to the platform, and what may happen meanwhile (design.md §3.10).

A fault is a block: entering it does the harm, leaving it mends what does not mend itself. Nobody may lose a
message or get it twice, whatever is done; `meanwhile` says what clients may notice.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import psycopg2
import redis
from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_local.backing import ObjectStore, Postgres, Redis
from notify_local.stack import CERTIFICATE_NAMES, CONTEXTS, LOAD_BALANCER, SIDECAR, rolling
from notify_testing.certs import renew_certificates
from notify_testing.proxy import SilentProxy
from notify_testing.serving import serve_in_thread
from sqlalchemy.engine import make_url

from tests.harness.house import House
from tests.harness.owed_bodies import OwedBodies, allow_many_connections
from tests.harness.text_providers import CallFault

Harm = Callable[[House], AbstractContextManager[object]]

REFUSED = "sends are answered 502 to 504 or not at all, and are repeated"
SLOW = "sends wait, some are answered 503 or 504"
LATER = "sends are accepted at once, messages go on later"
NOTHING = "nothing: sends are accepted at once and messages go on"

ROLLING = (
    ("admin",),
    ("providers", "providers-work"),
    ("letters", "letters-work", "letters-celery", "letters-beat"),
    ("notifications", "notifications-work", "notifications-callbacks", "notifications-jobs"),
    ("callback-receiver",),
    ("gateway-public", "gateway-internal"),
    ("edge",),
)
"""The processes as a release restarts them, one service after the other."""
FLOOD_CONNECTIONS = 1000
BROKER_KEYS = ("render", "submit", "unacked", "unacked_index")
"""Where Celery keeps tasks in Redis: the two queues, and what workers have taken."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        name: what `--kinds` calls it.
        hits: the processes and servers it is done to.
        meanwhile: what may happen while it lasts.
        harm: the block.
        lasts: whether it goes on for a while, or is over once it is done.
        slow: whether it takes so long that only `make chaos` does it.
        prints: whether a print run begins just before, so that it happens to letters on their way to print.
    """

    name: str
    hits: tuple[str, ...]
    meanwhile: str
    harm: Harm
    lasts: bool = False
    slow: bool = False
    prints: bool = False


def killed(*names: str) -> Harm:
    """End processes or servers as `kill -9` does, and start them again."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        for name in names:
            house.stack.kill(name)
        yield
        house.stack.restart(*names)

    return harm


def frozen(name: str) -> Harm:
    """Let a process or a server do nothing while the block runs: it hangs instead of dying."""
    return lambda house: house.stack.frozen(name)


@contextmanager
def gateway_worker_killed(house: House) -> Iterator[None]:
    """End one of the gateway's worker processes, which its parent replaces."""
    gateway = psutil.Process(house.stack.processes["gateway-public"].pid)
    workers = [child for child in gateway.children() if child.cmdline()]
    workers[-1].kill()
    yield


@contextmanager
def restarted_one_by_one(house: House) -> Iterator[None]:
    """Ask the processes to end, service after service, and start each again, as a release does."""
    yield
    for together in rolling(house.stack, ROLLING):
        house.stack.replace(*together)


def postgres_ended(number: signal.Signals) -> Harm:
    """End the database server without waiting for its clients, and start it again."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        server = house.stack.server("postgres")
        assert isinstance(server, Postgres)
        server.end(number)
        yield
        house.stack.restart("postgres")

    return harm


def execute(house: House, context: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement in a context's database as the superuser; return its rows, if it has any."""
    with closing(psycopg2.connect(superuser_url(house, context))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def superuser_url(house: House, context: str) -> str:
    """Return the address of a context's database for the superuser."""
    server = house.stack.server("postgres")
    assert isinstance(server, Postgres)
    database = make_url(house.stack.app_urls[context]).database
    return make_url(server.url).set(database=database).render_as_string(hide_password=False)


OTHERS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@contextmanager
def backend_crashes(house: House) -> Iterator[None]:
    """End one of the server's backends with SIGKILL, after which the server recovers as from a crash."""
    rows = execute(house, "notifications", f"SELECT pid {OTHERS} AND datname = current_database()")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(str(rows[-1][0])), signal.SIGKILL)
    yield


@contextmanager
def connections_terminated(house: House) -> Iterator[None]:
    """End every connection to every database."""
    execute(house, "admin", f"SELECT pg_terminate_backend(pid) {OTHERS}")
    yield


def while_database(context: str, changed: str, as_before: str) -> Harm:
    """Alter a database for new connections, and end those that there are, while the block runs."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        name = str(make_url(house.stack.app_urls[context]).database)
        outside = CONTEXTS[CONTEXTS.index(context) - 1]
        terminate = f"SELECT pg_terminate_backend(pid) {OTHERS} AND datname = '{name}'"
        execute(house, outside, f'ALTER DATABASE "{name}" {changed}')
        try:
            execute(house, outside, terminate)
            yield
        finally:
            execute(house, outside, f'ALTER DATABASE "{name}" {as_before}')
            execute(house, outside, terminate)

    return harm


def shut_out(context: str) -> Harm:
    """End the connections to one database and let no new ones in while the block runs."""

    return while_database(context, "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true")


def read_only(context: str) -> Harm:
    """Have one database refuse what writes while the block runs, as one does that has no room left."""

    return while_database(
        context, "SET default_transaction_read_only = on", "RESET default_transaction_read_only"
    )


def locked(context: str, table: str) -> Harm:
    """Keep a table locked while the block runs, as a migration does that goes wrong."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        with closing(psycopg2.connect(superuser_url(house, context))) as connection:
            connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    return harm


def silent(context: str, *names: str) -> Harm:
    """Have the database connections of a context's processes go silent, while new ones work."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        variable = f"NOTIFY_{context.upper()}_DATABASE_URL"
        processes = [house.stack.processes[name] for name in names]

        def restart_with(url: str) -> None:
            for process in processes:
                process.environment[variable] = url
                process.stop()
            house.stack.restart(*names)

        with SilentProxy(house.stack.app_urls[context]) as proxy:
            restart_with(proxy.url)
            proxy.go_silent()
            try:
                yield
            finally:
                restart_with(house.stack.app_urls[context])

    return harm


def redis_client(house: House) -> "redis.Redis":
    """Return a client of the platform's Redis."""
    server = house.stack.server("redis")
    assert isinstance(server, Redis)
    return redis.Redis.from_url(server.url)


@contextmanager
def redis_flushed(house: House) -> Iterator[None]:
    """Delete everything in Redis: limits, counters, and the tasks of Celery."""
    with closing(redis_client(house)) as client:
        client.flushall()
    yield


@contextmanager
def redis_full(house: House) -> Iterator[None]:
    """Have Redis refuse what needs memory while the block runs."""
    with closing(redis_client(house)) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def broker_emptied(house: House) -> Iterator[None]:
    """Delete the tasks that wait in the broker, and those that workers have taken and not finished."""
    with closing(redis_client(house)) as client:
        client.delete(*BROKER_KEYS)
    yield


@contextmanager
def object_store_answers_500(house: House) -> Iterator[None]:
    """Put a server in the object store's place that answers everything with 500 while the block runs."""
    store = house.stack.server("object-store")
    assert isinstance(store, ObjectStore)
    store.kill()
    with ThreadingHTTPServer(("127.0.0.1", store.port), _Broken) as broken:
        serve_in_thread(broken)
        try:
            yield
        finally:
            broken.shutdown()
    house.stack.restart("object-store")


class _Broken(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.send_error(500)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def provider_ends_calls(*faults: CallFault) -> Harm:
    """Have texts go to a provider that takes them and ends each call in one of these ways; receipts come."""

    @contextmanager
    def harm(house: House) -> Iterator[None]:
        house.mmg.fault_of = lambda id: faults[int(id[-1], 16) % len(faults)]
        try:
            with house.texts_go_to_mmg():
                yield
        finally:
            house.mmg.fault_of = lambda _: CallFault.NONE

    return harm


@contextmanager
def provider_is_down(house: House) -> Iterator[None]:
    """Have texts go to a provider that nobody answers for."""
    house.mmg.leave()
    try:
        with house.texts_go_to_mmg():
            yield
    finally:
        house.mmg.listen()


@contextmanager
def provider_killed_under_calls(house: House) -> Iterator[None]:
    """End the worker while its calls to a provider that answers late are under way."""
    with provider_ends_calls(CallFault.LATE)(house):
        yield
        house.stack.kill("providers-work")
        house.stack.restart("providers-work")


@contextmanager
def certificates_renewed(house: House) -> Iterator[None]:
    """Give every service a new certificate and a new key."""
    renew_certificates(house.stack.folder / "certs", CERTIFICATE_NAMES)
    yield


def flooded(house: House) -> AbstractContextManager[object]:
    """Open connections to the edge that owe the last byte of a request while the block runs."""
    allow_many_connections()
    return OwedBodies(house.stack.port, FLOOD_CONNECTIONS, 2)


@contextmanager
def work_killed_and_redis_flushed(house: House) -> Iterator[None]:
    """Do two things at once."""
    with killed("notifications-work")(house), redis_flushed(house):
        yield


FAULTS: tuple[Fault, ...] = (
    # Those whose leases take longest to run out come first: it happens while the others are done.
    Fault("kill-providers-work", ("providers-work",), LATER, killed("providers-work")),
    Fault(
        "kill-providers-work-under-calls", ("providers-work",), LATER, provider_killed_under_calls, lasts=True
    ),
    Fault("kill-notifications-work", ("notifications-work",), LATER, killed("notifications-work")),
    Fault(
        "kill-notifications-callbacks",
        ("notifications-callbacks",),
        NOTHING,
        killed("notifications-callbacks"),
    ),
    Fault("kill-notifications-jobs", ("notifications-jobs",), NOTHING, killed("notifications-jobs")),
    Fault("kill-callback-receiver", ("callback-receiver",), NOTHING, killed("callback-receiver")),
    Fault("kill-notifications", ("notifications",), REFUSED, killed("notifications")),
    Fault("kill-providers", ("providers",), LATER, killed("providers"), prints=True),
    Fault("kill-admin", ("admin",), NOTHING, killed("admin")),
    Fault("kill-gateway-public", ("gateway-public",), REFUSED, killed("gateway-public")),
    Fault("kill-gateway-internal", ("gateway-internal",), NOTHING, killed("gateway-internal")),
    Fault("kill-gateway-worker", ("gateway-public",), REFUSED, gateway_worker_killed),
    Fault("kill-edge", ("edge",), REFUSED, killed("edge")),
    Fault("kill-letters", ("letters",), LATER, killed("letters")),
    Fault("kill-letters-work", ("letters-work",), LATER, killed("letters-work"), prints=True),
    Fault("kill-letters-celery", ("letters-celery",), LATER, killed("letters-celery"), prints=True),
    Fault("kill-letters-beat", ("letters-beat",), NOTHING, killed("letters-beat")),
    Fault("freeze-notifications", ("notifications",), REFUSED, frozen("notifications"), lasts=True),
    Fault(
        "freeze-notifications-work", ("notifications-work",), LATER, frozen("notifications-work"), lasts=True
    ),
    Fault("freeze-providers", ("providers",), LATER, frozen("providers"), lasts=True, prints=True),
    Fault("freeze-providers-work", ("providers-work",), LATER, frozen("providers-work"), lasts=True),
    Fault("freeze-letters-celery", ("letters-celery",), LATER, frozen("letters-celery"), lasts=True),
    Fault("freeze-admin", ("admin",), NOTHING, frozen("admin"), lasts=True),
    Fault("freeze-edge", ("edge",), REFUSED, frozen("edge"), lasts=True),
    Fault(
        "rolling-restart",
        tuple(name for names in ROLLING for name in names),
        SLOW,
        restarted_one_by_one,
        slow=True,
    ),
    Fault("kill-postgres", ("postgres",), REFUSED, postgres_ended(signal.SIGKILL)),
    Fault("restart-postgres-immediate", ("postgres",), REFUSED, postgres_ended(signal.SIGQUIT)),
    Fault("restart-postgres-fast", ("postgres",), REFUSED, postgres_ended(signal.SIGINT), slow=True),
    Fault("crash-postgres-backend", ("postgres",), REFUSED, backend_crashes),
    Fault("freeze-postgres", ("postgres",), REFUSED, frozen("postgres"), lasts=True),
    Fault("terminate-connections", ("postgres",), SLOW, connections_terminated),
    Fault("shut-out-notifications", ("postgres",), REFUSED, shut_out("notifications"), lasts=True),
    Fault("shut-out-letters", ("postgres",), LATER, shut_out("letters"), lasts=True),
    Fault("shut-out-admin", ("postgres",), NOTHING, shut_out("admin"), lasts=True),
    Fault("read-only-notifications", ("postgres",), REFUSED, read_only("notifications"), lasts=True),
    Fault("read-only-providers", ("postgres",), LATER, read_only("providers"), lasts=True),
    Fault("lock-notifications", ("postgres",), REFUSED, locked("notifications", "notifications"), lasts=True),
    Fault("lock-dispatches", ("postgres",), LATER, locked("providers", "dispatches"), lasts=True),
    Fault(
        "silence-notifications",
        ("notifications", "notifications-work", "postgres"),
        REFUSED,
        silent("notifications", "notifications", "notifications-work"),
        lasts=True,
    ),
    Fault(
        "silence-providers",
        ("providers", "providers-work", "postgres"),
        LATER,
        silent("providers", "providers", "providers-work"),
        lasts=True,
        slow=True,
    ),
    Fault("kill-redis", ("redis",), LATER, killed("redis")),
    Fault("freeze-redis", ("redis",), SLOW, frozen("redis"), lasts=True),
    Fault("flush-redis", ("redis",), LATER, redis_flushed),
    Fault("fill-redis", ("redis",), LATER, redis_full, lasts=True),
    Fault("empty-broker", ("redis",), LATER, broker_emptied, prints=True),
    Fault("kill-object-store", ("object-store",), LATER, killed("object-store"), prints=True),
    Fault("freeze-object-store", ("object-store",), LATER, frozen("object-store"), lasts=True),
    Fault("object-store-500", ("object-store",), LATER, object_store_answers_500, lasts=True, prints=True),
    Fault("provider-late", ("provider",), LATER, provider_ends_calls(CallFault.LATE), lasts=True),
    Fault("provider-resets", ("provider",), LATER, provider_ends_calls(CallFault.RESET), lasts=True),
    Fault(
        "provider-garbage",
        ("provider",),
        LATER,
        provider_ends_calls(CallFault.HTML, CallFault.STATUS_500),
        lasts=True,
    ),
    Fault("provider-down", ("provider",), LATER, provider_is_down, lasts=True),
    Fault("renew-certificates", tuple(CERTIFICATE_NAMES), NOTHING, certificates_renewed, lasts=True),
    Fault("flood-edge", ("edge",), SLOW, flooded, lasts=True),
    Fault("kill-work-and-flush-redis", ("notifications-work", "redis"), LATER, work_killed_and_redis_flushed),
)

COPIES_FAULTS: tuple[Fault, ...] = (
    Fault("kill-load-balancer", (LOAD_BALANCER,), REFUSED, killed(LOAD_BALANCER)),
    *(
        Fault(f"kill-{SIDECAR}{caller}", (f"{SIDECAR}{caller}",), meanwhile, killed(f"{SIDECAR}{caller}"))
        for caller, meanwhile in (
            ("letters", LATER),
            ("notifications", LATER),
            ("callbacks-worker", NOTHING),
            (PUBLIC_GATEWAY, REFUSED),
            (INTERNAL_GATEWAY, NOTHING),
        )
    ),
)
"""Those that there are where there is more than one of each."""


def faults_of(house: House) -> tuple[Fault, ...]:
    """Return the faults that can be done to a house."""
    return FAULTS + (COPIES_FAULTS if house.stack.has_copies else ())
