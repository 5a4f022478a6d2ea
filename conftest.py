"""Fixtures and settings that all tests share."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from notify_common import current
from xdist.scheduler.loadscope import LoadScopeScheduling

pytest_plugins = ["notify_testing.database"]

# A deadline would be a timing assertion, and machines are shared.
hypothesis.settings.register_profile("notify", deadline=None)
hypothesis.settings.load_profile("notify")

GROUPS = {
    "tests/chaos": "house",
    "tests/e2e": "house",
    "tests/conformance": "conformance",
    "tests/images": "images",
}
"""Folders of tests that share what is dear to start: one worker runs all of a group, one after the other."""


class _Scheduling(LoadScopeScheduling):
    """Gives each test to the next worker that is free, and those of a group to one."""

    def _split_scope(self, nodeid: str) -> str:
        return GROUPS.get("/".join(nodeid.split("/")[:2]), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """Let groups be by folder. They run last, as collected: what they start runs until the end."""
    config.option.loadscopereorder = False
    return _Scheduling(config, log)


@pytest.fixture(autouse=True)
def _no_context_left_behind() -> Iterator[None]:
    """Fail a test that leaves a request's context to whatever runs next in its thread."""
    yield
    left = current.request_id.get(), current.time_left()
    current.leave()
    assert left == ("", None), "the test left the context of a request behind"
