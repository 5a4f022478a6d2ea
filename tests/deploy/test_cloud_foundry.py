"""The manifests of Cloud Foundry, and processes that live as there: bound services, a port, an end."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import grpc
import pytest
import requests
import yaml
from cryptography.fernet import Fernet
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from notify_common.rpc.options import channel_options
from notify_common.rpc.tls import channel_credentials
from notify_local.backing import free_ports, wait_until
from notify_testing.database import FreshDatabase
from notify_testing.rpc import tls_settings
from notify_testing.waiting import WAIT_SECONDS
from pydantic import BaseModel, ConfigDict, Field

from tests.deploy.manifests import ROOT
from tests.deploy.test_kubernetes import (
    PREFIXES,
    bucket_variables,
    command_parts,
    known_variables,
    settings_of,
)

FOLDER = ROOT / "deploy" / "cloudfoundry"
SERVICES = sorted(PREFIXES)

KILLED_AFTER_SECONDS = 10
"""From SIGTERM on, unless the platform's operator changed it."""


class Strict(BaseModel):
    """What has these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


Size = Annotated[str, Field(pattern=r"^[0-9]+[MG]$")]


class Process(Strict):
    """A process of an app."""

    type: Annotated[str, Field(pattern=r"^[a-z]+$")]
    command: str
    instances: Annotated[int, Field(ge=0)]
    memory: Size
    disk_quota: Size
    health: Annotated[Literal["port", "process", "http"], Field(alias="health-check-type")]
    health_path: Annotated[str | None, Field(alias="health-check-http-endpoint")] = None
    ready: Annotated[
        Literal["port", "process", "http"] | None, Field(alias="readiness-health-check-type")
    ] = None
    ready_path: Annotated[str | None, Field(alias="readiness-health-check-http-endpoint")] = None


class Docker(Strict):
    """Where an app's image is."""

    image: Annotated[str, Field(pattern=r"^\(\(registry\)\)/notify/[a-z-]+:\(\(tag\)\)$")]


class Route(Strict):
    """A route of an app."""

    route: str


class App(Strict):
    """An app."""

    name: Annotated[str, Field(pattern=r"^notify-[a-z-]+$")]
    docker: Docker
    routes: list[Route] = []
    no_route: Annotated[bool, Field(alias="no-route")] = False
    services: list[str]
    env: dict[str, str]
    processes: Annotated[list[Process], Field(min_length=1)]

    @property
    def service(self) -> str:
        """The service whose image it is."""
        return self.docker.image.split("/")[-1].split(":")[0]

    @property
    def is_for_tasks(self) -> bool:
        """Whether it only runs one-off commands."""
        return self.name.endswith("-tasks")


class Manifest(Strict):
    """A manifest, as Cloud Foundry's reference has it, as far as it is used here."""

    version: Literal[1]
    applications: list[App]


def apps() -> list[App]:
    """Return all apps."""
    return [
        app
        for service in SERVICES
        for app in Manifest.model_validate(
            yaml.safe_load((FOLDER / f"{service}.yml").read_text())
        ).applications
    ]


def policies() -> set[tuple[str, str]]:
    """Return who may reach whom, as the script says to `cf`."""
    stub = 'cf() { echo "$@"; }\n'
    script = stub + (FOLDER / "network-policies.sh").read_text()
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in said.splitlines():
        words = re.fullmatch(r"add-network-policy notify-(\S+) notify-(\S+) --protocol tcp --port 8080", line)
        assert words, line
        found.add((words[1], words[2]))
    return found


def test_every_process_of_the_house_is_started_and_no_other() -> None:
    declared = tomllib.loads((ROOT / "deploy" / "processes.toml").read_text())["processes"].values()
    wanted = {part for each in declared for part in command_parts(each["service"], each["command"])}
    started = {
        part
        for app in apps()
        if not app.is_for_tasks
        for process in app.processes
        for part in command_parts(app.service, process.command.removeprefix("cd /tmp && ").split())
    }
    assert started == wanted


