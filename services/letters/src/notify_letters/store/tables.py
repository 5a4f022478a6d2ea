"""Tables of the letters context (design.md §3.1)."""

from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from notify_common.db.columns import id_column
from notify_common.feeds.producer import feed_table
from notify_common.leases.table import (
    NO_SERVICE,
    due_index,
    fair_index,
    lane_column,
    lease_columns,
    parked_index,
)
from notify_common.ops.tables import ops_tables
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import JSONB

from notify_letters.domain.letter import EventKind, LetterState, Source
from notify_letters.domain.print_run import PrintRunState

metadata = MetaData()

_instant = sa.DateTime(timezone=True)


def _one_of(column: str, values: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


letters = Table(
    "letters",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("key_type", sa.Text, nullable=False),
    id_column("template_id", nullable=False),
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
    Column("pdf_bytes", sa.Integer, nullable=False, server_default="0"),
    # hexadecimal; empty for PDFs made before it was recorded
    Column("pdf_sha256", sa.Text, nullable=False, server_default=""),
    # which rule it breaks, and what of it does
    Column("failure", sa.Text, nullable=False, server_default=""),
    Column("failure_detail", sa.Text, nullable=False, server_default=""),
    Column("failure_pages", JSONB, nullable=False, server_default="[]"),
    Column("source", sa.Text, nullable=False, server_default=Source.TEMPLATE.value),
    Column("update_time", _instant, nullable=False, server_default=sa.func.now()),
    # null: its PDF came ready made
    id_column("render_batch_id"),
    id_column("print_batch_id"),
    Column("request_id", sa.Text, nullable=False),
    Column("traceparent", sa.Text, nullable=False),
    # when the PDF was deleted and the values and address emptied, for age
    Column("remove_time", _instant),
    CheckConstraint("key_type IN ('normal', 'test')", name="ck_letters_key_type"),
    CheckConstraint(_one_of("state", LetterState), name="ck_letters_state"),
    CheckConstraint(_one_of("source", Source), name="ck_letters_source"),
    # at a tenth of the usual pace: nobody waits for it, and it takes the processor from the print run that
    # made it due
    postgresql_with={"autovacuum_vacuum_cost_delay": "20"},
)
Index(
    "ix_letters_to_render",
    letters.c.render_batch_id,
    postgresql_where=letters.c.state == sa.literal_column("'created'"),
)
# the order of print runs, whose collecting goes along it
Index(
    "ix_letters_print_order",
    letters.c.postage,
    letters.c.service_id,
    letters.c.create_time,
    letters.c.id,
    postgresql_where=sa.text("state = 'ready' AND key_type = 'normal'"),
)
# letters by their print batch: they stay in this state
Index(
    "ix_letters_to_submit",
    letters.c.print_batch_id,
    postgresql_where=letters.c.state == sa.literal_column("'submitting'"),
)

ENDED: Final = sa.text("remove_time IS NULL AND state NOT IN ('created', 'ready')")
"""Letters of which nothing more is made here, and that are not removed yet."""

Index(
    "ix_letters_ended",
    letters.c.service_id,
    letters.c.update_time,
    postgresql_where=ENDED,
)
Index("ix_letters_removed", letters.c.remove_time, postgresql_where=letters.c.remove_time.is_not(None))

# Letters by what the printer calls them, as the post brings some back. Not an index of `letters`: references
# are in no order, so that each change of a letter would change a page of it that is in no memory. A trigger
# of `letters` fills it.
letter_references = Table(
    "letter_references",
    metadata,
    Column("reference", sa.Text, primary_key=True),
    id_column("letter_id", primary_key=True),
)

returned_letters = Table(
    "returned_letters",
    metadata,
    id_column("letter_id", primary_key=True),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
)

# Work that Celery carries. The row is the truth and Celery holds only its id: until `enqueued_until` a task
# for it is believed to be on its way; afterwards, or when a task took the row and died, another is sent.
render_batches = Table(
    "render_batches",
    metadata,
    id_column("id", primary_key=True),
    lane_column(),
    id_column("service_id", nullable=False, server_default=NO_SERVICE),
    Column("enqueued_until", _instant),
    *lease_columns(),
)
due_index(render_batches)
fair_index(render_batches)
parked_index(render_batches)

# PDFs that came ready made, until it is certain that there is a letter for them or will be none
pdf_uploads = Table(
    "pdf_uploads",
    metadata,
    id_column("letter_id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("sha256", sa.Text, nullable=False),  # hexadecimal
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
    # when all of it was in the blob store; null until then
    Column("store_time", _instant),
)
Index("ix_pdf_uploads_create_time", pdf_uploads.c.create_time)

# Letters whose ready-made PDF waits to be scanned and checked.
pdf_checks = Table(
    "pdf_checks",
    metadata,
    id_column("letter_id", primary_key=True),
    lane_column(),
    id_column("service_id", nullable=False),
    Column("allow_international", sa.Boolean, nullable=False),
    # whether the admin web app has a copy of it
    Column("uploaded", sa.Boolean, nullable=False, server_default=sa.false()),
    *lease_columns(),
)
due_index(pdf_checks)
fair_index(pdf_checks)
parked_index(pdf_checks)

print_runs = Table(
    "print_runs",
    metadata,
    id_column("id", primary_key=True),
    Column("deadline", _instant, nullable=False),
    Column("create_time", _instant, nullable=False, server_default=sa.func.now()),
    Column("state", sa.Text, nullable=False, server_default=PrintRunState.SUBMITTED.value),
    Column("pause_time", _instant),
    Column("collect_time", _instant),
    Column("complete_time", _instant),
    # while collecting: the last letter taken in the order of ix_letters_print_order (null: none in this
    # round) and how many this round took
    Column("last_postage", sa.Text),
    id_column("last_service_id"),
    Column("last_create_time", _instant),
    id_column("last_letter_id"),
    Column("round_letter_count", sa.BigInteger, nullable=False, server_default="0"),
    Column("letter_count", sa.BigInteger, nullable=False, server_default="0"),
    Column("batch_count", sa.Integer, nullable=False, server_default="0"),
    # letters that were ready for it when it began; null until they are counted, 0 if that took too long
    Column("expected_letter_count", sa.BigInteger),
    Column("request_id", sa.Text, nullable=False, server_default=""),
    Column("traceparent", sa.Text, nullable=False, server_default=""),
    CheckConstraint(_one_of("state", PrintRunState), name="ck_print_runs_state"),
)
Index("ix_print_runs_newest", print_runs.c.create_time, print_runs.c.id)
Index(
    "ix_print_runs_open",
    print_runs.c.create_time,
    postgresql_where=sa.text("state IN ('collecting', 'submitting')"),
)

print_batches = Table(
    "print_batches",
    metadata,
    id_column("id", primary_key=True),
    # null: letters of test keys, which belong to no run
    id_column("print_run_id", ForeignKey(print_runs.c.id)),
    # place in the run, from 1; 0 for test letters and for batches made before they were numbered
    Column("number", sa.Integer, nullable=False, server_default="0"),
    # the class of post that a run's batch is of; null for test letters
    Column("postage", sa.Text),
    # the service that a run's batch is of; null for test letters and batches made before they were cut by it
    id_column("service_id"),
    Column("letter_count", sa.Integer, nullable=False),
    Column("page_count", sa.Integer, nullable=False, server_default="0"),
    Column("sheet_count", sa.Integer, nullable=False, server_default="0"),
    # how many letters providers said they have
    Column("taken_count", sa.Integer),
    Column("manifest_sha256", sa.Text, nullable=False, server_default=""),
    Column("submit_time", _instant),
    Column("enqueued_until", _instant),
    *lease_columns(),
    CheckConstraint("(print_run_id IS NULL) = (postage IS NULL)", name="ck_print_batches_run_has_postage"),
)
due_index(print_batches)
parked_index(print_batches)
Index("ix_print_batches_print_run_id", print_batches.c.print_run_id)
Index(
    "ix_print_batches_unsubmitted",
    print_batches.c.print_run_id,
    postgresql_where=print_batches.c.submit_time.is_(None),
)

letter_events = feed_table(
    "letter_events",
    metadata,
    id_column("letter_id", nullable=False),
    Column("kind", sa.Text, nullable=False),
    Column("page_count", sa.Integer, nullable=False),
    Column("sheet_count", sa.Integer, nullable=False),
    # what the address in a ready-made PDF asks for, where it does
    Column("postage", sa.Text),
)
letter_events.append_constraint(CheckConstraint(_one_of("kind", EventKind), name="ck_letter_events_kind"))

ops = ops_tables(metadata)
