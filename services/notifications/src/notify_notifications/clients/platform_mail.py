"""The platform's own mail, as admin writes it (ADR 0017)."""

from collections.abc import Sequence
from typing import Final

import grpc
from notify.admin.v1 import platform_mail_service_pb2 as pb
from notify.admin.v1 import platform_mail_service_pb2_grpc as pb_grpc

PAGE_SIZE: Final = 100
"""Most mails that are read at once: a code is not kept waiting by many before it."""


class PlatformMailFeed:
    """The feed of admin."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.PlatformMailServiceStub(channel)

    def read(self, cursor: str) -> tuple[Sequence[pb.PlatformMail], str]:
        """Return up to 100 mails after `cursor`, and the next cursor. Raises NotifyError."""
        ask = pb.ListPlatformMailEventsRequest(cursor=cursor, page_size=PAGE_SIZE)
        answer = self._stub.ListPlatformMailEvents(ask)
        return answer.mails, answer.next_cursor
