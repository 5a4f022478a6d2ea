"""Text senders, reply-to addresses and letter contact blocks: one set of rules, three kinds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from google.protobuf.message import Message
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import senders as rules
from notify_admin.store import changes, templates
from notify_admin.store.mapping import Resource
from notify_admin.store.resources import LETTER_CONTACTS, REPLY_TO_ADDRESSES, SERVICES, SMS_SENDERS
from notify_admin.usecases.reads import Gets, Lists, UseCase
from notify_admin.usecases.services import lock_service
from notify_admin.usecases.violations import settled

MOST_SENDERS: Final = 250
"""Unarchived ones of a kind that a service may have: as many as a snapshot holds."""


@dataclass(frozen=True, slots=True)
class SenderKind:
    """What the kinds differ in."""

    resource: Resource[Any]
    name: str
    """Of the resource in requests."""
    field: str
    """That a recipient sees."""
    rule: Callable[[str], str]
    """What that may be, and how it is stored."""
    default_needed: bool
    """Whether a service that has any has a default."""
    unique: bool = False
    """Whether a service may have each but once."""


SMS: Final = SenderKind(SMS_SENDERS, "sms_sender", "sender", rules.text_sender, default_needed=True)
REPLY_TO: Final = SenderKind(
    REPLY_TO_ADDRESSES,
    "reply_to_address",
    "email_address",
    rules.reply_to_address,
    default_needed=True,
    unique=True,
)
LETTER_CONTACT: Final = SenderKind(
    LETTER_CONTACTS, "letter_contact", "contact_block", rules.contact_block, default_needed=False
)


def create_sender(kind: SenderKind, tx: Tx, ask: Any) -> Message:
    """Add one; a new default takes the place of the old.

    Raises:
        NotifyError: INVALID_FIELD; SERVICE_NOT_FOUND; SERVICE_ARCHIVED; REQUEST_ID_REUSED; TOO_MANY;
            DEFAULT_NEEDED; NAME_TAKEN.
    """
    given = getattr(ask, kind.name)
    stored = _settle(kind, given)
    lock_service(tx, given.service_id)
    live = {"service_id": given.service_id, "archived": False}
    before = kind.resource.count(tx, **live)
    if given.is_default and kind.resource.get(tx, id=ask.request_id) is None:
        kind.resource.change(tx, {**live, "is_default": True}, is_default=False)
    if kind.resource.add(tx, ask, given, value=stored):
        if before >= MOST_SENDERS:
            raise NotifyError("TOO_MANY", metadata={"limit": str(MOST_SENDERS)})
        if kind.default_needed and before == 0 and not given.is_default:
            raise NotifyError("DEFAULT_NEEDED")
        _refuse_second(kind, tx, live, stored)
        changes.append(tx, "service", given.service_id)
    return kind.resource.one(tx, id=ask.request_id)  # type: ignore[no-any-return] # of the resource's class


def set_sender(kind: SenderKind, tx: Tx, ask: Any) -> Message:
    """Set its text and whether it is the default; a new default takes the place of the old.

    Templates that use a contact block get a new version with its new text: a version never changes.

    Raises:
        NotifyError: INVALID_FIELD; SENDER_NOT_FOUND; INBOUND_NUMBER_FIXED; DEFAULT_NEEDED; NAME_TAKEN;
            SERVICE_NOT_FOUND; SERVICE_ARCHIVED.
    """
    wanted = getattr(ask, kind.name)
    stored = _settle(kind, wanted)
    lock_service(tx, wanted.service_id)
    live = {"service_id": wanted.service_id, "archived": False}
    found = kind.resource.one(tx, id=wanted.id, **live)
    changed = getattr(found, kind.field) != stored
    if kind is SMS and found.inbound_number_id and changed:
        raise NotifyError("INBOUND_NUMBER_FIXED")
    if kind.default_needed and found.is_default and not wanted.is_default:
        raise NotifyError("DEFAULT_NEEDED")
    if wanted.is_default and not found.is_default:
        kind.resource.change(tx, {**live, "is_default": True}, is_default=False)
    setattr(found, kind.field, stored)
    found.is_default = wanted.is_default
    saved: Message = kind.resource.save(tx, found)
    _refuse_second(kind, tx, live, stored)
    changes.append(tx, "service", wanted.service_id)
    if kind is LETTER_CONTACT and changed:
        block = {"letter_contact_block": stored}
        templates.copy_versions(tx, block, service_id=wanted.service_id, letter_contact_id=wanted.id)
    return saved


def archive_sender(kind: SenderKind, tx: Tx, ask: Any) -> Message:
    """Take one out of use; archiving twice changes nothing.

    Templates that use an archived contact block get a new version without one (internal-api.md §4.7).

    Raises:
        NotifyError: SENDER_NOT_FOUND; DEFAULT_SENDER, the default text sender, or the default reply-to
            address while there are others; INBOUND_NUMBER_FIXED; SERVICE_NOT_FOUND; SERVICE_ARCHIVED.
    """
    lock_service(tx, ask.service_id)
    sender_id = getattr(ask, f"{kind.name}_id")
    sender: Any = kind.resource.one(tx, id=sender_id, service_id=ask.service_id)
    if sender.archived:
        return sender  # type: ignore[no-any-return] # of the resource's class
    if kind is SMS and sender.inbound_number_id:
        raise NotifyError("INBOUND_NUMBER_FIXED")
    others = kind.resource.count(tx, service_id=ask.service_id, archived=False) - 1
    if sender.is_default and (kind is SMS or (kind.default_needed and others)):
        raise NotifyError("DEFAULT_SENDER")
    changes.append(tx, "service", ask.service_id)
    if kind is LETTER_CONTACT:
        nothing = {"letter_contact_id": None, "letter_contact_block": ""}
        templates.copy_versions(tx, nothing, service_id=ask.service_id, letter_contact_id=sender_id)
    archived: Message = kind.resource.change(tx, {"id": sender_id}, archived=True)[0]
    return archived


def _settle(kind: SenderKind, given: Any) -> str:
    return settled(kind.rule, getattr(given, kind.field), f"{kind.name}.{kind.field}")


def _refuse_second(kind: SenderKind, tx: Tx, live: dict[str, Any], stored: str) -> None:
    if kind.unique and kind.resource.count(tx, value=stored, **live) > 1:
        raise NotifyError("NAME_TAKEN")


def _methods() -> Iterator[tuple[str, UseCase | Gets | Lists]]:
    live = {"archived": False}
    for kind in (SMS, REPLY_TO, LETTER_CONTACT):
        plural = f"{kind.name}es" if kind.name.endswith("s") else f"{kind.name}s"
        yield f"create_{kind.name}", partial(create_sender, kind)
        yield f"get_{kind.name}", Gets(kind.resource, live)
        yield f"list_{plural}", Lists(kind.resource, live, parent=SERVICES)
        yield f"set_{kind.name}", partial(set_sender, kind)
        yield f"archive_{kind.name}", partial(archive_sender, kind)


METHODS: Final = dict(_methods())
"""Use cases by the names of methods."""
