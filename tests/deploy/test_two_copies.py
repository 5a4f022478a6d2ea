"""Two of each process behind a load balancer, edges and sidecars: no process is missed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from notify_common.callers import INTERNAL_GATEWAY, PUBLIC_GATEWAY
from notify_local.stack import CONTEXTS, SIDECAR
from notify_testing.folders import passable_folder
from notify_testing.waiting import until

from tests.chaos.faults import NOTHING, Fault, killed
from tests.chaos.run import VALUES, run, table
from tests.harness.house import ASK_SECONDS, House, running_house

MESSAGES = 60
CLIENTS = 4
IN_A_ROW = 20
"""So many sends are not all with the one of two gateways by chance."""
SERVERS = (*CONTEXTS, PUBLIC_GATEWAY, INTERNAL_GATEWAY, "letters-beat")


@pytest.fixture(scope="module")
def two_of_each() -> Iterator[House]:
    with passable_folder("notify-house-") as folder, running_house(folder / "house", copies=2) as made:
        yield made


def test_one_of_two_may_die_and_nothing_is_lost_or_doubled(two_of_each: House) -> None:
    said: list[str] = []
    assert all(len(two_of_each.stack.copies_of(name)) == 2 for name in (*SERVERS, "edge"))
    fault = Fault("kill-one-of-two", SERVERS, NOTHING, killed(*SERVERS), lasts=True)
    done, verdict = run(two_of_each, [fault], MESSAGES, 3.0, redis_too=False, say=said.append)
    assert verdict.clean, "\n".join([*said, table(done, verdict)])


def test_a_gateway_whose_sidecar_died_is_left_out(two_of_each: House) -> None:
    stack = two_of_each.stack
    url = f"{stack.base_url}/v2/notifications/sms"
    body: dict[str, Any] = {
        "template_id": two_of_each.seeded.templates["sms"],
        "phone_number": "07400123456",
        "personalisation": VALUES,
    }

    def sent() -> int:
        headers = two_of_each.headers("test")
        return requests.post(url, json=body, headers=headers, timeout=ASK_SECONDS).status_code

    away = f"{SIDECAR}{PUBLIC_GATEWAY}-2"
    stack.kill(away)
    try:
        until(lambda: [sent() for _ in range(IN_A_ROW)] == IN_A_ROW * [201])
    finally:
        stack.restart(away)


def test_an_edge_is_replaced_and_clients_that_repeat_nothing_do_not_notice(two_of_each: House) -> None:
    stack = two_of_each.stack
    over = threading.Event()
    answers: list[int] = []
    url = f"{stack.base_url}/v2/templates"
    headers = two_of_each.headers()

    def ask_on() -> None:
        with requests.Session() as session:
            while not over.is_set():
                answers.append(session.get(url, headers=headers, timeout=ASK_SECONDS).status_code)

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask_on) for _ in range(CLIENTS)]
        try:
            before = {name: stack.processes[name].pid for name in stack.copies_of("edge")}
            ended = stack.replace("edge")
        finally:
            over.set()
        for client in clients:
            client.result()
    assert ended == {"edge": 0}
    replaced = [name for name, pid in before.items() if stack.processes[name].pid != pid]
    assert replaced == ["edge"]
    assert set(answers) == {200}
