"""The migrations of each service form one line."""

import re
from pathlib import Path

import pytest

from .conftest import ROOT

FOLDERS = sorted((ROOT / "services").glob("*/src/*/migrations/versions"))
FIELD = re.compile(r'^(revision|down_revision) = (?:"(\d{4})"|None)$', re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parts[-3])
def test_each_follows_the_one_before_and_is_named_by_its_number(folder: Path) -> None:
    before = ""
    for path in sorted(folder.glob("*.py")):
        fields = dict(FIELD.findall(path.read_text(encoding="utf-8")))
        assert fields == {"revision": path.name[:4], "down_revision": before}, path.name
        before = fields["revision"]
    assert before, "no migrations were found"
