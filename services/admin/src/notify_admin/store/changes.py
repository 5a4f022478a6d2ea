"""The feed of what changed in the configuration (design.md §3.2)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.feeds.producer import read_feed, trim_feed

from notify_admin.store.tables import config_changes

Kind = Literal["service", "api-keys", "template"]

_KEEP: Final = timedelta(days=7)
_TRIM_PER_CHANGE: Final = 10


def append(tx: Tx, kind: Kind, service_id: str, template_ids: Sequence[str] = ()) -> None:
    """Say in this transaction that something of a service changed: one event, or one a template.

    Followers start at the end of the feed, so old events are of no use; each change takes some away.
    """
    named: Sequence[str | None] = template_ids or [None]
    rows = [{"kind": kind, "service_id": service_id, "template_id": template_id} for template_id in named]
    tx.execute(sa.insert(config_changes), rows)
    trim_feed(tx, config_changes, _KEEP, _TRIM_PER_CHANGE * len(rows))


def read(tx: Tx, cursor: str, limit: int) -> tuple[list[Any], str]:
    """Return up to `limit` rows after `cursor` and the next cursor, as `read_feed`."""
    return read_feed(tx, config_changes, cursor, limit)
