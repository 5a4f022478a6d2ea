"""The service as a whole: who may call, its schema, its commands, the platform's own service."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify.admin.v1.template_pb2 import Template
from notify_admin.settings import Settings
from notify_admin.store.tables import metadata
from notify_admin.usecases.seed import SERVICE_ID, TEMPLATES, USER_ID, seed_platform
from notify_common.db.engine import create_engine
from notify_common.db.migrations import schema_differences
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_common.rpc.channel import Channels
from notify_content.placeholders import compile_content
from notify_testing.calls import Caller, reason
from notify_testing.database import FreshDatabase
from notify_testing.provisioning import app_role, provision
from notify_testing.rpc import InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS, until
from sqlalchemy.engine import make_url

from .conftest import PACKAGE, PAGE_SECRET, Admin


@pytest.mark.parametrize(
    ("method", "callers"),
    {
        "CreateApiKey": "notifications letters providers",
        "GetCallbackTargets": "gateway-internal notifications operator",
        "GetPeople": "gateway-public letters",
        "GetService": "notifications letters providers",
        "ListConfigChanges": "letters providers",
        "ListPlatformMailEvents": "gateway-internal operator letters",
        "ListVerificationKeys": "operator notifications letters providers",
        "VerifyPassword": "operator",
    }.items(),
)
def test_who_may_not_call(server: InProcessServer, method: str, callers: str) -> None:
    for caller in callers.split():
        stranger = Caller(server.channel(caller), PACKAGE)
        assert reason(getattr(stranger, method)) == "CALLER_NOT_ALLOWED", caller


@pytest.mark.parametrize("caller", ["notifications", "operator"])
def test_who_keeps_configuration_may_follow_the_feed(server: InProcessServer, caller: str) -> None:
    assert Caller(server.channel(caller), PACKAGE).ListConfigChanges(cursor="latest").next_cursor


def test_migrations_make_what_the_models_say(fresh_database: FreshDatabase, database_server: str) -> None:
    database = make_url(fresh_database("notify_admin")).database
    as_superuser = make_url(database_server).set(database=database).render_as_string(hide_password=False)
    assert schema_differences(metadata, as_superuser) == []


def test_app_role_can_not_change_the_schema(uow: UnitOfWork) -> None:
    for statement in ("CREATE TABLE mine (id int)", "DROP TABLE services", "DELETE FROM alembic_version"):
        with (
            pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"),
            uow.begin() as conn,
        ):
            conn.exec_driver_sql(statement)


def test_seeding_makes_the_platforms_service_and_twice_changes_nothing(admin: Admin, uow: UnitOfWork) -> None:
    seed_platform(uow, "notify@example.gov.uk")
    service = admin.get_service(str(SERVICE_ID))
    assert (service.name, service.restricted, service.active) == ("Notify", False, True)
    assert {"sms", "email", "international_sms"} <= set(service.permissions)
    senders = admin.every("ListSmsSenders", service_id=service.id)
    told = [(sender.sender, sender.is_default) for sender in senders]
    assert told == [("GOVUK", True), ("07984404008", False)]
    cursor = admin.cursor()
    seed_platform(uow, "notify@example.gov.uk")
    seed_platform(uow, "other@example.gov.uk")
    assert admin.get_service(service.id) == service
    assert admin.changes(cursor) == []


def test_seeding_leaves_what_was_changed_by_hand_and_completes_what_is_missing(
    admin: Admin, uow: UnitOfWork
) -> None:
    seed_platform(uow, "notify@example.gov.uk")
    template = admin.get_template(Template(service_id=str(SERVICE_ID), id=TEMPLATES[0].id))
    template.content = "((verify_code)) it is"
    changed = admin.update_template(template, str(USER_ID), "content")
    with uow.begin() as conn:
        gone = {"id": TEMPLATES[1].id}
        conn.execute(sa.text("DELETE FROM template_versions WHERE template_id = :id"), gone)
        conn.execute(sa.text("DELETE FROM templates WHERE id = :id"), gone)
    seed_platform(uow, "notify@example.gov.uk")
    assert admin.get_template(template) == changed
    template.id = TEMPLATES[1].id
    assert admin.get_template(template).version == 1


# internal-api.md §8
PLACEHOLDERS = {
    "36fb0730-6259-4da1-8a80-c8de22ad4246": "verify_code",
    "299726d2-dba6-42b8-8209-30e1d66ea164": "name, url",
    "ece42649-22a8-4d06-b87f-d52d5d3f0a27": "name, url",
    "4f46df42-f795-4cc4-83bb-65ca312f49cc": "user_name, service_name, url",
    "203566f0-d835-47c5-aa06-932439c86573": "user_name, organisation_name, url",
    "474e9242-823b-4f99-813d-ed392e7f1201": "user_name, url",
    "0880fbb1-a0c6-46f0-9a8e-36c986381ceb": "signin_url, forgot_password_url, feedback_url",
    "eb4d9930-87ab-4aef-9bce-786762687884": "name, url, feedback_url",
    "c73f1d71-4049-46d5-a647-d013bdeca3f0": "name, servicemanagername, email address",
    "8a31520f-4751-4789-8ea1-fe54496725eb": "servicemanagername",
    "a42f1d17-9404-46d5-a647-d013bdfca3e1": "",
    "618185c6-3636-49cd-b7d2-6f6f5eb3bdde": "name, service name",
    "4fd2e43c-309b-4e50-8fb8-1955852d9d71": "org_name, mou_link, signed_by_name",
    "c20206d5-bf03-4002-9a90-37d5032d9e84": "org_name, mou_link, signed_by_name, on_behalf_of_name",
    "522b6657-5ca5-4368-a294-6b527703bd0b": "org_name, mou_link, signed_by_name, on_behalf_of_name",
    "5c7cfc0f-c3f4-4bd6-9a84-5a144aad5425": (
        "name, service_name, organisation_name, requester_name, requester_email_address, "
        "make_service_live_link, support_page_link"
    ),
    "c7083bfe-1b9a-4ff9-bd5c-30508727df6e": (
        "name, service_name, organisation_name, organisation_team_member_names"
    ),
    "62f12a62-742b-4458-9336-741521b131c7": "service_name, body",
    "507d0796-9e23-4ad7-b83b-5efbd9496866": (
        "name, service_name, organisation_name, reason, organisation_team_member_name, "
        "organisation_team_member_email"
    ),
    "77677459-f862-44ee-96d9-b8cb2323d407": (
        "approver_name, requester_name, requester_email_address, service_name, reason_given, reason, url"
    ),
    "38bcd263-6ce8-431f-979d-8e637c1f0576": (
        "requester_name, service_name, service_admin_names, url_ask_to_join_page"
    ),
    "4d8ee728-100e-4f0e-8793-5638cfa4ffa4": "requester_name, approver_name, service_name, dashboard_url",
    "55bcb671-4924-46c5-a00d-1a9d48458008": "name",
}


def test_seeded_templates_have_the_ids_and_placeholders_that_senders_rely_on() -> None:
    found = {
        template.id: {
            *compile_content(template.subject).placeholders,
            *compile_content(template.content).placeholders,
        }
        for template in TEMPLATES
    }
    volumes = found.pop("11fad854-fd38-4a7c-bd17-805fb13dfc12")
    assert {"date", "total_volume"} <= volumes
    assert found == {key: set(filter(None, names.split(", "))) for key, names in PLACEHOLDERS.items()}


# --- the command line


def run(environment: dict[str, str], *command: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "notify_admin", *command],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_check_config_names_what_is_wrong_and_repeats_no_secret(environment: dict[str, str]) -> None:
    assert run(environment, "check-config").returncode == 0
    Path(environment["NOTIFY_ADMIN_API_KEY_ENCRYPTION_KEYS_FILE"]).write_text("hunter2")
    environment.pop("NOTIFY_ADMIN_DATABASE_URL")
    result = run(environment, "check-config")
    assert result.returncode == 2
    assert "NOTIFY_ADMIN_API_KEY_ENCRYPTION_KEYS" in result.stderr
    assert "NOTIFY_ADMIN_DATABASE_URL is required" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_check_config_asks_for_pepper_and_token_key_outside_of_development(
    environment: dict[str, str],
) -> None:
    result = run({**environment, "NOTIFY_ADMIN_ENVIRONMENT": "production"}, "check-config")
    assert (result.returncode, "password_pepper is required" in result.stderr) == (2, True)
    peppered = {"NOTIFY_ADMIN_ENVIRONMENT": "production", "NOTIFY_ADMIN_PASSWORD_PEPPER": "p" * 32}
    result = run({**environment, **peppered}, "check-config")
    assert (result.returncode, "token_secret_key is required" in result.stderr) == (2, True)
    keyed = {**peppered, "NOTIFY_ADMIN_TOKEN_SECRET_KEY": Fernet.generate_key().decode()}
    assert run({**environment, **keyed}, "check-config").returncode == 0


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("NOTIFY_ADMIN_DEFAULT_SMS_SENDER", "should be 1 to 11 letters"),
        ("NOTIFY_ADMIN_PLATFORM_EMAIL_ADDRESS", "is not a valid email address"),
    ],
)
def test_check_config_refuses_what_no_service_could_use(
    environment: dict[str, str], name: str, rule: str
) -> None:
    result = run({**environment, name: "??"}, "check-config")
    assert (result.returncode, f"{name}: {rule}" in result.stderr) == (2, True), result.stderr


def test_commands_bring_an_empty_database_into_service(
    environment: dict[str, str], database_server: str, worker_id: str, tmp_path: Path
) -> None:
    name = f"notify_commands_{worker_id}_{new_id()[-12:]}"
    owner_url, app_url = provision(database_server, "admin", database=name)
    try:
        as_owner = {**environment, "NOTIFY_ADMIN_DATABASE_URL": owner_url}
        as_owner["NOTIFY_ADMIN_APP_ROLE"] = app_role("admin")
        as_app = {**environment, "NOTIFY_ADMIN_DATABASE_URL": app_url}
        assert run(as_app, "seed").returncode == 1
        for _ in range(2):
            assert run(as_owner, "migrate").returncode == 0
            assert run(as_app, "seed").returncode == 0
        assert run(as_app, "rotate-secrets").stdout == "0 secrets encrypted anew\n"
        numbers = tmp_path / "numbers"
        numbers.write_text("07700900510\n\n07700900511\n")
        for _ in range(2):
            assert run(as_app, "add-inbound-numbers", "--provider", "mmg", str(numbers)).returncode == 0
            assert run(as_app, "protect-sender-ids", str(numbers)).returncode == 0
        first = ["create-user", "Ann@example.gov.uk", "--name", "Ann", "--platform-admin"]
        assert run(as_app, *first, stdin="short\n").returncode == 1
        made = run(as_app, *first, stdin="purple elephant 7\n")
        assert made.returncode == 0, made.stderr
        engine = create_engine(app_url)
        with engine.begin() as conn:
            assert (
                conn.execute(sa.text("SELECT platform_admin FROM users WHERE name = 'Ann'")).scalar_one()
                is True
            )
        again = run(as_app, *first, stdin="purple elephant 7\n")
        assert (again.returncode, again.stderr.strip()) == (1, "NAME_TAKEN")
        gone = run(as_app, "archive-user", "ann@example.gov.uk")
        assert (gone.returncode, gone.stdout) == (0, made.stdout)
        assert run(as_app, "archive-user", "ann@example.gov.uk").returncode == 1
        tester = ["create-user", f"notify-tests+{uuid4()}@example.gov.uk", "--name", "Test"]
        assert run(as_app, *tester, stdin="purple elephant 7\n").returncode == 0
        for count in (1, 0):
            purged = run(as_app, "purge-functional-test-data", "notify-tests")
            assert purged.stdout == f"archived {count} users and 0 services\n", purged.stderr
        verified = run(as_app, "audit", "verify")
        assert (verified.returncode, verified.stdout) == (0, "0 chains are broken\n")
        with engine.begin() as conn:
            assert conn.execute(sa.text("SELECT count(*) FROM templates")).scalar_one() == len(TEMPLATES)
            for table in ("inbound_numbers", "protected_sender_ids"):
                assert conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 2
        engine.dispose()
    finally:
        engine = sa.create_engine(
            make_url(database_server).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as conn:
            conn.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()


def test_serve_answers_and_ends_when_told_to(
    environment: dict[str, str], settings: Settings, uow: UnitOfWork, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="notify-") as folder:
        environment |= {
            "NOTIFY_ADMIN_DATABASE_URL": settings.database_url.get_secret_value(),
            "NOTIFY_ADMIN_GRPC_LISTEN": f"unix:{folder}/grpc",
            "NOTIFY_ADMIN_OPS_LISTEN": f"unix:{folder}/admin",
            "NOTIFY_ADMIN_DRAIN_SECONDS": "0",
        }
        log = (tmp_path / "log").open("w")
        server = subprocess.Popen(
            [sys.executable, "-m", "notify_admin", "serve"], env={**os.environ, **environment}, stdout=log
        )
        try:
            until(lambda: Path(folder, "grpc").exists() or server.poll() is not None)
            channels = Channels(tls_settings("operator"))
            admin = Admin(channels.get("admin", f"unix:{folder}/grpc"), uow)
            assert admin.get_service(admin.make_service().id).active
            channels.close()
        finally:
            server.terminate()
            status = server.wait(timeout=WAIT_SECONDS)
            log.close()
        assert status == 0


def test_settings_do_not_show_their_secrets(settings: Settings) -> None:
    shown = repr(settings)
    assert settings.api_key_encryption_keys.get_secret_value() not in shown
    assert PAGE_SECRET not in shown
