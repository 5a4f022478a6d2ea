"""Folders for the servers that tests, drills and benches start."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def passable_folder(prefix: str) -> Iterator[Path]:
    """Provide an empty folder that PostgreSQL reaches, which is an ordinary user if this runs as root.

    It is not below pytest's own, which are closed to other users again whenever somebody else starts pytest.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
