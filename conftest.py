"""Fixtures and settings that all tests share."""

from collections.abc import Iterator

import hypothesis
import pytest
from notify_common import current

pytest_plugins = ["notify_testing.database"]

# A deadline would be a timing assertion, and machines are shared.
hypothesis.settings.register_profile("notify", deadline=None)
hypothesis.settings.load_profile("notify")


@pytest.fixture(autouse=True)
def _no_context_left_behind() -> Iterator[None]:
    """Fail a test that leaves a request's context to whatever runs next in its thread."""
    yield
    left = current.request_id.get(), current.time_left()
    current.leave()
    assert left == ("", None), "the test left the context of a request behind"
