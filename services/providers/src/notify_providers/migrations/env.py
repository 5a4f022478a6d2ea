"""Alembic's entry: the migrations of the providers context."""

from notify_common.db.migrations import run_environment
from notify_providers.store.tables import metadata

run_environment(metadata)
