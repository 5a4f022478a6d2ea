"""Tokens (public-api.md §1.2, §1.3, appendix D)."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from notify_common import clock
from notify_common.errors import NotifyError

from .conftest import Tenant, bearer, make_token, new_tenant
from .neighbours import Neighbours

EXAMPLE = (
    "Invalid token: make sure your API token matches the example at "
    "https://docs.notifications.service.gov.uk/rest-api.html#authorisation-header"
)
CLOCK = "Error: Your system clock must be accurate to within 30 seconds"
OTHER_SECRET = "11111111-1111-4111-8111-111111111111"


def answer(client: FlaskClient, headers: dict[str, str]) -> tuple[int, str]:
    """Return status and sentence of a request that shows these headers; "" where it is let in."""
    response = client.get("/v2/templates", headers=headers)
    if response.status_code == 200:
        return 200, ""
    body = response.get_json()
    [error] = body["errors"]
    assert body["status_code"] == response.status_code
    assert error["error"] == "AuthError"
    assert "WWW-Authenticate" not in response.headers
    return response.status_code, error["message"]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, at most so long, and tell whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


@pytest.mark.parametrize("header", [None, "", "   "])
def test_no_token(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert answer(client, headers) == (401, "Unauthorized: authentication token must be provided")


@pytest.mark.parametrize("header", ["Basic dTpw", "Bearer", "Bearer ", "Bearer:x", "Token abc", "x.y.z"])
def test_other_schemes(client: FlaskClient, header: str) -> None:
    expected = (401, "Unauthorized: authentication bearer scheme must be used")
    assert answer(client, {"Authorization": header}) == expected


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_schemes_that_work(client: FlaskClient, tenant: Tenant, scheme: str) -> None:
    token = make_token(tenant.id, tenant.normal.secret)
    assert answer(client, {"Authorization": f"{scheme} {token}"}) == (200, "")


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "not-a-token",
        "aaaa.bbbb",
        "a.b.c",
        "..",
        "é.é.é",
        f"{part({'alg': 'HS256'})}.{part(['no', 'object'])}.xxxx",
        f"{part('no object')}.{part({})}.xxxx",
        f"{part({'alg': 'HS256', 'kid': 5})}.{part({})}.xxxx",
        part({"alg": "HS256"}) + "." + base64.urlsafe_b64encode(b"[" * 3000).decode() + ".xxxx",
        part({"alg": "HS256"})
        + "."
        + base64.urlsafe_b64encode(b'{"iat":' + b"9" * 5000 + b"}").decode()
        + ".x",
    ],
)
def test_what_is_no_jwt(client: FlaskClient, token: str) -> None:
    assert answer(client, {"Authorization": f"Bearer {token}".encode().decode("latin-1")}) == (403, EXAMPLE)


def test_issuer(client: FlaskClient, tenant: Tenant) -> None:
    secret = tenant.normal.secret
    wrong_type = (403, "Invalid token: service id is not the right data type")
    assert answer(client, bearer(make_token(None, secret))) == (403, "Invalid token: iss field not provided")
    issuers: tuple[object, ...] = ("my-service", "", 12345, [], {}, True)
    for issuer in issuers:
        assert answer(client, bearer(make_token(issuer, secret))) == wrong_type
    assert answer(client, bearer(make_token(str(uuid4()), secret))) == (
        403,
        "Invalid token: service not found",
    )
    for spelling in (tenant.id.upper(), tenant.id.replace("-", ""), f"{{{tenant.id}}}", UUID(tenant.id).urn):
        assert answer(client, bearer(make_token(spelling, secret))) == (200, "")


def test_service_without_keys_and_archived_service(client: FlaskClient, neighbours: Neighbours) -> None:
    bare = neighbours.admin.add_service()
    assert answer(client, bearer(make_token(bare, OTHER_SECRET))) == (
        403,
        "Invalid token: service has no API keys",
    )
    archived = new_tenant(neighbours)
    neighbours.admin.archive_service(archived.id)
    assert answer(client, archived.headers()) == (403, "Invalid token: service is archived")
    # An archived service is named before the algorithm is looked at.
    token = make_token(archived.id, archived.normal.secret, "HS512")
    assert answer(client, bearer(token)) == (403, "Invalid token: service is archived")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
def test_algorithm(client: FlaskClient, tenant: Tenant, algorithm: str) -> None:
    expected = (403, "Invalid token: algorithm used is not HS256")
    secret = "" if algorithm == "none" else tenant.normal.secret
    assert answer(client, bearer(make_token(tenant.id, secret, algorithm))) == expected


@pytest.mark.parametrize(
    "algorithm", ["hs256", "HS256 ", "None", "nOnE", "RS256", "ES256", "", None, 256, ["HS256"]]
)
def test_no_other_algorithm_makes_a_signature_good(
    client: FlaskClient, tenant: Tenant, algorithm: object
) -> None:
    claims = {"iss": tenant.id, "iat": int(time.time())}
    signed = f"{part({'typ': 'JWT', 'alg': algorithm})}.{part(claims)}"
    digest = hmac.digest(tenant.normal.secret.encode(), signed.encode(), "sha256")
    for signature in (base64.urlsafe_b64encode(digest).decode().rstrip("="), ""):
        status, _ = answer(client, {"Authorization": f"Bearer {signed}.{signature}"})
        assert status == 403


def test_signature(client: FlaskClient, tenant: Tenant, neighbours: Neighbours) -> None:
    expected = (403, "Invalid token: API key not found")
    other = new_tenant(neighbours)
    good = make_token(tenant.id, tenant.normal.secret)
    assert answer(client, bearer(make_token(tenant.id, OTHER_SECRET))) == expected
    assert answer(client, bearer(make_token(tenant.id, other.normal.secret))) == expected
    assert answer(client, bearer(good + "x")) == expected
    assert answer(client, bearer(make_token(tenant.id, tenant.normal.secret, iat=None))) == expected
    # The signature covers the claims: those of one token do not fit under that of another.
    head, _, signature = good.split(".")
    forged = f"{head}.{part({'iss': tenant.id, 'iat': int(time.time()), 'x': 1})}.{signature}"
    assert answer(client, bearer(forged)) == expected


@pytest.mark.parametrize("key_type", ["normal", "team", "test"])
def test_every_key_of_the_service_works(client: FlaskClient, tenant: Tenant, key_type: str) -> None:
    assert answer(client, tenant.headers(key_type)) == (200, "")


@pytest.mark.parametrize("offset", [-30, -29, 0, 29, 30])
@pytest.mark.parametrize("spelling", [int, float, str])
def test_times_inside_the_window(
    client: FlaskClient, tenant: Tenant, offset: int, spelling: Callable[[int], object]
) -> None:
    with clock.set_for_tests(datetime(2026, 5, 1, 12, 0, 0, 900_000, UTC)) as _:
        now = int(clock.now().timestamp())
        assert answer(client, tenant.headers(iat=spelling(now + offset))) == (200, "")


@pytest.mark.parametrize("iat", [-31, 31, -3600, "soon", "1.5", [], {}, False, float("inf"), float("nan")])
def test_times_outside_the_window(client: FlaskClient, tenant: Tenant, iat: object) -> None:
    with clock.set_for_tests(datetime(2026, 5, 1, 12, tzinfo=UTC)):
        now = int(clock.now().timestamp())
        value = now + iat if type(iat) is int else iat
        assert answer(client, tenant.headers(iat=value)) == (403, CLOCK)


def test_other_registered_claims(client: FlaskClient, tenant: Tenant) -> None:
    now = int(time.time())
    assert answer(client, tenant.headers(nbf=now + 300)) == (403, CLOCK)
    assert answer(client, tenant.headers(nbf=now - 300, exp=now + 300, foo="bar", sub="me", jti="j")) == (
        200,
        "",
    )
    for claims in (
        {"exp": now - 300},
        {"aud": "notify"},
        {"aud": ["x"]},
        {"sub": 5},
        {"jti": 5},
        {"exp": "x"},
    ):
        assert answer(client, tenant.headers(**claims)) == (403, EXAMPLE), claims


def test_a_token_seen_before_stops_when_its_time_is_over(client: FlaskClient, tenant: Tenant) -> None:
    start = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with clock.set_for_tests(start):
        headers = tenant.headers(iat=int(start.timestamp()))
        assert answer(client, headers) == (200, "")
    with clock.set_for_tests(start + timedelta(seconds=30)):
        assert answer(client, headers) == (200, "")
    with clock.set_for_tests(start + timedelta(seconds=31)):
        assert answer(client, headers) == (403, CLOCK)


def test_a_revoked_key_stops_once_the_feed_tells_of_it(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    headers = tenant.headers()
    assert answer(client, headers) == (200, "")
    neighbours.admin.revoke_key(tenant.id, tenant.normal)
    assert until(lambda: answer(client, headers)[0] == 403, seconds=30)
    assert answer(client, headers) == (403, "Invalid token: API key revoked")
    assert answer(client, tenant.headers("team")) == (200, "")
    # A revoked key's bad token is a bad token first.
    assert answer(client, tenant.headers(iat=5)) == (403, CLOCK)


def test_cached_services_work_while_admin_is_away(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    def works() -> bool:
        neighbours.recorder.failures.clear()
        assert client.get("/v2/notifications", headers=tenant.headers()).status_code == 200
        for method in ("GetSnapshots", "ListVerificationKeys"):
            neighbours.recorder.failures[method] = NotifyError("UNAVAILABLE")
        neighbours.recorder.calls.clear()
        return client.get("/v2/notifications", headers=tenant.headers()).status_code == 200

    # the feed may still have to tell that the service was made, which evicts it
    assert until(works, seconds=30)
    assert not neighbours.recorder.requests("GetSnapshots")
    stranger = client.get("/v2/notifications", headers=bearer(make_token(str(uuid4()), OTHER_SECRET)))
    assert stranger.status_code == 503
    assert int(stranger.headers["Retry-After"]) >= 1


def test_the_token_comes_before_the_id_and_after_the_router(client: FlaskClient, tenant: Tenant) -> None:
    bad = bearer(make_token(tenant.id, OTHER_SECRET))
    assert client.get("/v2/notifications/not-a-uuid", headers=bad).status_code == 403
    assert client.get("/v2/nothing", headers=bad).status_code == 404
    assert client.put("/v2/notifications", headers=bad).status_code == 405


def test_options_needs_a_token_and_names_the_methods(client: FlaskClient, tenant: Tenant) -> None:
    assert client.options("/v2/notifications/sms").status_code == 401
    response = client.options("/v2/notifications/sms", headers=tenant.headers())
    assert response.status_code == 200
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
