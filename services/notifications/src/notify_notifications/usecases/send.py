"""The one way by which messages are accepted: prepare, reserve, store, for 1 to 500 at once (public-api.md
§2.1).
"""

import threading
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, NamedTuple, TypeVar

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.errors import NotifyError
from notify_common.logging import describe_exception, get_logger
from prometheus_client import Counter

from notify_notifications.clients.snapshots import CURRENT, Snapshots, TemplateKey
from notify_notifications.domain import limits
from notify_notifications.domain.cost import too_dear
from notify_notifications.domain.files import FileLinks
from notify_notifications.domain.hand_over import Destination
from notify_notifications.domain.limits import Quota
from notify_notifications.domain.notification import State
from notify_notifications.domain.schedule import check_times
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import Template
from notify_notifications.store.acceptance import (
    AcceptanceStore,
    Asked,
    Earlier,
    NewMessage,
    key_hash,
    personalisation_json,
)
from notify_notifications.store.counters import CounterStore
from notify_notifications.store.files import FileKey
from notify_notifications.store.limits import LimitStore
from notify_notifications.usecases.files import (
    Attaching,
    FileParts,
    attach_files,
    end_files,
    keep_files,
    read_files,
)
from notify_notifications.usecases.prepare import (
    Accepted,
    AcceptedRow,
    Details,
    EmailCommand,
    LetterCommand,
    PrecompiledLetterCommand,
    Prepared,
    SendCommand,
    SmsCommand,
)
from notify_notifications.usecases.prepare_email import answer_email, prepare_email
from notify_notifications.usecases.prepare_letter import answer_letter, prepare_letter
from notify_notifications.usecases.prepare_precompiled_letter import (
    answer_precompiled_letter,
    prepare_precompiled_letter,
)
from notify_notifications.usecases.prepare_sms import answer_sms, prepare_sms
from notify_notifications.usecases.pricing import most_cost
from notify_notifications.usecases.reserve import Request, Reservation, release, reserve
from notify_notifications.usecases.usage import get_prices

_LEAST_SECONDS: Final = 0.05
"""What must be left of a request's time for its message to be stored."""
_FINAL_REFUSALS: Final = frozenset({"RATE_LIMITED", "REQUEST_ID_REUSED", "OVERLOADED"})
"""Refusals that hold for a repeat too."""

_DECIDED: Final = Counter(
    "notify_messages_total", "Messages that were accepted (OK) or refused, by reason.", ["channel", "reason"]
)

UNKNOWN_OUTCOMES: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""After these nobody knows whether a message was stored."""
_RETRY_AFTER: Final = timedelta(seconds=1)

FAILING_ROWS: Final = frozenset(
    {
        *("RECIPIENT_INVALID", "INTERNATIONAL_NOT_ALLOWED", "ADDRESS_INVALID", "QR_CODE_TOO_LONG"),
        *("MISSING_PERSONALISATION", "MESSAGE_EMPTY", "MESSAGE_TOO_LONG", "SENDER_NOT_FOUND"),
    }
)
"""Refusals of a job's row that are stored, as a message that failed: there is nobody to answer them to."""

K = TypeVar("K")

Result = Accepted | NotifyError
"""The answer to a message, or why it is not accepted."""


class Decision(NamedTuple):
    """What became of a message."""

    result: Result
    quota: Quota | None
    """What its service may send on; None where limits were not checked."""
    replayed: bool
    """Whether an earlier request with the same idempotency key was accepted."""


