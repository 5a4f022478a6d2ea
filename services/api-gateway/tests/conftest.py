"""The gateway in front of its neighbours, for all tests of it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from notify.admin.v1.api_key_pb2 import VerificationKey
from notify_gateway.app import create_app
from notify_gateway.settings import Face, GatewaySettings
from notify_testing.database import databases
from notify_testing.rpc import certificates
from pydantic import SecretStr

from .described import DescribedClient
from .neighbours import Neighbours


@pytest.fixture(scope="session")
def started_neighbours(database_server: str) -> Iterator[Neighbours]:
    with databases(database_server) as fresh, Neighbours(fresh("notify_admin")) as started:
        yield started


@pytest.fixture
def neighbours(started_neighbours: Neighbours) -> Neighbours:
    started_neighbours.forget()
    return started_neighbours


ADMIN_SECRET = "a-secret-of-the-admin-web-app-long-enough"
PREVIEW_TOKENS = "another one-of-two"


@pytest.fixture(scope="session")
def settings(started_neighbours: Neighbours) -> GatewaySettings:
    return settings_of(Face.PUBLIC, started_neighbours)


@pytest.fixture(scope="session")
def internal_settings(started_neighbours: Neighbours) -> GatewaySettings:
    return settings_of(
        Face.INTERNAL,
        started_neighbours,
        console_enabled=True,
        admin_client_secrets=SecretStr(ADMIN_SECRET),
        template_preview_tokens=SecretStr(PREVIEW_TOKENS),
    )


def settings_of(face: Face, neighbours: Neighbours, **values: Any) -> GatewaySettings:
    files = certificates()[face.service]
    targets = neighbours.targets
    return GatewaySettings(
        face=face,
        tls_ca_file=files.ca,
        tls_cert_file=files.cert,
        tls_key_file=files.key,
        max_body_bytes=9_000_000,
        access_log_sample=1,
        admin_target=targets["admin"],
        notifications_target=targets["notifications"],
        letters_target=targets["letters"],
        providers_target=targets["providers"],
        **values,
    )


@pytest.fixture(scope="session")
def app(settings: GatewaySettings) -> Iterator[Flask]:
    made = create_app(settings)
    made.test_client_class = DescribedClient
    yield made
    made.extensions["close"]()


@pytest.fixture(scope="session")
def internal_app(internal_settings: GatewaySettings) -> Iterator[Flask]:
    made = create_app(internal_settings)
    yield made
    made.extensions["close"]()


@dataclass
class Tenant:
    """A service with a key of each type."""

    id: str
    normal: VerificationKey
    team: VerificationKey
    test: VerificationKey

    def headers(self, key_type: str = "normal", **claims: Any) -> dict[str, str]:
        """Return the headers of a request with a fresh token."""
        return bearer(make_token(self.id, getattr(self, key_type).secret, **claims))

    @property
    def api_key(self) -> str:
        """The live key as official clients take it."""
        return f"live-{self.id}-{self.normal.secret}"


def make_token(issuer: object, secret: str, algorithm: str = "HS256", **claims: Any) -> str:
    """Return a token; a claim of value None is left out."""
    everything = {"iss": issuer, "iat": int(time.time()), **claims}
    payload = {name: value for name, value in everything.items() if value is not None}
    # Claims that the library would refuse to write are made on purpose.
    return jwt.PyJWS().encode(json.dumps(payload).encode(), secret, algorithm=algorithm)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def new_tenant(neighbours: Neighbours, **facts: Any) -> Tenant:
    service_id = neighbours.admin.add_service(**facts)
    keys = [neighbours.admin.add_key(service_id, key_type) for key_type in ("normal", "team", "test")]
    return Tenant(service_id, *keys)


@pytest.fixture
def tenant(neighbours: Neighbours) -> Tenant:
    return new_tenant(neighbours)


@pytest.fixture
def internal_client(internal_app: Flask, neighbours: Neighbours) -> FlaskClient:
    return internal_app.test_client()


@pytest.fixture
def client(app: Flask, neighbours: Neighbours) -> FlaskClient:
    return app.test_client()
