"""The gateway over HTTP in front of the real servicers of admin, with the platform's own service seeded."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from notify_admin.usecases.seed import seed_platform
from notify_common.blobs.s3 import BlobStore
from notify_gateway.app import create_app
from notify_gateway.settings import Face, GatewaySettings
from notify_letters import bootstrap as letters_bootstrap
from notify_letters.settings import Settings as LettersSettings
from notify_local.backing import ObjectStore
from notify_local.stack import JOB_BUCKET, TRANSIENT_UPLOAD_BUCKET
from notify_notifications import bootstrap
from notify_notifications.settings import Settings
from notify_testing.admin import AdminService
from notify_testing.database import databases
from notify_testing.rpc import InProcessServer, certificates
from notify_testing.serving import serve_in_thread
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from werkzeug.serving import make_server

HERE = Path(__file__).parent
ADMIN_SECRET = "a-secret-of-the-admin-web-app"
NOWHERE = "unix:/nowhere"
LETTER_BUCKET = "letters"


def load_runner() -> ModuleType:
    """Return the runner, which is a program of its own and no module of a package."""
    spec = importlib.util.spec_from_file_location("conformance_run", HERE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    return runner


@pytest.fixture(scope="session")
def runner() -> ModuleType:
    return load_runner()


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Provide the object store, with the buckets that the admin web app fills."""
    store = ObjectStore(tmp_path_factory.mktemp("objects"))
    store.start()
    for name in (JOB_BUCKET, TRANSIENT_UPLOAD_BUCKET, LETTER_BUCKET):
        BlobStore(store.url, name, store.access_key, store.secret_key).ensure_bucket()
    yield store
    store.stop()


@contextmanager
def letters(database_url: str, objects: ObjectStore) -> Iterator[str]:
    """Serve the service letters, without its workers; yield its gRPC target."""
    files = certificates()["letters"]
    parts = letters_bootstrap.parts_for_server(
        LettersSettings.model_validate(
            {
                "database_url": database_url,
                "page_token_secret": "a-page-token-secret-for-tests-only",
                "tls_ca_file": files.ca,
                "tls_cert_file": files.cert,
                "tls_key_file": files.key,
                "admin_target": NOWHERE,
                "providers_target": NOWHERE,
                "broker_url": "redis+socket:///nowhere",
                "clamd_address": "off",
                "blob_endpoint": objects.url,
                "blob_access_key": objects.access_key,
                "blob_secret_key": objects.secret_key,
                "blob_bucket": LETTER_BUCKET,
                "transient_upload_bucket": TRANSIENT_UPLOAD_BUCKET,
            }
        )
    )
    try:
        served = letters_bootstrap.registrations(parts)
        with InProcessServer("letters", served, allowed_callers=parts.settings.allowed_callers) as running:
            yield running.target
    finally:
        parts.close()


@contextmanager
def notifications(
    database_url: str, admin_target: str, letters_target: str, objects: ObjectStore
) -> Iterator[str]:
    """Serve the service notifications, without its Redis; yield its gRPC target."""
    files = certificates()["notifications"]
    parts = bootstrap.parts_for_server(
        Settings(
            database_url=SecretStr(database_url),
            page_token_secret=SecretStr("a-page-token-secret-for-tests-only"),
            admin_target=admin_target,
            letters_target=letters_target,
            redis_url=SecretStr("unix:///nowhere"),
            job_bucket=JOB_BUCKET,
            blob_endpoint=objects.url,
            blob_access_key=objects.access_key,
            blob_secret_key=SecretStr(objects.secret_key),
            tls_ca_file=files.ca,
            tls_cert_file=files.cert,
            tls_key_file=files.key,
        )
    )
    parts.start()
    try:
        served = bootstrap.registrations(parts)
        with InProcessServer(
            "notifications", served, allowed_callers=parts.settings.allowed_callers
        ) as running:
            yield running.target
    finally:
        parts.close()


@pytest.fixture(scope="session")
def notifications_url(database_server: str) -> Iterator[str]:
    """Provide the database of notifications."""
    with databases(database_server) as fresh:
        yield fresh("notify_notifications")


def settings_of(face: Face, targets: Mapping[str, Any], **values: Any) -> GatewaySettings:
    """Return the settings of one face of the gateway."""
    files = certificates()[face.service]
    return GatewaySettings(
        face=face,
        tls_ca_file=files.ca,
        tls_cert_file=files.cert,
        tls_key_file=files.key,
        **targets,
        **values,
    )


@dataclass(frozen=True, slots=True)
class Faces:
    """Both faces of the gateway at one address, as the edge has them on one machine."""

    public: Flask
    internal: Flask

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer by the face that knows the path."""
        rules = self.internal.url_map.bind_to_environ(environ)
        face = self.internal if rules.allowed_methods() else self.public
        return face(environ, start_response)

    def close(self) -> None:
        """Close the connections of both."""
        for face in (self.public, self.internal):
            face.extensions["close"]()


@pytest.fixture(scope="session")
def base_url(database_server: str, notifications_url: str, objects: ObjectStore) -> Iterator[str]:
    """Provide the gateway's address."""
    with (
        databases(database_server) as fresh,
        AdminService(fresh("notify_admin")) as admin,
        letters(fresh("notify_letters"), objects) as letters_target,
        notifications(notifications_url, admin.target, letters_target, objects) as notifications_target,
    ):
        seed_platform(admin.uow, "notify@example.gov.uk")
        targets = {
            "admin_target": admin.target,
            "notifications_target": notifications_target,
            "letters_target": letters_target,
            "providers_target": NOWHERE,
        }
        secrets = SecretStr(f"{ADMIN_SECRET} another-one")
        faces = Faces(
            public=create_app(settings_of(Face.PUBLIC, targets)),
            internal=create_app(settings_of(Face.INTERNAL, targets, admin_client_secrets=secrets)),
        )
        server = make_server("127.0.0.1", 0, faces, threaded=True)
        serve_in_thread(server)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()
        faces.close()


@pytest.fixture(scope="session")
def client(runner: ModuleType, base_url: str, objects: ObjectStore) -> Any:
    """Provide what sends the steps of a case; it asks again where a busy machine has it told to."""
    client = runner.Client(
        runner.arguments(
            [
                *("--base-url", base_url, "--admin-secret", ADMIN_SECRET, "--s3-endpoint", objects.url),
                *("--s3-key", objects.access_key, "--s3-secret", objects.secret_key),
            ]
        )
    )
    again = Retry(3, status_forcelist=[503], allowed_methods=["GET"], raise_on_status=False)
    client.session.mount(base_url, HTTPAdapter(max_retries=again))
    return client


@pytest.fixture(scope="session")
def variables(runner: ModuleType, client: Any) -> Any:
    """Provide the services, people and templates that the cases speak of, made over HTTP alone."""
    return runner.Fixtures(client).build()
