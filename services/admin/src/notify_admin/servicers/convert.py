"""Values to proto messages, and what all servicers of this context read alike."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1 import api_key_pb2, service_pb2, template_pb2, user_pb2
from notify.common.v1 import common_pb2
from notify_common.rpc import enums
from notify_common.rpc.paging import Pager, page_size, that_fit

from notify_admin.domain.api_keys import ApiKey
from notify_admin.domain.senders import Sender
from notify_admin.domain.services import Service
from notify_admin.domain.templates import Template
from notify_admin.domain.users import User
from notify_admin.store.rows import Position

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MAX_TEXT = 2_000_000
"""Characters that any text of a request may have; the rules of the domain are closer."""


def page(
    pager: Pager,
    requested_size: int,
    token: str,
    filters: Mapping[str, object],
    fetch: Callable[[Position | None, int], Sequence[T]],
    position: Callable[[T], tuple[object, ...]],
    to_message: Callable[[T], M],
    *,
    default_size: int = 50,
) -> tuple[list[M], str]:
    """Return a page of what `fetch` finds after a position, and the token of the next one, empty at the end.

    The page ends early where more would not fit into one answer.

    Raises:
        NotifyError: INVALID_FIELD; PAGE_TOKEN_INVALID.
    """
    size = page_size(requested_size, default=default_size)
    found = fetch(pager.decode(token, filters), size + 1)
    messages = that_fit(map(to_message, found[:size]))
    if len(messages) == len(found):
        return messages, ""
    last = tuple(_position_text(value) for value in position(found[len(messages) - 1]))
    return messages, pager.encode(last, filters)


def service(value: Service) -> service_pb2.Service:
    """A service as a message."""
    return service_pb2.Service(
        id=str(value.id),
        name=value.name,
        active=value.active,
        restricted=value.restricted,
        permissions=value.permissions,
        limits=service_pb2.ServiceLimits(
            rate_limit_per_minute=value.rate_limit_per_minute,
            sms_per_day=value.sms_per_day,
            email_per_day=value.email_per_day,
            letter_per_day=value.letter_per_day,
            international_sms_per_day=value.international_sms_per_day,
        ),
        prefix_sms=value.prefix_sms,
        email_sender_local_part=value.email_sender_local_part,
        custom_email_sender_name=value.custom_email_sender_name,
        version=value.version,
        create_time=timestamp(value.create_time),
        update_time=timestamp(value.update_time),
        guest_list=service_pb2.GuestList(
            email_addresses=value.guest_email_addresses, phone_numbers=value.guest_phone_numbers
        ),
    )


def sms_sender(value: Sender) -> service_pb2.SmsSender:
    """A text sender as a message."""
    return service_pb2.SmsSender(
        id=str(value.id),
        service_id=str(value.service_id),
        sender=value.value,
        is_default=value.is_default,
        archived=value.archived,
        create_time=timestamp(value.create_time),
    )


def reply_to_address(value: Sender) -> service_pb2.ReplyToAddress:
    """A reply-to address as a message."""
    return service_pb2.ReplyToAddress(
        id=str(value.id),
        service_id=str(value.service_id),
        email_address=value.value,
        is_default=value.is_default,
        archived=value.archived,
        create_time=timestamp(value.create_time),
    )


def letter_contact(value: Sender) -> service_pb2.LetterContact:
    """A letter contact block as a message."""
    return service_pb2.LetterContact(
        id=str(value.id),
        service_id=str(value.service_id),
        contact_block=value.value,
        is_default=value.is_default,
        archived=value.archived,
        create_time=timestamp(value.create_time),
    )


def template(value: Template) -> template_pb2.Template:
    """A template as a message."""
    return template_pb2.Template(
        id=str(value.id),
        service_id=str(value.service_id),
        name=value.name,
        channel=enum_value(common_pb2.Channel, value.channel),
        subject=value.subject,
        content=value.content,
        version=value.version,
        archived=value.archived,
        hidden=value.hidden,
        postage=enum_value(common_pb2.Postage, value.postage) if value.postage else None,
        letter_contact_id=_optional_id(value.letter_contact_id),
        letter_contact_block=value.letter_contact_block,
        has_unsubscribe_link=value.has_unsubscribe_link,
        welsh_subject=value.welsh_subject,
        welsh_content=value.welsh_content,
        created_by_id=str(value.created_by_id),
        created_by_email_address=value.created_by_email_address,
        create_time=timestamp(value.create_time),
        update_time=timestamp(value.update_time),
    )


def api_key(value: ApiKey) -> api_key_pb2.ApiKey:
    """An API key as a message."""
    return api_key_pb2.ApiKey(
        id=str(value.id),
        service_id=str(value.service_id),
        name=value.name,
        key_type=enum_value(common_pb2.KeyType, value.key_type),
        created_by_id=str(value.created_by_id),
        create_time=timestamp(value.create_time),
        revoke_time=timestamp(value.revoke_time),
    )


def user(value: User) -> user_pb2.User:
    """A user as a message."""
    return user_pb2.User(
        id=str(value.id),
        name=value.name,
        email_address=value.email_address,
        mobile_number=value.mobile_number,
        create_time=timestamp(value.create_time),
    )


def timestamp(value: datetime | None) -> Timestamp | None:
    """A moment as a message; None stays absent."""
    if value is None:
        return None
    message = Timestamp()
    message.FromDatetime(value)
    return message


def enum_value(enum: EnumTypeWrapper, text: str) -> Any:
    """The value of a proto enum that is stored as `text`."""
    return enums.from_text(enum, text)


def _optional_id(value: UUID | None) -> str:
    return "" if value is None else str(value)


def _position_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
