"""The whole platform as processes on this machine: which there are, how each is told things, in what order.

The commands are those of design.md §2.12, the same as in production; everything is told by environment
variables. Used by `make run` and by the tests that need the whole house.
"""

import os
import re
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import grpc
from cryptography.fernet import Fernet
from grpc_health.v1 import health_pb2, health_pb2_grpc
from notify_common.blobs.s3 import BlobStore
from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_testing.certs import CertificateFiles, ensure_certificates
from notify_testing.provisioning import app_role, provision

from notify_local import edge, envoy, load_balancer, sidecar
from notify_local.backing import (
    START_SECONDS,
    BackingServer,
    ChildProcess,
    ObjectStore,
    Postgres,
    Redis,
    free_ports,
    port_is_free,
)
from notify_local.leftovers import Ledger

CONTEXTS = ("admin", "providers", "letters", "notifications")
"""Contexts with a database, in the order in which they may start: calls only go to earlier ones."""

CALLBACKS_WORKER = "callbacks-worker"
"""Who calls services: a worker of notifications with a certificate of its own."""

CERTIFICATE_NAMES = (*CONTEXTS, CALLBACKS_WORKER, PUBLIC_GATEWAY, INTERNAL_GATEWAY, "operator", "observer")
"""Whom the local authority vouches for: every service, and the person who operates them."""

ADMIN_CLIENT_SECRET = "dev-notify-secret-key"  # noqa: S105 - the admin web app's own default for development
TEMPLATE_PREVIEW_TOKEN = "my-secret-key"  # noqa: S105 - likewise
TOKEN_SECRET_KEY = "5YNWU0e_pN5ZyaSZvBd5uZb_sZlrVDFeOjiea6dq4zQ="  # noqa: S105 - likewise
INBOUND_CREDENTIALS = "username:testkey"
"""With which texts that people send are brought here, in MMG's words."""
INBOUND_NUMBERS = tuple(f"07700900{number}" for number in range(500, 510))
"""Numbers that services here may receive texts at."""
ATTACHMENT_BUCKET = "development-letter-attachments"
TRANSIENT_UPLOAD_BUCKET = "development-transient-uploaded-letters"
TEMPLATE_FILE_BUCKET = "development-template-email-files"
JOB_BUCKET = "development-notifications-csv-upload"
CONTACT_LIST_BUCKET = "development-contact-list"
LOGO_BUCKET = "public-logos-tools"
"""Likewise."""
ADMIN_APP_BUCKETS = (
    ATTACHMENT_BUCKET,
    CONTACT_LIST_BUCKET,
    "development-letters-precompiled-originals-backup",
    JOB_BUCKET,
    "development-report-requests-download",
    TEMPLATE_FILE_BUCKET,
    TRANSIENT_UPLOAD_BUCKET,
    "notify.tools-mou",
    LOGO_BUCKET,
)
"""Buckets that the admin web app expects to be there (docs/admin-app.md), by its names for development."""
GATEWAY_PROCESSES = 1
"""Processes of each face of the gateway, as in a pod: messages that are sent to one process share calls, and
a call is what costs most. COPIES makes more of them."""

CALLS: Mapping[str, Sequence[str]] = {
    "letters": ("admin", "providers"),
    "notifications": ("admin", "letters", "providers"),
    CALLBACKS_WORKER: ("admin", "letters", "providers"),
    PUBLIC_GATEWAY: CONTEXTS,
    INTERNAL_GATEWAY: CONTEXTS,
}
"""Name in a certificate -> the contexts that its processes call."""

DRAIN_SECONDS = 3
"""How long a process goes on after it was told to stop, where there is another one: longer than whoever
spreads calls needs to see it. Of an edge: in which whoever is connected is told to connect anew."""

END_SECONDS = 60.0
"""How long a process that is replaced may take to end: to drain, and to finish what it holds."""

HEARTBEAT_SECONDS = 6.0
"""How old the heartbeat of a worker that lives may be."""

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""


class PortTaken(Exception):
    """The port that the platform should be reached at can't be listened on."""


