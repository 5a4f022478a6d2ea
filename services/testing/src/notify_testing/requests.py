"""Requests that pass the rules of their fields, for tests of what stands around every call."""

import uuid
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from notify.admin.v1 import user_pb2, users_service_pb2
from notify.letters.v1 import letters_service_pb2
from notify.providers.v1 import dispatch_service_pb2

M = TypeVar("M", bound=Message)


def any_id(word: str = "") -> str:
    """Return an id for requests in which it matters to nobody; the same one for the same `word`."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, word))


GET_USER: Final = users_service_pb2.GetUserRequest(user_id=any_id())
CREATE_USER: Final = users_service_pb2.CreateUserRequest(
    request_id=any_id(), user=user_pb2.User(name="Ada", email_address="ada@example.com")
)
DOWNLOAD_PDF: Final = letters_service_pb2.DownloadPdfRequest(service_id=any_id(), letter_id=any_id())
PRINT_BATCH: Final = dispatch_service_pb2.SubmitPrintBatchRequest(
    header=dispatch_service_pb2.PrintBatchHeader(print_batch_id=any_id(), letter_count=1)
)
"""The first request of a batch."""


def replaced(message: M, **fields: Any) -> M:
    """Return a copy of a message with other values, of which a tuple or list is what a repeated field has."""
    changed = type(message)()
    changed.CopyFrom(message)
    for name, value in fields.items():
        if isinstance(value, tuple | list):
            getattr(changed, name)[:] = value
        else:
            setattr(changed, name, value)
    return changed
