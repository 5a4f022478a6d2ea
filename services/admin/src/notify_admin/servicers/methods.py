"""The methods of gRPC services, made from use cases by name and checked against descriptors (ADR 0011)."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.server import Registration

from notify_admin.store.mapping import Resource

UseCase = Callable[[Any, Any], Message]
"""A function of a transaction and a request; parts that it needs besides are bound to it."""

_READS = ("Get", "List")


@dataclass(frozen=True, slots=True)
class Gets:
    """A declared Get method: the row whose columns are as the request's ids say; `x_id` of an x is `id`."""

    resource: Resource[Any]
    where: Mapping[str, Any] = field(default_factory=dict)

    def usecase(self, method: Any) -> UseCase:
        """Return the function for a method."""
        name = method.output_type.fields[0].name
        keys = {f.name: "id" if f.name == f"{name}_id" else f.name for f in method.input_type.fields}

        def get(tx: Tx, ask: Message) -> Message:
            return self.resource.one(  # type: ignore[no-any-return] # of the resource's class
                tx, **self.where, **{column: getattr(ask, name) for name, column in keys.items()}
            )

        return get


@dataclass(frozen=True, slots=True)
class Lists:
    """A declared List method: pages of the rows whose columns are as the request's fields say."""

    resource: Resource[Any]
    where: Any = None
    """A further condition, or values of columns."""
    parent: Resource[Any] | None = None
    """What the request's first id names, which must exist for the list to be empty."""

    def usecase(self, pager: Pager, method: Any) -> UseCase:
        """Return the function for a method."""
        answer = GetMessageClass(method.output_type)
        keys = dict(self.where) if isinstance(self.where, Mapping) else {}
        conditions = () if self.where is None or keys else (self.where,)

        def list_(tx: Tx, ask: Any) -> Message:
            page: Any = self.resource.page(tx, pager, ask, answer, *conditions, **keys)
            if self.parent is not None and not page.ListFields():
                self.parent.one(tx, id=ask.service_id)
            return page  # type: ignore[no-any-return] # a message

        return list_


def registration(
    uow: UnitOfWork,
    pager: Pager,
    service_name: str,
    *named: UseCase,
    **given: UseCase | Gets | Lists,
) -> Registration:
    """Return the service of this context whose methods are use cases: `named` as they are (`get_user` ->
    GetUser), or `given`.

    Reads are one statement each, or several that need not agree; everything else is a transaction.

    Raises:
        TypeError: a method has no use case, or a use case no method; or its types are not the method's.
    """
    service = descriptor_pool.Default().FindServiceByName(f"notify.admin.v1.{service_name}")
    methods: dict[str, UseCase | Gets | Lists] = {_method_name(usecase): usecase for usecase in named}
    methods |= given
    if odd := methods.keys() ^ set(service.methods_by_name):
        raise TypeError(f"{service.full_name} and its use cases differ in {sorted(odd)}")
    servicer = SimpleNamespace()
    for name, made in methods.items():
        method = service.methods_by_name[name]
        match made:
            case Gets():
                usecase = made.usecase(method)
            case Lists():
                usecase = made.usecase(pager, method)
            case _:
                usecase = made
                _compare(usecase, method)
        begin = uow.autocommit if name.startswith(_READS) else uow.begin
        setattr(servicer, name, _handler(begin, method, usecase))
    module = service.file.name.removesuffix(".proto").replace("/", ".")
    add = getattr(importlib.import_module(f"{module}_pb2_grpc"), f"add_{service.name}Servicer_to_server")
    return Registration(add, servicer, service.full_name)


def _handler(begin: Any, method: Any, usecase: UseCase) -> Callable[..., Message]:
    answer = GetMessageClass(method.output_type)
    resource = method.output_type.fields[0].name if method.output_type.fields else ""

    def handle(request: Message, context: grpc.ServicerContext) -> Message:
        with begin() as tx:
            made = usecase(tx, request)
        return made if isinstance(made, answer) else answer(**{resource: made})

    return handle


def _method_name(usecase: UseCase) -> str:
    function: Any = usecase.func if isinstance(usecase, partial) else usecase
    return "".join(part.capitalize() for part in function.__name__.split("_"))


def _compare(usecase: UseCase, method: Any) -> None:
    """Raise TypeError unless the use case takes the method's request and makes its answer or resource."""
    signature = inspect.signature(usecase, eval_str=True)
    ask = list(signature.parameters.values())[-1].annotation
    made = signature.return_annotation
    resources = [f.message_type for f in method.output_type.fields[:1]]
    if ask is not Any and ask.DESCRIPTOR is not method.input_type:
        raise TypeError(f"{method.full_name} asks with {method.input_type.name}, its use case takes {ask}")
    if made is not Message and made.DESCRIPTOR not in (method.output_type, *resources):
        raise TypeError(f"{method.full_name} answers {method.output_type.name}, its use case makes {made}")
