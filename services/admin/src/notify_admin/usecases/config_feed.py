"""Configuration as other processes cache it, and the news of its changes (design.md §3.2)."""

from typing import Any, Final

from notify.admin.v1 import config_feed_service_pb2 as pb
from notify.admin.v1.snapshot_pb2 import ServiceSnapshot, Snapshot, SnapshotKey
from notify.common.v1.common_pb2 import Channel as ChannelPb
from notify_common.db.unit_of_work import Tx
from notify_common.enums import CallbackType, Channel
from notify_common.rpc import enums
from notify_common.rpc.paging import page_size, that_fit

from notify_admin.domain.services import international
from notify_admin.domain.templates import VersionKey
from notify_admin.store import changes, email_files, members, templates
from notify_admin.store.resources import (
    CALLBACKS,
    DATA_RETENTION,
    LETTER_BRANDINGS,
    REPLY_TO_ADDRESSES,
    SERVICES,
    SMS_SENDERS,
)
from notify_admin.usecases.senders import MOST_SENDERS

MOST_MEMBERS: Final = 1000
MOST_CHANGES: Final = 500


def get_snapshots(tx: Tx, ask: pb.GetSnapshotsRequest) -> pb.GetSnapshotsResponse:
    """Read services and templates, each kind in as many statements however many there are."""
    service_ids = [key.service_id for key in ask.keys if key.WhichOneof("key") == "service_id"]
    versions = [_version_key(key) for key in ask.keys if key.WhichOneof("key") == "template_version"]
    services = _service_snapshots(tx, service_ids) if service_ids else {}
    found = templates.get_many(tx, versions) if versions else {}
    emails = {(one.id, one.version) for one in found.values() if one.channel == ChannelPb.CHANNEL_EMAIL}
    files = email_files.of_versions(tx, sorted(emails)) if emails else {}

    def snapshot(key: SnapshotKey) -> Snapshot:
        if key.WhichOneof("key") != "template_version":
            return Snapshot(key=key, service=services.get(key.service_id))
        template = found.get(_version_key(key))
        known = () if template is None else files.get((template.id, template.version), ())
        return Snapshot(key=key, template=template, email_files=known)

    return pb.GetSnapshotsResponse(snapshots=that_fit(map(snapshot, ask.keys)))


def list_config_changes(tx: Tx, ask: pb.ListConfigChangesRequest) -> pb.ListConfigChangesResponse:
    """Return changes after a cursor, oldest first."""
    size = page_size(ask.page_size, default=MOST_CHANGES, maximum=MOST_CHANGES)
    rows, cursor = changes.read(tx, ask.cursor, size)
    return pb.ListConfigChangesResponse(changes=map(_change, rows), next_cursor=cursor)


def _service_snapshots(tx: Tx, service_ids: list[str]) -> dict[str, ServiceSnapshot]:
    found = {service.id: ServiceSnapshot(service=service) for service in SERVICES.of_ids(tx, service_ids)}
    ids = list(found)
    for sender in SMS_SENDERS.first_of_each(tx, ids, MOST_SENDERS, archived=False):
        found[sender.service_id].sms_senders.append(sender)
    for address in REPLY_TO_ADDRESSES.first_of_each(tx, ids, MOST_SENDERS, archived=False):
        found[address.service_id].reply_to_addresses.append(address)
    for retention in DATA_RETENTION.first_of_each(tx, ids, len(Channel)):
        found[retention.service_id].data_retention.append(retention)
    for callback in CALLBACKS.first_of_each(tx, ids, len(CallbackType)):
        found[callback.service_id].service.callbacks.add(id=callback.id, type=callback.type)
    brandings = {service.service.letter_branding_id for service in found.values()} - {""}
    logos = {one.id: one.filename for one in LETTER_BRANDINGS.of_ids(tx, sorted(brandings))}
    for snapshot in found.values():
        snapshot.letter_logo_filename = logos.get(snapshot.service.letter_branding_id, "")
    for member in members.addresses(tx, ids, MOST_MEMBERS):
        snapshot = found[member.service_id]
        snapshot.member_ids.append(member.user_id)
        snapshot.member_email_addresses.append(member.email_address)
        if member.mobile_number and (number := international(member.mobile_number)):
            snapshot.member_mobile_numbers.append(number)
    return found


def _version_key(key: SnapshotKey) -> VersionKey:
    named = key.template_version
    return VersionKey(named.service_id, named.template_id, named.version)


def _change(row: Any) -> pb.ConfigChange:
    return pb.ConfigChange(
        kind=enums.from_text(pb.ConfigChange.Kind, row.kind),  # type: ignore[arg-type] # a value of the enum
        service_id=row.service_id,
        template_id=row.template_id,
        change_time=row.create_time,
    )
