"""The platform's own mail: written in the transaction that is its reason, sent elsewhere (ADR 0017)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notify.admin.v1 import platform_mail_service_pb2 as pb
from notify.common.v1.common_pb2 import PersonalisationField
from notify_common import current
from notify_common.db.unit_of_work import Tx
from notify_common.rpc import enums
from notify_common.rpc.paging import page_size

from notify_admin.domain.mail import MailTemplate
from notify_admin.store import mail
from notify_admin.usecases.links import Links
from notify_admin.usecases.secrets import SecretBox

MOST_MAILS: Final = 500


@dataclass(frozen=True, slots=True)
class Mailer:
    """Writes mail, and makes the links in it."""

    box: SecretBox
    """Encrypts mail while it waits: it tells how to sign in."""
    links: Links

    def write(
        self,
        tx: Tx,
        message_id: str,
        template: MailTemplate,
        recipient: str,
        values: Mapping[str, str],
        reply_to_address: str = "",
    ) -> None:
        """Write a text or email that is sent once this transaction is committed.

        Idempotency key: `message_id`, which becomes the notification's id; a second mail of the id is none.
        """
        written = pb.PlatformMail(
            id=message_id,
            template_id=template,
            channel=enums.to_proto(template.channel),
            recipient=recipient,
            personalisation=[PersonalisationField(key=key, text=text) for key, text in values.items()],
            reply_to_address=reply_to_address,
            request_id=current.request_id.get(),
            traceparent=current.traceparent.get(),
        )
        mail.append(tx, message_id, self.box.encrypt_bytes(written.SerializeToString()))


def list_platform_mail_events(
    box: SecretBox, tx: Tx, ask: pb.ListPlatformMailEventsRequest
) -> pb.ListPlatformMailEventsResponse:
    """Return mail after a cursor, oldest first."""
    size = page_size(ask.page_size, default=MOST_MAILS, maximum=MOST_MAILS)
    rows, cursor = mail.read(tx, ask.cursor, size)
    mails = [pb.PlatformMail.FromString(box.decrypt_bytes(row.encrypted_mail)) for row in rows]
    return pb.ListPlatformMailEventsResponse(mails=mails, next_cursor=cursor)
