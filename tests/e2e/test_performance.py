"""How promptly messages are handed over, as the platform counts it and as a stopwatch outside has it."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import grpc
from notify.common.v1.common_pb2 import CHANNEL_SMS
from notify.notifications.v1 import statistics_service_pb2, statistics_service_pb2_grpc
from notify_common import clock
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import ASK_SECONDS, House, eventually

WITHIN = 1.05
SEEN_SECONDS = 0.5
"""How long after a provider took a text its answer may be seen, on a machine that is busy."""
PROMPT_SECONDS = 10.0
EACH = 5


def counted(house: House) -> Counter[float]:
    """Return how many texts of today and yesterday waited for about so many seconds."""
    today = clock.london_day(clock.now())
    ask = statistics_service_pb2.GetProcessingTimesRequest(
        from_day=str(today - timedelta(days=1)), to_day=str(today)
    )
    files = house.stack.certificates["api-gateway"]
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.key.read_bytes(), files.cert.read_bytes()
    )
    with grpc.secure_channel(house.stack.grpc_targets["notifications"], credentials) as channel:
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
        begun = min((asked for asked, _ in sent.values()), default=time.monotonic())
        assert eventually(lambda: time.monotonic() - begun > seconds, WAIT_SECONDS)

    report = house.mmg.on_taken

    def note(id: str) -> None:
        taken[id] = time.monotonic()
        report(id)

    before = counted(house)
    house.mmg.on_taken = note
    try:
        with house.texts_go_to_mmg():
            with house.stack.frozen("providers-work"):
                for _ in range(EACH):
                    send()
                passed(PROMPT_SECONDS / 2)
                for _ in range(EACH):
                    send()
                passed(PROMPT_SECONDS * 1.1)
            house.wait_for_states(list(sent), "delivered")
    finally:
        house.mmg.on_taken = report
    told = sorted((counted(house) - before).elements())
    shortest = sorted(taken[id] - answered for id, (_, answered) in sent.items())
    longest = sorted(taken[id] - asked for id, (asked, _) in sent.items())
    assert len(told) == len(sent)
    assert_within(told, shortest, longest)
    prompt = [sum(one <= PROMPT_SECONDS for one in times) for times in (longest, told, shortest)]
    assert prompt[0] <= prompt[1] <= prompt[2]
    assert 0 < prompt[1] < len(told)


def assert_within(told: Sequence[float], shortest: Sequence[float], longest: Sequence[float]) -> None:
    """Compare times in their order, which is every percentile; each told is the upper end of 4 %."""
    for told_most, least, most in zip(told, shortest, longest, strict=True):
        assert least / WITHIN <= told_most / 1.04**0.5 <= (most + SEEN_SECONDS) * WITHIN
