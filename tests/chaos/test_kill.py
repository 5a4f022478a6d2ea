"""Kill any one process during 2,000 sends: nothing is lost, nothing is doubled (design.md §3.10)."""

import pytest

from tests.harness.house import House

pytestmark = pytest.mark.xdist_group("house")

MESSAGES = 2000
LETTERS = 60
PROCESSES = (
    "admin",
    "api-gateway",
    "notifications",
    "notifications-work",
    "providers",
    "providers-work",
)
LETTER_PROCESSES = ("letters", "letters-work", "letters-celery")
ADDRESS = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "address_line_3": "SW14 6BF"}
PERSONALISATION = {"name": "Amala", "date": "1 December"}


def kill_during(house: House, process: str, letters: int) -> tuple[list[str], list[str]]:
    """Sends texts and letters, kills a process at half of them, starts it again; returns both's ids."""

    def send(number: int) -> str:
        if number < letters:
            body = {
                "template_id": house.seeded.templates["letter"],
                "personalisation": {**PERSONALISATION, **ADDRESS},
            }
            return house.send("letter", body, "test")
        body = {
            "template_id": house.seeded.templates["sms"],
            "phone_number": f"07400{number:06d}",
            "personalisation": PERSONALISATION,
        }
        return house.send("sms", body)

    def kill() -> None:
        house.stack.kill(process)
        house.stack.restart(process)

    ids = house.send_many(MESSAGES, send, kill)
    assert len(set(ids)) == MESSAGES
    return ids[letters:], ids[:letters]


def check(house: House, ids: list[str]) -> None:
    """Every message arrived, once."""
    house.wait_for_states(ids, "delivered")
    assert not house.in_doubt()
    assert house.sandbox_copies(set(ids)) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_death_loses_and_doubles_no_text(house: House, process: str) -> None:
    texts, _ = kill_during(house, process, letters=0)
    check(house, texts)


@pytest.mark.parametrize("process", LETTER_PROCESSES)
def test_a_death_loses_and_doubles_no_letter(house: House, process: str) -> None:
    texts, letters = kill_during(house, process, letters=LETTERS)
    check(house, texts)
    check(house, letters)
