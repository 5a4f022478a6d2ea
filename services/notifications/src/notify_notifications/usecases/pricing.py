"""What messages could cost before they are stored (docs/adr/0031).

It is the most that a message can come to: a text costs what its fragments do, wherever a receipt is asked
for or not; a letter, whose sheets are counted once it is typeset, counts as the dearest of its class of post.
"""

from notify_common.enums import Channel, Postage

from notify_notifications.domain.cost import Prices
from notify_notifications.domain.service import Service
from notify_notifications.usecases.prepare import PrecompiledLetterCommand, Prepared, SendCommand


def most_cost(prices: Prices, service: Service, command: SendCommand, prepared: Prepared) -> int:
    """Return the most that a message could cost if it was stored, in millionths of a pound; nothing for one
    that is refused or only simulated.
    """
    details, key_type = prepared.details, command.caller.key_type
    if details is None:
        return 0
    match command.channel:
        case Channel.EMAIL:
            return 0
        case Channel.SMS:
            assert prepared.filled is not None  # noqa: S101 - of a text that is not refused
            fragments = prepared.filled.handed_over.fragment_count
            return prices.sms(key_type, fragments, details.rate_multiplier)
        case Channel.LETTER:
            postages = {details.postage or Postage.SECOND}
            if (
                isinstance(command, PrecompiledLetterCommand)
                and "international_letters" in service.permissions
            ):
                # the address is read later, in the PDF
                postages |= {Postage.EUROPE, Postage.REST_OF_WORLD}
            return prices.dearest_letter(key_type, postages)
