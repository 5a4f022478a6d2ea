"""`python -m notify_admin serve | migrate | seed | …`; `--help` lists the commands."""

import argparse
import sys
import threading
from collections.abc import Callable
from typing import Final

from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import ArchiveUserRequest, CreateUserRequest, GetUserByEmailRequest
from notify_common import main, process
from notify_common.db import migrations
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from notify_common.feeds.command import cursors_command
from notify_common.ids import new_id
from notify_common.logging import get_logger

from notify_admin import bootstrap
from notify_admin.settings import Settings
from notify_admin.store.tables import config_changes, platform_mail
from notify_admin.usecases.audit import verify_audit_log
from notify_admin.usecases.inbound_numbers import add_inbound_numbers
from notify_admin.usecases.platform import protect_sender_ids
from notify_admin.usecases.purge import purge_functional_test_data
from notify_admin.usecases.secrets import rotate_secrets
from notify_admin.usecases.seed import seed_platform
from notify_admin.usecases.users import archive_user, create_user, get_user_by_email

SHORTEST_PASSWORD: Final = 8


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve the gRPC services until told to stop."""
    parts = bootstrap.parts(settings)
    process.serve(parts, bootstrap.registrations(settings, parts.uow), stop)


def migrate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the database to the newest schema."""
    migrations.migrate("notify_admin", settings.database_url.get_secret_value(), settings.app_role)


def seed(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Make the platform's own service, or what is missing of it."""
    made = seed_platform(bootstrap.parts(settings).uow, settings.platform_email_address)
    get_logger().info("seeded", count=made)


def rotate(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Encrypt all secrets with the first of the encryption keys, and say how many others had encrypted."""
    count = rotate_secrets(bootstrap.parts(settings).uow, settings.secret_box())
    sys.stdout.write(f"{count} secrets encrypted anew\n")


def create(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Create a user who can sign in; the password is the first line of stdin. Return 1 if that is refused."""
    user = User(
        name=arguments.name,
        email_address=arguments.email_address,
        mobile_number=arguments.mobile_number,
        auth_type="sms_auth" if arguments.mobile_number else "email_auth",
        platform_admin=arguments.platform_admin,
    )
    password = sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST_PASSWORD:
        sys.stderr.write(f"the password should have {SHORTEST_PASSWORD} characters or more\n")
        return 1
    ask = CreateUserRequest(request_id=new_id(), user=user, password=password)
    return _change_user(settings, lambda tx: create_user(settings.password_hasher(), tx, ask))


def archive(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Take a user out of everything, and forget name and addresses. Return 1 if that is refused."""

    def do(tx: Tx) -> User:
        ask = GetUserByEmailRequest(email_address=arguments.email_address)
        found = get_user_by_email(settings.password_hasher(), tx, ask)
        return archive_user(settings.archive_domain, tx, ArchiveUserRequest(user_id=found.id))

    return _change_user(settings, do)


def purge(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Archive what functional tests made. Return 1 if that is refused."""
    try:
        people, services = purge_functional_test_data(
            bootstrap.parts(settings).uow, settings.archive_domain, arguments.user_name
        )
    except NotifyError as error:
        sys.stderr.write(f"{error.reason}\n")
        return 1
    sys.stdout.write(f"archived {people} users and {services} services\n")
    return 0


def _purge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "user_name", help="before the plus of the users' email addresses, such as notify-tests"
    )


def _change_user(settings: Settings, do: Callable[[Tx], User]) -> int:
    try:
        with bootstrap.parts(settings).uow.begin() as tx:
            user = do(tx)
    except NotifyError as error:
        fields = ", ".join(f"{each.field} {each.description}" for each in error.violations)
        sys.stderr.write(f"{error.reason} {fields}".rstrip() + "\n")
        return 1
    sys.stdout.write(f"{user.id}\n")
    return 0


def _user_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email_address", help="of the user")
    parser.add_argument("--name", required=True, help="of the user")
    parser.add_argument("--mobile-number", default="", help="for codes; without one, links by email")
    parser.add_argument("--platform-admin", action="store_true", help="let the user run the platform")


def _email_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email_address", help="of the user")


def add_numbers(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Add numbers that services may receive texts at."""
    with bootstrap.parts(settings).uow.begin() as tx:
        made = add_inbound_numbers(tx, arguments.provider, _lines(arguments))
    get_logger().info("inbound numbers added", count=made)


def protect_names(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Protect names that no text may come from."""
    with bootstrap.parts(settings).uow.begin() as tx:
        made = protect_sender_ids(tx, _lines(arguments))
    get_logger().info("sender ids protected", count=made)


def _lines(arguments: argparse.Namespace) -> list[str]:
    with arguments.file as file:
        return [line.strip() for line in file if line.strip()]


def _file_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=argparse.FileType(encoding="utf-8"), help="one a line; - reads stdin")


def _number_arguments(parser: argparse.ArgumentParser) -> None:
    _file_argument(parser)
    parser.add_argument(
        "--provider", required=True, choices=["mmg", "firetext"], help="who receives the texts"
    )


def audit(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Say which chains of the audit log are broken, and where first; return 1 if any is."""
    broken = 0
    for chain_id, number in verify_audit_log(bootstrap.parts(settings).uow):
        sys.stdout.write(f"chain {chain_id} is broken at {number}\n")
        broken += 1
    sys.stdout.write(f"{broken} chains are broken\n")
    return 1 if broken else 0


def _audit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["verify"], help="go through all chains and compare their hashes")


if __name__ == "__main__":
    main.run(
        "admin",
        Settings,
        [
            main.Command("serve", "serve the gRPC services", serve),
            main.Command("migrate", "bring the database to the newest schema", migrate, long_running=False),
            main.Command("seed", "make the platform's own service and templates", seed, long_running=False),
            main.Command(
                "audit", "find out whether the audit log was changed", audit, _audit_arguments, False
            ),
            main.Command(
                "create-user",
                "create a user, such as the first one; the password is read from stdin",
                create,
                _user_arguments,
                False,
            ),
            main.Command(
                "archive-user", "take a user out of everything and forget it", archive, _email_argument, False
            ),
            main.Command(
                "purge-functional-test-data",
                "archive the users NAME+<UUID>@… that tests made, and their services",
                purge,
                _purge_arguments,
                False,
            ),
            main.Command(
                "add-inbound-numbers",
                "add numbers that services may receive texts at",
                add_numbers,
                _number_arguments,
                False,
            ),
            main.Command(
                "protect-sender-ids",
                "protect names that no text may come from",
                protect_names,
                _file_argument,
                False,
            ),
            cursors_command([config_changes, platform_mail]),
            main.Command(
                "rotate-secrets",
                "encrypt the secrets at rest with the first encryption key",
                rotate,
                long_running=False,
            ),
        ],
    )
