"""What images are built from: packages pinned by hash, known and allowed licences, bills of materials."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "deploy" / "docker"))
import audit
import install

WHEEL = "--hash=sha256:" + "0" * 64
MADE = datetime(2030, 1, 31, tzinfo=UTC)


def test_what_is_locked_may_be_given_on() -> None:
    lock = install.Lock(install.LOCK.read_text())
    licences, wrong = audit.audit(lock, audit.Rules.read())
    assert wrong == []
    assert licences.keys() == lock.entries.keys()


def test_a_licence_that_is_unknown_or_not_allowed_is_named() -> None:
    lock = install.Lock(f"nobody-knows==1 \\\n    {WHEEL}\nclosed==2 \\\n    {WHEEL}\n")
    rules = audit.Rules({"MIT": "permissive"}, {"closed": "BUSL-1.1", "gone": "MIT"}, {})
    _, wrong = audit.audit(lock, rules)
    assert [sentence.partition(",")[0] for sentence in wrong] == [
        "nobody-knows tells no licence: read its licence file",
        "closed has the licence BUSL-1.1",
        "licences.toml names gone",
        "licences.toml allows MIT",
    ]


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [("MIT", True), ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False), ("GPL-3.0-only", False)],
)
def test_one_part_of_a_choice_is_enough_and_all_of_a_sum_are_needed(expression: str, allowed: bool) -> None:
    assert audit.is_allowed(expression, audit.Rules({"MIT": "permissive"}, {}, {})) is allowed


def test_a_package_without_a_hash_is_refused() -> None:
    with pytest.raises(SystemExit, match="careless has no hash"):
        install.Lock(f"careful==1 \\\n    {WHEEL}\ncareless==2\n")


def test_a_bill_names_what_the_image_of_the_service_holds() -> None:
    lock = install.Lock(install.LOCK.read_text())
    licences, _ = audit.audit(lock, audit.Rules.read())
    bill = audit.bill_of_materials("admin", lock, licences, MADE)
    assert bill == audit.bill_of_materials("admin", lock, licences, MADE)
    named = {component["name"]: component for component in json.loads(bill)["components"]}
    assert {"notify-common", "grpcio", "sqlalchemy", "cryptography"} <= named.keys()
    assert not {"pytest", "typst", "celery", "flask", "boto3", "notify-letters"} & named.keys()
    assert named["grpcio"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert named["grpcio"]["externalReferences"][0]["hashes"]
