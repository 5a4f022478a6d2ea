"""The edge: its configuration is valid, and a real call goes through it."""

import os
import subprocess
from pathlib import Path

import pytest
import requests
from notify_local import edge
from notify_local.backing import ChildProcess, free_ports

from tests.harness.house import House, eventually

pytestmark = pytest.mark.xdist_group("house")


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    config = edge.write_config(tmp_path / "edge.yaml", 18080, 18081)
    done = subprocess.run(
        [*edge.command(config), "--mode", "validate"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_request_passes_and_limits_hold(house: House, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    config = edge.write_config(tmp_path / "edge.yaml", port, house.stack.gateway_port)
    envoy = ChildProcess("edge", edge.command(config), tmp_path / "edge.log", os.environ)
    envoy.start()
    try:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            try:
                return requests.get(f"{url}/_status?simple=1", timeout=1).status_code == 200
            except requests.RequestException:
                return False

        assert eventually(ready, 30), envoy.last_lines()
        sent = requests.post(
            f"{url}/v2/notifications/sms",
            json={
                "template_id": house.seeded.templates["sms"],
                "phone_number": "07400123456",
                "personalisation": {"name": "Amala", "date": "today"},
            },
            headers=house.headers(),
            timeout=10,
        )
        assert sent.status_code == 201
        assert sent.json()["uri"].startswith(f"{url}/v2/notifications/")
        assert requests.get(sent.json()["uri"], headers=house.headers(), timeout=10).status_code == 200
        assert requests.get(f"{url}/metrics", timeout=10).status_code == 404
        big = requests.post(
            f"{url}/v2/notifications/sms", data=b"x" * 11_000_000, headers=house.headers(), timeout=30
        )
        assert (big.status_code, big.json()["result"]) == (413, "error")
    finally:
        envoy.stop()
