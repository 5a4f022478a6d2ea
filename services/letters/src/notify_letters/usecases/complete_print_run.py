"""Reconcile a run when providers have all of it."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.logging import get_logger

from notify_letters.domain.manifest import (
    Signer,
    batch_line,
    json_line,
    report,
    report_key,
    run_head,
    run_key,
)
from notify_letters.domain.print_run import PrintBatch, PrintRun, PrintRunState, disagreements
from notify_letters.store import print_runs

BATCHES_A_PAGE = 50
_MEMORY_BYTES = 1024 * 1024


def complete_print_run(uow: UnitOfWork, blobs: BlobStore, signer: Signer) -> int:
    """Count the letters of one run in every place that knows of them, and write its manifest and its report.

    Returns 1, or 0 where no run is ready for it. Idempotency keys: the keys of manifest and report, whose
    content depends on the run alone, and the run's state. Dying in between leaves objects that are written
    over with the same; two workers at once write the same. Batches are read in pages, and no transaction is
    open meanwhile.
    """
    with uow.autocommit() as tx:
        run = print_runs.one_to_reconcile(tx)
        if run is None:
            return 0
        volumes = print_runs.volumes(tx, run.id)
    in_letters = 0
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as file:

        def write(line: bytes) -> None:
            digest.update(line)
            file.write(line)

        write(json_line(run_head(run, volumes)))
        for page in _pages(uow, run):
            for batch in page:
                write(json_line(batch_line(run.id, batch)))
            with uow.autocommit() as tx:
                in_letters += print_runs.count_letters(tx, [batch.id for batch in page])
        file.write(signer.line(digest.digest()))
        file.seek(0)
        blobs.put(run_key(run.id), cast(BinaryIO, file), content_type="application/jsonl")
    with uow.autocommit() as tx:
        counts = replace(print_runs.counts(tx, run.id), in_letters=in_letters)
    differing = disagreements(counts)
    state = PrintRunState.UNRECONCILED if differing else PrintRunState.SUBMITTED
    written = report(run, state, counts, differing, volumes)
    blobs.put(
        report_key(run.id), json.dumps(written, indent=2).encode() + b"\n", content_type="application/json"
    )
    with uow.begin() as tx:
        completed = print_runs.complete(tx, run.id, state)
    if completed:
        log = get_logger().error if differing else get_logger().info
        log(
            "print run completed",
            print_run_id=run.id,
            state=state.value,
            letter_count=counts.collected,
            batch_count=run.batch_count,
            disagreements=differing,
        )
    return 1


def _pages(uow: UnitOfWork, run: PrintRun) -> Iterator[list[PrintBatch]]:
    last = 0
    while True:
        with uow.autocommit() as tx:
            page = print_runs.batches_after(tx, run.id, last, BATCHES_A_PAGE)
        if not page:
            return
        yield page
        last = page[-1].number
