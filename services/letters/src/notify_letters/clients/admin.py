"""Template versions from admin."""

from collections.abc import Sequence

from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.admin.v1.snapshot_pb2 import SnapshotKey, TemplateVersionKey
from notify_common.snapshots.source import get_snapshots

from notify_letters.domain.template import TemplateKey, TemplateVersion


class AdminClient:
    """Reads snapshots; template versions never change, so nothing here follows the change feed."""

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
            )
            if snapshot.HasField("template")
            else None
            for key, snapshot in zip(keys, snapshots, strict=True)
        }
