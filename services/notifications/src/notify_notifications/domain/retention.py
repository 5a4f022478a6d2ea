"""Which messages are kept longer than their service keeps messages (public-api.md §8.4, pipeline.md §6.3)."""

from datetime import timedelta
from typing import Final

from notify_common.enums import Channel

from notify_notifications.domain.notification import State

POSTED_LETTERS_KEPT: Final = timedelta(days=400)
"""How long after its retention the post may bring a letter back: as long as letters knows its reference."""


def is_kept_on(channel: Channel, state: State) -> bool:
    """Whether a message in this state is kept however old it is: there is still something to come of it.

    A letter until it is printed and reported, a text or email until a provider has it or it is given up.
    Those that a provider has had for days end with their retention.
    """
    if state in (State.PENDING_VIRUS_CHECK, State.CREATED):
        return True
    return channel is Channel.LETTER and state is State.SENDING
