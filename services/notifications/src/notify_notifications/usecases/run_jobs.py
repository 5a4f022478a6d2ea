"""Working jobs off: their rows go the road of all messages, a chunk at a time (docs/adr/0034)."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from notify_common import clock, ids
from notify_common.blobs.s3 import BlobNotFound, BlobStore
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel, KeyType
from notify_common.errors import NotifyError
from notify_common.logging import get_logger
from notify_content.csv_stream import InvalidCsv, split_chunks
from notify_content.emails import EmailTemplate
from notify_content.recipients_csv import (
    EmailRows,
    LetterRows,
    RecipientRow,
    RecipientRows,
    RowRules,
    RowTemplate,
    SmsRows,
)
from notify_content.sms import SmsTemplate

from notify_notifications.domain.counts import DayCountKey
from notify_notifications.domain.hand_over import lane_of
from notify_notifications.domain.job import JobState, key_of_file
from notify_notifications.domain.limits import daily_limit
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.record import Origin
from notify_notifications.domain.service import Service
from notify_notifications.domain.template import LetterWording, Template
from notify_notifications.store import jobs
from notify_notifications.store.counters import lock_day
from notify_notifications.store.counts import add_day_counts
from notify_notifications.store.limits import Place
from notify_notifications.store.tables import job_queue
from notify_notifications.usecases.jobs import MOST_ROWS
from notify_notifications.usecases.prepare import Caller, EmailCommand, LetterCommand, SendCommand, SmsCommand
from notify_notifications.usecases.send import UNKNOWN_OUTCOMES, SendingParts, send_messages

ROWS_AT_ONCE: Final = 500
BYTES_AT_ONCE: Final = 512 * 1024
_NOT_ALLOWED: Final = "RECIPIENT_NOT_ALLOWED"
_REFERENCE: Final = "reference"
_OUTAGE: Final = timedelta(seconds=5)
"""How long after one the next try is made."""
_CHECKED_LATER: Final = RowRules(should_validate=False)


class _Unusable(Exception):
    """A job that no further try can help; its words are kept with it."""


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Works jobs off. Safe to share between processes: each step has its job to itself, by a lease."""

    uow: UnitOfWork
    sending: SendingParts
    files: BlobStore

    def step(self, uow: UnitOfWork) -> int:
        """Start the job that is due, or send its next chunk; return how many rows were handled.

        Idempotent by job and row: a step whose process dies is taken again when its lease ends, and stores no
        message twice. A job whose file is gone or can't be read is parked; of other errors the next try
        decides.
        """
        with uow.begin() as tx:
            claimed = job_queue.claim(tx, 1)
        if not claimed:
            return 0
        (row,) = claimed
        try:
            return self._start(row) if jobs.unstarted(row) else self._send(row)
        except _Unusable as error:
            with uow.begin() as tx:
                job_queue.park(tx, [row], str(error))
        except (NotifyError, BotoCoreError, ClientError) as error:
            reason = error.reason if isinstance(error, NotifyError) else "UNAVAILABLE"
            get_logger().warning("job not continued", job_id=str(row.id), reason=reason)
            with uow.begin() as tx:
                if reason in UNKNOWN_OUTCOMES:
                    # what somebody's absence costs is time, and no tries
                    job_queue.set(tx, [row], due_at=clock.now() + _OUTAGE, attempt=1)
                else:
                    job_queue.fail(tx, [row], reason)
        return 1

    # --- starting -------------------------------------------------------------------------------------------

    def _start(self, row: Any) -> int:
        """Find out where the rows stand, and take their places in the limit of the day: all or none."""
        service = self.sending.snapshots.service(str(row.service_id))
        if service is None or not service.active:
            self._end(row, JobState.CANCELLED)
            return 1
        ends, firsts, values = self._look_through(row)
        count, day = firsts[-1], clock.now().date()
        place = Place(service.id, Channel(row.channel), day)
        limit = daily_limit(service, KeyType.NORMAL, row.channel)
        if self.sending.counters.count(service.id, row.channel, day) + count > limit:
            self._end(row, JobState.SENDING_LIMITS_EXCEEDED)
            return 1
        # Redis before the database: what a dead process leaves too high there is set right
        self.sending.limits.release({place: -count})
        started = False
        try:
            with self.uow.begin() as tx:
                if lock_day(tx, service.id, row.channel, day) + count <= limit:
                    state = JobState.IN_PROGRESS if count else JobState.FINISHED
                    values |= {
                        "chunk_ends": ends,
                        "chunk_rows": firsts,
                        "day": day,
                        "parent_id": ids.new_id(),
                    }
                    if self._set(tx, row, state, **values):
                        self._count(tx, row, day, count)
                        started = True
        finally:
            if not started:
                self.sending.limits.release({place: count})
        return 1

    def _look_through(self, row: Any) -> tuple[list[int], list[int], dict[str, Any]]:
        """Return where each chunk begins in the file and where the last ends, the row with which each begins
        and how many there are, and how the file is to be read.
        """
        try:
            chunks = self.files.iter_chunks(key_of_file(str(row.service_id), str(row.id)))
            ranges = split_chunks(chunks, ROWS_AT_ONCE, bytes_per_chunk=BYTES_AT_ONCE)
            ends: list[int] = []
            firsts: list[int] = []
            for one in ranges:
                if not ends:
                    ends.append(one.byte_start)
                ends.append(one.byte_end)
                firsts.append(one.first_row)
        except BlobNotFound:
            raise _Unusable("its file is not there") from None
        except (InvalidCsv, UnicodeError):
            raise _Unusable("its file can't be read") from None
        if ranges.unclosed_quote_row is not None:
            raise _Unusable("a quotation mark in its file is never closed")
        if ranges.row_count > MOST_ROWS:
            raise _Unusable(f"its file has more than {MOST_ROWS} rows")
        headings = list(ranges.headers)
        return ends, [*firsts, ranges.row_count], {"headings": headings, "delimiter": ranges.delimiter}

    # --- sending --------------------------------------------------------------------------------------------

    def _send(self, row: Any) -> int:
        """Send the next chunk. What it stores is committed first, then that it is done."""
        service = self.sending.snapshots.service(str(row.service_id))
        if service is None or not service.active:
            with self.uow.begin() as tx:
                left = row.chunk_rows[-1] - row.chunk_rows[row.next_chunk]
                if self._set(tx, row, JobState.CANCELLED):
                    self._count(tx, row, row.day, -left)
            return 1
        commands = list(self._commands(row, service))
        dropped = Counter[str]()
        for decision in send_messages(self.sending, commands) if commands else []:
            if isinstance(decision.result, NotifyError):
                if decision.result.reason != _NOT_ALLOWED:
                    raise decision.result
                dropped[decision.result.reason] += 1
        done = row.next_chunk + 1
        is_last = done == len(row.chunk_ends) - 1
        with self.uow.begin() as tx:
            state = JobState.FINISHED if is_last else JobState.IN_PROGRESS
            lost = dropped.total()
            values = {"next_chunk": done, "dropped_count": row.dropped_count + lost}
            if self._set(tx, row, state, **values) and lost:
                self._count(tx, row, row.day, -lost)
        get_logger().info(
            "rows of a job decided",
            job_id=str(row.id),
            service_id=service.id,
            count=len(commands),
            dropped_count=dropped.total(),
        )
        return len(commands)

    def _commands(self, row: Any, service: Service) -> Iterator[SendCommand]:
        template = self.sending.snapshots.template(service.id, str(row.template_id), row.template_version)
        if template is None:
            raise NotifyError("TEMPLATE_NOT_FOUND")
        number = row.next_chunk
        start, end = row.chunk_ends[number : number + 2]
        try:
            body = self.files.get_range(key_of_file(service.id, str(row.id)), start, end)
        except BlobNotFound:
            raise _Unusable("its file is not there") from None
        rows = RecipientRows(
            [body],
            _rows_for(template),
            _CHECKED_LATER,
            headers=row.headings,
            delimiter=row.delimiter,
            first_row=row.chunk_rows[number],
        )
        for one in rows:
            yield _command(row, template, one)

    # --- what is kept ---------------------------------------------------------------------------------------

    def _end(self, row: Any, state: JobState) -> None:
        with self.uow.begin() as tx:
            self._set(tx, row, state)

    @staticmethod
    def _set(tx: Tx, row: Any, state: JobState, **values: Any) -> bool:
        """Write where a job stands, unless somebody else has it by now; tell whether it was so."""
        now = clock.now()
        values |= {"state": state, "update_time": now, "attempt": 0}
        if jobs.unstarted(row) and state is not JobState.CANCELLED:
            values["start_time"] = now
        if state is JobState.IN_PROGRESS:
            # behind the others of its service that wait
            values["due_at"] = now
        else:
            values["finish_time"] = now
        return bool(job_queue.set(tx, [row], **values))

    @staticmethod
    def _count(tx: Tx, row: Any, day: date, count: int) -> None:
        add_day_counts(tx, {DayCountKey(str(row.service_id), day, row.channel): count})


