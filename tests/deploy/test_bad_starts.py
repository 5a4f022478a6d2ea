"""What processes say that can't start: wrong settings, certificates, databases."""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg2
import pytest
import sqlalchemy as sa
import trustme
from alembic import command
from cryptography.fernet import Fernet
from grpc_health.v1 import health_pb2, health_pb2_grpc
from notify_common.callers import PUBLIC_GATEWAY
from notify_common.db import migrations
from notify_common.db.engine import postgres_url
from notify_common.db.schema import newest_revision
from notify_local.backing import free_ports
from notify_testing.database import FreshDatabase
from notify_testing.provisioning import app_role, provision
from notify_testing.rpc import certificates
from notify_testing.waiting import WAIT_SECONDS, until

CONTEXTS = ("admin", "letters", "notifications", "providers")
CELERY_WORKER = ("celery", "-A", "notify_letters.celery_app", "worker", "-Q", "render")
CELERY_BEAT = ("celery", "-A", "notify_letters.celery_app", "beat")
DAY = timedelta(days=1)
NEIGHBOURS = {f"{context.upper()}_TARGET": "127.0.0.1:1" for context in CONTEXTS}


def settings(service: str, **more: str) -> dict[str, str]:
    """Return variables with which a process of a service can start; `more` win, an empty one is taken out."""
    name = service.removeprefix("api-")
    files = certificates()[PUBLIC_GATEWAY if service == "api-gateway" else service]
    told = {
        "TLS_CA_FILE": str(files.ca),
        "TLS_CERT_FILE": str(files.cert),
        "TLS_KEY_FILE": str(files.key),
        "DATABASE_URL": "postgresql://127.0.0.1:1/nothing",
        "PAGE_TOKEN_SECRET": "s" * 32,
        "DRAIN_SECONDS": "0",
        **NEIGHBOURS,
    }
    told |= {
        "admin": {"API_KEY_ENCRYPTION_KEYS": Fernet.generate_key().decode()},
        "letters": {
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "CLAMD_ADDRESS": "off",
            "BLOB_ACCESS_KEY": "key",
            "BLOB_SECRET_KEY": "secret",
        },
    }.get(service, {})
    told = {key: value for key, value in (told | more).items() if value}
    return {f"NOTIFY_{name.upper()}_{key}": value for key, value in told.items()}


def start(told: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start `python -m ARGUMENTS` with these settings alone."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NOTIFY_")}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | dict(told),
    )


