"""Calls of providers: who is believed, and how many are."""

import base64
import json

import pytest
from notify_common import clock
from notify_common.ids import new_id
from notify_providers import bootstrap
from notify_providers.clients.mmg import MmgSettings
from notify_testing.rpc import InProcessServer

from .configured import provider_settings
from .conftest import World
from .fake_mmg import FakeMmg
from .test_receipts import call_back, sent_through_mmg

URL = "https://user:se%40cret@example.com/notifications/sms/mmg"


def guarded(world: World, *, a_second: float = 1000.0, **mmg: object) -> InProcessServer:
    """Return the services, with settings of MMG."""
    settings = provider_settings(mmg=MmgSettings.model_validate(mmg))
    parts = bootstrap.Parts(world.settings(providers=settings, callbacks_per_second=a_second), connections=4)
    world.made.append(parts)
    return InProcessServer("providers", bootstrap.registrations(parts))


def basic(text: str) -> dict[str, str]:
    """Return the header of Basic credentials."""
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def receipt(id: str) -> bytes:
    """Report a text as arrived, the way MMG does."""
    return json.dumps({"CID": id, "status": "3"}).encode()


def test_a_receipt_needs_the_credentials_that_mmg_was_given(world: World, mmg: FakeMmg) -> None:
    id = sent_through_mmg(world, mmg)
    with guarded(world, receipt_url=URL, receipt_credentials="older:one spare:two:three") as server:
        none = call_back(server, "mmg", receipt(id))
        assert (none.http_status, none.new_receipt) == (401, False)
        assert none.http_headers["WWW-Authenticate"] == "Bearer"
        assert json.loads(none.http_body) == {
            "result": "error",
            "message": "Unauthorized: authentication token must be provided",
        }
        for wrong in ("user:secret", "user:", ":", "older:two:three", "user:se@cret\0"):
            answer = call_back(server, "mmg", receipt(id), headers=basic(wrong))
            assert (answer.http_status, answer.new_receipt) == (403, False), wrong
        for header in ("Basic", "Basic !!!", "Bearer x", "Basic \u00e9"):
            answer = call_back(server, "mmg", receipt(id), headers={"authorization": header})
            assert answer.http_status in (401, 403), header
        assert world.kinds(id) == ["sent"], "a forged receipt changes nothing"
        assert world.value("SELECT count(*) FROM unmatched_receipts") == 0
        for right, new in (("user:se@cret", True), ("older:one", False), ("spare:two:three", False)):
            answer = call_back(server, "mmg", receipt(id), headers=basic(right))
            assert (answer.http_status, answer.new_receipt) == (200, new), "a replayed one changes nothing"
    assert world.kinds(id) == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.7", 200),
        ("2001:db8::7", 200),
        ("198.51.100.7", 403),
        ("::ffff:192.0.2.7", 403),
        ("", 403),
        ("x", 403),
    ],
)
def test_a_receipt_comes_from_where_it_may(world: World, address: str, status: int) -> None:
    with guarded(world, receipt_networks=["192.0.2.0/24", "2001:db8::/32"]) as server:
        answer = call_back(server, "mmg", receipt(new_id()), client_address=address)
    assert answer.http_status == status


def test_those_who_only_send_rubbish_are_put_off_and_others_are_not(world: World) -> None:
    with guarded(world, receipt_credentials="user:password") as server, clock.set_for_tests(clock.now()):
        statuses = [
            call_back(server, "mmg", b"{}", client_address="198.51.100.7").http_status for _ in range(80)
        ]
        assert statuses == [401] * 60 + [429] * 20
        put_off = call_back(server, "mmg", b"{}", client_address="198.51.100.7")
        assert (put_off.http_status, put_off.http_headers["Retry-After"]) == (429, "5")
        assert call_back(server, "mmg", b"{}", client_address="198.51.100.8").http_status == 401
        right = call_back(
            server, "mmg", receipt(new_id()), client_address="198.51.100.7", headers=basic("user:password")
        )
        assert right.http_status == 200


def test_a_flood_of_receipts_is_put_off(world: World) -> None:
    with guarded(world, a_second=1) as server, clock.set_for_tests(clock.now()):
        statuses = [call_back(server, "mmg", receipt(new_id())).http_status for _ in range(15)]
    assert statuses == [200] * 5 + [429] * 10
    assert world.value("SELECT count(*) FROM unmatched_receipts") == statuses.count(200)
