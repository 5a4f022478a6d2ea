"""What a process of a service is made of, and the one order in which it starts and stops (design.md §4.3)."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from notify_common import interpreter
from notify_common.db.engine import create_engine
from notify_common.db.schema import SchemaCheck
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.leases.worker import Worker, WorkerGroup
from notify_common.logging import get_logger
from notify_common.ops.queues import Ops
from notify_common.ops.roll_call import RollCall
from notify_common.rpc.certificates import CertificateWatch
from notify_common.rpc.channel import Channels
from notify_common.rpc.server import OpsServer, Registration, Server
from notify_common.settings import DatabaseSettings

S = TypeVar("S", bound=DatabaseSettings)


@dataclass
class Parts(Generic[S]):
    """The parts of one process, each made when first asked for, after any fork.

    A service adds its own as cached properties, and says in `start` and `close` what runs beside the calls or
    workers and what must be ended.

    Args:
        settings: of the service.
        connections: to the database, at most; workers need one more, for what they say to operators.
    """

    service: ClassVar[str]
    """The service's name, such as `admin`."""
    package: ClassVar[str | None] = None
    """Importable name of the package whose migrations make its schema; None where none do."""
    ops: ClassVar[Ops | None] = None
    """Its queues, as operators know them; None where it has none."""

    settings: S
    connections: int

    @cached_property
    def uow(self) -> UnitOfWork:
        """The database."""
        url = self.settings.database_url.get_secret_value()
        return UnitOfWork(create_engine(url, self.connections, application_name=f"notify-{self.service}"))

    @cached_property
    def channels(self) -> Channels:
        """Channels to the other services."""
        return Channels(self.settings)

    @cached_property
    def schema(self) -> SchemaCheck | None:
        """What is asked of the database's schema."""
        return SchemaCheck(self.package, self.uow) if self.package is not None else None

    def checks(self) -> Mapping[str, Callable[[], bool]]:
        """Return what health depends on."""
        checks = {"database": self.uow.check, "certificate": CertificateWatch(self.settings).check}
        return checks if self.schema is None else {**checks, "schema": self.schema.check}

    def require_schema(self) -> None:
        """Refuse to start where the database is not one that this version can work with. Raises BootError."""
        if self.schema is not None:
            self.schema.require()

    def start(self) -> None:
        """Start what runs beside the calls or workers."""

    def close(self) -> None:
        """End and close what was made."""
        made = self.__dict__
        if "channels" in made:
            self.channels.close()
        if "uow" in made:
            self.uow.engine.dispose()


def serve(parts: "Parts[S]", registrations: Iterable[Registration], stop: threading.Event) -> None:
    """Serve gRPC services until `stop` is set.

    Then health says NOT_SERVING, calls are served on for the drain time, those under way may end, and the
    parts are closed.
    """
    server = Server(parts.service, parts.settings, registrations, parts.checks())
    try:
        parts.require_schema()
        parts.start()
        interpreter.settle()
        server.start()
        server.run_until(stop)
    finally:
        parts.close()


def work(parts: "Parts[S]", workers: Sequence[Worker], stop: threading.Event) -> None:
    """Run workers until `stop` is set.

    Then health says NOT_SERVING first, the workers claim no more and finish what they hold, the parts are
    closed, and only then does health stop answering. What a worker does not finish within
    `stop_grace_seconds` comes up again when its lease ends.
    """
    group = WorkerGroup(workers)
    roll_call = RollCall(parts.uow, parts.ops.tables, workers) if parts.ops is not None else None
    ops = OpsServer(parts.service, parts.settings, {**parts.checks(), "workers": group.healthy})
    try:
        parts.require_schema()
        parts.start()
        interpreter.settle()
        ops.start()
        group.start()
        if roll_call is not None:
            roll_call.start()
        stop.wait()
        get_logger().info("stopping")
        ops.health.enter_shutdown()
        if not group.stop(parts.settings.stop_grace_seconds):
            get_logger().warning("workers did not finish in time")
    finally:
        if roll_call is not None:
            roll_call.stop()
        parts.close()
        ops.stop()
    get_logger().info("stopped")
