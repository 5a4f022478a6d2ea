"""Template versions, and what services have set, from admin."""

from collections.abc import Sequence

from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.admin.v1.snapshot_pb2 import ServiceSnapshot, SnapshotKey, TemplateVersionKey
from notify.common.v1.common_pb2 import Channel
from notify_common.retention import DEFAULT_DAYS
from notify_common.snapshots.source import get_snapshots

from notify_letters.domain.template import TemplateKey, TemplateVersion


class AdminClient:
    """Reads snapshots; none of them has to be so new that it would be worth following the change feed."""

    def __init__(self, stub: ConfigFeedServiceStub) -> None:
        self._stub = stub

    def template_versions(self, keys: Sequence[TemplateKey]) -> dict[TemplateKey, TemplateVersion | None]:
        """Read template versions; None where there is no such version.

        Raises:
            NotifyError: admin can't be reached.
        """
        wanted = (
            SnapshotKey(
                template_version=TemplateVersionKey(
                    service_id=key.service_id, template_id=key.template_id, version=key.version
                )
            )
            for key in keys
        )
        snapshots = get_snapshots(self._stub, wanted)
        return {
            key: TemplateVersion(
                subject=snapshot.template.subject,
                content=snapshot.template.content,
                welsh_subject=snapshot.template.welsh_subject,
                welsh_content=snapshot.template.welsh_content,
                contact_block=snapshot.template.letter_contact_block,
                attachment_id=snapshot.template.letter_attachment_id,
            )
            if snapshot.HasField("template")
            else None
            for key, snapshot in zip(keys, snapshots, strict=True)
        }

    def letter_logos(self, service_ids: Sequence[str]) -> dict[str, str | None]:
        """Read the names of services' logos on letters, empty for none; None where there is no such service.

        Raises:
            NotifyError: admin can't be reached.
        """
        snapshots = get_snapshots(self._stub, (SnapshotKey(service_id=one) for one in service_ids))
        return {
            service_id: snapshot.service.letter_logo_filename if snapshot.HasField("service") else None
            for service_id, snapshot in zip(service_ids, snapshots, strict=True)
        }

    def retention_days(self, service_ids: Sequence[str]) -> dict[str, int | None]:
        """Read for how many days services keep letters; None where there is no such service.

        Raises:
            NotifyError: admin can't be reached.
        """
        snapshots = get_snapshots(self._stub, (SnapshotKey(service_id=one) for one in service_ids))
        return {
            service_id: _letter_days(snapshot.service) if snapshot.HasField("service") else None
            for service_id, snapshot in zip(service_ids, snapshots, strict=True)
        }


def _letter_days(service: ServiceSnapshot) -> int:
    own = (one.days for one in service.data_retention if one.channel == Channel.CHANNEL_LETTER)
    return next(own, DEFAULT_DAYS)
