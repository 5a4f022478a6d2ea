"""Counts and usage of services, asked for as many services at a time as one call takes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from notify.admin.v1.config_feed_service_pb2 import GetSnapshotsRequest
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.services_service_pb2 import GetServiceRequest
from notify.admin.v1.snapshot_pb2 import SnapshotKey, TemplateVersionKey
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1 import statistics_service_pb2 as pb
from notify.notifications.v1 import usage_service_pb2 as usage_pb
from notify.notifications.v1.notification_pb2 import Notification
from notify_common.rpc import enums

from notify_gateway.admin.days import Days
from notify_gateway.admin.forms import words
from notify_gateway.admin.routes import Call
from notify_gateway.clients import InternalClients

CHANNELS: Final = ("sms", "email", "letter")
DELIVERED: Final = frozenset({"delivered", "sent"})
FAILED: Final = words(
    "technical-failure temporary-failure permanent-failure validation-failed virus-scan-failed expired"
)
_SERVICES_AT_ONCE: Final = 250
_TEMPLATES_AT_ONCE: Final = 100

Json = Any


def channel_of(group: pb.MessageCount | pb.PlatformDay | usage_pb.UsageSum) -> str:
    """Return the channel of a group as the contract calls it."""
    return enums.to_text(Channel, group.channel)


def state_of(count: pb.MessageCount) -> str:
    """Return the state of a group as the contract calls it."""
    return enums.to_text(Notification.State, count.state)


def service_of(clients: InternalClients, call: Call) -> Service:
    """Return the service that the path names."""
    found: Service = clients.ask(GetServiceRequest(service_id=call.id("service_id"))).service
    return found


def counts(
    clients: InternalClients,
    days: Days,
    groups: str,
    services: Iterable[str] | None = None,
    **asked: Any,
) -> Iterator[pb.MessageCount]:
    """Yield counts of services, or of all of them together, by groups such as `month channel`."""
    group_by = _groups(pb.CountGroup, groups)
    ids = None if services is None else list(services)
    for some in [[]] if ids is None else _chunks(ids, _SERVICES_AT_ONCE):
        ask = pb.GetMessageCountsRequest(service_ids=some, group_by=group_by, **days.asked(), **asked)
        yield from clients.ask(ask).counts


def usage(
    clients: InternalClients,
    days: Days,
    groups: str,
    services: Iterable[Service] | None = None,
) -> Iterator[usage_pb.SumUsageResponse]:
    """Yield what services used, in several answers, or all of them together; days of several financial years
    leave their allowances aside. Groups are such as `month channel`.
    """
    group_by = _groups(usage_pb.UsageGroup, groups)
    named = None if services is None else list(services)
    for some in [[]] if named is None else _chunks(named, _SERVICES_AT_ONCE):
        of_types = [
            usage_pb.ServiceOfType(service_id=one.id, organisation_type=one.organisation_type) for one in some
        ]
        yield clients.ask(
            usage_pb.SumUsageRequest(
                services=of_types,
                group_by=group_by,
                without_allowances=not days.of_one_year,
                **days.asked(),
            )
        )


def stats(found: Iterable[pb.MessageCount]) -> dict[str, dict[str, int]]:
    """Return counts by channel and state as the three figures of each channel (internal-api.md §4.13)."""
    made = {channel: {"requested": 0, "delivered": 0, "failed": 0} for channel in CHANNELS}
    for one in found:
        figures, state = made[channel_of(one)], state_of(one)
        figures["requested"] += one.count if state != "cancelled" else 0
        figures["delivered"] += one.count if state in DELIVERED else 0
        figures["failed"] += one.count if state in FAILED else 0
    return made


def templates_of(clients: InternalClients, service_id: str, ids: Iterable[str]) -> Mapping[str, Template]:
    """Return templates of a service by id, archived and hidden ones too; those that there are not are left
    out.
    """
    found: dict[str, Template] = {}
    waiting = list(dict.fromkeys(ids))
    while waiting:
        keys = [
            SnapshotKey(template_version=TemplateVersionKey(service_id=service_id, template_id=id))
            for id in waiting[:_TEMPLATES_AT_ONCE]
        ]
        answered = clients.ask(GetSnapshotsRequest(keys=keys)).snapshots
        found |= {one.template.id: one.template for one in answered if one.HasField("template")}
        waiting = waiting[len(answered) :]
    return found


def _groups(enum: Any, groups: str) -> list[Any]:
    return [enums.from_text(enum, group) for group in groups.split()]


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
