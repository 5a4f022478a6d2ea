"""The feed of the platform's own mail (ADR 0017); what it says is encrypted in it."""

from datetime import timedelta
from typing import Any, Final

from notify_common.db.unit_of_work import Tx
from notify_common.feeds.producer import read_feed, trim_feed
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.tables import platform_mail

_KEEP: Final = timedelta(days=7)
_TRIM_PER_MAIL: Final = 10


def append(tx: Tx, message_id: str, mail: bytes) -> None:
    """Put an encrypted mail into the feed by its id; one that is there already stays as it is.

    Old mail is of no use to anybody; each that is added takes some away.
    """
    statement = insert(platform_mail).values(message_id=message_id, encrypted_mail=mail)
    tx.execute(statement.on_conflict_do_nothing(index_elements=["message_id"]))
    trim_feed(tx, platform_mail, _KEEP, _TRIM_PER_MAIL)


def read(tx: Tx, cursor: str, limit: int) -> tuple[list[Any], str]:
    """Return up to `limit` rows after `cursor` and the next cursor, as `read_feed`."""
    return read_feed(tx, platform_mail, cursor, limit)
