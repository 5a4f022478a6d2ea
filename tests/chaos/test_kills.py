"""Random deaths beside sends, in a short form; `make chaos-kills` does 10,000 sends (design.md §3.10)."""

import secrets

from tests.chaos.kills import Deaths, report, send_through_deaths
from tests.harness.house import House

MESSAGES = 600
PAUSE_SECONDS = (0.2, 1.0)


def test_whoever_dies_when_nothing_is_lost_and_nothing_doubled(house: House) -> None:
    deaths = Deaths(secrets.randbelow(10**9))
    verdict, doubtful = send_through_deaths(house, MESSAGES, deaths, PAUSE_SECONDS, wait_for_leases=False)
    assert verdict.clean, report(verdict, doubtful, deaths, MESSAGES)
    assert deaths.counted["postgres"] == 1
    assert deaths.counted.total() > 1
