"""Where services are called: what the worker that calls them is given, and nobody else."""

from collections.abc import Iterator

import pytest
from notify.admin.v1 import callback_targets_service_pb2 as pb
from notify.admin.v1 import service_settings_service_pb2 as settings_pb
from notify.admin.v1.callback_targets_service_pb2_grpc import CallbackTargetsServiceStub
from notify.admin.v1.service_settings_service_pb2_grpc import ServiceSettingsServiceStub
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_testing.admin import BEARER_TOKEN, AdminService
from notify_testing.database import FreshDatabase

TYPE = "delivery_status"


@pytest.fixture(scope="module")
def admin(module_database: FreshDatabase) -> Iterator[AdminService]:
    with AdminService(module_database("notify_admin")) as service:
        yield service


def target(admin: AdminService, service: str, type: str = TYPE) -> pb.CallbackTarget | None:
    stub = CallbackTargetsServiceStub(admin.channel("callbacks-worker"))
    key = pb.CallbackTargetKey(service_id=service, type=type)
    other = pb.CallbackTargetKey(service_id=new_id(), type=type)
    found = stub.GetCallbackTargets(pb.GetCallbackTargetsRequest(keys=[other, key])).targets
    assert len(found) <= 1
    return found[0] if found else None


def rotate(admin: AdminService, service: str, callback: str, **changes: str) -> str:
    fields = {
        "request_id": new_id(),
        "service_id": service,
        "callback_id": callback,
        "type": TYPE,
        "updated_by_id": admin.user_id,
    }
    stub = ServiceSettingsServiceStub(admin.channel("gateway-internal"))
    made = stub.RotateCallbackSecret(settings_pb.RotateCallbackSecretRequest(**fields | changes))
    return str(made.signing_secret)


def test_the_worker_is_given_url_and_token(admin: AdminService) -> None:
    service = admin.add_service()
    assert target(admin, service) is None
    admin.add_callback(service, TYPE, "https://one.example.gov.uk/")
    found = target(admin, service)
    assert found is not None
    assert (found.url, found.bearer_token) == ("https://one.example.gov.uk/", BEARER_TOKEN)
    assert list(found.signing_secrets) == []
    assert target(admin, service, "inbound_sms") is None


@pytest.mark.parametrize("caller", ["gateway-internal", "notifications", "operator"])
def test_nobody_else_is_given_secrets(admin: AdminService, caller: str) -> None:
    stub = CallbackTargetsServiceStub(admin.channel(caller))
    key = pb.CallbackTargetKey(service_id=new_id(), type=TYPE)
    with pytest.raises(NotifyError) as refusal:
        stub.GetCallbackTargets(pb.GetCallbackTargetsRequest(keys=[key]))
    assert refusal.value.reason == "CALLER_NOT_ALLOWED"


def test_a_secret_and_the_one_before_it_are_in_use_and_none_older(admin: AdminService) -> None:
    service = admin.add_service()
    callback = admin.add_callback(service, TYPE)
    first, second = rotate(admin, service, callback), rotate(admin, service, callback)
    found = target(admin, service)
    assert found is not None
    assert list(found.signing_secrets) == [second, first]
    request_id = new_id()
    third = rotate(admin, service, callback, request_id=request_id)
    assert rotate(admin, service, callback, request_id=request_id) == third
    found = target(admin, service)
    assert found is not None
    assert list(found.signing_secrets) == [third, second]
    assert len({first, second, third}) == 3
    assert all(secret.startswith("whsec_") for secret in (first, second, third))


def test_a_secret_is_made_for_what_there_is_alone(admin: AdminService) -> None:
    service, other = admin.add_service(), admin.add_service()
    callback = admin.add_callback(service, TYPE)
    for changes in ({"service_id": other}, {"type": "inbound_sms"}, {"callback_id": new_id()}):
        with pytest.raises(NotifyError) as refusal:
            rotate(admin, service, callback, **changes)
        assert refusal.value.reason == "SETTING_NOT_FOUND"
