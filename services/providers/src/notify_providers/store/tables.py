"""The tables of the providers context (design.md §3.1)."""

from typing import Any

import sqlalchemy as sa
from notify_common.db.columns import id_column
from notify_common.feeds.producer import feed_table
from notify_common.leases.table import (
    FairQueue,
    Queue,
    due_index,
    fair_index,
    lane_column,
    lease_columns,
    parked_index,
)
from notify_common.ops.tables import ops_tables
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from notify_providers.domain.dispatch import State
from notify_providers.domain.routing import Mode

metadata = MetaData()

_instant = sa.DateTime(timezone=True)


def _receipt_columns() -> list[Column[Any]]:
    return [
        Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        id_column("dispatch_id", nullable=False),
        Column("provider", sa.Text, nullable=False),
        Column("reference", sa.Text, nullable=False),
        Column("status", sa.Text, nullable=False),
        Column("detail", sa.Text, nullable=False),
        Column("kind", sa.Text, nullable=False),
        Column("second_copy", sa.Boolean, nullable=False),
        Column("suppression", sa.Text),
        Column("kind_after_pending", sa.Text),
        Column("provider_time", _instant),
        Column("receive_time", _instant, nullable=False, server_default=sa.func.now()),
    ]


dispatches = Table(
    "dispatches",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("state", sa.Text, nullable=False, server_default=State.QUEUED),
    # null once nothing will be sent any more: what was sent is the sender's to keep
    Column("content", JSONB(none_as_null=True)),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
    lane_column(),
    Column("expire_time", _instant, nullable=False, server_default=sa.text("now() + interval '7 days'")),
    Column("deliver_by", _instant),  # no provider is called after it; null for never
    *lease_columns(),
)
Index("ix_dispatches_expire_time", dispatches.c.expire_time)
Index(
    "ix_dispatches_channel_due",
    dispatches.c.channel,
    dispatches.c.due_at,
    postgresql_where=sa.and_(dispatches.c.due_at.is_not(None), dispatches.c.parked_at.is_(None)),
)
Index(
    "ix_dispatches_held",
    dispatches.c.state,
    dispatches.c.create_time,
    dispatches.c.id,
    postgresql_where=dispatches.c.state.in_([State.FAILED, State.IN_DOUBT]),
)

fair_index(dispatches, "channel")
parked_index(dispatches)

attempts = Table(
    "attempts",
    metadata,
    id_column("dispatch_id", primary_key=True),
    Column("number", sa.Integer, primary_key=True),
    Column("provider", sa.Text, nullable=False),
    Column("start_time", _instant, nullable=False, server_default=sa.func.now()),
    # null while the call is under way
    Column("end_time", _instant),
    Column("outcome", sa.Text),
    Column("reason", sa.Text, nullable=False, server_default=""),
    # why this provider; empty for those that began before this was kept
    Column("choice", sa.Text, nullable=False, server_default=""),
    # of whom it went to, so that what is reported on it can suppress them; null for letters
    Column("address_hash", sa.LargeBinary),
    # each is written once more, as its call ends, beside the row and without the index
    postgresql_with={"fillfactor": "50"},
)
Index("ix_attempts_start_time", attempts.c.start_time, postgresql_using="brin")

receipts = Table(
    "receipts",
    metadata,
    *_receipt_columns(),
    UniqueConstraint(
        "provider",
        "reference",
        "status",
        "provider_time",
        name="uq_receipts_same",
        postgresql_nulls_not_distinct=True,
    ),
)
Index("ix_receipts_dispatch_id", receipts.c.dispatch_id)

unmatched_receipts = Table(
    "unmatched_receipts",
    metadata,
    *_receipt_columns(),
    UniqueConstraint(
        "provider",
        "reference",
        "status",
        "provider_time",
        name="uq_unmatched_receipts_same",
        postgresql_nulls_not_distinct=True,
    ),
)
Index("ix_unmatched_receipts_dispatch_id", unmatched_receipts.c.dispatch_id)
Index("ix_unmatched_receipts_receive_time", unmatched_receipts.c.receive_time)

provider_settings = Table(
    "provider_settings",
    metadata,
    Column("name", sa.Text, primary_key=True),
    Column("channel", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False),
    Column("priority", sa.Integer, nullable=False),
    Column("supports_international", sa.Boolean, nullable=False),
    Column("unknown_outcome_rule", sa.Text, nullable=False),
    Column("unknown_outcome_wait_seconds", sa.Integer, nullable=False, server_default="0"),
    Column("version", sa.Integer, nullable=False, server_default="1"),
    Column("mode", sa.Text, nullable=False, server_default=Mode.SHARED),
    # the weight in force; null at rest, where it is the priority
    Column("share", sa.Double),
)

provider_health = Table(
    "provider_health",
    metadata,
    Column("provider", sa.Text, primary_key=True),
    Column("condition", sa.Text, nullable=False),
    Column("since", _instant, nullable=False, server_default=sa.func.now()),
    Column("passed", sa.Integer, nullable=False, server_default="0"),
    Column("probes", sa.Integer, nullable=False, server_default="0"),
    Column("probe_at", _instant, nullable=False, server_default=sa.func.now()),
)

