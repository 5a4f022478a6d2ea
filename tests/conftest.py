"""Fixtures of the tests that need the whole house."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_testing.folders import passable_folder

from tests.harness.house import House, running_house


@pytest.fixture
def stack_folder() -> Iterator[Path]:
    """Provide an empty folder for a stack of the test's own."""
    with passable_folder("notify-house-") as folder:
        yield folder


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """Provide one house for all tests of a worker; they are one group, so there is one in all."""
    with passable_folder("notify-house-") as folder, running_house(folder / "house") as made:
        yield made
