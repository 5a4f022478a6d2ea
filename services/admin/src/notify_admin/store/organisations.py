"""Email domains of organisations."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx
from notify_common.errors import NotifyError
from sqlalchemy.dialects.postgresql import insert

from notify_admin.store import audit
from notify_admin.store.tables import organisation_domains, organisations

_c = organisation_domains.c


def domains(tx: Tx, organisation_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the domains of organisations, sorted."""
    found: dict[str, list[str]] = {organisation_id: [] for organisation_id in organisation_ids}
    statement = sa.select(_c.organisation_id, _c.domain).where(_c.organisation_id.in_(list(found)))
    for organisation_id, domain in tx.execute(statement.order_by(_c.domain)):
        found[organisation_id].append(domain)
    return found


def set_domains(tx: Tx, organisation_id: str, domains: Iterable[str]) -> None:
    """Replace the domains of an organisation. Raises NotifyError DOMAIN_TAKEN where one is another's."""
    wanted = sorted({domain.lower() for domain in domains})
    after = {"domains": wanted}
    audit.append(tx, organisation_id, "update", "Organisation", [organisation_id], {}, after)
    tx.execute(sa.delete(organisation_domains).where(_c.organisation_id == organisation_id))
    if not wanted:
        return
    rows = [{"domain": domain, "organisation_id": organisation_id} for domain in wanted]
    statement = insert(organisation_domains).values(rows).on_conflict_do_nothing().returning(_c.domain)
    if len(tx.execute(statement).all()) < len(rows):
        raise NotifyError("DOMAIN_TAKEN")


def of_domain(tx: Tx, candidates: Sequence[str]) -> str | None:
    """Return the active organisation that has the longest of these domains."""
    joined = organisation_domains.join(organisations, organisations.c.id == _c.organisation_id)
    statement = sa.select(_c.organisation_id).select_from(joined)
    mine = statement.where(_c.domain.in_(list(candidates)), organisations.c.active)
    return tx.execute(mine.order_by(sa.func.length(_c.domain).desc()).limit(1)).scalar()
