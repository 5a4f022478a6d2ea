"""ConfigFeedService."""

from typing import Any
from uuid import UUID

import grpc
from notify.admin.v1 import config_feed_service_pb2 as pb
from notify.admin.v1 import snapshot_pb2
from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceServicer as Base
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import page_size, that_fit
from notify_common.rpc.validate import Checker, validating
from sqlalchemy import Row

from notify_admin.domain.templates import Template, VersionKey
from notify_admin.servicers import convert
from notify_admin.usecases import snapshots
from notify_admin.usecases.snapshots import ServiceSnapshot

SERVICE = pb.DESCRIPTOR.services_by_name["ConfigFeedService"].full_name
_MOST_KEYS = 100
_MOST_CHANGES = 500


class ConfigFeedServicer(Base):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow

    def GetSnapshots(
        self, request: pb.GetSnapshotsRequest, context: grpc.ServicerContext
    ) -> pb.GetSnapshotsResponse:
        """Reads services and templates at once, each kind together."""
        with validating() as check:
            check.size("keys", request.keys, 1, _MOST_KEYS)
            keys = [_key(check, f"keys[{index}]", key) for index, key in enumerate(request.keys)]
        services = snapshots.get_service_snapshots(self._uow, [key for key in keys if isinstance(key, UUID)])
        templates = snapshots.get_template_versions(
            self._uow, [key for key in keys if isinstance(key, VersionKey)]
        )
        answers = (
            _snapshot(asked, services.get(key) if isinstance(key, UUID) else templates.get(key))
            for asked, key in zip(request.keys, keys, strict=True)
        )
        return pb.GetSnapshotsResponse(snapshots=that_fit(answers))

    def ListConfigChanges(
        self, request: pb.ListConfigChangesRequest, context: grpc.ServicerContext
    ) -> pb.ListConfigChangesResponse:
        """Oldest first."""
        size = page_size(request.page_size, default=_MOST_CHANGES, maximum=_MOST_CHANGES)
        rows, cursor = snapshots.list_config_changes(self._uow, request.cursor, size)
        return pb.ListConfigChangesResponse(changes=map(_change, rows), next_cursor=cursor)


def _key(check: Checker, field: str, key: snapshot_pb2.SnapshotKey) -> UUID | VersionKey:
    if key.WhichOneof("key") == "template_version":
        named = key.template_version
        return VersionKey(
            check.uuid(f"{field}.template_version.service_id", named.service_id),
            check.uuid(f"{field}.template_version.template_id", named.template_id),
            check.number(f"{field}.template_version.version", named.version, 0, 2**31 - 1),
        )
    return check.uuid(f"{field}.service_id", key.service_id)


def _snapshot(
    key: snapshot_pb2.SnapshotKey, value: ServiceSnapshot | Template | None
) -> snapshot_pb2.Snapshot:
    match value:
        case None:
            return snapshot_pb2.Snapshot(key=key)
        case Template():
            return snapshot_pb2.Snapshot(key=key, template=convert.template(value))
        case _:
            return snapshot_pb2.Snapshot(key=key, service=_service_snapshot(value))


def _service_snapshot(snapshot: ServiceSnapshot) -> snapshot_pb2.ServiceSnapshot:
    return snapshot_pb2.ServiceSnapshot(
        service=convert.service(snapshot.service),
        sms_senders=map(convert.sms_sender, snapshot.sms_senders),
        reply_to_addresses=map(convert.reply_to_address, snapshot.reply_to_addresses),
        member_email_addresses=[user.email_address for user in snapshot.members],
        member_mobile_numbers=[user.mobile_number for user in snapshot.members if user.mobile_number],
    )


def _change(row: Row[Any]) -> pb.ConfigChange:
    return pb.ConfigChange(
        kind=convert.enum_value(pb.ConfigChange.Kind, row.kind),
        service_id=str(row.service_id),
        template_id=str(row.template_id) if row.template_id else "",
        change_time=convert.timestamp(row.create_time),
    )