def test_variables_are_settings_and_none_is_a_secret() -> None:
    for app in apps():
        known = dict(known_variables(app.service))
        assert {name for name in app.env if name not in known} == set(), app.name
        assert {name for name in app.env if known[name]} == set(), app.name


def test_whoever_has_an_object_store_is_told_of_every_bucket() -> None:
    stores = {"notify-objects", "notify-files"}  # these say of one bucket what it is called
    bound = {f"{PREFIXES[service]}{name}" for service in SERVICES for name in ("BLOB_BUCKET", "FILE_BUCKET")}
    told = [app for app in apps() if stores & {*app.services}]
    assert {app.service for app in told} == {service for service in SERVICES if bucket_variables(service)}
    for app in told:
        assert bucket_variables(app.service) - bound <= app.env.keys(), app.name


def test_each_process_has_ended_before_it_would_be_killed() -> None:
    for app in apps():
        told = {name.removeprefix(PREFIXES[app.service]): value for name, value in app.env.items()}
        assert float(told["DRAIN_SECONDS"]) + float(told["STOP_GRACE_SECONDS"]) < KILLED_AFTER_SECONDS


def test_who_reaches_whom_is_who_may_call() -> None:
    names = {app.name.removeprefix("notify-") for app in apps() if not app.is_for_tasks}
    may = set()
    for service in SERVICES:
        callers = settings_of(service).model_fields["allowed_callers"].default
        for caller in {caller for callers in callers.values() for caller in callers}:
            may |= {(caller, service)} if caller in names else set()
    assert policies() == may


def test_only_what_the_world_calls_has_a_public_route() -> None:
    public = {
        app.name: app.routes for app in apps() if any("apps.internal" not in r.route for r in app.routes)
    }
    assert list(public) == ["notify-gateway-public"]
    for app in apps():
        assert app.no_route != bool(app.routes)
        for process in app.processes:
            listens = process.type == "web" and bool(app.routes)
            assert (process.health != "process") == listens, (app.name, process.type)
            assert process.ready == (process.health if listens else None)


def test_only_tasks_have_the_database_of_the_owner() -> None:
    for app in apps():
        owned = [name for name in app.services if name.endswith("-owner")]
        assert bool(owned) == (app.is_for_tasks)
        assert all(process.instances == 0 for process in app.processes) == app.is_for_tasks


def test_every_bound_service_and_setting_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    for app in apps():
        for name in app.services:
            assert f"`{name}`" in guide, name
    for service in SERVICES:
        for field, info in settings_of(service).model_fields.items():
            variable = f"{PREFIXES[service]}{field}".upper()
            if info.is_required() and field not in GIVEN and not field.endswith("_target"):
                assert f"`{variable}`" in guide, variable


GIVEN = {
    *("database_url", "broker_url", "blob_access_key", "blob_secret_key"),
    *("tls_ca_file", "tls_cert_file", "tls_key_file", "clamd_address"),
}
"""What bound services give, the certificate that the guide says once for all, and what the manifest says."""


# --- as if there


