"""Tables of the letters context (design.md §3.1)."""

import sqlalchemy as sa
from notify_common.feeds.producer import feed_table
from notify_common.leases.table import due_index, lease_columns, parked_index
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import JSONB

from notify_letters.domain.letter import EventKind, LetterState

metadata = MetaData()

_instant = sa.DateTime(timezone=True)


def _one_of(column: str, values: type[LetterState] | type[EventKind]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


letters = Table(
    "letters",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("service_id", sa.Uuid, nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("template_id", sa.Uuid, nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    # [[key, value], …]: a list, because the order of the client's keys matters
    Column("personalisation", JSONB, nullable=False),
    Column("address_lines", JSONB, nullable=False),
    Column("postage", sa.Text, nullable=False),
    Column("reference", sa.Text, nullable=False),
    Column("create_time", _instant, nullable=False),
    Column("state", sa.Text, nullable=False, server_default=LetterState.CREATED.value),
    Column("page_count", sa.Integer, nullable=False, server_default="0"),
    Column("sheet_count", sa.Integer, nullable=False, server_default="0"),
    Column("update_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("render_batch_id", sa.Uuid, nullable=False),
    Column("print_batch_id", sa.Uuid),
    Column("request_id", sa.Text, nullable=False),
    Column("traceparent", sa.Text, nullable=False),
    CheckConstraint("key_type IN ('normal', 'test')", name="ck_letters_key_type"),
    CheckConstraint(_one_of("state", LetterState), name="ck_letters_state"),
)
Index(
    "ix_letters_to_render",
    letters.c.render_batch_id,
    postgresql_where=letters.c.state == sa.literal_column("'created'"),
)
Index(
    "ix_letters_to_print",
    letters.c.create_time,
    postgresql_where=letters.c.state == sa.literal_column("'ready'"),
)
Index(
    "ix_letters_to_submit",
    letters.c.print_batch_id,
    postgresql_where=letters.c.state == sa.literal_column("'submitting'"),
)

# Work that Celery carries. The row is the truth and Celery holds only its id: until `enqueued_until` a task
# for it is believed to be on its way; afterwards, or when a task took the row and died, another is sent.
render_batches = Table(
    "render_batches",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("enqueued_until", _instant),
    *lease_columns(),
)
due_index(render_batches)
parked_index(render_batches)

print_runs = Table(
    "print_runs",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("deadline", _instant, nullable=False),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
)
Index("ix_print_runs_newest", print_runs.c.create_time, print_runs.c.id)

print_batches = Table(
    "print_batches",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    # null: letters of test keys, which belong to no run
    Column("print_run_id", sa.Uuid, ForeignKey(print_runs.c.id)),
    # the class of post that a run's batch is of; null for test letters
    Column("postage", sa.Text),
    Column("letter_count", sa.Integer, nullable=False),
    Column("submit_time", _instant),
    Column("enqueued_until", _instant),
    *lease_columns(),
    CheckConstraint("(print_run_id IS NULL) = (postage IS NULL)", name="ck_print_batches_run_has_postage"),
)
due_index(print_batches)
parked_index(print_batches)
Index("ix_print_batches_print_run_id", print_batches.c.print_run_id)

letter_events = feed_table(
    "letter_events",
    metadata,
    Column("letter_id", sa.Uuid, nullable=False),
    Column("kind", sa.Text, nullable=False),
    Column("page_count", sa.Integer, nullable=False),
    Column("sheet_count", sa.Integer, nullable=False),
)
letter_events.append_constraint(CheckConstraint(_one_of("kind", EventKind), name="ck_letter_events_kind"))
