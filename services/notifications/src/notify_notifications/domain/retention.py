"""Which messages are kept longer than their service keeps messages (public-api.md §8.4, pipeline.md §6.3)."""

from notify_common.enums import Channel

from notify_notifications.domain.notification import State


def is_kept_on(channel: Channel, state: State) -> bool:
    """Whether a message in this state is kept however old it is: there is still something to come of it.

    A letter until it is printed and reported, a text or email until a provider has it or it is given up.
    Those that a provider has had for days end with their retention.
    """
    if state in (State.PENDING_VIRUS_CHECK, State.CREATED):
        return True
    return channel is Channel.LETTER and state is State.SENDING
