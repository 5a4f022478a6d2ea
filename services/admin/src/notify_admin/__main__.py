"""`python -m notify_admin serve | migrate | seed | …`; `--help` lists the commands."""

import argparse
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from notify.admin.v1.user_pb2 import User
from notify.admin.v1.users_service_pb2 import ArchiveUserRequest, CreateUserRequest, GetUserByEmailRequest
from notify_common import main, process
from notify_common.db import migrations
from notify_common.errors import NotifyError
from notify_common.feeds.command import cursors_command
from notify_common.ids import new_id
from notify_common.logging import get_logger

from notify_admin import bootstrap
from notify_admin.settings import Settings
from notify_admin.store.tables import config_changes, platform_mail
from notify_admin.usecases import inbound_numbers, platform, purge, secrets, users
from notify_admin.usecases.audit import verify_audit_log
from notify_admin.usecases.seed import seed_platform

SHORTEST_PASSWORD: Final = 8

Task = Callable[[Settings, argparse.Namespace], int | None]
_commands: list[main.Command[Settings]] = []


def _command(options: Mapping[str, Any] | None = None) -> Callable[[Task], Task]:
    """Make a command of a task, called like it, whose help is the first line of the docstring; `options` are
    argparse's by their names. A NotifyError ends it with 1 and its reason.
    """

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        for name, given in (options or {}).items():
            parser.add_argument(name, **given)

    def make(task: Task) -> Task:
        def run(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> int | None:
            try:
                return task(settings, arguments)
            except NotifyError as error:
                fields = ", ".join(f"{each.field} {each.description}" for each in error.violations)
                sys.stderr.write(f"{error.reason} {fields}".rstrip() + "\n")
                return 1

        help_ = (task.__doc__ or "").partition("\n")[0].rstrip(".")
        name = task.__name__.replace("_", "-")
        _commands.append(main.Command(name, help_[0].lower() + help_[1:], run, add_arguments, False))
        return task

    return make


def serve(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    """Serve the gRPC services until told to stop."""
    parts = bootstrap.parts(settings)
    process.serve(parts, bootstrap.registrations(settings, parts.uow), stop)


@_command()
def migrate(settings: Settings, arguments: argparse.Namespace) -> None:
    """Bring the database to the newest schema."""
    migrations.migrate("notify_admin", settings.database_url.get_secret_value(), settings.app_role)


@_command()
def seed(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make the platform's own service and templates, or what is missing of them."""
    made = seed_platform(bootstrap.parts(settings).uow, settings.platform_email_address)
    get_logger().info("seeded", count=made)


@_command({"action": {"choices": ["verify"], "help": "go through all chains and compare their hashes"}})
def audit(settings: Settings, arguments: argparse.Namespace) -> int:
    """Find out whether the audit log was changed.

    Says which chains are broken, and where first; returns 1 if any is.
    """
    broken = 0
    for chain_id, number in verify_audit_log(bootstrap.parts(settings).uow):
        sys.stdout.write(f"chain {chain_id} is broken at {number}\n")
        broken += 1
    sys.stdout.write(f"{broken} chains are broken\n")
    return 1 if broken else 0


@_command(
    {
        "email_address": {"help": "of the user"},
        "--name": {"required": True, "help": "of the user"},
        "--mobile-number": {"default": "", "help": "for codes; without one, links by email"},
        "--platform-admin": {"action": "store_true", "help": "let the user run the platform"},
    }
)
def create_user(settings: Settings, arguments: argparse.Namespace) -> int:
    """Create a user, such as the first one; the password is read from stdin."""
    user = User(
        name=arguments.name,
        email_address=arguments.email_address,
        mobile_number=arguments.mobile_number,
        auth_type="sms_auth" if arguments.mobile_number else "email_auth",
    )
    password = sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST_PASSWORD:
        sys.stderr.write(f"the password should have {SHORTEST_PASSWORD} characters or more\n")
        return 1
    ask = CreateUserRequest(request_id=new_id(), user=user, password=password)
    with bootstrap.parts(settings).uow.begin() as tx:
        made = users.create_user(settings.password_hasher(), tx, ask)
        if arguments.platform_admin:
            users.make_platform_admin(tx, made.id)
    sys.stdout.write(f"{made.id}\n")
    return 0


@_command({"email_address": {"help": "of the user"}})
def archive_user(settings: Settings, arguments: argparse.Namespace) -> None:
    """Take a user out of everything and forget it."""
    ask = GetUserByEmailRequest(email_address=arguments.email_address)
    with bootstrap.parts(settings).uow.begin() as tx:
        found = users.get_user_by_email(settings.password_hasher(), tx, ask)
        users.archive_user(settings.archive_domain, tx, ArchiveUserRequest(user_id=found.id))
    sys.stdout.write(f"{found.id}\n")


@_command({"user_name": {"help": "before the plus of the users' email addresses, such as notify-tests"}})
def purge_functional_test_data(settings: Settings, arguments: argparse.Namespace) -> None:
    """Archive the users NAME+<UUID>@… that tests made, and their services."""
    uow = bootstrap.parts(settings).uow
    people, services = purge.purge_functional_test_data(uow, settings.archive_domain, arguments.user_name)
    sys.stdout.write(f"archived {people} users and {services} services\n")


_LINES = {"file": {"type": argparse.FileType(encoding="utf-8"), "help": "one a line; - reads stdin"}}
_RECEIVERS = {"required": True, "choices": ["mmg", "firetext"], "help": "who receives the texts"}


def _lines(arguments: argparse.Namespace) -> list[str]:
    with arguments.file as file:
        return [line.strip() for line in file if line.strip()]


@_command({**_LINES, "--provider": _RECEIVERS})
def add_inbound_numbers(settings: Settings, arguments: argparse.Namespace) -> None:
    """Add numbers that services may receive texts at."""
    with bootstrap.parts(settings).uow.begin() as tx:
        made = inbound_numbers.add_inbound_numbers(tx, arguments.provider, _lines(arguments))
    get_logger().info("inbound numbers added", count=made)


@_command(_LINES)
def protect_sender_ids(settings: Settings, arguments: argparse.Namespace) -> None:
    """Protect names that no text may come from."""
    with bootstrap.parts(settings).uow.begin() as tx:
        made = platform.protect_sender_ids(tx, _lines(arguments))
    get_logger().info("sender ids protected", count=made)


@_command()
def rotate_secrets(settings: Settings, arguments: argparse.Namespace) -> None:
    """Encrypt the secrets at rest with the first encryption key, and say how many others had encrypted."""
    count = secrets.rotate_secrets(bootstrap.parts(settings).uow, settings.secret_box())
    sys.stdout.write(f"{count} secrets encrypted anew\n")


if __name__ == "__main__":
    serving = main.Command("serve", "serve the gRPC services", serve)
    main.run("admin", Settings, [serving, *_commands, cursors_command([config_changes, platform_mail])])
