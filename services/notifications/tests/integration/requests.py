"""Requests as the gateway makes them."""

from collections.abc import Sequence
from typing import Any

from notify.common.v1 import common_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common.ids import new_id

KEY_TYPES = {
    "normal": common_pb2.KEY_TYPE_NORMAL,
    "team": common_pb2.KEY_TYPE_TEAM,
    "test": common_pb2.KEY_TYPE_TEST,
}
FILE = object()
"""A file in the place of a value."""
ADDRESS = [("address_line_1", "Ann Other"), ("address_line_2", "1 Example Street"), ("postcode", "sw1a1aa")]


def fields(values: Sequence[tuple[str, Any]]) -> list[common_pb2.PersonalisationField]:
    """Return personalisation as requests carry it."""
    out = []
    for key, value in values:
        item = common_pb2.PersonalisationField(key=key)
        if isinstance(value, list):
            item.list.items.extend(value)
        elif value is FILE:
            item.file.SetInParent()
        elif value is not None:
            item.text = value
        out.append(item)
    return out


def caller(service_id: str, key_type: str = "normal") -> pb.Caller:
    return pb.Caller(service_id=service_id, api_key_id=new_id(), key_type=KEY_TYPES[key_type])


def sms(service_id: str, template_id: str, values: Any = (), **overrides: Any) -> pb.SendSmsRequest:
    key_type = overrides.pop("key_type", "normal")
    given = {"request_id": new_id(), "phone_number": "07700 900123"} | overrides
    return pb.SendSmsRequest(
        caller=caller(service_id, key_type),
        template_id=template_id,
        personalisation=fields(values),
        **given,
    )


def email(service_id: str, template_id: str, values: Any = (), **overrides: Any) -> pb.SendEmailRequest:
    key_type = overrides.pop("key_type", "normal")
    given = {"request_id": new_id(), "email_address": "Reader@example.com"} | overrides
    return pb.SendEmailRequest(
        caller=caller(service_id, key_type),
        template_id=template_id,
        personalisation=fields(values),
        **given,
    )


def letter(
    service_id: str, template_id: str, values: Any = ADDRESS, **overrides: Any
) -> pb.SendLetterRequest:
    key_type = overrides.pop("key_type", "normal")
    given = {"request_id": new_id()} | overrides
    return pb.SendLetterRequest(
        caller=caller(service_id, key_type),
        template_id=template_id,
        personalisation=fields(values),
        **given,
    )


def precompiled_letter(
    service_id: str, template_id: str, **overrides: Any
) -> pb.SendPrecompiledLetterRequest:
    key_type = overrides.pop("key_type", "normal")
    given = {"request_id": new_id(), "reference": "r", "pdf_sha256": "a" * 64} | overrides
    return pb.SendPrecompiledLetterRequest(
        caller=caller(service_id, key_type), template_id=template_id, **given
    )
