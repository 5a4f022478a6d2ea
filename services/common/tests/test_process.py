"""How a process of workers stops, seen from outside."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from notify_common.rpc.channel import Channels
from notify_testing.database import FreshDatabase
from notify_testing.rpc import tls_settings
from notify_testing.waiting import WAIT_SECONDS, until

PROGRAM = """
import pathlib, sys, threading
from notify_common import process, signals
from notify_common.leases.worker import Worker
from notify_common.logging import configure_logging
from notify_common.settings import DatabaseSettings

class Settings(DatabaseSettings):
    model_config = {"env_prefix": "NOTIFY_EXAMPLE_"}

class Parts(process.Parts[Settings]):
    service = "letters"

    def close(self):
        print("closing", flush=True)
        super().close()

folder = pathlib.Path(sys.argv[1])
batches = 0

def one_batch(uow):
    global batches
    batches += 1
    print(f"batch {batches} began", flush=True)
    while not (folder / "go-on").exists():
        threading.Event().wait(0.01)
    with uow.begin() as tx:
        tx.exec_driver_sql("SELECT 1")
    print(f"batch {batches} finished", flush=True)
    return 1

stop = signals.install()
configure_logging("letters", "error")
parts = Parts(Settings(), 2)
process.work(parts, [Worker("example", parts.uow, one_batch)], stop)
print("gone", flush=True)
"""


def test_health_says_not_serving_before_workers_finish_and_parts_are_closed(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    files = tls_settings("letters")
    ops = f"unix:{tmp_path}/ops"
    environment = os.environ | {
        "NOTIFY_EXAMPLE_TLS_CA_FILE": str(files.tls_ca_file),
        "NOTIFY_EXAMPLE_TLS_CERT_FILE": str(files.tls_cert_file),
        "NOTIFY_EXAMPLE_TLS_KEY_FILE": str(files.tls_key_file),
        "NOTIFY_EXAMPLE_OPS_LISTEN": ops,
        "NOTIFY_EXAMPLE_DATABASE_URL": fresh_database(),
        "NOTIFY_EXAMPLE_PAGE_TOKEN_SECRET": "s" * 32,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    channels = Channels(tls_settings("operator"))
    health: Any = HealthStub(channels.get("letters", ops))
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "batch 1 began\n"

        def status() -> int:
            return int(health.Check(health_pb2.HealthCheckRequest()).status)

        until(lambda: status() == health_pb2.HealthCheckResponse.SERVING)
        child.send_signal(signal.SIGTERM)
        until(lambda: status() == health_pb2.HealthCheckResponse.NOT_SERVING)

        # it said so while the batch was still under way
        (tmp_path / "go-on").touch()
        rest = child.stdout.read()
        assert rest == "batch 1 finished\nclosing\ngone\n"
        assert child.wait(WAIT_SECONDS) == 0
    finally:
        channels.close()
        child.kill()
        child.wait()
