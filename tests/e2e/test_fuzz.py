"""Requests that are made up from the public API's description, in short; `make fuzz` is the long form."""

from tests.harness.fuzzing import fuzz
from tests.harness.house import House

SECONDS = 300.0
"""How long it may take on a machine that has much else to do."""


def test_answers_are_as_they_are_described(house: House) -> None:
    options = ("--phases", "fuzzing", "--max-examples", "5", "--seed", "1", "--generation-deterministic")
    assert fuzz(house, *options, seconds=SECONDS) == ""
