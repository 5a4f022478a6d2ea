"""Numbers that services receive texts at (internal-api.md A45 to A50)."""

from collections.abc import Iterable
from typing import Any

from notify.admin.v1 import inbound_numbers_service_pb2 as pb
from notify.admin.v1.inbound_number_pb2 import InboundNumber
from notify.admin.v1.service_pb2 import SmsSender
from notify_common import ids
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError

from notify_admin.domain import services as rules
from notify_admin.domain.senders import text_sender
from notify_admin.store import changes, inbound_numbers
from notify_admin.store.resources import INBOUND_NUMBERS, SERVICES, SMS_SENDERS
from notify_admin.usecases.reads import Lists
from notify_admin.usecases.services import lock_service

list_inbound_numbers = Lists(INBOUND_NUMBERS)


def assign_inbound_number(tx: Tx, ask: pb.AssignInboundNumberRequest) -> SmsSender:
    """Give a service a number that is free, and make it the default text sender.

    Of two who want the last number at once, one gets it.
    """
    lock_service(tx, ask.service_id)
    mine: dict[str, Any] = {"service_id": ask.service_id}
    if INBOUND_NUMBERS.count(tx, **mine):
        raise NotifyError("INBOUND_NUMBER_TAKEN")
    number_id = inbound_numbers.lock_free(tx, ask.inbound_number_id)
    if number_id is None:
        raise NotifyError("INBOUND_NUMBER_TAKEN" if ask.inbound_number_id else "INBOUND_NUMBERS_GONE")
    number = INBOUND_NUMBERS.change(tx, {"id": number_id}, **mine)[0]
    as_sender: dict[str, Any] = {"value": number.number, "is_default": True, "inbound_number_id": number.id}
    live = {**mine, "archived": False}
    senders = SMS_SENDERS.find(tx, **live)
    changes.append(tx, "service", ask.service_id)
    if len(senders) == 1:
        return SMS_SENDERS.change(tx, {"id": senders[0].id}, **as_sender)[0]
    SMS_SENDERS.change(tx, {**live, "is_default": True}, is_default=False)
    sender_id = ids.new_id()
    SMS_SENDERS.insert(tx, ask, sender_id, **mine, **as_sender)
    return SMS_SENDERS.one(tx, id=sender_id)


def release_inbound_number(default_sms_sender: str, tx: Tx, ask: pb.ReleaseInboundNumberRequest) -> None:
    """End receiving texts: the number is no sender of the service any more, and free for others or retired.

    A service that is left without a default sender gets its oldest one as default, or a new one. Idempotency
    key: the service's state; releasing twice changes nothing.
    """
    service = lock_service(tx, ask.service_id)
    mine: dict[str, Any] = {"service_id": service.id}
    gone = {"archived": True, "is_default": False, "inbound_number_id": None}
    for sender in SMS_SENDERS.find(tx, **mine):
        if sender.inbound_number_id:
            SMS_SENDERS.change(tx, {"id": sender.id}, **gone)
    _keep_a_default(default_sms_sender, tx, ask)
    for number in INBOUND_NUMBERS.find(tx, **mine, active=True):
        INBOUND_NUMBERS.change(tx, {"id": number.id}, service_id=None, active=not ask.retire)
    if rules.RECEIVING in service.permissions:
        service.permissions.remove(rules.RECEIVING)
        SERVICES.save(tx, service)
    changes.append(tx, "service", service.id)


def disable_inbound_number(tx: Tx, ask: pb.DisableInboundNumberRequest) -> InboundNumber:
    """Take the number of a service out of use."""
    lock_service(tx, ask.service_id)
    number = INBOUND_NUMBERS.one(tx, service_id=ask.service_id)
    return INBOUND_NUMBERS.change(tx, {"id": number.id}, active=False)[0]


def add_inbound_numbers(tx: Tx, provider: str, numbers: Iterable[str]) -> int:
    """Add numbers that are free; return how many there were not before.

    Idempotency keys: the numbers. Raises ValueError for what no text can come from.
    """
    rows = ({"id": ids.new_id(), "number": text_sender(each), "provider": provider} for each in numbers)
    return sum(inbound_numbers.add(tx, row) for row in rows)


def _keep_a_default(default_sms_sender: str, tx: Tx, ask: pb.ReleaseInboundNumberRequest) -> None:
    senders: list[SmsSender] = SMS_SENDERS.find(tx, service_id=ask.service_id, archived=False)
    if any(sender.is_default for sender in senders):
        return
    if senders:
        # in the order of the resource, newest first
        SMS_SENDERS.change(tx, {"id": senders[-1].id}, is_default=True)
        return
    made = {"value": default_sms_sender, "is_default": True}
    SMS_SENDERS.insert(tx, ask, ids.new_id(), service_id=ask.service_id, **made)
