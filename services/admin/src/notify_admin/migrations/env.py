"""Alembic's entry: the migrations of the admin context."""

from notify_admin.store.tables import metadata
from notify_common.db.migrations import run_environment

run_environment(metadata)
