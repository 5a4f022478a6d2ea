"""Calls of gRPC methods by their names, and what they are refused with."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from notify_common.errors import NotifyError
from notify_common.ids import new_id


class Caller:
    """Calls every method of the gRPC services of a package by its name, which no two of them share.

        caller = Caller(channel, "notify.admin.v1")
        user = caller.CreateUser(user={"name": "Ann", "email_address": "ann@example.gov.uk"})

    Fields of the request are keywords; messages among them may be dicts. A request_id that is not given is
    new. An answer of one field is that field, of more the message.
    """

    def __init__(self, channel: grpc.Channel, package: str) -> None:
        self.channel = channel
        self._package = package

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call, self._method(name))

    def pages(self, name: str, **fields: Any) -> Iterator[list[Any]]:
        """Yield what a method lists, page by page, until there is no next one."""
        listed, token = self._method(name).output_type.fields[0].name, ""
        while True:
            page = getattr(self, name)(**fields, page_token=token)
            yield list(getattr(page, listed))
            if not (token := page.next_page_token):
                return

    def every(self, name: str, **fields: Any) -> list[Any]:
        """Return all that a method lists."""
        return list(chain.from_iterable(self.pages(name, **fields)))

    def _method(self, name: str) -> MethodDescriptor:
        asked = Default().FindMessageTypeByName(f"{self._package}.{name}Request")
        (service,) = (each for each in asked.file.services_by_name.values() if name in each.methods_by_name)
        return service.methods_by_name[name]

    def _call(self, method: MethodDescriptor, **fields: Any) -> Any:
        if "request_id" in method.input_type.fields_by_name:
            fields = {"request_id": new_id(), **fields}
        request = GetMessageClass(method.input_type)(**fields)
        call = self.channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        answer = call(request)
        names = [field.name for field in method.output_type.fields]
        return getattr(answer, names[0]) if len(names) == 1 else answer


def refusal(call: Callable[..., object], /, *arguments: Any, **fields: Any) -> NotifyError:
    """Return what a call is refused with. Fails where it is not."""
    with pytest.raises(NotifyError) as caught:
        call(*arguments, **fields)
    return caught.value


def reason(call: Callable[..., object], /, *arguments: Any, **fields: Any) -> str:
    """Return the reason of the same."""
    return refusal(call, *arguments, **fields).reason


def violations(call: Callable[..., object], /, *arguments: Any, **fields: Any) -> list[str]:
    """Return the fields that a call is refused for. Fails where the reason is another one."""
    error = refusal(call, *arguments, **fields)
    if error.reason != "INVALID_FIELD":
        raise AssertionError(f"refused with {error.reason}")
    return [violation.field for violation in error.violations]


def outcome(call: Callable[..., Any], /, *arguments: Any, **fields: Any) -> Any:
    """Return what a call answers, or the reason why it is refused."""
    try:
        return call(*arguments, **fields)
    except NotifyError as error:
        return error.reason


def at_once(calls: Iterable[Callable[[], Any]], threads: int = 4) -> list[Any]:
    """Return the outcomes of calls that so many threads make."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(outcome, calls))
