"""How promptly messages are handed over, as the platform counts it and as two stopwatches have it.

One runs inside of what is counted, from the answer that a text was accepted to its coming to the provider;
the other around it, from the request to when the platform has counted it. However busy the machine is, what
is told lies between them.
"""

import time
from collections import Counter
from datetime import timedelta

from notify.common.v1.common_pb2 import CHANNEL_SMS
from notify.notifications.v1 import statistics_service_pb2, statistics_service_pb2_grpc
from notify_common import clock
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import ASK_SECONDS, SETTLE_SECONDS, House, eventually

WITHIN = 1.05
"""What is told is the upper end of a step of 4 %."""
PROMPT_SECONDS = 10.0
EACH = 5


def counted(house: House) -> Counter[float]:
    """Return how many texts of today and yesterday waited for about so many seconds."""
    today = clock.london_day(clock.now())
    ask = statistics_service_pb2.GetProcessingTimesRequest(
        from_day=str(today - timedelta(days=1)), to_day=str(today)
    )
    with house.channel("notifications") as channel:
        stub = statistics_service_pb2_grpc.StatisticsServiceStub(channel)
        answer = stub.GetProcessingTimes(ask, timeout=ASK_SECONDS)
    return Counter(
        {
            one.longest.ToTimedelta().total_seconds(): one.message_count
            for one in answer.processing_times
            if one.channel == CHANNEL_SMS
        }
    )


def test_shares_and_percentiles_are_those_of_a_stopwatch(house: House) -> None:
    taken: dict[str, float] = {}
    sent: dict[str, tuple[float, float]] = {}
    body = {
        "template_id": house.seeded.templates["sms"],
        "phone_number": "07400123456",
        "personalisation": {"name": "A. Person", "date": "1 December"},
    }

    def send() -> None:
        asked = time.monotonic()
        accepted = house.send("sms", body)
        sent[accepted.id] = asked, time.monotonic()

    def passed(seconds: float) -> None:
        """Wait until the first of them were accepted so long ago."""
        begun = max(answered for _, answered in list(sent.values())[:EACH])
        assert eventually(lambda: time.monotonic() - begun > seconds, WAIT_SECONDS)

    report = house.mmg.on_taken

    def note(id: str) -> None:
        taken[id] = time.monotonic()
        report(id)

    before = counted(house)
    seen: dict[str, float] = {}

    def are_counted() -> bool:
        for id in sent.keys() - seen.keys():
            if house.states([id]) == {"delivered": 1}:
                seen[id] = time.monotonic()
        return len(seen) == len(sent)

    house.mmg.on_taken = note
    try:
        with house.texts_go_to_mmg():
            with house.stack.frozen(*house.stack.copies_of("providers-work")):
                for _ in range(EACH):
                    send()
                passed(PROMPT_SECONDS / 2)
                for _ in range(EACH):
                    send()
                passed(PROMPT_SECONDS * 1.1)
            assert eventually(are_counted, SETTLE_SECONDS)
    finally:
        house.mmg.on_taken = report
    told = sorted((counted(house) - before).elements())
    shortest = sorted(taken[id] - answered for id, (_, answered) in sent.items())
    longest = sorted(seen[id] - asked for id, (asked, _) in sent.items())
    assert len(told) == len(sent)
    # in their order, which is every percentile
    for least, one, most in zip(shortest, told, longest, strict=True):
        assert least <= one <= most * WITHIN
    prompt = [sum(one <= PROMPT_SECONDS for one in times) for times in (longest, told, shortest)]
    assert prompt[0] <= prompt[1] <= prompt[2]
    assert prompt[1] <= EACH
