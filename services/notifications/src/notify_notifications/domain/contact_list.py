"""Contact lists: recipients that a service keeps as a spreadsheet (internal-api.md B22 to B25)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from notify_common.enums import Channel

CHANNELS: Final = (Channel.SMS, Channel.EMAIL)
"""The ways in which recipients of a list may be written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactList:
    """A contact list as it is kept. Its file has the key of a job's with the same id."""

    id: str
    service_id: str
    channel: Channel
    file_name: str = field(repr=False)
    row_count: int
    """As who made it said."""
    created_by_id: str
    create_time: datetime
    has_jobs: bool = False
    """Whether a job was ever made of it."""
    archive_time: datetime | None = None
