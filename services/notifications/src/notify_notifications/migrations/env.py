from notify_common.db.migrations import run_environment
from notify_notifications.store.tables import metadata

run_environment(metadata)
