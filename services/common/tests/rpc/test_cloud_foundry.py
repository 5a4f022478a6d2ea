"""Settings that Cloud Foundry tells: bound services, the port; and what is malformed."""

import json
from typing import Any

import pytest
from notify_common.settings import DatabaseSettings, load_settings
from notify_testing.rpc import tls_settings
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict


class Settings(DatabaseSettings):
    """Of an example service."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_EXAMPLE_")

    redis_url: SecretStr
    broker_url: SecretStr
    blob_endpoint: str | None = None
    blob_bucket: str = "default"
    file_bucket: str | None = None
    blob_access_key: str
    blob_secret_key: SecretStr


FILES = tls_settings("admin")
DATABASE = {
    "name": "my-database",
    "label": "postgres",
    "tags": ["postgresql"],
    "credentials": {"uri": "postgresql://u:p@h/d"},
}
REDIS = {
    "name": "my-redis",
    "label": "aws-elasticache",
    "tags": ["Redis"],
    "credentials": {"host": "cache", "port": 6380, "password": "p/w", "tls_enabled": True},
}
OBJECTS = {
    "name": "my-objects",
    "label": "aws-s3-bucket",
    "credentials": {"bucket_name": "pdfs", "aws_access_key_id": "id", "aws_secret_access_key": "hunter2"},
}
OWN = {
    "name": "my-settings",
    "label": "user-provided",
    "credentials": {
        "NOTIFY_EXAMPLE_PAGE_TOKEN_SECRET": "s" * 32,
        "NOTIFY_EXAMPLE_TLS_CA_FILE": FILES.tls_ca_file.read_text(),
        "NOTIFY_EXAMPLE_TLS_CERT_FILE": FILES.tls_cert_file.read_text(),
        "NOTIFY_EXAMPLE_TLS_KEY_FILE": FILES.tls_key_file.read_text(),
    },
}


def bind(monkeypatch: pytest.MonkeyPatch, *services: dict[str, Any], text: str | None = None) -> None:
    """Be in Cloud Foundry, with these services bound."""
    by_label: dict[str, list[dict[str, Any]]] = {}
    for service in services:
        by_label.setdefault(service["label"], []).append(service)
    monkeypatch.setenv("VCAP_APPLICATION", '{"application_name": "example"}')
    monkeypatch.setenv("VCAP_SERVICES", json.dumps(by_label) if text is None else text)
    monkeypatch.setenv("PORT", "8080")


def complaint(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the sentences with which the settings are refused."""
    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"postgres": [{"label": 5}]}', '{"postgres": {"name": "hunter2"}}', '"hunter2"']
)
def test_what_is_malformed_is_one_sentence_without_a_value(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bind(monkeypatch, text=text)
    [line] = complaint(capsys)
    assert line == (
        "settings: VCAP_SERVICES should be an object of lists of services with name, tags and credentials, "
        "as JSON"
    )


def test_two_that_fit_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bind(monkeypatch, DATABASE, DATABASE | {"name": "other"}, REDIS, OBJECTS, OWN)
    assert complaint(capsys) == [
        "settings: VCAP_SERVICES has several services for NOTIFY_EXAMPLE_DATABASE_URL: my-database, other; "
        "set NOTIFY_EXAMPLE_DATABASE_URL"
    ]


def test_one_that_lacks_its_address_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bind(monkeypatch, DATABASE | {"credentials": {"password": "hunter2"}}, REDIS, OBJECTS, OWN)
    assert complaint(capsys) == [
        "settings: the service my-database in VCAP_SERVICES has neither uri nor host"
    ]


def test_what_is_not_bound_is_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bind(monkeypatch, DATABASE, OBJECTS, OWN)
    assert complaint(capsys) == [
        "settings: NOTIFY_EXAMPLE_REDIS_URL is required but not set",
        "settings: NOTIFY_EXAMPLE_BROKER_URL is required but not set",
    ]


def test_bound_services_the_port_and_own_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bind(monkeypatch, DATABASE, REDIS, OBJECTS, OWN)
    settings = load_settings(Settings)
    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.redis_url.get_secret_value() == "rediss://:p%2Fw@cache:6380/"
    assert settings.broker_url == settings.redis_url
    assert (settings.blob_bucket, settings.blob_access_key) == ("pdfs", "id")
    assert settings.file_bucket == "pdfs"
    assert settings.blob_secret_key.get_secret_value() == "hunter2"
    assert settings.blob_endpoint is None
    assert settings.grpc_listen == "0.0.0.0:8080"
    assert settings.tls_key_file.read_text() == FILES.tls_key_file.read_text()
    assert settings.tls_key_file.stat().st_mode & 0o077 == 0
    assert settings.tls_key_file.parent.stat().st_mode & 0o077 == 0


def test_rabbitmq_is_the_broker_before_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    rabbit = {"name": "q", "label": "rabbitmq", "credentials": {"uri": "amqps://u:p@h/v"}}
    bind(monkeypatch, DATABASE, REDIS, OBJECTS, OWN, rabbit)
    settings = load_settings(Settings)
    assert settings.broker_url.get_secret_value() == "amqps://u:p@h/v"


def test_variables_win(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bind(monkeypatch, DATABASE, DATABASE | {"name": "other"}, REDIS, OBJECTS, OWN)
    monkeypatch.setenv("NOTIFY_EXAMPLE_DATABASE_URL", "postgresql://u:p@mine/d")
    monkeypatch.setenv("NOTIFY_EXAMPLE_GRPC_LISTEN", "0.0.0.0:6012")
    settings = load_settings(Settings)
    assert settings.database_url.get_secret_value() == "postgresql://u:p@mine/d"
    assert settings.grpc_listen == "0.0.0.0:6012"


def test_nothing_counts_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bind(monkeypatch, DATABASE, REDIS, OBJECTS, OWN)
    monkeypatch.delenv("VCAP_APPLICATION")
    assert "settings: NOTIFY_EXAMPLE_DATABASE_URL is required but not set" in complaint(capsys)