def said(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for the end of a process; return its status and the lines of its standard error."""
    try:
        _, error = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
    return process.returncode, error.splitlines()


WRONG = {
    "admin": (
        ("notify_admin", "serve"),
        settings(
            "admin",
            PAGE_TOKEN_SECRET="short",
            DATABASE_URL="mysql://root@db/admin",
            API_KEY_ENCRYPTION_KEYS="hunter2",
            ALLOWED_CALLERS="everybody",
            GRPC_LISTEN="6012",
            ADMIN_BASE_URL="",
        )
        | {"NOTIFY_ADMIN_PASSWORD_PEPPER_FILE": "/nowhere/pepper"},
        {
            "PAGE_TOKEN_SECRET",
            "DATABASE_URL",
            "API_KEY_ENCRYPTION_KEYS",
            "ALLOWED_CALLERS",
            "GRPC_LISTEN",
            "PASSWORD_PEPPER_FILE",
        },
    ),
    "api-gateway": (
        ("notify_gateway", "serve"),
        settings("api-gateway", ADMIN_TARGET="", HTTP_LISTEN="everywhere", MAX_BODY_BYTES="12 MB"),
        {"ADMIN_TARGET", "HTTP_LISTEN", "MAX_BODY_BYTES"},
    ),
    "letters": (
        ("notify_letters", "work"),
        settings("letters", BROKER_URL="kafka://hunter2", CLAMD_ADDRESS="", PRINT_START="teatime"),
        {"BROKER_URL", "CLAMD_ADDRESS", "PRINT_START"},
    ),
    "celery worker": (
        CELERY_WORKER,
        settings("letters", BROKER_URL="", TLS_KEY_FILE="/nowhere/key"),
        {"BROKER_URL", "TLS_KEY_FILE"},
    ),
    "celery beat": (CELERY_BEAT, settings("letters", BLOB_ACCESS_KEY=""), {"BLOB_ACCESS_KEY"}),
    "notifications": (
        ("notify_notifications", "serve"),
        settings(
            "notifications",
            REDIS_URL="hunter2",
            TLS_CA_FILE="",
            CALLBACK_NETWORKS="10.0.0.0",
            TOKEN_SECRET_KEY=",".join(Fernet.generate_key().decode() for _ in range(2)),
        ),
        {"REDIS_URL", "TLS_CA_FILE", "CALLBACK_NETWORKS", "TOKEN_SECRET_KEY"},
    ),
    "providers": (
        ("notify_providers", "work"),
        settings("providers", DISPATCH_WINDOW="0", MMG_URL="ftp://mmg", SES_REGION="hunter2 west"),
        {"DISPATCH_WINDOW", "MMG_URL", "SES_REGION"},
    ),
}
"""Process -> its command, what it is told, and the settings that are wrong or missing in it."""


@pytest.mark.parametrize("process", WRONG)
def test_all_wrong_settings_are_named_at_once(process: str) -> None:
    arguments, told, wrong = WRONG[process]
    status, lines = said(start(told, *arguments))
    assert status == 2, lines
    named = [re.match(r"settings: NOTIFY_[A-Z]+?_([A-Z_]+)", line) for line in lines]
    assert sorted(name[1] for name in named if name) == sorted(wrong)
    assert len(lines) == len(wrong)
    assert "hunter2" not in "".join(lines)


CONTRADICTIONS = {
    "admin": (
        ("notify_admin", "serve"),
        settings("admin", ENVIRONMENT="production"),
        "password_pepper is required in every environment but local",
    ),
    "api-gateway": (
        ("notify_gateway", "serve"),
        settings("api-gateway", ENVIRONMENT="production", CONSOLE_ENABLED="true"),
        "the console may be switched on in the environments local and staging only",
    ),
    "letters": (
        ("notify_letters", "check-config"),
        settings("letters", PRINT_DEADLINE="17:30", PRINT_START="17:00"),
        "print_start should not be before print_deadline",
    ),
    "notifications": (
        ("notify_notifications", "work"),
        settings("notifications", ENVIRONMENT="production"),
        "token_secret_key is required in every environment but local",
    ),
    "providers": (
        ("notify_providers", "serve"),
        settings("providers", ENVIRONMENT="production", SANDBOX_LIVE_MESSAGES="true"),
        "sandbox_live_messages should only be on in local and staging",
    ),
}


def test_what_contradicts_itself_is_one_sentence() -> None:
    started = {name: start(told, *arguments) for name, (arguments, told, _) in CONTRADICTIONS.items()}
    for name, process in started.items():
        status, [line] = said(process)
        assert status == 2
        assert line.endswith(CONTRADICTIONS[name][2])


def _issued(folder: Path, name: str, authority: trustme.CA, leaf: trustme.LeafCert) -> dict[str, str]:
    """Write a certificate with the authority that others go by; return the settings that name it."""
    ca, cert, key = (folder / f"{name}.{part}" for part in ("ca", "pem", "key"))
    authority.cert_pem.write_to_path(str(ca))
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    return {"TLS_CA_FILE": str(ca), "TLS_CERT_FILE": str(cert), "TLS_KEY_FILE": str(key)}


def test_a_certificate_that_nobody_accepts_is_one_sentence(tmp_path: Path) -> None:
    ours, other = trustme.CA(), trustme.CA()
    now, day = datetime.now(UTC), timedelta(days=1)
    expired = ours.issue_cert("letters", not_before=now - 2 * day, not_after=now - day)
    early = ours.issue_cert("admin", not_before=now + day, not_after=now + 2 * day)
    files = {
        "expired": _issued(tmp_path, "expired", ours, expired),
        "early": _issued(tmp_path, "early", ours, early),
        "stranger": _issued(tmp_path, "stranger", ours, other.issue_cert("providers")),
        "mixed": _issued(tmp_path, "mixed", ours, ours.issue_cert("api-gateway")),
    }
    files["mixed"]["TLS_KEY_FILE"] = files["stranger"]["TLS_KEY_FILE"]
    started = {
        "TLS_CERT_FILE has expired": start(settings("letters", **files["expired"]), *CELERY_WORKER),
        "TLS_CERT_FILE is not yet valid": start(settings("admin", **files["early"]), "notify_admin", "serve"),
        "TLS_CERT_FILE is not signed by": start(
            settings("providers", **files["stranger"]), "notify_providers", "work"
        ),
        "TLS_KEY_FILE is not the key": start(
            settings("api-gateway", **files["mixed"]), "notify_gateway", "serve"
        ),
    }
    for sentence, process in started.items():
        status, lines = said(process)
        told = [line for line in lines if line.startswith("settings: ")]
        assert status == 2, lines
        assert len(told) == 1
        assert sentence in told[0]


def test_a_process_runs_on_a_newer_schema_until_its_certificate_ends_and_goes_on_with_a_new_one(
    module_database: FreshDatabase, database_server: str, tmp_path: Path
) -> None:
    url = module_database("notify_providers")
    change(superuser(database_server, url), "UPDATE alembic_version SET version_num = '9999'")
    authority, now = trustme.CA(), datetime.now(UTC)

    def issue(not_after: datetime) -> dict[str, str]:
        leaf = authority.issue_cert("providers", "localhost", not_before=now - DAY, not_after=not_after)
        return _issued(tmp_path, "providers", authority, leaf)

    health = f"127.0.0.1:{free_ports(1)[0]}"
    told = settings("providers", DATABASE_URL=_plain(url), HEALTH_LISTEN=health, **issue(now + DAY))
    process = start(told, "notify_providers", "serve")
    try:
        with grpc.insecure_channel(health) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)

            def says(status: str) -> bool:
                assert process.poll() is None
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.RpcError:
                    return False
                return bool(answer.status == health_pb2.HealthCheckResponse.ServingStatus.Value(status))

            until(lambda: says("SERVING"))
            issue(datetime.now(UTC) + timedelta(seconds=1))
            until(lambda: says("NOT_SERVING"))
            issue(now + DAY)
            until(lambda: says("SERVING"))
    finally:
        process.kill()
        process.communicate()


def superuser(database_server: str, url: str) -> str:
    """Return the address of a database for the superuser."""
    made = postgres_url(database_server).set(database=postgres_url(url).database)
    return made.render_as_string(hide_password=False)


def change(url: str, statement: str) -> None:
    """Do a statement as a superuser."""
    engine = sa.create_engine(postgres_url(url), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def test_a_database_that_does_not_fit_is_one_sentence(
    module_database: FreshDatabase, database_server: str
) -> None:
    old, without_rights = module_database("notify_admin"), module_database("notify_admin")
    old_letters, newer = module_database("notify_letters"), module_database("notify_providers")
    for url in (old, old_letters):
        change(superuser(database_server, url), "UPDATE alembic_version SET version_num = '0001'")
    change(superuser(database_server, newer), "UPDATE alembic_version SET version_num = '9999'")
    change(superuser(database_server, without_rights), f"REVOKE INSERT ON users FROM {app_role('admin')}")
    empty = postgres_url(module_database()).render_as_string(hide_password=False)
    gone = postgres_url(old).set(database="nowhere").render_as_string(hide_password=False)
    needed = newest_revision("notify_admin")
    started = {
        f"the database's schema is 0001, and this version needs {needed}": start(
            settings("admin", DATABASE_URL=_plain(old)), "notify_admin", "serve"
        ),
        "the database's schema is 0001": start(
            settings("letters", DATABASE_URL=_plain(old_letters)), "notify_letters", "work"
        ),
        "the database has no schema": start(
            settings("notifications", DATABASE_URL=_plain(empty)), "notify_notifications", "work"
        ),
        "may not read and write the table users": start(
            settings("admin", DATABASE_URL=_plain(without_rights)), "notify_admin", "serve"
        ),
        "the database refuses this role, or is not there": start(
            settings("providers", DATABASE_URL=_plain(gone)), "notify_providers", "serve"
        ),
        "this role may not change the schema": start(
            settings("admin", DATABASE_URL=_plain(old)), "notify_admin", "migrate"
        ),
        "": start(settings("providers", DATABASE_URL=_plain(newer)), "notify_providers", "migrate"),
    }
    for sentence, process in started.items():
        status, lines = said(process)
        told = [line for line in lines if not line.startswith("{")]
        assert (status, len(told)) == ((1, 1) if sentence else (0, 0)), lines
        assert sentence in "".join(told)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg2://", "postgresql://")


def test_a_migration_that_was_killed_is_completed_by_two_at_once(database_server: str) -> None:
    owner, app = provision(database_server, "notifications", f"killed_{secrets.token_hex(4)}")
    with migrations._locked_connection(owner) as connection:
        command.upgrade(migrations._config("notify_notifications", connection), "0001")
    told = settings("notifications", DATABASE_URL=_plain(owner), APP_ROLE=app_role("notifications"))
    migrate = ("notify_notifications", "migrate")
    with psycopg2.connect(_plain(owner)) as holder, holder.cursor() as cursor:
        # what the next migrations want to change is held, so that the job is in the middle of one
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        for (table,) in cursor.fetchall():
            if table != "alembic_version":
                cursor.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
        killed = start(told, *migrate)
        deadline = time.monotonic() + WAIT_SECONDS
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        with psycopg2.connect(database_server) as watcher, watcher.cursor() as watching:
            waiting = 0
            while not waiting:
                assert killed.poll() is None
                assert time.monotonic() < deadline
                watching.execute(waits)
                [(waiting,)] = watching.fetchall()
        killed.kill()
        assert killed.wait(WAIT_SECONDS) == -9
        holder.rollback()
    two = [start(told, *migrate) for _ in range(2)]
    ended = [said(process) for process in two]
    assert [status for status, _ in ended] == [0, 0], ended
    with psycopg2.connect(_plain(app)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == [(newest_revision("notify_notifications"),)]
