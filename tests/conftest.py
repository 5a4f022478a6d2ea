"""Fixtures of the tests that need the whole house."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.house import House, running_house


@contextmanager
def _passable_folder() -> Iterator[Path]:
    """Provide an empty folder that PostgreSQL reaches, which is an ordinary user if this runs as root.

    Folders of pytest's own are closed to other users again whenever somebody else starts pytest.
    """
    with tempfile.TemporaryDirectory(prefix="notify-house-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def stack_folder() -> Iterator[Path]:
    """Provide an empty folder for a stack of the test's own."""
    with _passable_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """Provide one house for all tests of a worker; they are one group, so there is one in
    all.
    """
    with _passable_folder() as folder, running_house(folder / "house") as made:
        yield made
