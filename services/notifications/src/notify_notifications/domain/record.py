"""A notification as it is kept, with what follows it from context to context."""

from dataclasses import field
from datetime import datetime
from typing import NamedTuple

from notify_common.enums import Channel, KeyType, Lane, Postage
from notify_common.records import record

from notify_notifications.domain.cost import Billable
from notify_notifications.domain.notification import State
from notify_notifications.domain.personalisation import Pairs, texts


@record()
class Outgoing:
    """What the next context is given of a notification."""

    id: str
    service_id: str
    channel: Channel
    key_type: KeyType
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
    international: bool
    fragment_count: int | None
    """Texts: as its row has it; None for other channels, and for those that older versions accepted."""
    created_by_id: str | None
    """The member who sent it in the admin web app."""
    deliver_by: datetime | None
    """After which no provider gets it; None for never."""


@record()
class Notification(Outgoing):
    """A notification as stored, with the rates that its cost follows from."""

    reference: str | None = field(repr=False)
    hand_over_time: datetime | None
    """Letters: when the letters context had it. Of texts and emails providers know that."""
    sent_time: datetime | None
    update_time: datetime | None
    provider: str
    phone_prefix: str
    api_key_id: str | None
    billable: Billable
    send_at: datetime | None
    """When it is to be sent; None for at once."""
    job_id: str | None = None
    """The job that it is a row of, and so are the next two."""
    job_name: str | None = field(default=None, repr=False)
    """Name of the job's file."""
    row_number: int | None = None
    """From 0."""

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