class RunningKeys:
    """Idempotency keys of the requests that this process is dealing with. Safe to share between threads.

    A repeat that comes meanwhile is told so at once, instead of doing again what the first is doing, such as
    storing files; in another process the database decides which of the two is accepted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str], str] = {}

    def begin(self, service_id: str, idempotency_key: str, request_id: str) -> bool:
        """Note the key of a request; return False where another request with it is running."""
        with self._lock:
            return self._requests.setdefault((service_id, idempotency_key), request_id) == request_id

    def end(self, service_id: str, idempotency_key: str) -> None:
        """Forget a key that was noted."""
        with self._lock:
            self._requests.pop((service_id, idempotency_key), None)


@dataclass(frozen=True, slots=True)
class SendingParts:
    """What sending needs; made once a process."""

    uow: UnitOfWork
    snapshots: Snapshots
    limits: LimitStore
    counters: CounterStore
    store: AcceptanceStore
    default_sms_sender: str
    """Shown for services that have no sender of their own."""
    email_domain: str
    """Right of the @ in the address that emails come from."""
    links: FileLinks
    """Makes the links to files."""
    files: FileParts | None = None
    """What keeps files; None where there is nowhere to keep them."""
    running: RunningKeys = field(default_factory=RunningKeys)
    """Idempotency keys of the requests that are being dealt with."""


_UNPREPARED: Final = Prepared()


@dataclass(slots=True)
class _Sending:
    """A message on its way down the road."""

    command: SendCommand
    service: Service | None = None
    prepared: Prepared = _UNPREPARED
    holds_key: bool = False
    """Whether its idempotency key is noted as that of a running request."""
    kept: "partial[None] | None" = None
    """Settles its files, where some were stored."""
    attached: bool = False
    """Whether its links to files of its template are noted."""
    reservation: Reservation | None = None
    stored: bool = False
    result: Result | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if it is stored."""
        return isinstance(self.result, NotifyError) and self.result.reason in UNKNOWN_OUTCOMES

    def decided(self) -> Decision:
        result = self.result
        assert result is not None  # noqa: S101 - every step leaves none undecided that it ends
        quota = None if self.reservation is None else self.reservation.quota
        replayed = not isinstance(result, NotifyError) and result.notification_id != self.command.request_id
        return Decision(result, quota, replayed)


def find_service(snapshots: Snapshots, service_id: str) -> Service:
    """Return the service that sends. Raises NotifyError SERVICE_NOT_FOUND, for an archived one too."""
    service = snapshots.service(service_id)
    if service is None or not service.active:
        raise NotifyError("SERVICE_NOT_FOUND")
    return service


def send_messages(
    parts: SendingParts,
    commands: Sequence[SendCommand],
    most_bytes: int | None = None,
    max_cost_micropounds: int | None = None,
) -> list[Decision]:
    """Check, count and store messages, each once per request id and idempotency key.

    Each result stands for its own message: the others are accepted or not whatever became of it. Exactly
    those with an answer are stored (or were by an earlier request, or are only simulated). An error says that
    the message is not stored, except UNAVAILABLE and DEADLINE_EXCEEDED, after which nobody knows: the same
    request may be made again, with `is_repeat`, and stores nothing twice.

    Args:
        commands: 1 to 500; those of one service count in their order.
        most_bytes: of the answers' texts together; messages after the first whose answers have no room get
            OVERLOADED and are not stored.
        max_cost_micropounds: of all of them together; those that would pass it get COST_ABOVE_MAXIMUM.

    Errors: SERVICE_NOT_FOUND, RATE_LIMITED, DAILY_LIMIT_REACHED, REQUEST_ID_REUSED, REQUEST_RUNNING,
    COST_ABOVE_MAXIMUM, those of the channel's `prepare_…`, and of `keep_files`.
    """
    sendings = [_Sending(command) for command in commands]
    try:
        return _send(parts, sendings, most_bytes, max_cost_micropounds)
    finally:
        for sending in sendings:
            if sending.holds_key:
                parts.running.end(sending.command.caller.service_id, sending.command.idempotency_key)


def _send(
    parts: SendingParts, sendings: Sequence[_Sending], most_bytes: int | None, max_cost: int | None
) -> list[Decision]:
    looked = Looked(parts.snapshots)
    for sending in sendings:
        _prepare(parts, looked, sending)
    _check_costs(parts, sendings, max_cost)
    _note_keys(parts, sendings)
    if most_bytes is not None:
        _leave_out_what_has_no_room(sendings, most_bytes)
    _reserve(parts, [one for one in sendings if one.result is None])
    for sending in sendings:
        if sending.result is None and isinstance(sending.command, EmailCommand) and sending.command.files:
            _keep_files(parts, sending, sending.command)
    _attach_files(parts, [one for one in sendings if one.result is None and one.prepared.attached])
    _store(parts, [one for one in sendings if one.result is None])
    for sending in sendings:
        _end_files(sending)
    _end_attached(parts, sendings)
    release(parts.limits, [one.reservation for one in sendings if one.reservation and not one.stored])
    for sending in sendings:
        if isinstance(sending.result, NotifyError) and sending.result.reason not in _FINAL_REFUSALS:
            _answer_repeat(parts, sending)
    decisions = [one.decided() for one in sendings]
    ended = Tally(
        (one.command.channel, result.reason if isinstance(result, NotifyError) else "OK")
        for one, (result, _, _) in zip(sendings, decisions, strict=True)
    )
    for labels, count in ended.items():
        _DECIDED.labels(*labels).inc(count)
    return decisions