class Running:
    """A process as Cloud Foundry starts it."""

    def __init__(self, app: str, command: str, bound: dict[str, list[dict[str, Any]]], folder: Path) -> None:
        [found] = [each for each in apps() if each.name == app]
        self.port = free_ports(1)[0]
        self.log = folder / f"{app}.log"
        told = {
            name: value.replace("((domain))", "notify.example.gov.uk") for name, value in found.env.items()
        }
        told |= {name: "127.0.0.1:0" for name in told if name.endswith("METRICS_LISTEN")}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NOTIFY_")},
            **told,
            "VCAP_APPLICATION": json.dumps({"application_name": app, "space_name": "notify"}),
            "VCAP_SERVICES": json.dumps(bound),
            "PORT": str(self.port),
            "TMPDIR": str(folder),
        }
        self._command = [sys.executable, *command.split()[1:]]

    @contextlib.contextmanager
    def started(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it while the block runs; kill it if it has not ended by then."""
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                self._command, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def own_settings(certificate: str, **settings: str) -> dict[str, Any]:
    """Return a user-provided service that holds a certificate and settings."""
    files = tls_settings(certificate)
    prefix = settings.pop("prefix")
    return {
        "name": "own",
        "label": "user-provided",
        "credentials": {
            f"{prefix}TLS_CA_FILE": files.tls_ca_file.read_text(),
            f"{prefix}TLS_CERT_FILE": files.tls_cert_file.read_text(),
            f"{prefix}TLS_KEY_FILE": files.tls_key_file.read_text(),
            **{f"{prefix}{name}": value for name, value in settings.items()},
        },
    }


def end_gracefully(process: "subprocess.Popen[bytes]", log: Path, is_serving: Callable[[], bool]) -> None:
    """Tell a process to end as Cloud Foundry does; it serves on for a while, then ends by itself."""
    process.send_signal(signal.SIGTERM)
    still = is_serving()
    assert process.wait(WAIT_SECONDS) == 0, log.read_text()
    assert still


@pytest.fixture
def admin(module_database: FreshDatabase, tmp_path: Path) -> Running:
    """Provide admin's server, bound to a database."""
    keys = {
        "API_KEY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "TOKEN_SECRET_KEY": Fernet.generate_key().decode(),
        "PASSWORD_PEPPER": "p" * 32,
        "PAGE_TOKEN_SECRET": "s" * 32,
    }
    bound = {
        "postgres": [
            {
                "name": "notify-admin-database",
                "label": "postgres",
                "tags": ["postgresql"],
                "credentials": {"uri": module_database("notify_admin")},
            }
        ],
        "user-provided": [own_settings("admin", prefix="NOTIFY_ADMIN_", **keys)],
    }
    return Running("notify-admin", "python -m notify_admin serve", bound, tmp_path)


def test_admin_serves_at_the_port_and_ends_gracefully(admin: Running) -> None:
    target = f"127.0.0.1:{admin.port}"
    with (
        admin.started() as process,
        grpc.secure_channel(
            target, channel_credentials(tls_settings("operator")), channel_options("admin")
        ) as channel,
    ):
        stub: Any = HealthStub(channel)

        def answers(status: int = health_pb2.HealthCheckResponse.SERVING) -> bool:
            try:
                return bool(stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status == status)
            except grpc.RpcError:
                return False

        assert wait_until(lambda: process.poll() is not None or answers(), WAIT_SECONDS)
        assert process.poll() is None, admin.log.read_text()
        end_gracefully(
            process,
            admin.log,
            lambda: wait_until(lambda: answers(health_pb2.HealthCheckResponse.NOT_SERVING), WAIT_SECONDS),
        )


def test_a_bound_service_without_its_database_is_one_sentence(tmp_path: Path) -> None:
    app = Running("notify-admin", "python -m notify_admin serve", {"postgres": []}, tmp_path)
    app.environment["VCAP_SERVICES"] = "{"
    with app.started() as process:
        assert process.wait(WAIT_SECONDS) == 2
    assert app.log.read_text() == (
        "settings: VCAP_SERVICES should be an object of lists of services with name, tags and credentials, "
        "as JSON\n"
    )


def test_the_gateway_serves_at_the_port_and_ends_gracefully(tmp_path: Path) -> None:
    bound = {
        "user-provided": [own_settings("gateway-public", prefix="NOTIFY_GATEWAY_", METRICS_TOKEN="t" * 32)]
    }
    gateway = Running("notify-gateway-public", "python -m notify_gateway serve", bound, tmp_path)
    url = f"http://127.0.0.1:{gateway.port}/_status?simple=1"

    def status() -> int:
        try:
            return requests.get(url, timeout=1).status_code
        except requests.RequestException:
            return 0

    with gateway.started() as process:
        assert wait_until(lambda: process.poll() is not None or status() == 200, WAIT_SECONDS)
        assert process.poll() is None, gateway.log.read_text()
        end_gracefully(process, gateway.log, lambda: wait_until(lambda: status() == 503, WAIT_SECONDS))
