"""Kill any one process during 2,000 sends: nothing is lost, nothing is doubled (design.md §3.10)."""

from collections.abc import Callable

import pytest

from tests.harness.house import LETTER_PROCESSES, House

pytestmark = pytest.mark.xdist_group("house")

MESSAGES = 2000
LETTER_EVERY = 10
"""One in so many messages is a letter, where letters are sent too."""
PROCESSES = (
    "admin",
    "api-gateway",
    "edge",
    "notifications",
    "notifications-work",
    "providers",
    "providers-work",
)
PERSONALISATION = {"name": "Amala", "date": "1 December"}
ADDRESS = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "address_line_3": "SW14 6BF"}


def send_text(house: House, number: int) -> str:
    """Sends a text; each goes to another number."""
    body = {
        "template_id": house.seeded.templates["sms"],
        "phone_number": f"07400{number:06d}",
        "personalisation": PERSONALISATION,
    }
    return house.send("sms", body)


def send_letter(house: House) -> str:
    """Sends a letter that will be printed."""
    body = {"template_id": house.seeded.templates["letter"], "personalisation": PERSONALISATION | ADDRESS}
    return house.send("letter", body)


def killer(house: House, process: str) -> Callable[[], None]:
    """Returns what ends a process as `kill -9` does, and starts it again."""

    def act() -> None:
        house.stack.kill(process)
        house.stack.restart(process)

    return act


class Census:
    """Counts what is accepted, and what of that the sandbox is handed, from its making on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._before = self._accepted()

    def _accepted(self) -> set[str]:
        return {str(id) for (id,) in self._house.query("notifications", "SELECT id::text FROM notifications")}

    def check(self, ids: list[str]) -> None:
        """Exactly these were accepted, and the sandbox was handed each of them once."""
        assert sorted(ids) == sorted(self._accepted() - self._before)
        assert not self._house.in_doubt()
        copies = self._house.sandbox_copies()
        assert {id: copies[id] for id in copies.keys() - self._before} == dict.fromkeys(ids, 1)


def test_no_process_is_left_out(house: House) -> None:
    assert {*PROCESSES, *LETTER_PROCESSES} == set(house.stack.processes)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_death_loses_and_doubles_no_text(house: House, process: str) -> None:
    census = Census(house)
    ids = house.send_many(MESSAGES, lambda number: send_text(house, number), killer(house, process))
    house.wait_for_states(ids, "delivered")
    census.check(ids)


@pytest.mark.parametrize("process", LETTER_PROCESSES)
def test_a_death_loses_and_doubles_no_letter(house: House, process: str) -> None:
    """The process dies while letters are accepted and typeset, and again when they go to print."""

    def send(number: int) -> str:
        return send_text(house, number) if number % LETTER_EVERY else send_letter(house)

    census = Census(house)
    die = killer(house, process)
    ids = house.send_many(MESSAGES, send, die)
    house.wait_until_typeset(ids[::LETTER_EVERY])
    house.start_print_run()
    die()
    house.wait_for_states(ids, "delivered")
    census.check(ids)