def _rows_for(template: Template) -> RowTemplate:
    match template.wording:
        case SmsTemplate() as sms:
            return SmsRows(sms)
        case EmailTemplate() as email:
            return EmailRows(email)
        case LetterWording() as letter:
            return LetterRows(letter.english, letter.welsh)


def _command(job: Any, template: Template, row: RecipientRow) -> SendCommand:
    """Return what a row asks to send."""
    number = row.row_index
    common: dict[str, Any] = {
        "request_id": ids.child_id(str(job.parent_id), number),
        "caller": Caller(str(job.service_id), None, KeyType.NORMAL),
        "template_id": template.id,
        "template_version": template.version,
        "personalisation": _pairs(row),
        "has_file": False,
        "reference": _text(row.values.get(_REFERENCE)) or None,
        "idempotency_key": "",
        "content_hash": hashlib.sha256(f"{job.id}:{number}".encode()).digest(),
        "is_repeat": job.attempt > 1,
        "origin": Origin("", "", lane_of(str(job.service_id), of_job=True)),
        "batch_id": str(job.id),
        "row_number": number,
    }
    sender_id = str(job.sender_id or "")
    match template.channel:
        case Channel.SMS:
            return SmsCommand(**common, phone_number=_text(row.recipient), sms_sender_id=sender_id)
        case Channel.EMAIL:
            return EmailCommand(
                **common,
                email_address=_text(row.recipient),
                email_reply_to_id=sender_id,
                one_click_unsubscribe_url="",
                sanitise_content_for=(),
            )
        case Channel.LETTER:
            return LetterCommand(**common)


def _pairs(row: RecipientRow) -> Pairs:
    """Return the values that a template has a use for; of a letter the lines of its address under the names
    that sending has for them.
    """
    columns = row.columns
    names = {}
    if columns.are_for_letters:
        names = {key: _line(key) for key in columns.recipient_keys}
    return [
        (
            names.get(key, key),
            [text for text in value if text is not None] if isinstance(value, list) else value,
        )
        for key, value in row.personalisation.items()
        if key is not None
    ]


def _line(key: str) -> str:
    """Return the name of an address line, such as address_line_1, from that of its column."""
    return key.replace("addressline", "address_line_")


def _text(value: Any) -> str:
    """Return a cell as it is sent to; of several with one heading the last that says something."""
    if isinstance(value, list):
        value = next((text for text in reversed(value) if text), None)
    return value or ""
