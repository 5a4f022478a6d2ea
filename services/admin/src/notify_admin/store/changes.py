"""The feed of what changed in the configuration (design.md §3.2)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa
from notify_common.feeds.producer import trim_feed
from sqlalchemy import Connection

from notify_admin.store.tables import config_changes

Kind = Literal["service", "api-keys", "template"]

_KEEP: Final = timedelta(days=7)
_TRIM_PER_CHANGE: Final = 10


def append(conn: Connection, kind: Kind, service_id: UUID, template_ids: Sequence[UUID] = ()) -> None:
    """Say in this transaction that something of a service changed: one event, or one a template.

    Followers start at the end of the feed, so old events are of no use; each change takes some away.
    """
    named: Sequence[UUID | None] = template_ids or [None]
    rows = [{"kind": kind, "service_id": service_id, "template_id": template_id} for template_id in named]
    conn.execute(sa.insert(config_changes), rows)
    trim_feed(conn, config_changes, _KEEP, _TRIM_PER_CHANGE * len(rows))