def _note_keys(parts: SendingParts, sendings: Sequence[_Sending]) -> None:
    """Note that requests with these idempotency keys are running; refuse those of which another one is.

    A repeat of the same request by the gateway is no other one, and of those with one key in the same call
    the database accepts the first.
    """
    ours: set[tuple[str, str]] = set()
    for sending in sendings:
        command = sending.command
        key = command.caller.service_id, command.idempotency_key
        if sending.result is not None or not command.idempotency_key or command.is_repeat or key in ours:
            continue
        sending.holds_key = parts.running.begin(*key, command.request_id)
        if sending.holds_key:
            ours.add(key)
        else:
            sending.prepared = Prepared(refusal=NotifyError("REQUEST_RUNNING", retry_after=_RETRY_AFTER))


def _keep_files(parts: SendingParts, sending: _Sending, command: EmailCommand) -> None:
    """Store the files of an email, unless an earlier request did."""
    files = parts.files
    if files is None:
        sending.result = NotifyError("UNAVAILABLE")
        return
    earlier = _earlier(parts, command)
    if earlier is not None:
        sending.result = _answer_of(parts, sending, earlier)
        return
    address = _known(sending.prepared.details).normalised_recipient
    contents = read_files(command.files, command.contents)
    service_id = command.caller.service_id
    sending.kept = partial(end_files, files, [FileKey(service_id, file.id, True) for file in command.files])
    try:
        keep_files(files, service_id, command.request_id, address, command.files, contents)
    except NotifyError as error:
        sending.result = error
        sending.kept(accepted=False)
        sending.kept = None


def _end_files(sending: _Sending) -> None:
    """Settle the files of an email, unless nobody knows what became of it."""
    if sending.kept is not None and not sending.is_unknown:
        sending.kept(accepted=sending.stored)


def _attach_files(parts: SendingParts, sendings: Sequence[_Sending]) -> None:
    """Note the links of emails to files of their templates."""
    if not sendings:
        return
    emails = [
        Attaching(
            one.command.caller.service_id,
            one.command.request_id,
            _known(one.prepared.details).normalised_recipient,
            one.prepared.attached,
        )
        for one in sendings
    ]
    for sending, refusal in zip(sendings, attach_files(parts.files, emails), strict=True):
        sending.result = refusal
        sending.attached = refusal is None


def _end_attached(parts: SendingParts, sendings: Sequence[_Sending]) -> None:
    """Settle the links of emails to files of their templates, but of those of which nobody knows."""
    for accepted in (True, False):
        ended = [
            FileKey(one.command.caller.service_id, file.id, False)
            for one in sendings
            if one.attached and not one.is_unknown and one.stored is accepted
            for file in one.prepared.attached
        ]
        if ended:
            end_files(_known(parts.files), ended, accepted=accepted)


class Looked:
    """Services and templates as they were when they were first looked up: for one use case, whose
    messages mostly name the same ones.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._services: dict[str, Service] = {}
        self._templates: dict[TemplateKey, Template | None] = {}

    def service(self, service_id: str) -> Service:
        """Return the service that sends. Raises NotifyError as `find_service`."""
        found = self._services.get(service_id)
        if found is None:
            found = self._services[service_id] = find_service(self._snapshots, service_id)
        return found

    def template(self, service_id: str, template_id: str, version: int = CURRENT) -> Template | None:
        """Return the service's template; None if it has none of this id and version. Raises NotifyError."""
        key = TemplateKey(service_id, template_id, version)
        if key not in self._templates:
            self._templates[key] = self._snapshots.template(*key)
        return self._templates[key]


def _prepare(parts: SendingParts, looked: Looked, sending: _Sending) -> None:
    command = sending.command
    try:
        sending.service = looked.service(command.caller.service_id)
    except NotifyError as error:
        sending.result = error
        return
    sending.prepared = prepare(parts, looked, sending.service, command)


def prepare(parts: SendingParts, looked: Looked, service: Service, command: SendCommand) -> Prepared:
    """Return what the rules of its channel say of a message: as its refusal what they raise, and
    INVALID_FIELD for times that can't be.
    """
    try:
        template = looked.template(service.id, command.template_id, command.template_version)
        prepared = _by_channel(parts, service, template, command)
    except NotifyError as refusal:
        prepared = Prepared(refusal=refusal)
    except Exception as error:  # a fault that one message brings to light is not the others'
        get_logger().error(
            "message not prepared", notification_id=command.request_id, **describe_exception(error)
        )
        return Prepared(refusal=NotifyError("INTERNAL"))
    refused = prepared.refusal
    if command.row_number is not None and refused is not None and refused.reason in FAILING_ROWS:
        return _failed_row(command)
    return prepared


