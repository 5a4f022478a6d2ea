"""Statements on the tables of countries: which providers take texts there, in which shares."""

from collections.abc import Mapping

import sqlalchemy as sa
from notify_common.db.unit_of_work import Tx

from notify_providers.store.tables import country_routes


def list_all(conn: Tx) -> dict[str, dict[str, int]]:
    """Return the weights by provider, by prefix of numbers: an operator's, a few hundred at most."""
    found: dict[str, dict[str, int]] = {}
    for row in conn.execute(sa.select(country_routes).order_by(country_routes.c.prefix)):
        found.setdefault(row.prefix, {})[row.provider] = row.weight
    return found


def replace(conn: Tx, prefix: str, weights: Mapping[str, int]) -> None:
    """Write the table of a prefix in place of the one that there is; an empty one ends it."""
    conn.execute(sa.delete(country_routes).where(country_routes.c.prefix == prefix))
    if weights:
        conn.execute(
            sa.insert(country_routes),
            [{"prefix": prefix, "provider": name, "weight": weight} for name, weight in weights.items()],
        )
