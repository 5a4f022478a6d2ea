"""Where services are called: what the worker that calls them is given, and nobody else."""

from typing import Any

from notify_common.ids import new_id
from notify_testing.admin import BEARER_TOKEN, AdminService
from notify_testing.calls import Caller, reason

from .conftest import PACKAGE

TYPE = "delivery_status"


def targets(neighbour: AdminService, service: str, type: str = TYPE) -> list[Any]:
    worker = Caller(neighbour.channel("callbacks-worker"), PACKAGE)
    keys = [{"service_id": each, "type": type} for each in (new_id(), service)]
    return list(worker.GetCallbackTargets(keys=keys))


def rotate(neighbour: AdminService, service: str, callback: str, **changes: str) -> str:
    gateway = Caller(neighbour.channel("gateway-internal"), PACKAGE)
    ids = {"service_id": service, "callback_id": callback, "updated_by_id": neighbour.user_id}
    return str(gateway.RotateCallbackSecret(**{"type": TYPE, **ids, **changes}).signing_secret)


def test_the_worker_is_given_url_and_token(neighbour: AdminService) -> None:
    service = neighbour.add_service()
    assert targets(neighbour, service) == []
    neighbour.add_callback(service, TYPE, "https://one.example.gov.uk/")
    (found,) = targets(neighbour, service)
    assert (found.url, found.bearer_token) == ("https://one.example.gov.uk/", BEARER_TOKEN)
    assert list(found.signing_secrets) == []
    assert targets(neighbour, service, "inbound_sms") == []


def test_a_secret_and_the_one_before_it_are_in_use_and_none_older(neighbour: AdminService) -> None:
    service = neighbour.add_service()
    callback = neighbour.add_callback(service, TYPE)
    first, second = (rotate(neighbour, service, callback) for _ in range(2))
    assert list(targets(neighbour, service)[0].signing_secrets) == [second, first]
    request_id = new_id()
    third = rotate(neighbour, service, callback, request_id=request_id)
    assert rotate(neighbour, service, callback, request_id=request_id) == third
    assert list(targets(neighbour, service)[0].signing_secrets) == [third, second]
    assert len({first, second, third}) == 3
    assert all(secret.startswith("whsec_") for secret in (first, second, third))


def test_a_secret_is_made_for_what_there_is_alone(neighbour: AdminService) -> None:
    service, other = neighbour.add_service(), neighbour.add_service()
    callback = neighbour.add_callback(service, TYPE)
    for changes in ({"service_id": other}, {"type": "inbound_sms"}, {"callback_id": new_id()}):
        assert reason(rotate, neighbour, service, callback, **changes) == "SETTING_NOT_FOUND"
