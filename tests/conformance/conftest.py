"""The gateway over HTTP in front of the real servicers of admin, with the platform's own service seeded."""

import importlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import requests
from flask import Flask
from notify_admin.usecases.seed import seed_platform
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_gateway.app import create_app
from notify_gateway.settings import Face, GatewaySettings
from notify_letters import bootstrap as letters
from notify_local.backing import ObjectStore
from notify_local.stack import CONTACT_LIST_BUCKET, JOB_BUCKET, TRANSIENT_UPLOAD_BUCKET
from notify_notifications import bootstrap as notifications
from notify_testing.admin import AdminService
from notify_testing.database import databases
from notify_testing.rpc import InProcessServer, tls_files
from notify_testing.serving import serve_in_thread
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
from werkzeug.serving import make_server

HERE = Path(__file__).parent
ADMIN_SECRET = "a-secret-of-the-admin-web-app"
NOWHERE = "unix:/nowhere"
LETTER_BUCKET = "letters"
PASSWORD = "correct horse 9"


@pytest.fixture(scope="session")
def runner() -> ModuleType:
    """Provide the runner, which is a program of its own and not typed."""
    return importlib.import_module(".run", __package__)


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Provide the object store, with the buckets that the admin web app fills."""
    store = ObjectStore(tmp_path_factory.mktemp("objects"))
    store.start()
    for name in (JOB_BUCKET, CONTACT_LIST_BUCKET, TRANSIENT_UPLOAD_BUCKET, LETTER_BUCKET):
        BlobStore(store.url, name, store.access_key, store.secret_key).ensure_bucket()
    yield store
    store.stop()


@contextmanager
def serving(service: ModuleType, name: str, objects: ObjectStore, **values: Any) -> Iterator[str]:
    """Serve letters or notifications by its `bootstrap`, without workers or Redis; yield its gRPC target."""
    settings = service.Settings.model_validate(
        {
            **tls_files(name),
            "page_token_secret": "a-page-token-secret-for-tests-only",
            "blob_endpoint": objects.url,
            "blob_access_key": objects.access_key,
            "blob_secret_key": objects.secret_key,
            **values,
        }
    )
    with closing(service.parts_for_server(settings)) as parts:
        parts.start()
        served = service.registrations(parts)
        with InProcessServer(name, served, allowed_callers=settings.allowed_callers) as running:
            yield running.target


@pytest.fixture(scope="session")
def notifications_url(database_server: str) -> Iterator[str]:
    """Provide the database of notifications."""
    with databases(database_server) as fresh:
        yield fresh("notify_notifications")


@pytest.fixture(scope="session")
def notifications_uow(notifications_url: str) -> Iterator[UnitOfWork]:
    """Provide the same, to count in what was sent."""
    engine = create_engine(notifications_url)
    yield UnitOfWork(engine)
    engine.dispose()


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
        serving(
            letters,
            "letters",
            objects,
            database_url=fresh("notify_letters"),
            admin_target=NOWHERE,
            providers_target=NOWHERE,
            broker_url="redis+socket:///nowhere",
            clamd_address="off",
            blob_bucket=LETTER_BUCKET,
            transient_upload_bucket=TRANSIENT_UPLOAD_BUCKET,
        ) as letters_target,
        serving(
            notifications,
            "notifications",
            objects,
            database_url=notifications_url,
            admin_target=admin.target,
            letters_target=letters_target,
            redis_url="unix:///nowhere",
            job_bucket=JOB_BUCKET,
            contact_list_bucket=CONTACT_LIST_BUCKET,
        ) as notifications_target,
    ):
        seed_platform(admin.uow, "notify@example.gov.uk")
        targets = {
            "admin_target": admin.target,
            "notifications_target": notifications_target,
            "letters_target": letters_target,
            "providers_target": NOWHERE,
        }

        def app(face: Face, **secrets: str) -> Flask:
            values = {"face": face, **tls_files(face.service), **targets, **secrets}
            return create_app(GatewaySettings.model_validate(values))

        secret = f"{ADMIN_SECRET} another-one"
        faces = Faces(app(Face.PUBLIC), app(Face.INTERNAL, admin_client_secrets=secret))
        server = make_server("127.0.0.1", 0, faces, threaded=True)
        serve_in_thread(server)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()
        faces.close()


@pytest.fixture(scope="session")
def client(runner: ModuleType, base_url: str, objects: ObjectStore) -> Any:
    """Provide what sends the steps of a case; it asks again where a busy machine has it told to."""
    store = ["--s3-endpoint", objects.url, "--s3-key", objects.access_key, "--s3-secret", objects.secret_key]
    given = ["--base-url", base_url, "--admin-secret", ADMIN_SECRET, *store]
    made = runner.Client(runner.arguments(given))
    again = Retry(3, status_forcelist=[503], allowed_methods=["GET"], raise_on_status=False)
    made.session.mount(base_url, HTTPAdapter(max_retries=again))
    return made


@pytest.fixture(scope="session")
def variables(runner: ModuleType, client: Any) -> Any:
    """Provide the services, people and templates that the cases speak of, made over HTTP alone."""
    return runner.Fixtures(client).build()


class Web:
    """The admin web app, which sends what it likes, at the time that the tests are at."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        offset = int(clock.now().timestamp() - time.time())
        token = {"iss": "notify-admin", "secret": "@admin", "iat_offset": offset}
        form = {"headers": {"Content-Type": "application/json"}} if body is None else {"json": body}
        step = {"method": method, "path": path, "auth": token, "query": query, **form}
        answer: requests.Response = self._client.send(step, {})
        return answer

    def make(self, path: str, body: Any = None, within: str = "data") -> Any:
        """Return what is made, which the answer has under the key `within`."""
        answer = self.send("POST", path, body)
        assert answer.status_code in (200, 201, 204), answer.text
        found = answer.json() if answer.content else {}
        return found.get(within, found)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.send("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def user(self, password: str = PASSWORD) -> str:
        """Return the id of a new user, who is not active yet."""
        form = {"name": "Ann", "email_address": f"ann-{uuid4()}@example.gov.uk", "password": password}
        return str(self.make("/user", {**form, "mobile_number": "07700900201"})["id"])

    def service(self, user_id: str) -> str:
        """Return the id of a new live service."""
        limits = dict.fromkeys((f"{name}_message_limit" for name in ("email", "sms", "letter")), 50)
        form = {"name": f"Service {uuid4()}", "user_id": user_id, "created_by": user_id, "restricted": False}
        return str(self.make("/service", {**form, **limits})["id"])

    def template(self, service_id: str, user_id: str, kind: str = "sms", **fields: Any) -> str:
        """Return the id of a new template."""
        form = template(service_id, user_id, kind, **fields)
        return str(self.make(f"/service/{service_id}/template", form)["id"])

    def upload(self, service_id: str, job_id: str, template_id: str) -> None:
        """Put a spreadsheet of one email where a job looks for it."""
        told = {"original_file_name": "a.csv", "notification_count": "1", "valid": "True"}
        key = f"service-{service_id}-notify/{job_id}.csv"
        file = {"bucket": "csv", "key": key, "body": "email address\n"}
        self._client.s3_put({**file, "metadata": {**told, "template_id": template_id}}, {})


def template(service_id: str, user_id: str, kind: str = "sms", **fields: Any) -> dict[str, Any]:
    """Return the form of a new template."""
    subject = {} if kind == "sms" else {"subject": "S"}
    form = {"name": f"A {kind}", "template_type": kind, "content": "Hello", "service": service_id}
    return {**form, **subject, "created_by": user_id, **fields}


@pytest.fixture(scope="session")
def web(client: Any) -> Web:
    return Web(client)


@pytest.fixture(scope="session")
def ann(web: Web) -> str:
    """Provide the id of an active user."""
    made = web.user()
    web.make(f"/user/{made}/activate")
    return made