# calls that ended, counted together for some seconds each
provider_calls = Table(
    "provider_calls",
    metadata,
    Column("provider", sa.Text, primary_key=True),
    Column("begin_time", _instant, primary_key=True),
    Column("ended", sa.Integer, nullable=False),
    Column("failed", sa.Integer, nullable=False),
    Column("slow", sa.Integer, nullable=False),
)

provider_changes = Table(
    "provider_changes",
    metadata,
    Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    Column("provider", sa.Text, nullable=False),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("changed_by", sa.Text, nullable=False),
    Column("reason", sa.Text, nullable=False),
    Column("active", sa.Boolean, nullable=False),
    Column("mode", sa.Text, nullable=False),
    Column("priority", sa.Integer, nullable=False),
    Column("share", sa.Double),
)
Index("ix_provider_changes_provider", provider_changes.c.provider, provider_changes.c.id)

country_routes = Table(
    "country_routes",
    metadata,
    Column("prefix", sa.Text, primary_key=True),
    Column("provider", sa.Text, primary_key=True),
    Column("weight", sa.Integer, nullable=False),
)

# encrypted; those that were changed here, in place of those in the settings
provider_secrets = Table(
    "provider_secrets",
    metadata,
    Column("provider", sa.Text, primary_key=True),
    Column("name", sa.Text, primary_key=True),
    Column("value", sa.LargeBinary),
    Column("next_value", sa.LargeBinary),
    Column("change_time", _instant),
    Column("locked_until", _instant),
)

# Letters that travel to a printer together in one file: a letter is in one at most, which its key keeps.
print_drops = Table(
    "print_drops",
    metadata,
    id_column("id", primary_key=True),
    Column("provider", sa.Text, nullable=False),
    Column("file_name", sa.Text, nullable=False),
    Column("manifest", sa.Text, nullable=False),
    # [{id, pdf_key, pdf_sha256, file_name}, …] in their order in the file
    Column("letters", JSONB, nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
    CheckConstraint("state IN ('planned', 'file-stands', 'done')", name="ck_print_drops_state"),
)
Index("ix_print_drops_create_time", print_drops.c.create_time)

print_drop_letters = Table(
    "print_drop_letters",
    metadata,
    id_column("dispatch_id", primary_key=True),
    id_column("drop_id", ForeignKey(print_drops.c.id, ondelete="CASCADE"), nullable=False),
)
Index("ix_print_drop_letters_drop_id", print_drop_letters.c.drop_id)

suppressions = Table(
    "suppressions",
    metadata,
    Column("channel", sa.Text, primary_key=True),
    Column("address_hash", sa.LargeBinary, primary_key=True),
    Column("cause", sa.Text, nullable=False),
    Column("reason", sa.Text, nullable=False, server_default=""),
    id_column("dispatch_id"),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
)
Index("ix_suppressions_create_time", suppressions.c.channel, suppressions.c.create_time)

delivery_events = feed_table(
    "delivery_events",
    metadata,
    id_column("dispatch_id", nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("kind", sa.Text, nullable=False),
    # empty if none was called
    Column("provider", sa.Text, nullable=False),
    Column("event_time", _instant, nullable=False, server_default=sa.func.now()),
)

inbound_sms_events = feed_table(
    "inbound_sms_events",
    metadata,
    id_column("id", nullable=False),
    # what makes a text the same as another
    Column("sameness", sa.Text, nullable=False),
    Column("provider", sa.Text, nullable=False),
    # what the provider calls it, or empty
    Column("reference", sa.Text, nullable=False),
    Column("source_number", sa.Text, nullable=False),
    Column("destination_number", sa.Text, nullable=False),
    Column("content", sa.Text, nullable=False),
    Column("provider_time", _instant),
    Column("receive_time", _instant, nullable=False, server_default=sa.func.now()),
)
Index("uq_inbound_sms_events_sameness", inbound_sms_events.c.sameness, unique=True)

sandbox_messages = Table(
    "sandbox_messages",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("recipient", sa.Text, nullable=False),
    # lower case, without spaces
    Column("recipient_search", sa.Text, nullable=False),
    Column("summary", sa.Text, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("copy_count", sa.Integer, nullable=False, server_default="1"),
    Column("receive_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("request_id", sa.Text, nullable=False),
    Column("traceparent", sa.Text, nullable=False),
)
Index("ix_sandbox_messages_newest", sandbox_messages.c.receive_time.desc(), sandbox_messages.c.id.desc())

sandbox_receipts = Table(
    "sandbox_receipts",
    metadata,
    id_column("message_id", primary_key=True),
    Column("number", sa.Integer, primary_key=True),
    Column("provider", sa.Text, nullable=False),
    Column("body", sa.Text, nullable=False),
    *lease_columns(),
)
due_index(sandbox_receipts)
parked_index(sandbox_receipts)

ops = ops_tables(metadata)

LEASE_SECONDS = 60.0
"""How long a claimed dispatch is left alone: well above the longest provider call and its recording."""

# The tries of a dispatch are counted by its own rules; only one that can't be read is parked.
dispatch_queue = FairQueue(
    dispatches, ["id"], LEASE_SECONDS, max_attempts=100, counts_on=True, pauses=ops.pauses
)
sandbox_receipt_queue = Queue(sandbox_receipts, ["message_id", "number"], 30, pauses=ops.pauses)
