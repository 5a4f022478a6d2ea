"""Tables of the notifications context (design.md §3.1)."""

from typing import Any, Final

import sqlalchemy as sa
from notify_common.db.columns import id_column
from notify_common.feeds.consumer import cursors_table
from notify_common.leases.table import (
    NO_SERVICE,
    FairQueue,
    due_index,
    fair_index,
    lane_column,
    lease_columns,
    parked_index,
)
from notify_common.ops.tables import ops_tables
from sqlalchemy import Column, ColumnElement, Index, MetaData, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

_INSTANT = sa.DateTime(timezone=True)

COUNTER_SHARDS: Final = 8
"""Rows that one counter of a day is spread over, so that processes that accept don't wait for each other's
commits.
"""
MOVED_SHARD: Final = COUNTER_SHARDS
"""The row of a count that moves change, and that is left of a closed day."""

notifications = Table(
    "notifications",
    metadata,
    # a version 7 UUID: time-ordered, so that the table can be range-partitioned on it (design.md §2.9)
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    id_column("api_key_id", nullable=True),  # null for the platform's own mail, and for what members send
    Column("key_type", sa.Text, nullable=False),
    Column("channel", sa.Text, nullable=False),
    id_column("template_id", nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    Column("reference", sa.Text),
    # as the client wrote it, trimmed; letters: empty, or the address of the PDF that a member uploaded
    Column("recipient", sa.Text, nullable=False),
    # as providers take it; that address without whitespace, in lower case
    Column("normalised_recipient", sa.Text, nullable=False),
    Column(
        "sender", sa.Text, nullable=False
    ),  # texts: the sender shown; emails: the reply-to address; else empty
    Column("personalisation", JSONB, nullable=False),  # [[key, value], …] in the client's order
    Column("unsubscribe_url", sa.Text, nullable=False),
    Column("content_hash", sa.LargeBinary, nullable=False),  # tells a repeated request from a different one
    Column("state", sa.Text, nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    # letters; of texts and emails providers know it
    Column("hand_over_time", _INSTANT),
    Column("sent_time", _INSTANT),
    Column("update_time", _INSTANT),
    Column("provider", sa.Text, nullable=False, server_default=""),
    Column("international", sa.Boolean, nullable=False),
    Column("phone_prefix", sa.Text, nullable=False),  # texts: billing prefix; else empty
    Column("rate_multiplier", sa.Integer, nullable=False),  # texts: factor of the destination; else 0
    Column("fragment_count", sa.Integer),  # texts: as sent at the moment; set right by the hand-over
    Column("postage", sa.Text),  # letters only
    Column("sheet_count", sa.Integer),  # letters: known once the PDF is made
    id_column("created_by_id", nullable=True),  # the member who sent it in the admin web app
    Column("send_at", _INSTANT),  # null: at once
    Column("deliver_by", _INSTANT),  # no provider gets it after this; null: never mind
    id_column("batch_id", nullable=True),  # of those that came in one request or job; null for all others
    Column("row_number", sa.Integer),  # of a job's rows, from 0; null for all others
)
Index(
    "ix_notifications_listed",
    notifications.c.service_id,
    notifications.c.key_type,
    notifications.c.create_time.desc(),
    notifications.c.id.desc(),
)


def reference_hash(reference: Any) -> "ColumnElement[str]":
    """Return what stands for a client's reference in the index: one may be larger than an index takes."""
    return sa.func.md5(reference)


Index(
    "ix_notifications_reference_hash",
    notifications.c.service_id,
    reference_hash(notifications.c.reference),
    notifications.c.create_time.desc(),
    notifications.c.id.desc(),
    postgresql_where=notifications.c.reference.is_not(None),
)
Index(
    "ix_notifications_filtered",
    notifications.c.service_id,
    notifications.c.key_type,
    notifications.c.channel,
    notifications.c.state,
    notifications.c.create_time.desc(),
    notifications.c.id.desc(),
)
# letters that people sent, by the day of their print run
Index(
    "ix_notifications_letters_of_members",
    notifications.c.service_id,
    notifications.c.create_time.desc(),
    notifications.c.id.desc(),
    postgresql_where=sa.text("created_by_id IS NOT NULL AND channel = 'letter'"),
)

Index(
    "ix_notifications_batch_id",
    notifications.c.batch_id,
    notifications.c.create_time.desc(),
    notifications.c.id.desc(),
    postgresql_where=notifications.c.batch_id.is_not(None),
)
Index(
    "ix_notifications_job_rows",
    notifications.c.batch_id,
    notifications.c.row_number,
    postgresql_where=notifications.c.row_number.is_not(None),
)

outbox = Table(
    "outbox",
    metadata,
    id_column("notification_id", primary_key=True),
    Column("destination", sa.Text, nullable=False),  # `providers` or `letters`
    lane_column(),
    id_column("service_id", nullable=False, server_default=NO_SERVICE),
    *lease_columns(),
    # a busy queue: its dead rows must go before they slow the claims down
    postgresql_with={"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "1000"},
)
Index(
    "ix_outbox_destination_due",
    outbox.c.destination,
    outbox.c.due_at,
    postgresql_where=sa.and_(outbox.c.due_at.is_not(None), outbox.c.parked_at.is_(None)),
)
fair_index(outbox, "destination")
parked_index(outbox)

service_day_counters = Table(
    "service_day_counters",
    metadata,
    id_column("service_id", primary_key=True),
    Column("day", sa.Date, primary_key=True),  # UTC
    Column("counter", sa.Text, primary_key=True),  # `sms`, `email`, `letter`, `international_sms`
    Column("shard", sa.SmallInteger, primary_key=True),  # so that accepting threads don't queue for one row
    Column("count", sa.Integer, nullable=False),
    postgresql_with={"fillfactor": "50"},  # room for updates beside the row
)
Index("ix_service_day_counters_day", service_day_counters.c.day)

# How many messages of each kind there are or were: `notifications` and `deleted_message_counts` together say
# the same. A count is the sum of its shards, of which one may be below 0.
message_counts = Table(
    "message_counts",
    metadata,
    id_column("service_id", primary_key=True),
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("channel", sa.Text, primary_key=True),
    id_column("template_id", primary_key=True),
    Column("key_type", sa.Text, primary_key=True),
    Column("state", sa.Text, primary_key=True),
    Column("shard", sa.SmallInteger, primary_key=True),
    Column("count", sa.Integer, nullable=False),
    postgresql_with={"fillfactor": "50"},  # room for updates beside the row
)
Index("ix_message_counts_day", message_counts.c.day)

# What is billed: messages of normal and team keys in billable states (internal-api.md §4.15).
usage_facts = Table(
    "usage_facts",
    metadata,
    id_column("service_id", primary_key=True),
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("channel", sa.Text, primary_key=True),
    id_column("template_id", primary_key=True),
    Column("provider", sa.Text, primary_key=True),  # its name; empty if none was called
    # texts: of a fragment; letters: of the whole letter; else 0
    Column("rate_micropounds", sa.BigInteger, primary_key=True),
    Column("rate_multiplier", sa.Integer, primary_key=True),  # texts: factor of the destination; else 0
    Column("postage", sa.Text, primary_key=True),  # letters; else empty
    Column("message_count", sa.BigInteger, nullable=False),
    Column("unit_count", sa.BigInteger, nullable=False),  # fragments, or sheets, of all together
    postgresql_with={"fillfactor": "50"},
)
Index("ix_usage_facts_day", usage_facts.c.day)

# Messages of all services, those of test keys left out; of days that are over.
platform_days = Table(
    "platform_days",
    metadata,
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("channel", sa.Text, primary_key=True),
    Column("message_count", sa.BigInteger, nullable=False),
    Column("service_count", sa.Integer, nullable=False, server_default="0"),  # of those that sent them
)

# Texts and emails that a provider took, those of test keys left out.
processing_days = Table(
    "processing_days",
    metadata,
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("message_count", sa.BigInteger, nullable=False),
    Column("prompt_count", sa.BigInteger, nullable=False),  # taken within 10 seconds of their creation
)

# How long texts and emails waited until a provider took them, those of test keys left out.
processing_times = Table(
    "processing_times",
    metadata,
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("channel", sa.Text, primary_key=True),
    Column("step", sa.SmallInteger, primary_key=True),  # of times, each 4 % longer than the one before it
    Column("message_count", sa.BigInteger, nullable=False),
)

# Messages that were deleted, by all that counts and usage facts tell apart, so that both can be made anew.
deleted_message_counts = Table(
    "deleted_message_counts",
    metadata,
    id_column("service_id", primary_key=True),
    Column("day", sa.Date, primary_key=True),  # of creation, in London
    Column("channel", sa.Text, primary_key=True),
    id_column("template_id", primary_key=True),
    Column("key_type", sa.Text, primary_key=True),
    Column("state", sa.Text, primary_key=True),
    Column("provider", sa.Text, primary_key=True),  # its name; empty if none was called
    Column("international", sa.Boolean, primary_key=True),
    Column("rate_multiplier", sa.Integer, primary_key=True),  # texts: factor of the destination; else 0
    Column("postage", sa.Text, primary_key=True),  # letters; else empty
    Column("sheet_count", sa.Integer, primary_key=True),  # letters: of each; else 0
    Column("message_count", sa.BigInteger, nullable=False),
    Column("fragment_count", sa.BigInteger, nullable=False),  # texts: of all together; else 0
)

# Letters that were deleted for their age and had been posted: the post may bring them back, for as long as
# the letters service knows their references.
posted_letters = Table(
    "posted_letters",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    id_column("template_id", nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("reference", sa.Text),
    Column("state", sa.Text, nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    Column("sent_time", _INSTANT),
    Column("update_time", _INSTANT),
    Column("provider", sa.Text, nullable=False),
    Column("sheet_count", sa.Integer),
    Column("postage", sa.Text),
    id_column("batch_id", nullable=True),
    Column("delete_time", _INSTANT, nullable=False, server_default=sa.func.now()),
    id_column("created_by_id", nullable=True),  # the member who sent it in the admin web app
)
_p = posted_letters.c
Index("ix_posted_letters_delete_time", _p.delete_time)
Index(
    "ix_posted_letters_returned",
    _p.service_id,
    _p.update_time,
    postgresql_where=sa.text("state = 'returned-letter'"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    id_column("service_id", primary_key=True),
    Column("key_hash", sa.LargeBinary, primary_key=True),  # of the client's key, which may hold anything
    id_column("notification_id", nullable=False),
    Column("create_time", _INSTANT, nullable=False),
)
Index("ix_idempotency_keys_create_time", idempotency_keys.c.create_time)

batches = Table(
    "batches",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("key_type", sa.Text, nullable=False),
    Column("key_hash", sa.LargeBinary),  # of the client's key; null once its time is over
    Column("content_hash", sa.LargeBinary, nullable=False),  # of all that the client sent
    Column("row_count", sa.Integer, nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    id_column("run_id", nullable=False),  # who works it off
    Column("lease_time", _INSTANT, nullable=False),  # until when nobody else may
    Column("complete_time", _INSTANT),
    Column("accepted_count", sa.Integer),  # null before complete_time, and so is the next
    Column("answer", sa.LargeBinary),  # what its client is answered
)
_b = batches.c
Index("ix_batches_key_hash", _b.service_id, _b.key_hash, unique=True)
Index("ix_batches_create_time", _b.create_time)

# Spreadsheets, each row of which becomes a message with the job as its batch. A job with work left is a
# leased row.
jobs = Table(
    "jobs",
    metadata,
    id_column("id", primary_key=True),  # of the upload
    id_column("service_id", nullable=False),
    lane_column(),
    id_column("template_id", nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("file_name", sa.Text, nullable=False),
    Column("row_count", sa.Integer, nullable=False),  # as the file's metadata say
    id_column("sender_id", nullable=True),  # text sender or reply-to address; null for the default
    id_column("contact_list_id", nullable=True),
    id_column("created_by_id", nullable=False),
    Column("state", sa.Text, nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    Column("scheduled_time", _INSTANT),
    Column("start_time", _INSTANT),
    Column("finish_time", _INSTANT),
    Column("update_time", _INSTANT),
    Column("delete_time", _INSTANT),  # when its file was removed
    # from its start on: what its rows' ids are made of, and where in its file they stand
    id_column("parent_id", nullable=True),
    Column("headings", ARRAY(sa.Text)),
    Column("delimiter", sa.Text),
    Column("chunk_ends", ARRAY(sa.BigInteger)),  # bytes; the first is where the rows begin
    Column("chunk_rows", ARRAY(sa.Integer)),  # the row with which each begins; the last is how many there are
    Column("next_chunk", sa.Integer, nullable=False, server_default="0"),
    Column("dropped_count", sa.Integer, nullable=False, server_default="0"),  # rows that became no message
    Column("day", sa.Date),  # the UTC day in whose limit its rows have their places
    *lease_columns(),
)
_j = jobs.c
Index("ix_jobs_listed", _j.service_id, _j.create_time.desc(), _j.id.desc())
Index("ix_jobs_kept", _j.create_time, postgresql_where=_j.delete_time.is_(None))
Index("ix_jobs_contact_list_id", _j.contact_list_id, postgresql_where=_j.contact_list_id.is_not(None))
due_index(jobs)
fair_index(jobs)
parked_index(jobs)

# Recipients that services keep as spreadsheets. Archived ones are left until nothing can ask for them again.
contact_lists = Table(
    "contact_lists",
    metadata,
    id_column("id", primary_key=True),  # of the upload
    id_column("service_id", nullable=False),
    Column("channel", sa.Text, nullable=False),
    Column("file_name", sa.Text, nullable=False),
    Column("row_count", sa.Integer, nullable=False),  # as who made it said
    id_column("created_by_id", nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    # whether a job was ever made of it; jobs themselves are known for 100 days
    Column("has_jobs", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("archive_time", _INSTANT),
    Column("delete_time", _INSTANT),  # when the file of an archived one was removed
)
_l = contact_lists.c
Index(
    "ix_contact_lists_listed",
    _l.service_id,
    _l.create_time.desc(),
    _l.id.desc(),
    postgresql_where=_l.archive_time.is_(None),
)
Index("ix_contact_lists_archived", _l.archive_time, postgresql_where=_l.archive_time.is_not(None))

# How many messages of a batch stand in each state; changes by difference, as message_counts do.
batch_counts = Table(
    "batch_counts",
    metadata,
    id_column("batch_id", primary_key=True),
    Column("state", sa.Text, primary_key=True),
    Column("count", sa.Integer, nullable=False),
    postgresql_with={"fillfactor": "50"},
)

sms_rates = Table(
    "sms_rates",
    metadata,
    Column("valid_from", _INSTANT, primary_key=True),
    Column("rate_micropounds", sa.BigInteger, nullable=False),  # of one fragment
)

letter_rates = Table(
    "letter_rates",
    metadata,
    Column("postage", sa.Text, primary_key=True),
    Column("sheet_count", sa.Integer, primary_key=True),
    Column("valid_from", _INSTANT, primary_key=True),
    Column("rate_micropounds", sa.BigInteger, nullable=False),  # of the whole letter
)

annual_allowances = Table(
    "annual_allowances",
    metadata,
    id_column("service_id", primary_key=True),
    Column("year", sa.Integer, primary_key=True, autoincrement=False),
    # null: the default of the organisation's type from this year on
    Column("fragment_count", sa.Integer),
)

# What services are told of over HTTP, kept for a while after it was told so that it can be told again.
callbacks = Table(
    "callbacks",
    metadata,
    id_column("id", primary_key=True),  # of the event: the same however often it happens or is told
    Column("type", sa.Text, nullable=False),  # a CallbackType
    lane_column(),
    id_column("service_id", nullable=False),
    id_column("subject_id", nullable=False),  # the message or received text that it is about
    Column("body", sa.Text, nullable=False),  # JSON as it is sent; of returned letters without the template
    Column("create_time", _INSTANT, nullable=False, server_default=sa.func.now()),
    Column("state", sa.Text, nullable=False, server_default="waiting"),
    Column("end_time", _INSTANT),  # null while it waits
    # attempts that were made before it was asked to be told again
    Column("earlier_attempts", sa.Integer, nullable=False, server_default="0"),
    *lease_columns(),
    postgresql_with={"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "1000"},
)
Index(
    "ix_callbacks_type_due",
    callbacks.c.type,
    callbacks.c.due_at,
    postgresql_where=sa.and_(callbacks.c.due_at.is_not(None), callbacks.c.parked_at.is_(None)),
)
fair_index(callbacks, "type")
parked_index(callbacks)
Index(
    "ix_callbacks_listed",
    callbacks.c.service_id,
    callbacks.c.create_time.desc(),
    callbacks.c.id.desc(),
)
Index("ix_callbacks_subject_id", callbacks.c.subject_id)
Index("ix_callbacks_create_time", callbacks.c.create_time)

callback_attempts = Table(
    "callback_attempts",
    metadata,
    id_column("callback_id", sa.ForeignKey("callbacks.id", ondelete="CASCADE"), primary_key=True),
    Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1
    Column("start_time", _INSTANT, nullable=False, server_default=sa.func.now()),
    Column("end_time", _INSTANT),  # null: under way, or its process died
    Column("status", sa.Integer),  # of the answer; null if none came
    Column("failure", sa.Text, nullable=False, server_default=""),  # a word on why none came
)

inbound_sms = Table(
    "inbound_sms",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),  # whose number it was when the text came
    Column("notify_number", sa.Text, nullable=False),
    Column("user_number", sa.Text, nullable=False),  # digits with country code, or a name
    Column("content", sa.Text, nullable=False),
    Column("provider", sa.Text, nullable=False),
    Column("provider_reference", sa.Text, nullable=False),
    Column("provider_time", _INSTANT),
    Column("create_time", _INSTANT, nullable=False),  # when providers kept it
)
_i = inbound_sms.c
Index("ix_inbound_sms_listed", _i.service_id, _i.create_time.desc(), _i.id.desc())
Index("ix_inbound_sms_of_user", _i.service_id, _i.user_number, _i.create_time.desc(), _i.id.desc())

unsubscribe_reports = Table(
    "unsubscribe_reports",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    Column("count", sa.BigInteger, nullable=False),
    Column("earliest_time", _INSTANT, nullable=False),
    Column("latest_time", _INSTANT, nullable=False),
    Column("create_time", _INSTANT, nullable=False),
    Column("process_time", _INSTANT),  # when the service said that it had dealt with it
)
_r = unsubscribe_reports.c
Index("ix_unsubscribe_reports_listed", _r.service_id, _r.create_time.desc(), _r.id.desc())

unsubscribe_requests = Table(
    "unsubscribe_requests",
    metadata,
    id_column("id", primary_key=True),
    id_column("notification_id", nullable=False),
    id_column("service_id", nullable=False),
    id_column("template_id", nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    Column("email_address", sa.Text, nullable=False),
    Column("send_time", _INSTANT, nullable=False),  # when the email was accepted
    Column("create_time", _INSTANT, nullable=False),
    id_column("report_id", nullable=True),
)
_u = unsubscribe_requests.c
Index("ix_unsubscribe_requests_notification_id", _u.notification_id)
Index("ix_unsubscribe_requests_service_id", _u.service_id)
Index("ix_unsubscribe_requests_listed", _u.report_id, _u.create_time.desc(), _u.id.desc())

# Their content is in the object store, encrypted as the name is with the key that their link alone holds.
files = Table(
    "files",
    metadata,
    id_column("id", primary_key=True),
    id_column("service_id", nullable=False),
    id_column("notification_id", nullable=False),  # the email that links to it
    Column("sealed_name", sa.LargeBinary, nullable=False),
    Column("media_type", sa.Text, nullable=False),
    Column("size_bytes", sa.Integer, nullable=False),
    Column("key_check", sa.LargeBinary, nullable=False),  # tells the right key from others
    Column("address_check", sa.LargeBinary),  # tells the right address; null where none is asked for
    id_column("copy_id"),  # of a file of a template: whose content it is; null for its own
    Column("create_time", _INSTANT, nullable=False),
    Column("expire_time", _INSTANT, nullable=False),
    # whether the email is known to be accepted; one that is not after an hour never was
    Column("settled", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("tries", sa.SmallInteger, nullable=False, server_default="0"),  # of addresses, lately
    Column("tries_since", _INSTANT, nullable=False, server_default=sa.func.now()),
)
Index("ix_files_expire_time", files.c.expire_time)
Index("ix_files_unsettled", files.c.create_time, postgresql_where=sa.not_(files.c.settled))

# contents of files of templates, each shared by the emails that link to it
file_copies = Table(
    "file_copies",
    metadata,
    id_column("id", primary_key=True),  # the file's at admin
    id_column("service_id", nullable=False),
    Column("media_type", sa.Text, nullable=False),
    Column("size_bytes", sa.Integer, nullable=False),
    Column("stored", sa.Boolean, nullable=False),  # whether the object is there
    Column("expire_time", _INSTANT, nullable=False),
)
Index("ix_file_copies_expire_time", file_copies.c.expire_time)

feed_cursors = cursors_table(metadata)

ops = ops_tables(metadata)

outbox_queue = FairQueue(outbox, ["notification_id"], lease_seconds=30, pauses=ops.pauses)

callback_queue = FairQueue(
    callbacks,
    ["id"],
    lease_seconds=60,
    # attempts of one event are numbered through, however often it is told again
    max_attempts=100_000,
    counts_on=True,
    pauses=ops.pauses,
)

job_queue = FairQueue(jobs, ["id"], lease_seconds=30, max_attempts=10, pauses=ops.pauses)
