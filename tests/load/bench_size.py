"""How much room a message takes in the databases of notifications and providers: `make bench-size`.

Fills the tables that keep a message (and, of a callback, what was told) with ROWS rows each, as texts of one
placeholder have them, in migrated databases of a server of the bench's own, and divides what tables and
indexes take by the rows. Rows that only pass through (outbox, feeds) count as they would stay; vacuum gives
their room back. Prints a table and one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from notify_common.db import migrations
from notify_common.db.engine import create_engine
from notify_local.backing import Postgres
from notify_notifications.store import tables as notifications
from notify_providers.store import tables as providers
from notify_testing.folders import passable_folder
from notify_testing.provisioning import app_role, provision
from sqlalchemy import Connection, Table

KEPT: Final[Mapping[str, tuple[Table, ...]]] = {
    "notifications": (notifications.notifications, notifications.callbacks, notifications.callback_attempts),
    "providers": (providers.dispatches, providers.attempts, providers.receipts, providers.delivery_events),
}
"""What is kept of a message, by context."""

_VALUES: Final = {
    "UUID": "gen_random_uuid()",
    "CHAR": "gen_random_uuid()",  # ids that are read as text
    "TEXT": "'07700 900123'",
    "INTEGER": "1",
    "BIGINT": "n",
    "SMALLINT": "1",
    "BOOLEAN": "false",
    "DATE": "current_date",
    "DATETIME": "now() - make_interval(secs => n)",
    "TIMESTAMP": "now() - make_interval(secs => n)",
    "JSONB": """'[["name", "Amala"], ["date", "1 December"]]'""",
    "BYTEA": "decode(md5(n::text) || md5(n::text), 'hex')",
    "BLOB": "decode(md5(n::text) || md5(n::text), 'hex')",
}


def fill(connection: Connection, table: Table, rows: int) -> None:
    """Insert rows in which every column has a value of its type, but for leases, which have ended."""
    columns, values = [], []
    for column in table.columns:
        ended = column.name in ("due_at", "leased_until", "lease_token", "parked_at", "park_reason")
        if column.identity is None and not ended and column.name not in ("tx", "seq", "second_copy"):
            columns.append(column.name)
            values.append(_VALUES[str(column.type).split("(")[0]])
        elif column.name == "second_copy":
            columns.append(column.name)
            values.append("false")
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(values)}"
    connection.exec_driver_sql(
        "SET session_replication_role = replica"
    )  # no foreign keys: each table by itself
    connection.execute(sa.text(f"{statement} FROM generate_series(1, {rows}) AS n"))


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    rows = parser.parse_args().rows
    sizes: dict[str, dict[str, float]] = {}
    with passable_folder("notify-bench-") as folder:
        postgres = Postgres(folder / "postgres", {"fsync": "off"})
        postgres.start()
        try:
            for context, tables in KEPT.items():
                owner, _ = provision(postgres.url, context)
                migrations.migrate(f"notify_{context}", owner, app_role(context))
                name = sa.engine.make_url(owner).database
                engine = create_engine(
                    sa.engine.make_url(postgres.url).set(database=name).render_as_string(False), 1, 600_000
                )
                sizes[context] = {}
                for table in tables:
                    with engine.begin() as connection:
                        fill(connection, table, rows)
                        took = sa.select(sa.func.pg_total_relation_size(table.name))
                        sizes[context][table.name] = connection.execute(took).scalar_one() / rows
                engine.dispose()
        finally:
            postgres.stop()
    for context, found in sizes.items():
        for name, size in found.items():
            print(f"{context:14} {name:20} {size:8.0f} bytes a row")
        print(f"{context:14} {'together':20} {sum(found.values()):8.0f}")
    print(json.dumps({"rows": rows, "bytes": sizes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
