"""DVLA's print API on the wire (pipeline.md §3.8, public-api.md §9.6): letters, tokens, rotation, reports."""

import base64
import hashlib
import json
import string
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from cryptography.fernet import Fernet
from notify_common.blobs.s3 import BlobStore
from notify_common.enums import KeyType, Postage
from notify_common.ids import new_id
from notify_local.backing import ObjectStore
from notify_providers import bootstrap
from notify_providers.clients import registry
from notify_providers.clients.dvla import DvlaSettings, new_password, token_of
from notify_providers.domain.message import NewDispatch, PrintContent
from notify_testing.rpc import InProcessServer
from pydantic import ValidationError

from .configured import provider_settings
from .conftest import World
from .fake_dvla import HALF, USERNAME, FakeDvla
from .messages import SERVICE_ID, new
from .test_receipts import call_back

KEY = "letters/1.pdf"
PDF = b"%PDF-1.7 a letter"
RECEIPT_URL = "https://notify.example.com/notifications/letter/status"
SECRETS_KEY = Fernet.generate_key().decode()


@pytest.fixture
def dvla() -> Iterator[FakeDvla]:
    """Provide a stand-in for DVLA over HTTP."""
    fake = FakeDvla()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Provide an S3-compatible store with the PDF of a letter."""
    started = ObjectStore(tmp_path_factory.mktemp("objects"))
    started.start()
    blobs = BlobStore(
        started.url, "notify-letters", started.access_key, started.secret_key, region=started.region
    )
    blobs.ensure_bucket()
    blobs.put(KEY, PDF)
    yield started
    started.stop()


def dvla_settings(dvla: FakeDvla, store: ObjectStore, **values: object) -> DvlaSettings:
    """Return settings of DVLA."""
    return DvlaSettings.model_validate(
        {
            "url": dvla.url,
            "username": USERNAME,
            "password": "first-password",
            "api_key": "first-key",
            "receipt_url": RECEIPT_URL,
            "receipt_secret": "s" * 32,
            "requests_per_second": 50,
            "blob_endpoint": store.url,
            "blob_region": store.region,
            "blob_access_key": store.access_key,
            "blob_secret_key": store.secret_key,
            **values,
        }
    )


def through(dvla: FakeDvla, store: ObjectStore, **values: object) -> dict[str, object]:
    """Return settings that make workers use DVLA for letters, and nothing else."""
    settings = provider_settings(dvla=dvla_settings(dvla, store, **values))
    return {"providers": settings, "sandbox_live_messages": False, "secrets_key": SECRETS_KEY}


def letter(
    *lines: str, postage: Postage = Postage.SECOND, pdf_key: str = KEY, sha256: str = ""
) -> NewDispatch:
    """Return a letter to take over."""
    lines = lines or ("A Person", "1 Street", "SW1A 1AA")
    return new(PrintContent(pdf_key, lines, postage, "0123456789ABCDEF", 1, sha256), KeyType.NORMAL)


def test_a_letter_is_asked_for_as_the_api_has_it(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    one = letter()
    world.take_over(one)
    world.workers(world.parts(**through(dvla, store))).settle()
    [job] = dvla.jobs
    callback = job.pop("callbackParams")
    assert job == {
        "id": one.id,
        "standardParams": {
            "jobType": "NOTIFY",
            "templateReference": "NOTIFY",
            "businessIdentifier": "0123456789ABCDEF",
            "recipientName": "A Person",
            "address": {"unstructuredAddress": {"line1": "1 Street", "postcode": "SW1A 1AA"}},
        },
        "customParams": [
            {"key": "pdfContent", "value": base64.b64encode(PDF).decode()},
            {"key": "serviceIdentifier", "value": SERVICE_ID},
        ],
    }
    assert callback["target"].startswith(f"{RECEIPT_URL}?token={one.id}.")
    assert callback["retryParams"] == {"enabled": True, "maxRetryWindow": 10_800}
    assert world.attempts(one.id) == [("accepted", "")]
    assert world.kinds(one.id) == ["sent"]


@pytest.mark.parametrize(
    ("lines", "postage", "address", "method"),
    [
        (
            ("A Person", "1 " + "x" * 60, "Town", "sw1a1aa"),
            Postage.FIRST,
            {"unstructuredAddress": {"line1": "1 " + "x" * 43, "line2": "Town", "postcode": "SW1A 1AA"}},
            "FIRST",
        ),
        (
            ("A Person", "1 Rue", "75001 Paris", "France"),
            Postage.EUROPE,
            {"internationalAddress": {"line1": "1 Rue", "line2": "75001 Paris", "country": "France"}},
            "INTERNATIONAL_EU",
        ),
        (
            ("1234 Cpl Person", "Unit", "BFPO 12", "BF1 1AA"),
            Postage.ECONOMY,
            {
                "bfpoAddress": {
                    "line1": "1234 Cpl Person",
                    "line2": "Unit",
                    "bfpoNumber": 12,
                    "postcode": "BF1 1AA",
                }
            },
            "ECONOMY",
        ),
    ],
)
def test_each_kind_of_address(
    world: World,
    dvla: FakeDvla,
    store: ObjectStore,
    lines: Sequence[str],
    postage: Postage,
    address: dict[str, Any],
    method: str,
) -> None:
    world.take_over(letter(*lines, postage=postage))
    world.workers(world.parts(**through(dvla, store))).settle()
    [job] = dvla.jobs
    assert job["standardParams"]["address"] == address
    assert job["standardParams"]["despatchMethod"] == method


@pytest.mark.parametrize(
    ("statuses", "attempts"),
    [
        ([400], [("refused", "http_400")]),
        ([404], [("refused", "http_404")]),
        ([409], [("accepted", "")]),
        ([429], [("retryable", "http_429"), ("accepted", "")]),
        ([403], [("retryable", "http_403"), ("accepted", "")]),
        ([500], [("unknown", "http_500"), ("accepted", "")]),
        ([0], [("unknown", "connection_lost"), ("accepted", "")]),
    ],
)
def test_each_end_of_a_call_has_its_outcome_and_none_is_printed_twice(
    world: World, dvla: FakeDvla, store: ObjectStore, statuses: list[int], attempts: list[tuple[str, str]]
) -> None:
    one = letter()
    dvla.statuses.extend(statuses)
    world.take_over(one)
    world.workers(world.parts(**through(dvla, store))).settle()
    assert world.attempts(one.id) == attempts
    taken = [] if statuses[0] in (400, 404, 409) else [one.id]
    assert dvla.ids == taken


def test_an_answer_that_is_none_leaves_one_copy(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    dvla.odd_answers |= {
        "Html": b"<html>OK</html>",
        "Nothing": b"",
        "Half": HALF,
        "Error inside": b'{"errors": [{"status": "500", "title": "Internal Server Error"}]}',
        "No object": b"[]",
        "Too deep": b"[" * 50_000,
    }
    letters = {name: letter(name, "1 Street", "SW1A 1AA") for name in dvla.odd_answers}
    world.take_over(*letters.values())
    world.workers(world.parts(**through(dvla, store), provider_timeout_seconds=5)).settle()
    reasons = {name: "connection_lost" if name == "Half" else "bad_answer" for name in letters}
    assert {name: world.attempts(one.id) for name, one in letters.items()} == {
        name: [("unknown", reason), ("accepted", "")] for name, reason in reasons.items()
    }
    assert sorted(dvla.ids) == sorted(one.id for one in letters.values())


def test_a_letter_without_its_pdf_is_refused(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    one = letter(pdf_key="letters/none.pdf")
    world.take_over(one)
    world.workers(world.parts(**through(dvla, store))).settle()
    assert world.attempts(one.id) == [("refused", "pdf_missing")]
    assert dvla.calls == []


def test_a_letter_whose_pdf_is_not_the_one_of_the_manifest_is_refused(
    world: World, dvla: FakeDvla, store: ObjectStore
) -> None:
    as_it_was, changed = letter(sha256=hashlib.sha256(PDF).hexdigest()), letter(sha256="0" * 64)
    world.take_over(as_it_was, changed)
    world.workers(world.parts(**through(dvla, store))).settle()
    assert world.attempts(as_it_was.id) == [("accepted", "")]
    assert world.attempts(changed.id) == [("refused", "pdf_changed")]
    assert world.kinds(changed.id) == ["technical-failure"]
    assert [job["id"] for job in dvla.jobs] == [as_it_was.id]


def test_a_token_is_used_until_a_minute_before_its_end(
    world: World, dvla: FakeDvla, store: ObjectStore
) -> None:
    workers = world.workers(world.parts(**through(dvla, store, connections=1)))
    world.take_over(letter(), letter(), letter())
    workers.settle()
    assert dvla.count("authenticate") == 1
    dvla.token_seconds = 59
    workers = world.workers(world.parts(**through(dvla, store, connections=1)))
    world.take_over(letter(), letter())
    workers.settle()
    assert dvla.count("authenticate") == 3
    assert world.states() == {"sent": 5}


def test_with_a_wrong_password_letters_wait(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    one = letter()
    world.take_over(one)
    parts = world.parts(**through(dvla, store, password="wrong"), retry_interval_seconds=300)
    world.workers(parts).settle()
    assert world.attempts(one.id) == [("retryable", "authenticate_401")]
    assert dvla.jobs == []


def upkeep(parts: bootstrap.Parts) -> None:
    """Do what housekeeping does once a minute."""
    registry.upkeep(parts.settings.providers, parts.tools)


def test_password_and_key_are_changed_when_it_is_time_and_other_processes_follow(
    world: World, dvla: FakeDvla, store: ObjectStore
) -> None:
    settings = through(dvla, store, rotate_days=30)
    working, keeping = world.parts(**settings), world.parts(**settings)
    workers = world.workers(working)
    world.take_over(letter())
    workers.settle()
    upkeep(keeping)
    assert dvla.password != "first-password"
    assert dvla.api_key != "first-key"
    known = dvla.password, dvla.api_key
    kept = world.rows("SELECT value::text FROM provider_secrets")
    assert len(kept) == 2
    assert not any(dvla.password in value for (value,) in kept)
    world.take_over(letter())
    workers.settle()
    assert world.states() == {"sent": 2}, "401 made it read the secrets again"
    upkeep(keeping)
    assert (dvla.password, dvla.api_key) == known, "it is not time again"
    world.run("UPDATE provider_secrets SET change_time = now() - interval '31 days'")
    upkeep(keeping)
    assert dvla.password != known[0]
    assert dvla.api_key != known[1]


def test_a_change_whose_answer_is_lost_is_found_out(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    parts = world.parts(**through(dvla, store, rotate_days=30))
    dvla.drop_after_change = True
    upkeep(parts)
    changed = dvla.password
    assert changed != "first-password"
    assert world.value("SELECT count(value) FROM provider_secrets WHERE name = 'password'") == 0
    upkeep(parts)
    assert dvla.count("/password") == 1, "it is locked for a minute"
    world.run("UPDATE provider_secrets SET locked_until = now()")
    dvla.drop_after_change = False
    upkeep(parts)
    assert dvla.password == changed
    world.take_over(letter())
    world.workers(world.parts(**through(dvla, store))).settle()
    assert world.states() == {"sent": 1}


def test_a_change_that_dvla_does_not_make_leaves_the_password(
    world: World, dvla: FakeDvla, store: ObjectStore
) -> None:
    parts = world.parts(**through(dvla, store, rotate_days=30, password="wrong"))
    upkeep(parts)
    assert dvla.password == "first-password"
    assert world.value("SELECT count(value) FROM provider_secrets") == 0


def test_nothing_is_changed_unless_it_is_wanted(world: World, dvla: FakeDvla, store: ObjectStore) -> None:
    upkeep(world.parts(**through(dvla, store)))
    upkeep(world.parts(**{**through(dvla, store, rotate_days=30), "secrets_key": None}))
    assert dvla.calls == []


def test_passwords_have_every_class_of_characters() -> None:
    for _ in range(50):
        made = new_password()
        assert len(made) == 30
        for those in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert set(made) & set(those)


# --- reports


@pytest.fixture
def receiving(world: World, dvla: FakeDvla, store: ObjectStore) -> Iterator[InProcessServer]:
    """Provide the services, with DVLA's reports expected."""
    parts = bootstrap.Parts(world.settings(**through(dvla, store)), connections=4)
    world.made.append(parts)
    with InProcessServer("providers", bootstrap.registrations(parts)) as running:
        yield running


