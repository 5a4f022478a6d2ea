"""A new encryption key while everything runs: nobody is refused, whichever process wrote what is read."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from notify_admin.store import secrets
from notify_admin.usecases.secrets import SecretBox, rotate_secrets
from notify_common.db.unit_of_work import UnitOfWork
from notify_testing.admin import AdminService
from notify_testing.calls import Caller
from notify_testing.database import FreshDatabase
from notify_testing.waiting import until

from .conftest import PACKAGE

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
OLD_FIRST, NEW_FIRST = f"{OLD} {NEW}", f"{NEW} {OLD}"
TYPE = "delivery_status"


@pytest.fixture
def database_url(fresh_database: FreshDatabase) -> str:
    return fresh_database("notify_admin")


@pytest.fixture
def before(database_url: str) -> Iterator[AdminService]:
    """Provide a process that was not restarted yet: it writes with the old key."""
    with AdminService(database_url, OLD_FIRST) as service:
        _ = service.user_id
        yield service


@pytest.fixture
def after(database_url: str, before: AdminService) -> Iterator[AdminService]:
    """Provide one that was, of the same user."""
    with AdminService(database_url, NEW_FIRST) as service:
        service.__dict__["user_id"] = before.user_id
        service._numbers = before._numbers
        yield service


def key_secrets(admin: AdminService, service_id: str) -> set[str]:
    gateway = Caller(admin.channel("gateway-public"), PACKAGE)
    return {key.secret for key in gateway.every("ListVerificationKeys", service_id=service_id)}


def target(admin: AdminService, service_id: str) -> tuple[str, list[str]]:
    """Return token and signing secrets of a callback, newest first."""
    worker = Caller(admin.channel("callbacks-worker"), PACKAGE)
    (found,) = worker.GetCallbackTargets(keys=[{"service_id": service_id, "type": TYPE}])
    return found.bearer_token, list(found.signing_secrets)


def blocked(uow: UnitOfWork) -> bool:
    """Tell whether somebody waits for a row of this database."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with uow.begin() as tx:
        return tx.execute(sa.text(waiting)).first() is not None


def held(uow: UnitOfWork, key: str) -> int:
    """Return how many secrets this key reads."""
    box, found = SecretBox([key]), 0
    with uow.begin() as tx:
        for secret in secrets.SECRETS:
            found += sum(reads(box, value) for _, value in secrets.lock(tx, secret, None, 500))
    return found


def reads(box: SecretBox, value: bytes) -> bool:
    try:
        box.decrypt_bytes(value)
    except RuntimeError:
        return False
    return True


def test_nobody_is_refused_while_secrets_are_encrypted_anew(
    before: AdminService, after: AdminService, database_url: str
) -> None:
    done = threading.Event()
    processes = (before, after)

    def work(number: int) -> tuple[str, set[str], str, list[str]]:
        """Make, change and read secrets by turns in both processes until all were encrypted anew."""
        mine, other = processes[number % 2], processes[(number + 1) % 2]
        service = mine.add_service(name=f"Rotated {number}")
        callback = mine.add_callback(service, TYPE)
        keys: set[str] = set()
        signing: list[str] = []
        token = ""
        turn = 0
        while not done.is_set() or turn < 3:
            turn += 1
            if turn <= 20:
                keys.add(mine.add_key(service).secret)
            signing.insert(0, other.rotate_callback_secret(service, callback, TYPE))
            token = f"token {turn} of {number}"
            mine.change_callback(service, callback, TYPE, token=token)
            for reader in processes:
                assert key_secrets(reader, service) == keys
                assert target(reader, service) == (token, signing[:2])
            mine, other = other, mine
        return service, keys, token, signing

    with ThreadPoolExecutor(3) as pool:
        under_way = [pool.submit(work, number) for number in range(3)]
        try:
            for _ in range(5):
                rotate_secrets(after.uow, SecretBox(NEW_FIRST.split()))
        finally:
            done.set()
        made = [each.result() for each in under_way]
    box = SecretBox(NEW_FIRST.split())
    rotate_secrets(after.uow, box)
    assert rotate_secrets(after.uow, box) == 0
    with AdminService(database_url, NEW) as only_new:
        for service, keys, token, signing in made:
            assert key_secrets(only_new, service) == keys
            assert target(only_new, service) == (token, signing[:2])


def test_a_run_that_is_killed_is_run_again(
    before: AdminService,
    after: AdminService,
    database_url: str,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    service = before.add_service()
    callback = before.add_callback(service, TYPE)
    key = before.add_key(service).secret
    signing = [before.rotate_callback_secret(service, callback, TYPE) for _ in range(2)][::-1]
    environment = {**os.environ, **environment, "NOTIFY_ADMIN_DATABASE_URL": database_url}
    Path(environment["NOTIFY_ADMIN_API_KEY_ENCRYPTION_KEYS_FILE"]).write_text("\n".join(NEW_FIRST.split()))
    command = [sys.executable, "-m", "notify_admin", "rotate-secrets"]
    with before.uow.begin() as tx:
        # it gets past the keys and no further
        tx.execute(sa.text("SELECT 1 FROM callbacks WHERE id = :id FOR UPDATE"), {"id": callback})
        log = (tmp_path / "log").open("w")
        killed = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until(lambda: blocked(after.uow) or killed.poll() is not None)
        killed.kill()
        assert killed.wait() == -9, (tmp_path / "log").read_text()
        log.close()
    assert held(after.uow, NEW) == 1
    for reader in (before, after):
        assert key_secrets(reader, service) == {key}
        assert target(reader, service)[1] == signing
    for count in (3, 0):
        again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert f"{count} secrets encrypted anew" in again.stdout
    with AdminService(database_url, NEW) as only_new:
        assert key_secrets(only_new, service) == {key}
        assert target(only_new, service)[1] == signing


def test_a_secret_that_is_encrypted_anew_does_not_come_back_as_it_was(
    before: AdminService, after: AdminService
) -> None:
    service = before.add_service()
    callback = before.add_callback(service, TYPE)
    first = before.rotate_callback_secret(service, callback, TYPE)
    box = SecretBox(NEW_FIRST.split())
    signing, previous = (
        next(each for each in secrets.SECRETS if each[1].name == f"encrypted_{name}")
        for name in ("signing_secret", "previous_signing_secret")
    )
    with ThreadPoolExecutor(1) as pool:
        with after.uow.begin() as tx:
            rows = secrets.lock(tx, signing, None, 500)
            second = pool.submit(after.rotate_callback_secret, service, callback, TYPE)
            until(lambda: blocked(after.uow) or second.done())
            secrets.save(tx, signing, [(row_id, box.rotate(value) or value) for row_id, value in rows])
        newest = second.result()
    assert target(after, service)[1] == [newest, first]
    with after.uow.begin() as tx:
        ((_, kept),) = secrets.lock(tx, previous, None, 500)
    assert SecretBox([NEW]).decrypt_bytes(kept).decode() == first
