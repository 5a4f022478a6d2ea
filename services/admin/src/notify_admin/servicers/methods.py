"""The methods of gRPC services, made from use cases by name and checked against descriptors (ADR 0011)."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from notify.admin import v1 as protos
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.server import Registration

from notify_admin import usecases
from notify_admin.usecases import senders
from notify_admin.usecases.reads import Gets, Lists, UseCase

_READS = ("Get", "List")
_SEVERAL = object()
"""Stands for a name that modules of use cases have given to different things."""


def registrations(uow: UnitOfWork, parts: Mapping[str, Any]) -> list[Registration]:
    """Return all services of this context, whose methods are the use cases of their names (GetUser ->
    `get_user`); what a function takes before the transaction are `parts`, by theirs.

    Reads are one statement each, or several that need not agree; everything else is a transaction.

    Raises:
        TypeError: a method has no use case or several, or its types are not the method's.
    """
    found: dict[str, Any] = {}
    for module in _modules(usecases):
        for name, made in vars(module).items():
            found[name] = made if found.get(name, made) is made else _SEVERAL
    return [
        _registration(uow, parts, service, found | senders.METHODS)
        for module in _modules(protos)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]


def _registration(
    uow: UnitOfWork, parts: Mapping[str, Any], service: Any, found: Mapping[str, Any]
) -> Registration:
    servicer = SimpleNamespace()
    for name, method in service.methods_by_name.items():
        made = found.get(re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
        if made is None or made is _SEVERAL:
            raise TypeError(
                f"{method.full_name} has {'no use case' if made is None else 'several use cases'}"
            )
        if isinstance(made, Gets | Lists):
            usecase = made.usecase(method, parts)
        else:
            usecase = _bind(made, parts)
            _compare(usecase, method)
        begin = uow.autocommit if name.startswith(_READS) else uow.begin
        setattr(servicer, name, _handler(begin, method, usecase))
    module = service.file.name.removesuffix(".proto").replace("/", ".")
    add = getattr(importlib.import_module(f"{module}_pb2_grpc"), f"add_{service.name}Servicer_to_server")
    return Registration(add, servicer, service.full_name)


def _modules(package: ModuleType) -> list[ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [
        importlib.import_module(f"{package.__name__}.{name}") for name in names if not name.endswith("_grpc")
    ]


def _handler(begin: Any, method: Any, usecase: UseCase) -> Callable[..., Message]:
    answer = GetMessageClass(method.output_type)
    resource = method.output_type.fields[0].name if method.output_type.fields else ""

    def handle(request: Message, context: grpc.ServicerContext) -> Message:
        with begin() as tx:
            made = usecase(tx, request)
        return made if isinstance(made, answer) else answer(**{resource: made} if made is not None else {})

    return handle


def _bind(usecase: UseCase, parts: Mapping[str, Any]) -> UseCase:
    *taken, _tx, _ask = inspect.signature(usecase).parameters
    return partial(usecase, *(parts[name] for name in taken))


def _compare(usecase: UseCase, method: Any) -> None:
    """Raise TypeError unless the use case takes the method's request and makes its answer or resource."""
    signature = inspect.signature(usecase, eval_str=True)
    ask = list(signature.parameters.values())[-1].annotation
    made = signature.return_annotation
    resources = [f.message_type for f in method.output_type.fields[:1]] or [type(None)]
    if ask is not Any and ask.DESCRIPTOR is not method.input_type:
        raise TypeError(f"{method.full_name} asks with {method.input_type.name}, its use case takes {ask}")
    said = getattr(made, "DESCRIPTOR", type(made))
    if made is not Message and said not in (method.output_type, *resources):
        raise TypeError(f"{method.full_name} answers {method.output_type.name}, its use case makes {made}")