def _failed_row(command: SendCommand) -> Prepared:
    """Return what is stored of a job's row whose message nobody may get: it goes nowhere, costs nothing, and
    is seen as failed (pipeline.md §2.6).
    """
    recipient = ""
    match command:
        case SmsCommand():
            recipient = command.phone_number
        case EmailCommand():
            recipient = command.email_address
    details = Details(
        template_version=command.template_version,
        recipient=recipient.strip(),
        normalised_recipient="".join(recipient.split()).lower(),
        sender="",
        personalisation=command.personalisation,
        state=State.VALIDATION_FAILED,
    )
    return Prepared(accepted=AcceptedRow(command.request_id), details=details)


def _by_channel(
    parts: SendingParts, service: Service, template: Template | None, command: SendCommand
) -> Prepared:
    if command.send_at is not None or command.deliver_by is not None:
        check_times(clock.now(), command.send_at, command.deliver_by)
    match command:
        case SmsCommand():
            return prepare_sms(service, template, command, parts.default_sms_sender)
        case EmailCommand():
            return prepare_email(service, template, command, parts.email_domain, parts.links)
        case LetterCommand():
            return prepare_letter(service, template, command)
        case PrecompiledLetterCommand():
            return prepare_precompiled_letter(service, template, command)
    raise TypeError(type(command).__name__)


def _check_costs(parts: SendingParts, sendings: Sequence[_Sending], max_cost: int | None) -> None:
    """Refuse what could cost more than it may, or would take all of them beyond `max_cost`."""
    bounded = [
        one
        for one in sendings
        if one.prepared.details is not None
        and (max_cost is not None or one.command.max_cost_micropounds is not None)
    ]
    if not bounded:
        return
    try:
        prices = get_prices(parts.uow)
    except NotifyError as error:
        for sending in bounded:
            sending.result = error
        return
    total = 0
    for sending in bounded:
        cost = most_cost(prices, _known(sending.service), sending.command, sending.prepared)
        own = sending.command.max_cost_micropounds
        if own is not None and cost > own:
            refusal = too_dear(cost, own)
        elif max_cost is not None and total + cost > max_cost:
            refusal = too_dear(total + cost, max_cost)
        else:
            total += cost
            continue
        sending.prepared = Prepared(refusal=refusal, international=sending.prepared.international)


def _leave_out_what_has_no_room(sendings: Sequence[_Sending], most_bytes: int) -> None:
    left = most_bytes
    for number, sending in enumerate(sendings):
        if sending.result is not None or sending.prepared.accepted is None:
            continue
        left -= sending.prepared.accepted.size_bytes
        if left < 0 and number:
            sending.result = NotifyError("OVERLOADED")


def _reserve(parts: SendingParts, sendings: Sequence[_Sending]) -> None:
    for sending in sendings:
        if sending.command.row_number is not None:
            # its job holds its place in the day
            abroad = (limits.INTERNATIONAL_SMS,) if sending.prepared.international else ()
            sending.reservation = Reservation(clock.now().date(), abroad)
            sending.result = sending.prepared.refusal
    sendings = [one for one in sendings if one.command.row_number is None]
    if not sendings:
        return
    requests = [
        Request(
            service=_known(one.service),
            key_type=one.command.caller.key_type,
            channel=one.command.channel,
            adds=one.prepared.details is not None,
            international=one.prepared.international,
            tokens=_tokens(one.command),
        )
        for one in sendings
    ]
    for sending, reservation in zip(sendings, reserve(parts.limits, parts.counters, requests), strict=True):
        sending.reservation = reservation
        sending.result = reservation.refusal or sending.prepared.refusal
        if sending.result is None and sending.prepared.details is None:
            sending.result = sending.prepared.accepted


def _tokens(command: SendCommand) -> int:
    if command.batch_id is not None:
        return 0
    is_precompiled = isinstance(command, PrecompiledLetterCommand)
    return limits.tokens_taken(command.channel, is_precompiled=is_precompiled)


