"""Fixtures that all tests share."""

pytest_plugins = ["notify_common.db.testing"]