def report(id: str, status: str = "DESPATCHED", **data: Any) -> dict[str, Any]:
    """Return a report as DVLA sends it."""
    properties = [
        {"key": "totalSheets", "value": "5"},
        {"key": "postageClass", "value": "2ND"},
        {"key": "mailingProduct", "value": "MM"},
    ]
    return {
        "id": "1",
        "source": "dvla:resource:osl:print:print-hub:5.18.0",
        "time": "2026-11-24T10:00:00Z",
        "data": {
            "jobId": id,
            "jobStatus": status,
            "transitionDate": "2026-11-24T09:00:00Z",
            "despatchProperties": properties,
            **data,
        },
        "metadata": {"correlationId": "x"},
    }


def send(server: InProcessServer, settings: DvlaSettings, id: str, body: object) -> tuple[int, bytes, bool]:
    """Send a report with the token of a letter."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = call_back(server, "dvla", text, query=f"token={token_of(settings, id)}")
    return answer.http_status, answer.http_body, answer.new_receipt


@pytest.mark.parametrize(("status", "kind"), [("DESPATCHED", "delivered"), ("REJECTED", "technical-failure")])
def test_its_reports_count_once(
    world: World, dvla: FakeDvla, store: ObjectStore, receiving: InProcessServer, status: str, kind: str
) -> None:
    one, settings = letter(), dvla_settings(dvla, store)
    world.take_over(one)
    world.workers(world.parts(**through(dvla, store))).settle()
    said = report(one.id, status)
    if status == "REJECTED":
        del said["data"]["despatchProperties"]
    assert send(receiving, settings, one.id, said) == (204, b"", True)
    assert send(receiving, settings, one.id, said) == (204, b"", False)
    assert world.kinds(one.id) == ["sent", kind]


def test_a_report_needs_the_token_of_its_letter(
    world: World, dvla: FakeDvla, store: ObjectStore, receiving: InProcessServer
) -> None:
    id, settings = new_id(), dvla_settings(dvla, store)
    for query in ("", "token=", "token=abc", f"token={id}.00", f"token={id}.%C3%A9", "token=%00"):
        answer = call_back(receiving, "dvla", b"{", query=query)
        assert answer.http_status == 403, query
        assert json.loads(answer.http_body) == {
            "errors": [
                {
                    "error": "InvalidRequest",
                    "message": "A valid token must be provided in the query string",
                }
            ],
            "status_code": 403,
        }
    status, body, _ = send(receiving, settings, new_id(), report(id))
    assert status == 400
    assert json.loads(body)["errors"][0]["message"].startswith("Notification ID in letter callback data")
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jobStatus": "FOO"}, "data FOO is not one of [DESPATCHED, REJECTED]"),
        ({"jobStatus": 1}, "data jobStatus is a required property"),
        ({"jobId": "1"}, "data jobId is not a valid UUID"),
        ({"transitionDate": "24/11/2026"}, "data transitionDate is not a valid date-time"),
        ({"despatchProperties": []}, "data despatchProperties is too short"),
        ({"despatchProperties": [1, 2, 3]}, "data despatchProperties is not valid"),
    ],
)
def test_a_report_in_another_form_is_refused(
    world: World,
    dvla: FakeDvla,
    store: ObjectStore,
    receiving: InProcessServer,
    change: dict[str, Any],
    message: str,
) -> None:
    id, settings = new_id(), dvla_settings(dvla, store)
    status, body, new_receipt = send(receiving, settings, id, report(id, **change))
    assert (status, new_receipt) == (400, False)
    assert json.loads(body)["errors"] == [{"error": "ValidationError", "message": message}]
    for broken, expected in ((b"{", 500), (b"[]", 400), (b"{}", 400), (b'{"id":1}', 400)):
        assert send(receiving, settings, id, broken)[0] == expected


@pytest.mark.parametrize(
    "values", [{"url": "https://x"}, {"receipt_url": "https://x"}, {"requests_per_second": 51}]
)
def test_settings_that_do_not_fit(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DvlaSettings.model_validate(values)
