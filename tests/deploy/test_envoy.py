"""Production's configurations of Envoy are valid as they stand."""

import subprocess
from pathlib import Path

import pytest
from notify_local import edge, envoy
from notify_testing.certs import ensure_certificates
from notify_testing.waiting import WAIT_SECONDS


def validate(config: Path) -> None:
    """Have Envoy itself judge a configuration."""
    done = subprocess.run(
        [*envoy.command(config), "--mode", "validate"], capture_output=True, text=True, timeout=WAIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


@pytest.mark.parametrize("name", ["edge", "sidecar"])
def test_production_is_valid(tmp_path: Path, name: str) -> None:
    made = ensure_certificates(tmp_path / "certs", ["edge"])["edge"]
    for mounted, file in (("tls.crt", made.cert), ("tls.key", made.key), ("ca.crt", made.ca)):
        (tmp_path / mounted).write_bytes(file.read_bytes())
    for config in envoy.FOLDER.glob("*.yaml"):
        text = config.read_text()
        for folder in ("/etc/notify/tls", "/etc/envoy", "/run/envoy"):
            text = text.replace(folder, str(tmp_path))
        (tmp_path / config.name).write_text(text)
    validate(tmp_path / f"{name}.yaml")


def test_what_is_made_of_it_for_one_machine_is_valid(tmp_path: Path) -> None:
    validate(edge.write_config(tmp_path / "edge.yaml", 18080, [18081, 18082], watch_port=18083))
