"""The feed of the platform's own mail (ADR 0017); what it says is encrypted in it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from notify_common.db.unit_of_work import Tx
from notify_common.feeds.producer import read_feed, trim_feed
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store.tables import platform_mail

_KEEP: Final = timedelta(days=7)
_TRIM_PER_MAIL: Final = 10


def append(tx: Tx, mails: Sequence[tuple[str, bytes]]) -> None:
    """Put encrypted mails into the feed by their ids; one that is there already stays as it is.

    Old mail is of no use to anybody; each that is added takes some away.
    """
    rows = [{"message_id": message_id, "encrypted_mail": mail} for message_id, mail in mails]
    statement = insert(platform_mail).values(rows)
    tx.execute(statement.on_conflict_do_nothing(index_elements=["message_id"]))
    trim_feed(tx, platform_mail, _KEEP, _TRIM_PER_MAIL * len(rows))


def read(tx: Tx, cursor: str, limit: int) -> tuple[list[Any], str]:
    """Return up to `limit` rows after `cursor` and the next cursor, as `read_feed`."""
    return read_feed(tx, platform_mail, cursor, limit)
