"""The processes of a deployment: which there are, and with what command each is started (design.md §2.12)."""

import contextlib
import stat
import sys
import tomllib
from pathlib import Path

import psutil
import requests
from notify_local.backing import wait_until
from notify_testing.waiting import WAIT_SECONDS
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.house import House

ROOT = Path(__file__).parents[2]


def test_each_process_is_started_with_its_command(house: House) -> None:
    commands = {
        name: psutil.Process(process.pid).cmdline() for name, process in house.stack.processes.items()
    }
    edge = commands.pop("edge")
    assert edge[0].endswith("/envoy")
    assert "notify_local.receiver" in commands.pop("callback-receiver")
    # what the gateway's command becomes
    for name in ("gateway-public", "gateway-internal"):
        assert commands[name] == [sys.executable, "-m", "notify_gateway.serving"]
        commands[name] = house.stack.processes[name].command
    declared = tomllib.loads((ROOT / "deploy" / "processes.toml").read_text())["processes"]
    assert commands == {name: [sys.executable, *process["command"][1:]] for name, process in declared.items()}


def test_any_worker_of_the_gateway_tells_the_metrics_of_all(house: House) -> None:
    gateway = f"http://127.0.0.1:{house.stack.gateway_port}"

    def answered() -> float:
        scraped = requests.get(f"{gateway}/metrics", timeout=WAIT_SECONDS).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(scraped)
            for sample in family.samples
            if sample.name == "http_requests_total" and sample.labels["route"] == "/"
        )

    before = answered()
    for _ in range(40):  # each on a connection of its own, which any worker may take
        assert requests.get(f"{gateway}/?simple=1", timeout=WAIT_SECONDS).status_code == 200
    assert {answered() for _ in range(10)} == {before + 40}


def test_a_worker_of_the_gateway_that_dies_is_replaced(house: House) -> None:
    gateway = psutil.Process(house.stack.processes["gateway-public"].pid)

    def workers() -> set[int]:
        """Return the ids of the workers: the children that listen."""
        found = set()
        for child in gateway.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # the one that was ended, if it went just now
                if "granian worker" in child.name() or child.cmdline():
                    found.add(child.pid)
        return found

    before = workers()
    assert len(before) >= 2
    for victim in sorted(before)[:1]:
        psutil.Process(victim).kill()
    status = f"http://127.0.0.1:{house.stack.gateway_port}/_status?simple=1"

    def answers() -> bool:
        try:
            return requests.get(status, timeout=WAIT_SECONDS).status_code == 200
        except requests.ConnectionError:  # the dead worker's own socket had taken it
            return False

    assert wait_until(answers, WAIT_SECONDS)
    assert wait_until(lambda: len(workers() - before) >= 1, WAIT_SECONDS)
    assert gateway.is_running()
    for _ in range(20):
        assert answers()


def test_what_the_processes_write_is_for_their_owner_alone(house: House) -> None:
    written: list[Path] = [*house.stack.folder.glob("logs/*"), *house.stack.folder.glob("objects/**/*")]
    assert written
    open_to_others = [
        path for path in written if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []
