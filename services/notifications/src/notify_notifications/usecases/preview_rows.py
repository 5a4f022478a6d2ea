"""Showing what messages would come to, without storing or counting anything (docs/adr/0026, 0031)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from notify_common import clock
from notify_common.enums import Channel, Postage
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from notify_content.sms import SmsMessage

from notify_notifications.clients.previews import PreviewsClient
from notify_notifications.domain import limits
from notify_notifications.domain.cost import Prices, too_dear
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import LetterWording
from notify_notifications.usecases.prepare import Prepared, SendCommand
from notify_notifications.usecases.preview_template import Preview, preview_of, preview_template
from notify_notifications.usecases.pricing import most_cost
from notify_notifications.usecases.reserve import Request, limits_met
from notify_notifications.usecases.send import Looked, SendingParts, prepare
from notify_notifications.usecases.usage import get_prices

MOST_COUNTED: Final = 10
"""Letters of one request whose pages are counted: each is typeset for it."""
COUNTING_SECONDS: Final = 6.0
"""Time for counting them all."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a letter would be."""

    page_count: int
    sheet_count: int


@dataclass(frozen=True, slots=True)
class RowPreview:
    """What a message would come to."""

    refusal: NotifyError | None
    """What it would be answered, limits left aside; None if it would be accepted."""
    limits: tuple[NotifyError, ...]
    """The limits that would refuse it now, its own `max_cost_micropounds` among them."""
    preview: Preview | None = field(repr=False)
    """Its wording; None where it has none, as when a value is missing."""
    sms: SmsMessage | None = field(repr=False)
    """Texts: as it would be handed over, the service's prefix included."""
    postage: Postage | None
    """Letters: class of post."""
    size: Size | None
    """Letters: None where it was not counted."""
    cost_micropounds: int | None
    """What it would cost; None where that is not known: of letters whose size is not, and of what would be
    refused.
    """


class _Counter:
    """Counts pages of letters, a bounded number of them in a bounded time."""

    def __init__(self, client: PreviewsClient) -> None:
        self._client = client
        self._left = MOST_COUNTED
        self._until = clock.monotonic() + COUNTING_SECONDS

    def size(self, command: SendCommand, wording: LetterWording) -> Size | None:
        """Return a letter's size; None where it can't be told now."""
        seconds = self._until - clock.monotonic()
        if not self._left or seconds <= 0:
            return None
        self._left -= 1
        try:
            return Size(
                *self._client.count(command.caller.service_id, wording, command.personalisation, seconds)
            )
        except NotifyError as error:
            get_logger().info("pages not counted", reason=error.reason)
            return None


def preview_rows(
    parts: SendingParts, client: PreviewsClient, commands: Sequence[SendCommand]
) -> list[RowPreview]:
    """Show what each message would come to if it were sent alone now.

    Nothing is stored, and no limit counts any of it. Raises NotifyError SERVICE_NOT_FOUND.

    Args:
        client: counts the pages of letters.
        commands: of one service.
    """
    parts = replace(parts, links=parts.links.for_previews())
    looked = Looked(parts.snapshots)
    service = looked.service(commands[0].caller.service_id)
    prices, counter = get_prices(parts.uow), _Counter(client)
    return [_preview(parts, looked, service, command, prices, counter) for command in commands]


def _preview(
    parts: SendingParts,
    looked: Looked,
    service: Service,
    command: SendCommand,
    prices: Prices,
    counter: _Counter,
) -> RowPreview:
    prepared = prepare(parts, looked, service, command)
    preview = _wording(parts, service, command, prepared)
    postage = None if preview is None else preview.template.postage
    cost: int | None = None if prepared.accepted is None else most_cost(prices, service, command, prepared)
    met, allowed = _limits(parts, service, command, prepared), command.max_cost_micropounds
    if cost is not None and allowed is not None and cost > allowed:
        met = (*met, too_dear(cost, allowed))
    filled, details, size = prepared.filled, prepared.details, None
    if filled is not None and details is not None and isinstance(filled.template.wording, LetterWording):
        postage = details.postage
        size = counter.size(command, filled.template.wording)
        cost = None
        if size is not None:
            cost = prices.letter(command.caller.key_type, postage or Postage.SECOND, size.sheet_count)
    return RowPreview(
        refusal=prepared.refusal,
        limits=met,
        preview=preview,
        sms=preview.filled.handed_over if preview and command.channel is Channel.SMS else None,
        postage=postage,
        size=size,
        cost_micropounds=cost,
    )


def _wording(
    parts: SendingParts, service: Service, command: SendCommand, prepared: Prepared
) -> Preview | None:
    """Return what is shown of a message: as it would be sent or, of one that is refused, as its template can
    be filled in all the same.
    """
    try:
        if prepared.filled is not None:
            return preview_of(prepared.filled)
        template = parts.snapshots.template(service.id, command.template_id)
        if template is None or template.channel is not command.channel:
            return None
        shown = preview_template(
            parts.snapshots, parts.links, service.id, command.template_id, command.personalisation
        )
    except NotifyError:
        return None
    return replace(shown, filled=replace(shown.filled, prefix=service.sms_prefix))


def _limits(
    parts: SendingParts, service: Service, command: SendCommand, prepared: Prepared
) -> tuple[NotifyError, ...]:
    request = Request(
        service=service,
        key_type=command.caller.key_type,
        channel=command.channel,
        tokens=limits.tokens_taken(command.channel),
        adds=False,
        international=prepared.international,
    )
    return limits_met(parts.limits, parts.counters, request)
