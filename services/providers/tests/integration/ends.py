"""Every way that a call of a provider can end, with a message for each."""

from collections import Counter
from collections.abc import Callable, Mapping

from notify_providers import bootstrap
from notify_providers.domain.message import NewDispatch

from . import fake_mmg
from .conftest import World
from .fake_mmg import FakeMmg
from .messages import sms

NO_ANSWER = {
    fake_mmg.HANG: ("unknown", "timeout"),
    fake_mmg.CLOSE: ("unknown", "connection_lost"),
    fake_mmg.RESET: ("unknown", "connection_lost"),
    fake_mmg.GARBAGE: ("unknown", "bad_answer"),
    fake_mmg.NOTHING: ("unknown", "bad_answer"),
    fake_mmg.HUGE: ("unknown", "too_large"),
    fake_mmg.ERROR: ("unknown", "http_500"),
}
"""Ends after which nobody knows whether the provider has the message, whichever provider it is."""

Make = Callable[[int], tuple[str, NewDispatch]]
"""Returns the message of a number, and its recipient as the provider is told."""


def text(number: int) -> tuple[str, NewDispatch]:
    """Return a text to a number of its own; see Make."""
    recipient = f"4477009001{number:02}"
    return recipient, sms(recipient)


def text_with_plus(number: int) -> tuple[str, NewDispatch]:
    """Return a text as `text` does, for a provider that is told E.164."""
    recipient, message = text(number)
    return "+" + recipient, message


def hand_over(world: World, fake: FakeMmg, ends: Mapping[str, object], make: Make) -> dict[str, str]:
    """Take a message over for each end, which the call for it will have; return their ids by end."""
    ids = {}
    for number, end in enumerate(ends):
        recipient, message = make(number)
        fake.script(recipient, end)
        world.take_over(message)
        ids[end] = message.id
    return ids


def check_ends(
    world: World,
    fake: FakeMmg,
    parts: bootstrap.Parts,
    ends: Mapping[str, tuple[str, str]],
    make: Make,
    *,
    tried_again: bool = True,
) -> None:
    """Check outcome and reason of the first call by how it ended, and that only what the provider surely has
    not got is handed over again at once, and then taken.
    """
    ids = hand_over(world, fake, ends, make)
    world.workers(parts).settle()
    again = [("accepted", "")] if tried_again else []
    expected = {end: [first, *(again if first[0] == "retryable" else [])] for end, first in ends.items()}
    assert {end: world.attempts(id) for end, id in ids.items()} == expected
    assert Counter(fake.ids) == {ids[end]: len(attempts) for end, attempts in expected.items()}
