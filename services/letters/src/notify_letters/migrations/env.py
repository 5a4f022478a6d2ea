"""Alembic's environment of the letters database."""

from notify_common.db.migrations import run_environment
from notify_letters.store.tables import metadata

run_environment(metadata)
