"""Authority, certificates and the key of secrets are replaced under sends: `make drill-rotation`.

Starts the platform. Twice, texts, emails and letters are sent by clients that repeat what was not answered,
while first the authority is replaced (trusted beside the old one, all certificates renewed by it, the old one
no longer trusted) without a restart, and then the key that admin's secrets are encrypted with. At the end
the gateway, which knew the services' keys, is started anew, and one more text is sent. Prints what the
commands say and the census; ends with status 1 where a message was lost or doubled, a certificate of the old
authority is still let in, or a secret can't be read by the new key alone.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography.fernet import Fernet
from grpc_health.v1 import health_pb2, health_pb2_grpc
from notify_local.stack import CERTIFICATE_NAMES
from notify_testing.certs import CertificateFiles, renew_certificates, replace_authority

from tests.chaos.faults import NOTHING, Fault
from tests.chaos.run import run, senders, table
from tests.harness.drilling import drill_folder, drill_house, typed
from tests.harness.house import ASK_SECONDS, House

MESSAGES: Final = 90
FOLLOWED_SECONDS: Final = 15.0
"""Within which every process has taken what is new in its files (docs/operations.md, Certificates)."""
HOLD_SECONDS: Final = 3 * FOLLOWED_SECONDS
KEYS: Final = "NOTIFY_ADMIN_API_KEY_ENCRYPTION_KEYS"


def main() -> int:
    """Return the exit status: 0 where nobody noticed, and what was replaced is of no use any more."""
    with (
        drill_folder() as folder,
        drill_house(folder) as house,
    ):
        faults = (
            Fault("new-authority", CERTIFICATE_NAMES, NOTHING, _new_authority, lasts=True),
            Fault("new-encryption-key", ("admin",), NOTHING, _new_key),
        )
        old = _copy(house.stack.certificates["operator"], folder)
        done, verdict = run(house, faults, MESSAGES, HOLD_SECONDS, redis_too=False, say=print)
        print(table(done, verdict))
        refused = not _is_let_in(house, old)
        print("the old authority is refused" if refused else "THE OLD AUTHORITY IS LET IN")
        house.stack.processes["gateway-public"].stop()
        house.stack.restart("gateway-public")
        with senders(house) as sender:
            house.wait_for_states([sender.send_text(1).id], "delivered")
        print("a gateway that knows no key takes texts")
        return 0 if verdict.clean and refused else 1


@contextmanager
def _new_authority(house: House) -> Iterator[None]:
    """Replace the authority in three steps, the second while the block runs."""
    folder = house.stack.folder / "certs"
    over = threading.Event()

    def replace() -> None:
        begun = time.monotonic()

        def say(what: str) -> None:
            print(f"{time.monotonic() - begun:5.1f} s: {what}", flush=True)
            over.wait(FOLLOWED_SECONDS)

        with replace_authority(folder):
            say("both authorities are trusted")
            renew_certificates(folder, CERTIFICATE_NAMES)
            say("all certificates are the new one's")
        say("the old one is not trusted any more")

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        yield
    finally:
        replacing.join()


@contextmanager
def _new_key(house: House) -> Iterator[None]:
    """Replace the key of admin's secrets as docs/operations.md has it, each step with a restart."""
    admin = house.stack.processes["admin"]
    old, new = admin.environment[KEYS], Fernet.generate_key().decode()

    def restart_with(keys: str) -> None:
        admin.environment[KEYS] = keys
        admin.stop()
        house.stack.restart("admin")

    restart_with(f"{old} {new}")
    restart_with(f"{new} {old}")
    count = -1
    while count:
        [said] = typed(house, "admin", "rotate-secrets")
        count = int(said.removesuffix(" secrets encrypted anew"))
    restart_with(new)
    yield


def _copy(files: CertificateFiles, folder: Path) -> CertificateFiles:
    """Keep a certificate as it is."""
    kept = CertificateFiles(*(folder / name for name in ("old-ca.pem", "old.pem", "old.key")))
    for name in ("cert", "key"):
        getattr(kept, name).write_bytes(getattr(files, name).read_bytes())
    return kept


def _is_let_in(house: House, files: CertificateFiles) -> bool:
    """Tell whether admin takes calls with a certificate."""
    trusted = house.stack.certificates["operator"].ca.read_bytes()
    credentials = grpc.ssl_channel_credentials(trusted, files.key.read_bytes(), files.cert.read_bytes())
    named = (("grpc.ssl_target_name_override", "localhost"),)
    with grpc.secure_channel(house.stack.first_address("admin"), credentials, options=named) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=ASK_SECONDS)
        except grpc.RpcError as error:
            return bool(error.code() is not grpc.StatusCode.UNAVAILABLE)
    return True


if __name__ == "__main__":
    sys.exit(main())
