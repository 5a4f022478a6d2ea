"""What all tests of the library share."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from notify_common.logging import configure_logging


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Send logs where the test can read them; return a function that gives all lines up to now."""
    stream = io.BytesIO()
    configure_logging("under-test", "debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().handlers = []
