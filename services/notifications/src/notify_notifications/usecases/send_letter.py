"""Accepting a letter from a template (public-api.md §2.6)."""

from dataclasses import dataclass, field

from notify_common.errors import NotifyError
from notify_content.letters import CHARACTER_LIMIT, QR_CODE_MAX_BYTES, QrCodeTooLong
from notify_content.placeholders import Personalisation
from notify_content.postal_address import InvalidPostalAddress, PostalAddress

from notify_notifications.domain.notification import Channel
from notify_notifications.domain.personalisation import address_values, texts
from notify_notifications.domain.recipients import may_send_letters
from notify_notifications.domain.template import LetterWording, Template
from notify_notifications.usecases.limits import Limits
from notify_notifications.usecases.sending import (
    Acceptance,
    Command,
    Details,
    check_no_file,
    check_size,
    values_for,
)


@dataclass(frozen=True, slots=True)
class AcceptedLetter:
    """The accepted letter."""

    notification_id: str
    subject: str = field(repr=False)
    """HTML-escaped."""
    body: str = field(repr=False)
    template_version: int


class SendLetter:
    """Accepts letters; made once a process."""

    def __init__(self, acceptance: Acceptance, limits: Limits) -> None:
        self._acceptance = acceptance
        self._limits = limits

    def send(self, command: Command) -> AcceptedLetter:
        """Check and store a letter, once per request id and idempotency key (public-api.md §2.1).

        Raises:
            NotifyError: SERVICE_NOT_FOUND, RATE_LIMITED, DAILY_LIMIT_REACHED, CHANNEL_NOT_ALLOWED,
                TEMPLATE_*, QR_CODE_TOO_LONG, MISSING_PERSONALISATION, MESSAGE_EMPTY,
                FILE_NOT_ALLOWED, LETTERS_NOT_ALLOWED_FOR_KEY, ADDRESS_INVALID, MESSAGE_TOO_LONG,
                REQUEST_ID_REUSED.
        """
        try:
            return self._accept(command)
        except NotifyError as refusal:
            earlier, template = self._acceptance.repeated(command, refusal)
            values = Personalisation(dict(command.personalisation))
            return _answer(earlier.notification_id, template, values)

    def _accept(self, command: Command) -> AcceptedLetter:
        key_type = command.sender.key_type
        service = self._acceptance.service(command.sender.service_id)
        with self._limits.admit(service, key_type, Channel.LETTER) as quota:
            template = self._acceptance.template(service, command.template_id, Channel.LETTER)
            _check_qr_codes(_wording(template), Personalisation(dict(command.personalisation)))
            values = values_for(template, command.personalisation)
            if _wording(template).render(values).is_empty:
                raise NotifyError("MESSAGE_EMPTY")
            check_no_file(command)
            if not may_send_letters(service, key_type):
                raise NotifyError("LETTERS_NOT_ALLOWED_FOR_KEY", metadata={"key_type": key_type})
            address_lines = address_values(command.personalisation)
            address = PostalAddress.from_personalisation(address_lines)
            try:
                address.check(allow_international="international_letters" in service.permissions)
            except InvalidPostalAddress as error:
                raise NotifyError("ADDRESS_INVALID", metadata={"problem": error.api_message}) from None
            accepted = _answer(command.request_id, template, values)
            check_size(accepted.subject, accepted.body, *texts(list(address_lines.items())))
            details = Details(
                template_version=template.version,
                recipient="",
                normalised_recipient="",
                sender="",
                personalisation=command.personalisation,
                postage=address.postage_zone if address.international else template.postage,
            )
            earlier = self._acceptance.store(command, Channel.LETTER, details, quota)
            if earlier is None:
                return accepted
        return _answer(earlier.notification_id, self._acceptance.version(command, earlier), values)


def _wording(template: Template) -> LetterWording:
    assert isinstance(template.wording, LetterWording)  # noqa: S101 - the channel was checked
    return template.wording


def _check_qr_codes(wording: LetterWording, values: Personalisation) -> None:
    # What is longer is never printed, and reading it takes seconds.
    if wording.length(values) > CHARACTER_LIMIT:
        return
    letter = wording.render(values)
    if not letter.qr_code_too_long:
        return
    try:
        _ = letter.blocks
    except QrCodeTooLong as error:
        raise NotifyError(
            "QR_CODE_TOO_LONG",
            metadata={
                "data": error.data,
                "num_bytes": str(error.num_bytes),
                "max_bytes": str(QR_CODE_MAX_BYTES),
            },
        ) from None


def _answer(notification_id: str, template: Template, values: Personalisation) -> AcceptedLetter:
    wording = _wording(template)
    return AcceptedLetter(
        notification_id, wording.subject(values), wording.render(values).content, template.version
    )
