"""A notification as it is kept, with what follows it from context to context."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from notify_common.enums import Channel, KeyType, Lane, Postage

from notify_notifications.domain.cost import Billable
from notify_notifications.domain.notification import State
from notify_notifications.domain.personalisation import Pairs, texts


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification as stored, with the rates that its cost follows from."""

    id: str
    service_id: str
    channel: Channel
    key_type: KeyType
    reference: str | None = field(repr=False)
    recipient: str = field(repr=False)
    normalised_recipient: str = field(repr=False)
    sender: str
    state: State
    template_id: str
    template_version: int
    personalisation: Pairs = field(repr=False)
    unsubscribe_url: str = field(repr=False)
    postage: Postage | None
    create_time: datetime
    hand_over_time: datetime | None
    sent_time: datetime | None
    update_time: datetime | None
    provider: str
    international: bool
    phone_prefix: str
    api_key_id: str | None
    billable: Billable
    created_by_id: str | None = None
    """The member who sent it in the admin web app."""
    send_at: datetime | None = None
    """When it is to be sent; None for at once."""
    deliver_by: datetime | None = None
    """After which no provider gets it; None for never."""

    @property
    def size_bytes(self) -> int:
        """Size of what the client wrote."""
        written = (self.reference or "", self.recipient, self.unsubscribe_url, *texts(self.personalisation))
        return sum(len(text.encode()) for text in written)


class Origin(NamedTuple):
    """How a message came; the ids of the request may be empty."""

    request_id: str
    traceparent: str
    lane: Lane
