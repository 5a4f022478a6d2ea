"""`make run` as a person meets it: a taken port, a second start, Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from notifications_python_client.notifications import NotificationsAPIClient
from notify_local.backing import ChildProcess, free_ports, wait_until
from notify_testing.waiting import WAIT_SECONDS


def start(folder: Path, port: int, said: Path | None = None) -> tuple[subprocess.Popen[str], Path]:
    """Start the stack's command; return its process and the file that holds what it says."""
    said = said or folder.with_suffix(".txt")
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "notify_local", "--run-folder", str(folder), "run", "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"COLUMNS": "200"},
        )
    return process, said


def wait_until_up(process: subprocess.Popen[str], said: Path) -> None:
    """Wait until it says that it is up."""
    deadline = time.monotonic() + 2 * WAIT_SECONDS
    while "The platform is up" not in said.read_text():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue


def living(folder: Path) -> dict[int, str]:
    """Return processes with this folder in their command or environment, as id -> command."""
    found = {}
    for process in psutil.process_iter():
        try:
            command, environment = process.cmdline(), process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if any(str(folder) in text for text in (*command, *environment.values())):
            found[process.pid] = " ".join(command)
    return found


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process, said = start(tmp_path / "run", port)
        assert process.wait(WAIT_SECONDS) == 1
    text = said.read_text()
    # Nothing was started, so nothing is said of starting or stopping.
    [line] = text.splitlines()
    assert f"port {port} of 127.0.0.1 is in use" in line


@pytest.mark.parametrize("port", ["0", "65536", "-1", "web"])
def test_what_is_no_port_is_one_clear_sentence(tmp_path: Path, port: str) -> None:
    status, text = said_by(tmp_path / "run", "run", f"--port={port}")
    assert status == 2
    assert "should be a number from 1 to 65535" in text
    assert "Traceback" not in text


def test_a_demo_without_a_platform_is_one_clear_sentence(tmp_path: Path) -> None:
    assert said_by(tmp_path, "demo") == (
        1,
        f"demo: {tmp_path}/demo.json is not there: start the platform first, with `make run`\n",
    )
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    key = f"demo-{uuid.uuid4()}-{uuid.uuid4()}"
    left = {"base_url": nobody, "api_keys": {"normal": key}, "templates": {"sms": str(uuid.uuid4())}}
    (tmp_path / "demo.json").write_text(json.dumps(left))
    assert said_by(tmp_path, "demo") == (1, f"demo: {nobody} does not answer: is the platform up?\n")


def said_by(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command of the stack to its end; return its exit status and all that it says."""
    command = [sys.executable, "-m", "notify_local", "--run-folder", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS)
    return done.returncode, done.stdout + done.stderr


def check_template_command(folder: Path) -> None:
    """Check that one command makes a template that can be sent with."""
    wording = ("--name", "ready", "--content", "Hello ((name))")
    status, text = said_by(folder, "template", "--channel", "sms", *wording)
    assert status == 0, text
    demo = json.loads((folder / "demo.json").read_text())
    client = NotificationsAPIClient(demo["api_keys"]["normal"], base_url=demo["base_url"])
    sent = client.send_sms_notification("07900900123", demo["templates"]["ready"], {"name": "Amala"})
    assert sent["content"]["body"] == "Hello Amala"
    assert said_by(folder, "template", "--channel", "email", *wording) == (
        1,
        "template: a template of the channel email needs a subject\n",
    )


def test_a_start_after_a_killed_one_keeps_everything_and_ctrl_c_leaves_nothing(stack_folder: Path) -> None:
    folder = stack_folder / "run"
    port = free_ports(1)[0]
    killed, said = start(folder, port)
    try:
        wait_until_up(killed, said)
        first, inbox_before = seen(folder, port)
        check_template_command(folder)
    finally:
        killed.kill()
        killed.wait(WAIT_SECONDS)
    assert len(living(folder)) > 10
    process, said = start(folder, port)
    try:
        wait_until_up(process, said)
        assert re.search(r"ended \d+ processes that an earlier run left behind", said.read_text())
        second, inbox = seen(folder, port)
        other, answer = start(folder, free_ports(1)[0], said=stack_folder / "other.txt")
        assert other.wait(WAIT_SECONDS) == 1
        assert f"the platform runs already, as process {process.pid}" in answer.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(WAIT_SECONDS)
    assert status == 0, said.read_text()
    assert living(folder) == {}
    assert not (folder / "demo.json").exists()
    assert set(first) == {
        "base_url",
        "admin_client_id",
        "admin_secret",
        "service_id",
        "api_keys",
        "templates",
        "grpc",
        "redis_url",
        "object_store_url",
        "certs",
    }
    assert (first["api_keys"], first["templates"]) == (second["api_keys"], second["templates"])
    assert len(inbox_before) == 3
    assert inbox_before < inbox


def seen(folder: Path, port: int) -> tuple[dict[str, Any], set[str]]:
    """Return what the demo's file says, and the ids of the messages in the inbox."""
    inbox = requests.get(f"http://127.0.0.1:{port}/console/", timeout=WAIT_SECONDS).text
    ids = set(re.findall("/console/messages/([0-9a-f-]{36})", inbox))
    return json.loads((folder / "demo.json").read_text()), ids


def test_a_start_that_is_told_to_stop_leaves_nothing(stack_folder: Path) -> None:
    folder = stack_folder / "run"
    process, said = start(folder, free_ports(1)[0])
    try:
        assert wait_until(lambda: (folder / "redis" / "redis.log").exists(), WAIT_SECONDS)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0, said.read_text()
    assert living(folder) == {}


def test_a_signal_while_a_process_is_made_leaves_it_known(tmp_path: Path) -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # who runs the tests in the background ignores it
    armed = [True]

    def interrupt(event: str, _: object) -> None:
        if armed and event == "subprocess.Popen":
            armed.clear()
            signal.raise_signal(signal.SIGINT)

    sys.addaudithook(interrupt)  # it can't be taken away, but it is armed once
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = ChildProcess("sleeper", command, tmp_path / "log", os.environ)
    try:
        with pytest.raises(KeyboardInterrupt):
            child.start()
        assert child.alive()
    finally:
        child.stop()