@dataclass
class Options:
    """What may differ between stacks."""

    run_folder: Path
    """Where all state, logs and certificates are."""
    port: int | None = None
    """Where the platform is reached from outside; None takes a free port."""
    with_edge: bool = False
    """Whether Envoy stands in front of the gateway."""
    console: bool = True
    """Whether the inbox is switched on."""
    with_receiver: bool = False
    """Whether there is a server that takes callbacks and shows them."""
    extra_environment: Mapping[str, Mapping[str, str]] | None = None
    """Process name -> variables that win over the stack's own."""
    postgres_settings: Mapping[str, str] | None = None
    """Settings of the PostgreSQL server."""
    copies: int = 1
    """How many there are of each server, worker and edge. Where there is more than one, services call each
    other through sidecars instead of spreading calls by themselves, behind a load balancer."""
    envoy_folder: Path = envoy.FOLDER
    """Where production's configurations of the edge and of sidecars are."""


class Stack:
    """All processes of one platform: start, use, stop; each process can be killed and started again."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = options.run_folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(self.folder / "processes.json")
        self.processes: dict[str, ChildProcess] = {}
        self._ready: dict[str, Callable[[], bool]] = {}
        self.backing: list[BackingServer] = []
        self.certificates: dict[str, CertificateFiles] = {}
        self._owner_environments: dict[str, dict[str, str]] = {}
        self.app_urls: dict[str, str] = {}
        self.grpc_targets: dict[str, str] = {}
        """Context -> gRPC target of its servers, all of them."""
        self.postgres: Postgres | None = None
        self.redis_url = ""
        self.object_store_url = ""
        self.gateway_ports: dict[str, list[int]] = {PUBLIC_GATEWAY: [], INTERNAL_GATEWAY: []}
        self._server_ports: dict[str, list[int]] = {}
        self._sidecars: dict[str, str] = {}
        """Name of a process -> that of its sidecar."""
        self._watch_ports: dict[str, int] = {}
        """Name of an Envoy -> where it is watched."""
        self._edge_ports: list[int] = []
        self.receiver_url = ""
        self.received_url = ""
        self.port = 0

    @property
    def has_copies(self) -> bool:
        """Whether there is more than one of each server and worker."""
        return self.options.copies > 1

    @property
    def gateway_port(self) -> int:
        """Where the public face of the first gateway is reached."""
        return self.gateway_ports[PUBLIC_GATEWAY][0]

    @property
    def internal_gateway_port(self) -> int:
        """Where the internal face of the first gateway is reached."""
        return self.gateway_ports[INTERNAL_GATEWAY][0]

    @property
    def base_url(self) -> str:
        """Where a client reaches the platform."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, progress: Progress = lambda text: None, waiting: Progress = lambda text: None) -> None:
        """Start everything in order and return when all is ready.

        `progress` is told each step as it begins, `waiting` what takes long, every 15 s until it is there.

        Raises PortTaken, StartFailed. Whatever was started by then is stopped again.
        """
        try:
            self._start(progress, waiting)
        except BaseException:
            self.stop()
            raise

    def _start(self, progress: Progress, waiting: Progress) -> None:
        if self.options.port is not None and not port_is_free(self.options.port):
            raise PortTaken(
                f"port {self.options.port} of 127.0.0.1 is in use or not yours to use; "
                "name another one: make run PORT=…"
            )
        self.port = self.options.port or free_ports(1)[0]
        progress("certificates")
        self.certificates = ensure_certificates(self.folder / "certs", CERTIFICATE_NAMES)
        copies = self.options.copies
        ports = iter(free_ports(18 + 26 * copies))
        progress("database, Redis and object store")
        # The text of a statement that failed, or that a server process died in, and the rows that an error
        # names would put recipients and personalisation into the server's log.
        quiet = {
            "log_min_error_statement": "panic",
            "log_parameter_max_length_on_error": "0",
            "log_error_verbosity": "terse",
        }
        self.postgres = Postgres(self.folder / "postgres", quiet | dict(self.options.postgres_settings or {}))
        redis = Redis(self.folder / "redis", next(ports))
        objects = ObjectStore(self.folder / "objects", next(ports))
        for server in (self.postgres, redis, objects):
            self.backing.append(server)
            server.start()
            self._write_down(server.pid)
        self.redis_url = redis.url
        self.object_store_url = objects.url
        for bucket in ADMIN_APP_BUCKETS:
            BlobStore(
                objects.url, bucket, objects.access_key, objects.secret_key, region=objects.region
            ).ensure_bucket()
        shared = self._secrets()
        owner_urls: dict[str, str] = {}
        for context in CONTEXTS:
            provisioned = provision(self.postgres.url, context)
            owner_urls[context], self.app_urls[context] = provisioned
            self._server_ports[context] = [next(ports) for _ in range(copies)]
            addresses = ",".join(f"127.0.0.1:{port}" for port in self._server_ports[context])
            self.grpc_targets[context] = addresses if copies == 1 else f"ipv4:{addresses}"
        blobs = {
            "BLOB_ENDPOINT": objects.url,
            "BLOB_ACCESS_KEY": objects.access_key,
            "BLOB_SECRET_KEY": objects.secret_key,
            "BLOB_REGION": objects.region,
        }
        told: dict[str, dict[str, str]] = {
            "admin": {
                "API_KEY_ENCRYPTION_KEYS": shared["api-key-encryption"],
                "PASSWORD_PEPPER": shared["password-pepper"],
                "TOKEN_SECRET_KEY": TOKEN_SECRET_KEY,
            },
            "providers": {"MMG_INBOUND_CREDENTIALS": INBOUND_CREDENTIALS},
            "letters": {
                "BROKER_URL": redis.url,
                "CLAMD_ADDRESS": "off",
                "ATTACHMENT_BUCKET": ATTACHMENT_BUCKET,
                "TRANSIENT_UPLOAD_BUCKET": TRANSIENT_UPLOAD_BUCKET,
                "LOGO_BUCKET": LOGO_BUCKET,
                **blobs,
            },
            "notifications": {
                "REDIS_URL": redis.url,
                "TOKEN_SECRET_KEY": TOKEN_SECRET_KEY,
                "API_BASE_URL": self.base_url,
                "UNSUBSCRIBE_PAGE_URL": f"{self.base_url}/unsubscribe/page",
                "FILE_PAGE_URL": self.base_url,
                "FILE_BUCKET": "notify-files",
                "TEMPLATE_FILE_BUCKET": TEMPLATE_FILE_BUCKET,
                "JOB_BUCKET": JOB_BUCKET,
                "CONTACT_LIST_BUCKET": CONTACT_LIST_BUCKET,
                "CLAMD_ADDRESS": "off",
                **blobs,
            },
        }
        environments = {
            context: self._environment(context, shared["page-token"], told[context]) for context in CONTEXTS
        }
        progress("migrations")
        self._prepare(environments, owner_urls)
        if self.has_copies:
            for number in range(copies):
                for caller in CALLS:
                    self._add_sidecar(caller, number, next(ports))
        for context, common in environments.items():
            for number in range(copies):
                environment = common | self._targets(context, context, number)
                listen = f"127.0.0.1:{self._server_ports[context][number]}"
                name = copy_name(context, number)
                self._add_server(name, context, environment, listen, f"127.0.0.1:{next(ports)}")
                self._belongs(name, context, number)
                for worker, command in _WORKERS[context].items():
                    called_as, own = context, environment
                    if worker == "notifications-callbacks":
                        called_as, own = CALLBACKS_WORKER, environment | self._callbacks_environment(number)
                    name = copy_name(worker, number)
                    self._add_worker(name, context, command, own, f"127.0.0.1:{next(ports)}")
                    self._belongs(name, called_as, number)
        for number in range(copies):
            self._add_gateways(number, next(ports), next(ports))
        if self.options.with_edge and not self.has_copies:
            self._edge_ports = [self.port]
            self._add("edge", self._envoy_command("edge"), os.environ, lambda: _http_answers(self.port))
        elif self.options.with_edge:
            self._add_edges_with_load_balancer(ports)
        self.configure_envoys()
        if self.options.with_receiver:
            self._add_receiver(next(ports), next(ports))
        # Each wave calls those before it; within one, all start at once.
        progress("admin")
        sidecars = [name for name in self.processes if name.startswith(SIDECAR)]
        self._start_together([*sidecars, *self.copies_of("admin")], waiting)
        others = [context for context in CONTEXTS if context != "admin"]
        progress(", ".join(others))
        self._start_together([name for context in others for name in self.copies_of(context)], waiting)
        progress("workers and gateway")
        edges = [*self.copies_of("edge"), *self.copies_of(LOAD_BALANCER)]
        left = [name for name, process in self.processes.items() if process.pid is None and name not in edges]
        self._start_together(left, waiting)
        if self.options.with_edge:
            progress("edge")
            self._start_together(edges, waiting)

    def first_address(self, context: str) -> str:
        """Return where the first server of a context listens, for tools that take one address."""
        return self.grpc_targets[context].removeprefix("ipv4:").split(",")[0]

    def copies_of(self, name: str) -> list[str]:
        """Return the names of all copies of a process, such as `admin` and `admin-2`."""
        names = (copy_name(name, number) for number in range(self.options.copies))
        return [name for name in names if name in self.processes]

    def migrate(self) -> None:
        """Bring all schemas up to date, as their owners. Raises StartFailed."""
        migrations = [
            self._command(context, "migrate", environment=environment)
            for context, environment in self._owner_environments.items()
        ]
        for migration in migrations:
            migration.start()
        for migration in migrations:
            migration.wait_for_success()

    def _prepare(self, environments: Mapping[str, dict[str, str]], owner_urls: Mapping[str, str]) -> None:
        for context, environment in environments.items():
            prefix = f"NOTIFY_{context.upper()}_"
            owner = {f"{prefix}DATABASE_URL": owner_urls[context], f"{prefix}APP_ROLE": app_role(context)}
            self._owner_environments[context] = environment | self._targets(context, context, 0) | owner
        self.migrate()
        numbers = self.folder / "inbound-numbers"
        numbers.write_text("\n".join(INBOUND_NUMBERS))
        adding = ("add-inbound-numbers", "--provider", "mmg", str(numbers))
        for command in (("seed",), adding):
            seeding = self._command("admin", *command, environment=environments["admin"])
            seeding.start()
            seeding.wait_for_success()

    def _add_sidecar(self, caller: str, number: int, watch_port: int) -> None:
        name = copy_name(f"{SIDECAR}{caller}", number)
        self._watch_ports[name] = watch_port
        ready = partial(_http_answers, watch_port, "/ready")
        self._add(name, self._envoy_command(f"{self._sidecar_folder(name)}/sidecar"), os.environ, ready)

    def _belongs(self, name: str, caller: str, number: int) -> None:
        """Note which sidecar a process calls through, whose certificate has the name `caller`."""
        if self.has_copies and caller in CALLS:
            self._sidecars[name] = copy_name(f"{SIDECAR}{caller}", number)

    def _sidecar_folder(self, name: str) -> Path:
        return self.folder / "sidecars" / name.removeprefix(SIDECAR)

    def _add_edges_with_load_balancer(self, ports: Iterator[int]) -> None:
        for number in range(self.options.copies):
            name = copy_name("edge", number)
            self._edge_ports.append(next(ports))
            self._watch_ports[name] = next(ports)
            draining = ("--use-dynamic-base-id", "--drain-time-s", str(DRAIN_SECONDS))
            ready = partial(_http_answers, self._edge_ports[number])
            self._add(name, self._envoy_command(name, *draining), os.environ, ready)
        command = self._envoy_command(LOAD_BALANCER)
        self._add(LOAD_BALANCER, command, os.environ, lambda: _http_answers(self.port))

    def _envoy_command(self, config: str, *more: str) -> list[str]:
        return envoy.command(self.folder / f"{config}.yaml", *more)

    def configure_envoys(self) -> None:
        """Write what edges and sidecars are told when they start next, as `options.envoy_folder` has it."""
        source = self.options.envoy_folder
        public, internal = (self.gateway_ports[name] for name in (PUBLIC_GATEWAY, INTERNAL_GATEWAY))
        for number, port in enumerate(self._edge_ports):
            name = copy_name("edge", number)
            edge.write_config(
                self.folder / f"{name}.yaml",
                port,
                public,
                internal_ports=internal,
                watch_port=self._watch_ports.get(name),
                source=source,
            )
        for name in set(self._sidecars.values()):
            caller = original(name).removeprefix(SIDECAR)
            called = {context: self._server_ports[context] for context in CALLS[caller]}
            folder, certificate = self._sidecar_folder(name), self.certificates[caller]
            sidecar.write_config(folder, certificate, called, self._watch_ports[name], source=source)
        if LOAD_BALANCER in self.processes:
            load_balancer.write_config(self.folder / f"{LOAD_BALANCER}.yaml", self.port)
            self._send_to_edges_but()

    def _send_to_edges_but(self, *left_out: str) -> None:
        """Have new connections come to the edges, but not to these."""
        ports = [
            port for number, port in enumerate(self._edge_ports) if copy_name("edge", number) not in left_out
        ]
        load_balancer.send_to(self.folder / f"{LOAD_BALANCER}.yaml", ports)

    def _add_server(
        self, name: str, context: str, environment: dict[str, str], listen: str, ops_listen: str
    ) -> None:
        prefix = f"NOTIFY_{context.upper()}_"
        told = {f"{prefix}GRPC_LISTEN": listen, f"{prefix}OPS_LISTEN": ops_listen}
        command = [sys.executable, "-m", f"notify_{context}", "serve"]
        self._add(name, command, environment | told, partial(self._is_serving, ops_listen))

    def _add_gateways(self, number: int, public_port: int, internal_port: int) -> None:
        internal = {
            "CONSOLE_ENABLED": str(self.options.console).lower(),
            "ADMIN_CLIENT_SECRETS": ADMIN_CLIENT_SECRET,
            "TEMPLATE_PREVIEW_TOKENS": TEMPLATE_PREVIEW_TOKEN,
        }
        outside = public_port if self.options.with_edge else self.port
        self._add_gateway(PUBLIC_GATEWAY, number, outside, {"FACE": "public"})
        self._add_gateway(INTERNAL_GATEWAY, number, internal_port, {"FACE": "internal", **internal})

    def _add_gateway(self, face: str, number: int, port: int, told: Mapping[str, str]) -> None:
        name = copy_name(face, number)
        self.gateway_ports[face].append(port)
        where = {"HTTP_LISTEN": f"127.0.0.1:{port}", "HTTP_PROCESSES": str(GATEWAY_PROCESSES)}
        environment = self._environment("gateway", "", {**where, **told}, name=face)
        environment |= self._targets("gateway", face, number)
        metrics = self.folder / f"{name}-metrics"
        metrics.mkdir(exist_ok=True)
        environment |= {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        command = [sys.executable, "-m", "notify_gateway", "serve"]
        self._add(name, command, environment, lambda: _http_answers(port))
        self._belongs(name, face, number)

    def _add_receiver(self, port: int, page_port: int) -> None:
        certificate = self.certificates[PUBLIC_GATEWAY]
        command = [sys.executable, "-m", "notify_local.receiver", "--port", str(port), "--page-port"]
        command += [str(page_port), "--cert", str(certificate.cert), "--key", str(certificate.key)]
        self.receiver_url = f"https://127.0.0.1:{port}"
        self.received_url = f"http://127.0.0.1:{page_port}"
        self._add("callback-receiver", command, os.environ, lambda: _http_answers(page_port, "/"))

    def stop(self, progress: Progress = lambda text: None) -> None:
        """Stop everything that was started, last one first; stopping twice is no error."""
        for name, process in reversed(self.processes.items()):
            progress(name)
            process.terminate()
        for process in reversed(self.processes.values()):
            process.stop()
        while self.backing:
            server = self.backing.pop()
            progress(server.name)
            server.stop()
        self.ledger.clear()

    def server(self, name: str) -> BackingServer:
        """Return one of the servers underneath: `postgres`, `redis`, `object-store`."""
        return next(server for server in self.backing if server.name == name)

    def kill(self, name: str) -> None:
        """End one process, or a server underneath, at once, as `kill -9` does."""
        self._part(name).kill()

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Keep processes, or servers underneath, from doing anything while the block runs (SIGSTOP)."""
        parts = [self._part(name) for name in names]
        for part in parts:
            part.freeze()
        try:
            yield
        finally:
            for part in parts:
                part.thaw()

    def restart(self, *names: str) -> None:
        """Start what has ended, all of it at once, and return when it is ready. Raises StartFailed."""
        for server in self.backing:
            if server.name in names:
                server.start()
                self._write_down(server.pid)
        self._start_together([name for name in names if name in self.processes])

    def replace(self, *names: str) -> dict[str, int | None]:
        """Have processes end as a release does, and start them again, each with its sidecar.

        Where there are copies, these should be of one; the others go on. New connections come to other edges
        than one of these, and those that it has are closed as their answers are given. A sidecar ends after
        its process and starts before it. Return with what status each ended. Raises StartFailed.
        """
        edges = [name for name in names if original(name) == "edge" and self.has_copies]
        sidecars = sorted({self._sidecars[name] for name in names if name in self._sidecars})
        if edges:
            self._send_to_edges_but(*edges)
            for name in edges:
                envoy.drain(self.folder / f"{name}.sock")
            time.sleep(DRAIN_SECONDS + 1)
        for part in (names, sidecars):
            for name in part:
                self.processes[name].terminate()
            for name in part:
                self.processes[name].stop(END_SECONDS)
        ended = {name: self.processes[name].exit_status() for name in (*names, *sidecars)}
        self.restart(*sidecars)
        self.restart(*names)
        if edges:
            self._send_to_edges_but()
        return ended

    def ended(self) -> list[str]:
        """Return the names of the processes that should run and do not."""
        return [name for name, process in self.processes.items() if not process.alive()]

    def _part(self, name: str) -> ChildProcess | BackingServer:
        return self.processes[name] if name in self.processes else self.server(name)

    def _start_together(self, names: Sequence[str], waiting: Progress = lambda text: None) -> None:
        for name in names:
            self.processes[name].start()
            self._write_down(self.processes[name].pid)
        for name in names:
            self.processes[name].wait_ready(self._ready[name], START_SECONDS, waiting)

    def _write_down(self, pid: int | None) -> None:
        if pid is not None:
            self.ledger.add(pid)

    def _add(
        self, name: str, command: list[str], environment: Mapping[str, str], ready: Callable[[], bool]
    ) -> None:
        extra = (self.options.extra_environment or {}).get(original(name), {})
        log = self.folder / "logs" / f"{name}.log"
        self.processes[name] = ChildProcess(name, command, log, {**environment, **extra})
        self._ready[name] = ready

    def _add_worker(
        self, name: str, context: str, command: list[str], common: dict[str, str], ops_listen: str
    ) -> None:
        prefix = f"NOTIFY_{context.upper()}_"
        if command[0] == "celery":
            # Celery's processes hold no gRPC server; each shows that it is alive by a file that it touches.
            heartbeat = self.folder / f"{name}.heartbeat"
            if name != original(name) and "worker" in command:
                command = [*command, "--hostname", f"{name}@%h"]  # by the machine's name alone both were one
            environment = common | {f"{prefix}WORKER_HEARTBEAT_FILE": str(heartbeat)}
            self._add(name, [sys.executable, "-m", *command], environment, partial(_is_fresh, heartbeat))
            return
        self._add(
            name,
            [sys.executable, "-m", f"notify_{context}", *command],
            common | {f"{prefix}OPS_LISTEN": ops_listen},
            partial(self._is_serving, ops_listen),
        )

    def _callbacks_environment(self, number: int) -> dict[str, str]:
        """Return what the worker that calls services is told beside what all of notifications is told."""
        certificate = self.certificates[CALLBACKS_WORKER]
        settings = {
            "TLS_CERT_FILE": str(certificate.cert),
            "TLS_KEY_FILE": str(certificate.key),
            "CALLBACK_CA_FILE": str(certificate.ca),
            "CALLBACK_NETWORKS": '["127.0.0.0/8", "::1/128"]',
            "CALLBACK_RETRY_SECONDS": "10",  # somebody is looking on
        }
        told = {f"NOTIFY_NOTIFICATIONS_{key}": value for key, value in settings.items()}
        return told | self._targets("notifications", CALLBACKS_WORKER, number)

    def _targets(self, context: str, caller: str, number: int) -> dict[str, str]:
        """Return how a copy of a context's process, whose certificate has the name `caller`, is told where
        the others are.
        """
        folder = self._sidecar_folder(copy_name(caller, number))
        targets = {
            f"{called.upper()}_TARGET": f"unix:{sidecar.socket(folder, called)}"
            if self.has_copies
            else self.grpc_targets[called]
            for called in CALLS.get(caller, ())
        }
        if targets and self.has_copies:
            targets["SIDECAR"] = "true"
        return {f"NOTIFY_{context.upper()}_{key}": value for key, value in targets.items()}

    def _environment(
        self, context: str, page_token_secret: str, told: Mapping[str, str], name: str = ""
    ) -> dict[str, str]:
        """Return what a process of a context is told, whose certificate has `name`, or the context's."""
        name = name or context
        certificate = self.certificates[name]
        settings = {
            "TLS_CA_FILE": str(certificate.ca),
            "TLS_CERT_FILE": str(certificate.cert),
            "TLS_KEY_FILE": str(certificate.key),
            "ENVIRONMENT": "local",
            "DRAIN_SECONDS": str(DRAIN_SECONDS if self.has_copies else 0),
            **told,
        }
        if context != "gateway":
            settings |= {
                "DATABASE_URL": self.app_urls[context],
                "PAGE_TOKEN_SECRET": page_token_secret,
                "REFLECTION_ENABLED": "true",
            }
        return os.environ | {f"NOTIFY_{context.upper()}_{key}": value for key, value in settings.items()}

    def _command(self, context: str, *command: str, environment: Mapping[str, str]) -> ChildProcess:
        log = self.folder / "logs" / f"{context}-{command[0]}.log"
        return ChildProcess(
            f"{context} {command[0]}", [sys.executable, "-m", f"notify_{context}", *command], log, environment
        )

    def _secrets(self) -> dict[str, str]:
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        makers: dict[str, Callable[[], str]] = {
            "page-token": lambda: secrets.token_urlsafe(48),
            "api-key-encryption": lambda: Fernet.generate_key().decode(),
            "password-pepper": lambda: secrets.token_urlsafe(48),
        }
        for name, make in makers.items():
            if not (folder / name).exists():
                (folder / name).write_text(make())
        return {name: (folder / name).read_text() for name in makers}

    def _is_serving(self, address: str) -> bool:
        with self.operator_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def operator_channel(self, address: str) -> grpc.Channel:
        """Return a channel to `address`, or one of several, with the operator's certificate; close it."""
        certificate = self.certificates["operator"]
        credentials = grpc.ssl_channel_credentials(
            certificate.ca.read_bytes(), certificate.key.read_bytes(), certificate.cert.read_bytes()
        )
        named = (("grpc.ssl_target_name_override", "localhost"),)
        return grpc.secure_channel(address, credentials, options=named)


_WORKERS: dict[str, dict[str, list[str]]] = {
    "admin": {},
    "providers": {"providers-work": ["work", "--queues", "dispatch,receipts,sandbox,housekeeping"]},
    "letters": {
        "letters-work": ["work", "--queues", "relay,checks,print-runs,housekeeping"],
        "letters-celery": ["celery", "-A", "notify_letters.celery_app", "worker", "-Q", "render,submit"],
        "letters-beat": ["celery", "-A", "notify_letters.celery_app", "beat"],
    },
    "notifications": {
        "notifications-work": ["work", "--queues", "relay,feeds,housekeeping"],
        "notifications-callbacks": ["work", "--queues", "callbacks"],
        "notifications-jobs": ["work", "--queues", "jobs"],
    },
}


SIDECAR = "sidecar-"
LOAD_BALANCER = "load-balancer"


def copy_name(name: str, number: int) -> str:
    """Return what the copy `number` of a process, from 0, is called: `admin`, `admin-2`, `admin-3`."""
    return name if number == 0 else f"{name}-{number + 1}"


def original(name: str) -> str:
    """Return what the first copy of the same process is called."""
    return re.sub(r"-[0-9]+$", "", name)


def is_envoy(name: str) -> bool:
    """Tell whether a process is none of ours, but Envoy: an edge, a sidecar, the load balancer."""
    return original(name) in ("edge", LOAD_BALANCER) or name.startswith(SIDECAR)


def rolling(stack: Stack, services: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the processes in the order in which a release replaces them: of each service one copy after the
    other, with all that belongs to that.
    """
    return [
        [name for name in copy if name is not None]
        for names in services
        for copy in zip_longest(*map(stack.copies_of, names))
    ]


def _is_fresh(heartbeat: Path) -> bool:
    try:
        return time.time() - heartbeat.stat().st_mtime < HEARTBEAT_SECONDS
    except OSError:
        return False


def _http_answers(port: int, path: str = "/_status?simple=1") -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
