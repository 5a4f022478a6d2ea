"""What concerns no service alone: events of the web app, protected names."""

import json
import re
from collections.abc import Iterable
from typing import Final

from notify.admin.v1 import platform_service_pb2 as pb
from notify_common.db.unit_of_work import Tx
from notify_common.errors import FieldViolation, invalid_field

from notify_admin.store import platform, services
from notify_admin.store.resources import EVENTS

_WHITE: Final = re.compile(r"\s+")


def record_event(tx: Tx, ask: pb.RecordEventRequest) -> pb.Event:
    """Record what somebody did. Idempotency key: the request's id."""
    try:
        valid = isinstance(json.loads(ask.event.data), dict)
    except ValueError:
        valid = False
    if not valid:
        raise invalid_field(FieldViolation("event.data", "is no JSON object"))
    EVENTS.add(tx, ask, ask.event)
    return EVENTS.one(tx, id=ask.request_id)


def get_sender_id_protection(tx: Tx, ask: pb.GetSenderIdProtectionRequest) -> pb.SenderIdProtection:
    """Tell whether texts may not come from a name."""
    return pb.SenderIdProtection(protected=platform.is_protected(tx, normalised(ask.sender_id)))


def get_live_counts(tx: Tx, ask: pb.GetLiveCountsRequest) -> pb.LiveCounts:
    """Count live services, and organisations that have one (internal-api.md X3)."""
    live, organisations = services.live_counts(tx)
    return pb.LiveCounts(services=live, organisations=organisations)


def protect_sender_ids(tx: Tx, sender_ids: Iterable[str]) -> int:
    """Protect names; return how many were not protected before. Twice changes nothing."""
    return platform.protect(tx, sorted({name for each in sender_ids if (name := normalised(each))}))


def normalised(sender_id: str) -> str:
    """Return the form in which names are compared: `G O V` -> `gov` (internal-api.md A16)."""
    return _WHITE.sub("", sender_id).lower()
