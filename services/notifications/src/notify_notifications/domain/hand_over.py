"""Where a message goes from here, and which lane it waits in meanwhile (design.md §3.3, §3.5)."""

from enum import StrEnum

from notify_common.enums import Lane
from notify_common.ids import PLATFORM_SERVICE_ID


class Destination(StrEnum):
    """The context that takes a message next."""

    PROVIDERS = "providers"
    """Texts and emails."""
    LETTERS = "letters"
    """Letters."""


def lane_of(service_id: str, *, of_job: bool = False) -> Lane:
    """Return the lane of a service's message. The platform's own mail is first whatever it came with."""
    if service_id == PLATFORM_SERVICE_ID:
        return Lane.PLATFORM
    return Lane.JOB if of_job else Lane.API
