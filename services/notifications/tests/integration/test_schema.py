"""The migrated schema is the one that the models describe."""

from notify_common.db.migrations import schema_differences
from notify_notifications.store.tables import metadata
from notify_testing.database import FreshDatabase


def test_models_and_migrations_agree(module_database: FreshDatabase) -> None:
    assert schema_differences(metadata, module_database("notify_notifications")) == []