def _store(parts: SendingParts, sendings: Sequence[_Sending]) -> None:
    now = clock.monotonic()
    going = []
    for sending in sendings:
        deadline = sending.command.deadline
        if deadline is not None and deadline - now < _LEAST_SECONDS:
            # nobody would hear of it, and it would be sent all the same
            sending.result = NotifyError("DEADLINE_EXCEEDED")
        else:
            going.append(sending)
    if not going:
        return
    deadlines = [one.command.deadline for one in going if one.command.deadline is not None]
    messages = [_new_message(one.command, one.prepared, _known(one.reservation)) for one in going]
    try:
        outcomes = parts.store.store(messages, timeout=min(deadlines) - now if deadlines else None)
    except NotifyError as error:
        for sending in going:
            sending.result = error
        return
    for sending, outcome in zip(going, outcomes, strict=True):
        if outcome is None:
            sending.stored = True
            sending.result = sending.prepared.accepted
        elif isinstance(outcome, Earlier):
            sending.result = _answer_of(parts, sending, outcome)
        else:
            sending.result = outcome


def _new_message(command: SendCommand, prepared: Prepared, reservation: Reservation) -> NewMessage:
    details: Details = _known(prepared.details)
    return NewMessage(
        id=command.request_id,
        service_id=command.caller.service_id,
        api_key_id=command.caller.api_key_id,
        created_by_id=command.caller.created_by_id,
        batch_id=command.batch_id,
        row_number=command.row_number,
        key_type=command.caller.key_type,
        channel=command.channel,
        template_id=command.template_id,
        template_version=details.template_version,
        reference=command.reference,
        recipient=details.recipient,
        normalised_recipient=details.normalised_recipient,
        sender=details.sender,
        personalisation=personalisation_json(details.personalisation),
        unsubscribe_url=details.unsubscribe_url,
        content_hash=command.content_hash,
        state=details.state,
        create_time=clock.now(),
        international=details.international,
        phone_prefix=details.phone_prefix,
        rate_multiplier=details.rate_multiplier,
        fragment_count=details.fragment_count,
        postage=details.postage,
        send_at=command.send_at,
        deliver_by=command.deliver_by,
        destination=Destination.LETTERS if command.channel is Channel.LETTER else Destination.PROVIDERS,
        lane=command.origin.lane,
        request_id=command.origin.request_id,
        traceparent=command.origin.traceparent,
        counters=",".join(reservation.counters),
        day=reservation.day,
        key_hash=key_hash(command.idempotency_key),
    )


def _answer_repeat(parts: SendingParts, sending: _Sending) -> None:
    """Give a refused repeat the answer of the request that stored the message, if there was one.

    It may meet a limit that its own first try filled, or a template archived since. Only requests that say
    that they may be repeats cost a look.
    """
    earlier = _earlier(parts, sending.command)
    if earlier is not None and earlier.content_hash == sending.command.content_hash:
        sending.result = _answer_of(parts, sending, earlier)


def _earlier(parts: SendingParts, command: SendCommand) -> Earlier | None:
    """Return what an earlier request of a repeat stored; None for nothing, or where that can't be asked."""
    if not (command.is_repeat or command.idempotency_key):
        return None
    asked = Asked(command.request_id, command.caller.service_id, key_hash(command.idempotency_key))
    try:
        (earlier,) = parts.store.find_earlier([asked])
    except NotifyError:
        return None
    return earlier


def _answer_of(parts: SendingParts, sending: _Sending, earlier: Earlier) -> Accepted | NotifyError:
    """Return the answer that an earlier request got, or REQUEST_ID_REUSED if it asked for something else."""
    command = sending.command
    if earlier.content_hash != command.content_hash:
        return NotifyError("REQUEST_ID_REUSED")
    id, version = earlier.notification_id, earlier.template_version
    try:
        service = sending.service or find_service(parts.snapshots, command.caller.service_id)
        template = parts.snapshots.template(service.id, command.template_id, version)
    except NotifyError as error:
        return error
    if template is None:
        return NotifyError("TEMPLATE_NOT_FOUND")
    match command:
        case SmsCommand():
            return answer_sms(command, template, id, earlier.sender)
        case EmailCommand():
            # the links to files that it was accepted with stand there alone
            stored = parts.store.personalisation_of(id)
            return answer_email(service, command, template, id, parts.email_domain, stored)
        case LetterCommand():
            return answer_letter(command, template, id)
        case PrecompiledLetterCommand():
            return answer_precompiled_letter(command, template, id)
    raise TypeError(type(command).__name__)


def _known(value: K | None) -> K:
    """Return the value that an earlier step has set."""
    assert value is not None  # noqa: S101 - the order of the steps
    return value
