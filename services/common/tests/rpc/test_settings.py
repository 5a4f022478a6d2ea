"""Settings at boot: complete, or one clear sentence each (design.md §2.9)."""

from pathlib import Path
from typing import Annotated

import pytest
from notify_common.settings import DatabaseSettings, load_settings
from notify_testing.rpc import tls_settings
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(DatabaseSettings):
    """Of an example service."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_EXAMPLE_")

    api_key: Annotated[SecretStr, Field(min_length=3)] | None = None
    workers: Annotated[int, Field(ge=1, le=9)] = 3


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    files = tls_settings("admin")
    for name, value in {
        "TLS_CA_FILE": files.tls_ca_file,
        "TLS_CERT_FILE": files.tls_cert_file,
        "TLS_KEY_FILE": files.tls_key_file,
        "DATABASE_URL": "postgresql://u:hunter2@db/x",
        "PAGE_TOKEN_SECRET": "s" * 32,
    }.items():
        monkeypatch.setenv(f"NOTIFY_EXAMPLE_{name}", str(value))


def complaint(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_complete_settings_are_read_once_and_frozen() -> None:
    settings = load_settings(Settings, workers=5)
    assert settings.workers == 5
    assert settings.grpc_threads == 8
    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.workers = 6


@pytest.mark.parametrize("name", ["DATABASE_URL", "TLS_CA_FILE", "PAGE_TOKEN_SECRET"])
def test_a_missing_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delenv(f"NOTIFY_EXAMPLE_{name}")
    assert complaint(capsys) == [f"settings: NOTIFY_EXAMPLE_{name} is required but not set"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("WORKERS", "ten", "should be a valid integer"),
        ("WORKERS", "10", "less than or equal to 9"),
        ("GRPC_LISTEN", "6012", "should be host:port, such as 127.0.0.1:0, or unix:/path"),
        ("GRPC_LISTEN", "127.0.0.1:99999", "should be host:port"),
        ("OPS_LISTEN", "unix:", "should be host:port"),
        ("TLS_KEY_FILE", "/nowhere/key.pem", "should name a file that this process can read"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("ALLOWED_CALLERS", '{"a": "b"}', "list"),
        ("ALLOWED_CALLERS", "{", "should be JSON"),
        ("PAGE_TOKEN_SECRET", "hunter2", "at least 32"),
        ("DRAIN_SECONDS", "-1", "greater than or equal to 0"),
    ],
)
def test_a_bad_one_is_one_sentence_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"NOTIFY_EXAMPLE_{name}", value)
    [line] = complaint(capsys)
    assert name.lower() in line.lower()
    assert sentence in line
    assert "hunter2" not in line


def test_all_bad_ones_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NOTIFY_EXAMPLE_DATABASE_URL")
    monkeypatch.setenv("NOTIFY_EXAMPLE_WORKERS", "0")
    assert len(complaint(capsys)) == 2


class TestSecretFiles:
    def test_give_any_secret_without_their_last_line_break(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "url").write_text("postgresql://from-file/x\n")
        (tmp_path / "key").write_text("abc")
        monkeypatch.delenv("NOTIFY_EXAMPLE_DATABASE_URL")
        monkeypatch.setenv("NOTIFY_EXAMPLE_DATABASE_URL_FILE", str(tmp_path / "url"))
        monkeypatch.setenv("NOTIFY_EXAMPLE_API_KEY_FILE", str(tmp_path / "key"))
        settings = load_settings(Settings)
        assert settings.database_url.get_secret_value() == "postgresql://from-file/x"
        assert settings.api_key is not None
        assert settings.api_key.get_secret_value() == "abc"

    def test_that_are_missing_are_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.delenv("NOTIFY_EXAMPLE_DATABASE_URL")
        monkeypatch.setenv("NOTIFY_EXAMPLE_DATABASE_URL_FILE", str(tmp_path / "nowhere"))
        [line] = complaint(capsys)
        assert "NOTIFY_EXAMPLE_DATABASE_URL_FILE should name a readable text file" in line

    def test_beside_a_value_are_refused(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "url").write_text("postgresql://from-file")
        monkeypatch.setenv("NOTIFY_EXAMPLE_DATABASE_URL_FILE", str(tmp_path / "url"))
        [line] = complaint(capsys)
        assert "both set" in line


class Calling(Settings):
    """Of a service that calls another."""

    admin_target: str = "unix:/run/envoy/admin.sock"


def test_what_a_sidecar_is_told_without_tls_leaves_no_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_EXAMPLE_SIDECAR", "true")
    assert load_settings(Calling).sidecar
    for target in ("dns:///admin:6012", "127.0.0.1:6012"):
        monkeypatch.setenv("NOTIFY_EXAMPLE_ADMIN_TARGET", target)
        with pytest.raises(SystemExit):
            load_settings(Calling)
        assert "admin_target should be a unix socket" in capsys.readouterr().err
