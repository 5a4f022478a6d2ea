"""The processes of a deployment: which there are, and with what command each is started (design.md §2.12)."""

import sys

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.house import House

pytestmark = pytest.mark.xdist_group("house")

SERVE = {
    name: ["-m", f"notify_{name}", "serve"] for name in ("admin", "providers", "letters", "notifications")
}
WORK = {
    "providers-work": ["-m", "notify_providers", "work", "--queues", "dispatch,sandbox,housekeeping"],
    "letters-work": ["-m", "notify_letters", "work", "--queues", "relay,print-runs,housekeeping"],
    "letters-celery": ["-m", "celery", "-A", "notify_letters.celery_app", "worker", "-Q", "render,submit"],
    "letters-beat": ["-m", "celery", "-A", "notify_letters.celery_app", "beat"],
    "notifications-work": ["-m", "notify_notifications", "work", "--queues", "relay,feeds,housekeeping"],
}


def test_each_process_is_started_with_its_command(house: House) -> None:
    commands = {
        name: psutil.Process(process.pid).cmdline() for name, process in house.stack.processes.items()
    }
    gateway, edge = commands.pop("api-gateway"), commands.pop("edge")
    assert commands == {name: [sys.executable, *rest] for name, rest in (SERVE | WORK).items()}
    assert gateway[:3] == [sys.executable, "-m", "granian"]
    assert gateway[gateway.index("--interface") :][:3] == ["--interface", "wsgi", "--factory"]
    assert gateway[-1] == "notify_gateway.app:create_app"
    assert edge[0].endswith("/envoy")


def test_any_worker_of_the_gateway_tells_the_metrics_of_all(house: House) -> None:
    gateway = f"http://127.0.0.1:{house.stack.gateway_port}"

    def answered() -> float:
        scraped = requests.get(f"{gateway}/metrics", timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(scraped)
            for sample in family.samples
            if sample.name == "http_requests_total" and sample.labels["route"] == "/_status"
        )

    before = answered()
    for _ in range(40):  # each on a connection of its own, which any worker may take
        assert requests.get(f"{gateway}/_status?simple=1", timeout=10).status_code == 200
    assert {answered() for _ in range(10)} == {before + 40}
