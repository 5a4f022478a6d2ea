"""Every method called with every certificate: the tables of callers, and nobody else."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import cast

import grpc
import notify
import pytest
from google.protobuf.descriptor import MethodDescriptor
from notify_admin.settings import Settings as AdminSettings
from notify_common.rpc.options import channel_options
from notify_common.rpc.server import Registration
from notify_common.rpc.tls import channel_credentials
from notify_common.settings import DatabaseSettings
from notify_letters.settings import Settings as LettersSettings
from notify_notifications.settings import Settings as NotificationsSettings
from notify_providers.settings import Settings as ProvidersSettings
from notify_testing.rpc import NAMES, InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS

SERVICES: dict[str, type[DatabaseSettings]] = {
    "admin": AdminSettings,
    "letters": LettersSettings,
    "notifications": NotificationsSettings,
    "providers": ProvidersSettings,
}

GATEWAYS = ("gateway-public", "gateway-internal")

WITH_QUEUES = ("letters", "notifications", "providers")

NEVER = {
    "notify.common.v1.OpsService/PauseQueue": {"observer", *GATEWAYS},
    "notify.common.v1.OpsService/DropParkedRows": {"observer", *GATEWAYS},
    "notify.providers.v1.DispatchService/BatchDispatch": {*GATEWAYS, "letters", "admin"},
    "notify.providers.v1.ReceiptsService/RecordReceipt": {"notifications", "letters", "admin"},
    "notify.letters.v1.LettersService/BatchCreateLetters": {*GATEWAYS, "providers", "admin"},
    "notify.notifications.v1.NotificationsService/SendSms": {"providers", "letters", "admin"},
    "notify.admin.v1.ApiKeyVerificationService/ListVerificationKeys": {"gateway-internal", "operator"},
}
"""What would be worst, said apart from the tables."""

FACES_THE_INTERNET = {
    "notify.admin.v1.ApiKeyVerificationService/ListVerificationKeys",
    "notify.admin.v1.ConfigFeedService/GetSnapshots",
    "notify.admin.v1.ConfigFeedService/ListConfigChanges",
    "notify.admin.v1.TemplatesService/EnsurePrecompiledTemplate",
    "notify.admin.v1.TemplatesService/GetTemplate",
    "notify.admin.v1.TemplatesService/ListTemplates",
    "notify.letters.v1.LettersService/DownloadPdf",
    "notify.letters.v1.LettersService/UploadPdf",
    "notify.notifications.v1.BatchesService/BatchAcceptRows",
    "notify.notifications.v1.BatchesService/FinishBatch",
    "notify.notifications.v1.BatchesService/GetBatch",
    "notify.notifications.v1.BatchesService/LeaveBatch",
    "notify.notifications.v1.BatchesService/OpenBatch",
    "notify.notifications.v1.BatchesService/PreviewRows",
    "notify.notifications.v1.BatchesService/PriceRows",
    "notify.notifications.v1.CallbacksService/GetCallback",
    "notify.notifications.v1.CallbacksService/ListCallbacks",
    "notify.notifications.v1.FilesService/DownloadFile",
    "notify.notifications.v1.FilesService/GetFile",
    "notify.notifications.v1.FilesService/SendEmailWithFiles",
    "notify.notifications.v1.InboundSmsService/ListInboundSms",
    "notify.notifications.v1.NotificationsService/BatchSend",
    "notify.notifications.v1.NotificationsService/CancelNotification",
    "notify.notifications.v1.NotificationsService/CountRefusedRequest",
    "notify.notifications.v1.NotificationsService/GetNotification",
    "notify.notifications.v1.NotificationsService/GetQuota",
    "notify.notifications.v1.NotificationsService/ListNotifications",
    "notify.notifications.v1.NotificationsService/PreviewTemplate",
    "notify.notifications.v1.NotificationsService/RescheduleNotification",
    "notify.notifications.v1.StatisticsService/GetPerformance",
    "notify.notifications.v1.StatisticsService/GetProcessingTimes",
    "notify.notifications.v1.UnsubscribeService/RecordUnsubscribeRequest",
    "notify.providers.v1.DispatchService/GetDispatch",
    "notify.providers.v1.ReceiptsService/RecordInboundSms",
    "notify.providers.v1.ReceiptsService/RecordReceipt",
}
"""All that whoever takes over the public face could call: no key is made there, no user read (ADR 0027)."""


def table(service: str) -> dict[str, list[str]]:
    """Return the callers of a service's gRPC services and methods."""
    found: dict[str, list[str]] = SERVICES[service].model_fields["allowed_callers"].default
    return found


def modules(service: str) -> Iterator[str]:
    """Yield the modules of a service's gRPC services."""
    package = importlib.import_module(f"notify.{service}.v1")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name.endswith("_service_pb2"):
            yield module.name
    if service in WITH_QUEUES:
        yield "notify.common.v1.ops_service_pb2"


def methods(service: str) -> Iterator[MethodDescriptor]:
    """Yield the methods of a service."""
    for module in modules(service):
        for described in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            yield from described.methods


def registrations(service: str) -> Iterator[Registration]:
    """Yield the gRPC services of a service, whose methods nobody wrote."""
    for module in modules(service):
        stubs = importlib.import_module(f"{module}_grpc")
        for described in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            servicer = getattr(stubs, f"{described.name}Servicer")()
            add = getattr(stubs, f"add_{described.name}Servicer_to_server")
            yield Registration(add, servicer, described.full_name)


def path(method: MethodDescriptor) -> str:
    """Return its path, `notify.admin.v1.UsersService/GetUser`."""
    return f"{method.containing_service.full_name}/{method.name}"


def code(channel: grpc.Channel, method: MethodDescriptor) -> grpc.StatusCode:
    """Return how a call with an empty request ends."""
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    call = getattr(channel, kind)(f"/{path(method)}", request_serializer=bytes, response_deserializer=bytes)
    try:
        answer = call(iter([b""]) if method.client_streaming else b"", timeout=WAIT_SECONDS)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        return cast(grpc.Call, error).code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_is_open_to_its_callers_alone(service: str) -> None:
    callers = table(service)
    found = list(methods(service))
    assert found
    open_to: dict[str, set[str]] = {path(method): set() for method in found}
    with InProcessServer(service, registrations(service), allowed_callers=callers) as server:
        for caller in NAMES:
            credentials = channel_credentials(tls_settings(caller))
            options = channel_options(service)
            with grpc.secure_channel(server.target, credentials, options=options) as channel:
                for method in found:
                    if code(channel, method) is not grpc.StatusCode.PERMISSION_DENIED:
                        open_to[path(method)].add(caller)
    wanted = {
        path(method): set(callers.get(path(method), callers.get(method.containing_service.full_name, [])))
        for method in found
    }
    assert open_to == wanted
    for name, strangers in NEVER.items():
        assert not open_to.get(name, set()) & strangers, name
    faces_the_internet = {name for name, callers in open_to.items() if "gateway-public" in callers}
    assert faces_the_internet == FACES_THE_INTERNET & set(open_to)


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_has_callers(service: str) -> None:
    callers = table(service)
    closed = [
        path(method)
        for method in methods(service)
        if path(method) not in callers and method.containing_service.full_name not in callers
    ]
    assert closed == []


def test_no_context_was_forgotten() -> None:
    contexts = {module.name for module in pkgutil.iter_modules(notify.__path__)} - {"common"}
    assert contexts == set(SERVICES)
