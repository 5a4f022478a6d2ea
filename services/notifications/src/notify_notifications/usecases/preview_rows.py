"""Showing what messages would come to, without storing or counting anything (docs/adr/0026)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_common.errors import NotifyError
from notify_content.placeholders import Personalisation
from notify_content.sms import SmsMessage, SmsTemplate

from notify_notifications.domain import limits
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.usecases.prepare import Prepared, SendCommand
from notify_notifications.usecases.preview_template import Preview, preview_template
from notify_notifications.usecases.reserve import Request, limits_met
from notify_notifications.usecases.send import SendingParts, find_service, prepare
from notify_notifications.usecases.usage import get_rates


@dataclass(frozen=True, slots=True)
class RowPreview:
    """What a message would come to."""

    refusal: NotifyError | None
    """What it would be answered, limits left aside; None if it would be accepted."""
    limits: tuple[NotifyError, ...]
    """The limits that would refuse it now."""
    preview: Preview | None = field(repr=False)
    """Its wording; None where it has none, as when a value is missing."""
    sms: SmsMessage | None = field(repr=False)
    """Texts: as it would be handed over, the service's prefix included."""
    postage: Postage | None
    """Letters: class of post."""
    cost_micropounds: int | None
    """What it would cost; None where that is not known: of letters, whose sheets are counted once they are
    typeset, and of texts that would be refused.
    """


def preview_rows(uow: UnitOfWork, parts: SendingParts, commands: Sequence[SendCommand]) -> list[RowPreview]:
    """Show what each message would come to if it were sent alone now.

    Nothing is stored, and no limit counts any of it. Raises NotifyError SERVICE_NOT_FOUND.

    Args:
        commands: of one service.
    """
    service = find_service(parts.snapshots, commands[0].caller.service_id)
    sms_rate = get_rates(uow).sms.rate_micropounds
    return [_preview(parts, service, command, sms_rate) for command in commands]


def _preview(parts: SendingParts, service: Service, command: SendCommand, sms_rate: int) -> RowPreview:
    template = parts.snapshots.template(service.id, command.template_id)
    try:
        prepared = prepare(parts, service, template, command)
    except NotifyError as refusal:
        prepared = Prepared(refusal=refusal)
    preview = _wording(parts, service, template, command)
    sms = None if preview is None else _sms(service, preview.template, command)
    postage = None if preview is None else preview.template.postage
    if prepared.details is not None:
        postage = prepared.details.postage
    return RowPreview(
        refusal=prepared.refusal,
        limits=_limits(parts, service, command, prepared),
        preview=preview,
        sms=sms,
        postage=postage,
        cost_micropounds=_cost(command, prepared, sms, sms_rate),
    )


def _wording(
    parts: SendingParts, service: Service, template: Template | None, command: SendCommand
) -> Preview | None:
    if template is None or template.channel is not command.channel:
        return None
    try:
        return preview_template(parts.snapshots, service.id, command.template_id, command.personalisation)
    except NotifyError:
        return None


def _sms(service: Service, template: Template, command: SendCommand) -> SmsMessage | None:
    if not isinstance(template.wording, SmsTemplate):
        return None
    values = Personalisation(dict(command.personalisation))
    return template.wording.render(values, service.name if service.prefix_sms else None)


def _cost(command: SendCommand, prepared: Prepared, sms: SmsMessage | None, sms_rate: int) -> int | None:
    if command.channel is Channel.EMAIL:
        return 0
    if command.channel is Channel.LETTER or prepared.accepted is None or sms is None:
        return None
    if prepared.details is None or command.caller.key_type is KeyType.TEST:
        return 0
    return sms.fragment_count * prepared.details.rate_multiplier * sms_rate


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
