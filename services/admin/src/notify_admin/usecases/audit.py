"""Reading the audit log, and finding out whether it is as it was written (ADR 0020)."""

import json
from collections.abc import Iterator

from notify.admin.v1 import audit_service_pb2 as pb
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.rpc.paging import Pager, page_size, that_fit

from notify_admin.store import audit

_CHAINS_AT_ONCE = 500


def list_audit_records(pager: Pager, tx: Tx, ask: pb.ListAuditRecordsRequest) -> pb.ListAuditRecordsResponse:
    """Return records of a chain, oldest first; none for a chain that there is not."""
    chain_id = audit.keys_chain(ask.chain_id) if ask.of_api_keys else ask.chain_id
    named = {"list": ask.DESCRIPTOR.full_name, "chain_id": chain_id, "resource": ask.resource}
    size = page_size(ask.page_size)
    position = pager.decode(ask.page_token, named)
    rows = audit.read(tx, chain_id, int(position[0]) if position else 0, size + 1, ask.resource)
    records = that_fit(_record(row) for row in rows[:size])
    token = pager.encode((str(records[-1].number),), named) if len(records) < len(rows) else ""
    return pb.ListAuditRecordsResponse(audit_records=records, next_page_token=token)


def verify_audit_log(uow: UnitOfWork) -> Iterator[audit.Broken]:
    """Yield the first broken link of each chain that has one."""
    last: str | None = None
    while True:
        with uow.autocommit() as tx:
            chains = audit.chains(tx, last, _CHAINS_AT_ONCE)
            for chain_id in chains:
                if broken := audit.verify(tx, chain_id):
                    yield broken
        if not chains:
            return
        last = chains[-1]


def _record(row: audit.Row) -> pb.AuditRecord:
    held = {name: value for name, value in row._mapping.items() if value is not None}
    states = {name: json.dumps(held[name]) for name in ("before", "after") if name in held}
    return pb.AuditRecord(**held | states)
