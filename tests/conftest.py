"""Fixtures of the tests that need the whole house."""

from collections.abc import Iterator

import pytest

from tests.harness.house import House, running_house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Provide one house for all tests of a worker; those tests are in the group `house`, so there is one in
    all.
    """
    with running_house(tmp_path_factory.mktemp("house")) as made:
        yield made
