"""The command line of a service."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from notify_testing.rpc import tls_settings
from notify_testing.waiting import WAIT_SECONDS

PROGRAM = """
import argparse, threading
from notify_common.main import Command, run
from notify_common.boot import BootError
from notify_common.settings import ServiceSettings

class Settings(ServiceSettings):
    model_config = {"env_prefix": "NOTIFY_EXAMPLE_"}

def work(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    print("working on", arguments.queues, flush=True)
    stop.wait()
    print("stopped", flush=True)

def fail(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    raise ConnectionError("postgres://u:hunter2@db")

def refuse(settings: Settings, arguments: argparse.Namespace, stop: threading.Event) -> None:
    raise BootError("the port is taken")

run("example", Settings, [
    Command("work", "do queued work", work, lambda parser: parser.add_argument("--queues", default="all")),
    Command("migrate", "bring the database up to date", fail, long_running=False),
    Command("serve", "serve gRPC", refuse),
])
"""


@pytest.fixture
def start() -> "Iterator[Callable[..., subprocess.Popen[str]]]":
    files = tls_settings("admin")
    children: list[subprocess.Popen[str]] = []

    def launch(*arguments: str, **settings: str) -> "subprocess.Popen[str]":
        environment = os.environ | {
            "NOTIFY_EXAMPLE_TLS_CA_FILE": str(files.tls_ca_file),
            "NOTIFY_EXAMPLE_TLS_CERT_FILE": str(files.tls_cert_file),
            "NOTIFY_EXAMPLE_TLS_KEY_FILE": str(files.tls_key_file),
            **settings,
        }
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        children.append(child)
        return child

    yield launch
    for child in children:
        child.kill()
        child.wait()


Start = Callable[..., "subprocess.Popen[str]"]


def test_help_says_what_there_is(start: Start) -> None:
    child = start("--help")
    out, _ = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 0
    for word in ("work", "do queued work", "migrate", "serve", "check-config"):
        assert word in out
    out, _ = start("work", "--help").communicate(timeout=WAIT_SECONDS)
    assert "--queues" in out


@pytest.mark.parametrize("arguments", [(), ("dance",), ("work", "--nonsense")])
def test_a_bad_command_ends_with_2(start: Start, arguments: tuple[str, ...]) -> None:
    child = start(*arguments)
    _, err = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 2
    assert "usage:" in err


def test_check_config_says_whether_the_settings_are_complete(start: Start) -> None:
    child = start("check-config")
    out, _ = child.communicate(timeout=WAIT_SECONDS)
    assert (child.returncode, out) == (0, "the settings are complete\n")
    child = start("check-config", NOTIFY_EXAMPLE_GRPC_THREADS="0")
    _, err = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 2
    assert err.startswith("settings: NOTIFY_EXAMPLE_GRPC_THREADS")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_command_in_order(start: Start, number: signal.Signals) -> None:
    child = start("work", "--queues", "a,b")
    assert child.stdout is not None
    while "working on a,b" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(number)
    out, _ = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 0
    assert "stopped" in out


IMPATIENT = """
import os
from notify_common import signals

stop = signals.install()
print("ready", flush=True)
for _ in range(300):
    stop.clear()
    while not stop.wait(0):
        pass
print("done", flush=True)
os._exit(0)
"""


def test_a_signal_may_come_at_any_moment() -> None:
    # A handler that sets the event itself gets stuck when it interrupts the waiting for that event.
    child = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    pause = threading.Event()
    for _ in range(30_000):
        if child.poll() is not None:
            break
        child.send_signal(signal.SIGTERM)
        pause.wait(0.001)
    child.kill()
    assert child.stdout.read() == "done\n"
    child.wait()


WAITING = """
from notify_common import signals

stop = signals.install()
print("ready", flush=True)
stop.wait()
"""


def test_signals_that_come_together_are_all_heard() -> None:
    # While the main thread handles one signal, the kernel gives the next one to another thread.
    for _ in range(15):
        child = subprocess.Popen(
            [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGUSR1)
        child.send_signal(signal.SIGTERM)
        try:
            assert child.wait(WAIT_SECONDS) == 0
        finally:
            child.kill()


def test_sigusr1_shows_the_stacks_and_goes_on(start: Start) -> None:
    child = start("work")
    assert child.stdout is not None
    assert child.stderr is not None
    while "working on" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGUSR1)
    while "in work" not in child.stderr.readline():
        assert child.poll() is None
    child.terminate()
    child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 0


def test_a_failed_command_ends_with_1_and_keeps_its_secrets(start: Start) -> None:
    child = start("migrate")
    out, err = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 1
    assert err == "example: migrate failed (ConnectionError); see the log\n"
    assert '"error_type":"builtins.ConnectionError"' in out
    assert "hunter2" not in out


def test_a_refusal_to_boot_is_its_sentence(start: Start) -> None:
    child = start("serve")
    _, err = child.communicate(timeout=WAIT_SECONDS)
    assert (child.returncode, err) == (1, "example: the port is taken\n")


def test_a_taken_metrics_port_is_one_sentence(start: Start, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        child = start("work", NOTIFY_EXAMPLE_METRICS_LISTEN=address)
        _, err = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 1
    assert err.startswith(f"example: {address} can't be listened on")
