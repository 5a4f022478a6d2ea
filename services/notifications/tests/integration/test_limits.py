"""Rate and daily limits in a real Redis (public-api.md §8.1, §8.2)."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.enums import Channel, KeyType
from notify_common.errors import NotifyError
from notify_local.backing import free_ports
from notify_notifications.store.limits import Admission, Demand, LimitStore, Place, Verdict, Want, counter_key
from notify_notifications.workers.housekeeping import Housekeeper

from .conftest import World
from .neighbours import at_once
from .requests import ADDRESS, caller, letter, sms


@contextmanager
def refusal(reason: str) -> Iterator[list[NotifyError]]:
    caught: list[NotifyError] = []
    with pytest.raises(NotifyError) as raised:
        yield caught
    caught.append(raised.value)
    assert raised.value.reason == reason


def facts(error: NotifyError) -> dict[str, str]:
    """Return what an error says besides what is left."""
    return {name: fact for name, fact in error.metadata.items() if not name.startswith("quota_")}


def time_passes(world: World, service: str, seconds: float) -> None:
    """Make the bucket of the service's normal keys older."""
    world.redis.hincrbyfloat(f"{service}-tokens-normal", "time", -seconds)


def test_the_bucket_empties_and_fills_up_again(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    template = world.admin.add_template(service, "sms", "x")
    for _ in range(2):  # three tokens, of which one must be left
        world.stub.SendSms(sms(service, template))
    with refusal("RATE_LIMITED") as caught:
        world.stub.SendSms(sms(service, template))
    assert caught[0].metadata == {
        "key_type": "normal",
        "limit": "6",
        "quota_limit": "2",
        "quota_remaining": "0",
        "quota_reset_seconds": "30",
    }
    world.stub.SendSms(sms(service, template, key_type="test"))
    time_passes(world, service, 10)
    with refusal("RATE_LIMITED"):
        world.stub.SendSms(sms(service, template))
    time_passes(world, service, 20)
    world.stub.SendSms(sms(service, template))


def test_a_clock_that_was_ahead_empties_no_bucket(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    template = world.admin.add_template(service, "sms", "x")
    with clock.set_for_tests(clock.now() + timedelta(hours=1)), refusal("RATE_LIMITED"):
        for _ in range(3):
            world.stub.SendSms(sms(service, template))
    time_passes(world, service, 20)
    world.stub.SendSms(sms(service, template))
    # one that was written by the clock of a Redis that was ahead
    world.redis.hset(f"{service}-tokens-normal", mapping={"tokens": 3, "time": 9_999_999_999})
    for _ in range(2):
        world.stub.SendSms(sms(service, template))
    time_passes(world, service, 20)
    world.stub.SendSms(sms(service, template))


def test_one_service_reads_lists_until_its_bucket_is_empty_and_others_go_on(world: World) -> None:
    service, other = world.admin.add_service(), world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")

    def read(service_id: str, key_type: str = "normal") -> Any:
        return world.stub.ListNotifications(
            pb.ListNotificationsRequest(service_id=service_id, key_type=f"KEY_TYPE_{key_type.upper()}")
        ).quota

    left = read(service)
    assert (left.limit, left.remaining, left.reset_seconds) == (999, 998, 1)
    bucket = f"{service}-list-tokens-normal"
    assert world.redis.hget(bucket, "tokens") == "999"
    assert 0 < world.redis.ttl(bucket) < 60
    world.redis.hset(bucket, "tokens", 1)
    world.redis.hincrbyfloat(bucket, "time", 60)
    with refusal("RATE_LIMITED") as caught:
        read(service)
    assert caught[0].metadata == {
        "key_type": "normal",
        "limit": "3000",
        "quota_limit": "999",
        "quota_remaining": "0",
        "quota_reset_seconds": "20",
    }
    assert caught[0].retry_after == timedelta(seconds=1)
    read(other)
    read(service, "test")
    world.stub.SendSms(sms(service, template))
    world.redis.hincrbyfloat(bucket, "time", -61)
    read(service)


def test_without_redis_lists_are_read(world: World) -> None:
    (port,) = free_ports(1)
    away = LimitStore(redis.Redis(port=port, socket_timeout=0.1, socket_connect_timeout=0.1))
    assert away.take_list(world.admin.add_service(), KeyType.NORMAL) == (True, None)


def test_a_letter_takes_two_tokens(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 12})
    template = world.admin.add_template(service, "letter", "x", "s")
    for _ in range(2):
        world.stub.SendLetter(letter(service, template, ADDRESS))
    with refusal("RATE_LIMITED"):
        world.stub.SendLetter(letter(service, template, ADDRESS))


def test_refused_requests_use_up_the_rate_but_not_the_day(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6, "sms_per_day": 1})
    count = pb.CountRefusedRequestRequest(caller=caller(service), channel=common_pb2.CHANNEL_SMS)
    for _ in range(2):
        world.stub.CountRefusedRequest(count)
    with refusal("RATE_LIMITED"):
        world.stub.CountRefusedRequest(count)
    zero = world.admin.add_service(limits={"sms_per_day": 0})
    count.caller.service_id = zero
    with refusal("DAILY_LIMIT_REACHED") as caught:
        world.stub.CountRefusedRequest(count)
    assert facts(caught[0]) == {"counter": "sms", "limit": "0"}
    with refusal("INVALID_FIELD"):
        world.stub.CountRefusedRequest(pb.CountRefusedRequestRequest(caller=caller(service)))


def test_the_day_s_limit_holds_for_exactly_as_many_at_once(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 5})
    template = world.admin.add_template(service, "sms", "x")
    answers = at_once(*[lambda: world.stub.SendSms(sms(service, template))] * 12)
    errors = [answer for answer in answers if isinstance(answer, NotifyError)]
    assert {error.reason for error in errors} == {"DAILY_LIMIT_REACHED"}
    assert len(errors) == 7
    assert world.counts() == (5, 5, 5)


def test_the_limit_of_other_countries_gives_the_other_place_back(world: World) -> None:
    service = world.admin.add_service(limits={"international_sms_per_day": 1, "sms_per_day": 3})
    template = world.admin.add_template(service, "sms", "x")
    world.stub.SendSms(sms(service, template, phone_number="+33612345678"))
    with refusal("DAILY_LIMIT_REACHED") as caught:
        world.stub.SendSms(sms(service, template, phone_number="+33612345678"))
    assert facts(caught[0]) == {"counter": "international_sms", "limit": "1"}
    assert caught[0].metadata["quota_remaining"] == "0"
    # a number of a crown dependency has country code 44
    world.stub.SendSms(sms(service, template, phone_number="07797 712345"))
    world.stub.SendSms(sms(service, template))
    with refusal("DAILY_LIMIT_REACHED"):
        world.stub.SendSms(sms(service, template))


def test_a_redis_that_forgot_is_told_by_the_database(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 2})
    template = world.admin.add_template(service, "sms", "x")
    for _ in range(2):
        world.stub.SendSms(sms(service, template))
    world.redis.flushdb()
    with refusal("DAILY_LIMIT_REACHED"):
        world.stub.SendSms(sms(service, template))


def test_reconciling_takes_back_what_a_dead_process_held(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 2})
    template = world.admin.add_template(service, "sms", "x")
    world.stub.SendSms(sms(service, template))
    key = counter_key(service, "sms", clock.now().date())
    world.redis.incr(key)
    with refusal("DAILY_LIMIT_REACHED"):
        world.stub.SendSms(sms(service, template))
    housekeeper = Housekeeper(world.parts.uow, world.parts.counters, world.parts.limit_store)
    assert housekeeper.reconcile() == 0  # it may be a message being stored right now
    assert housekeeper.reconcile() == 1
    assert world.redis.get(key) == "1"
    assert housekeeper.reconcile() == 0
    world.stub.SendSms(sms(service, template))


def test_housekeepers_of_two_processes_correct_a_counter_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.admin.add_service()
    world.stub.SendSms(sms(service, world.admin.add_template(service, "sms", "x")))
    key = counter_key(service, "sms", clock.now().date())
    world.redis.incrby(key, 5)
    one, other = (
        Housekeeper(world.parts.uow, world.parts.counters, world.parts.limit_store) for _ in range(2)
    )
    for housekeeper in (one, other):
        housekeeper.reconcile()  # both have seen it before

    values = world.parts.limit_store.values

    def at_the_same_moment(keys: Sequence[str]) -> list[int | None]:
        seen = values(keys)
        monkeypatch.setattr(world.parts.limit_store, "values", values)
        other.step(world.parts.uow)
        return seen

    monkeypatch.setattr(world.parts.limit_store, "values", at_the_same_moment)
    one.step(world.parts.uow)
    assert world.redis.get(key) == "1"


def test_a_redis_that_is_away_lets_everything_pass(world: World) -> None:
    port = free_ports(1)[0]
    store = LimitStore(redis.Redis(port=port, decode_responses=True))
    demand = Demand(
        service_id="s",
        key_type=KeyType.NORMAL,
        channel=Channel.SMS,
        bucket_size=2,
        rate_per_minute=1,
        tokens=1,
        day=clock.now().date(),
        daily_limit=0,
        international_limit=0,
        counted=True,
        wants=[Want(adds=True, international=False)] * 3,
    )
    assert store.reserve([demand], lambda *_: 0) == [Admission([Verdict.SKIPPED] * 3, None, None)]
    store.release({Place("s", "sms", demand.day): 3})


def test_a_connection_that_redis_closed_skips_no_check(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    key = counter_key(service, "sms", clock.now().date())
    world.stub.SendSms(sms(service, template))
    world.redis.client_kill_filter(_type="normal", skipme=True)
    world.stub.SendSms(sms(service, template))
    assert world.redis.get(key) == "2"


def test_expired_idempotency_keys_are_deleted(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    for key in ("old", "new"):
        world.stub.SendSms(sms(service, template, idempotency_key=key))
    world.execute(
        "UPDATE idempotency_keys SET create_time = now() - interval '25 hours' WHERE key_hash = sha256('old')"
    )
    housekeeper = Housekeeper(world.parts.uow, world.parts.counters, world.parts.limit_store)
    assert housekeeper.forget_expired_keys() == 1
    assert len(world.rows("SELECT 1 FROM idempotency_keys")) == 1


def quota(world: World, service: str, template: str, **fields: object) -> tuple[int, int, int]:
    """Return what a text is told of the limits of its service: limit, remaining, seconds."""
    item = pb.SendItem(sms=sms(service, template, **fields))
    (result,) = world.stub.BatchSend(pb.BatchSendRequest(items=[item])).results
    assert result.HasField("quota")
    return result.quota.limit, result.quota.remaining, result.quota.reset_seconds


def test_answers_say_what_is_left_of_the_limit_that_is_met_first(world: World) -> None:
    noon = clock.now().replace(hour=12, minute=0, second=0)
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6, "sms_per_day": 3})
    template = world.admin.add_template(service, "sms", "x")
    with clock.set_for_tests(noon):
        assert quota(world, service, template) == (2, 1, 10)
        assert quota(world, service, template) == (2, 0, 20)
        time_passes(world, service, 60)
        assert quota(world, service, template) == (3, 0, 12 * 3600)
        # refused by the day, which is what it is told of
        assert quota(world, service, template) == (3, 0, 12 * 3600)
        # of a key whose messages are not counted, the rate alone decides
        assert quota(world, service, template, key_type="test") == (2, 1, 10)


def test_requests_that_the_gateway_refused_hear_of_it_too(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    ask = pb.CountRefusedRequestRequest(caller=caller(service), channel=common_pb2.CHANNEL_SMS)
    assert [world.stub.CountRefusedRequest(ask).quota.remaining for _ in range(2)] == [1, 0]


def test_who_asks_what_is_left_takes_nothing(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    ask = pb.GetQuotaRequest(caller=caller(service))
    template = world.admin.add_template(service, "sms", "x")
    for remaining in (2, 1, 0):
        for _ in range(2):
            left = world.stub.GetQuota(ask).quota
            assert (left.limit, left.remaining) == (2, remaining)
        if remaining:
            world.stub.SendSms(sms(service, template))
    world.redis.delete(f"{service}-tokens-normal")
    assert world.stub.GetQuota(ask).quota.remaining == 2
    with refusal("SERVICE_NOT_FOUND"):
        world.stub.GetQuota(pb.GetQuotaRequest(caller=caller(str(uuid4()))))


def test_a_repeat_under_a_key_is_told_as_one(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    items = [pb.SendItem(sms=sms(service, template, idempotency_key="k")) for _ in range(2)]
    replayed = [world.stub.BatchSend(pb.BatchSendRequest(items=[item])).results[0].replayed for item in items]
    assert replayed == [False, True]
    # the gateway's own repeat has the id of the first
    again = world.stub.BatchSend(pb.BatchSendRequest(items=[items[0]])).results[0]
    assert (again.WhichOneof("result"), again.replayed) == ("sms", False)


@pytest.mark.parametrize("limit", ["rate", "day"])
def test_many_at_once_get_what_the_limit_allows_and_no_more(world: World, limit: str) -> None:
    limits = {"rate_limit_per_minute": 90} if limit == "rate" else {"sms_per_day": 30}
    service = world.admin.add_service(limits=limits)
    template = world.admin.add_template(service, "sms", "x")
    allowed = 30
    barrier = threading.Barrier(8)
    waits: list[timedelta | None] = []

    def fire(_: int) -> list[str]:
        barrier.wait()
        said: list[str] = []
        for _ in range(12):
            try:
                world.stub.SendSms(sms(service, template))
                said.append("OK")
            except NotifyError as error:
                waits.append(error.retry_after)
                said.append(error.reason)
        return said

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        said = [one for each in threads.map(fire, range(8)) for one in each]
    refilled = 0 if limit == "day" else int((time.monotonic() - begun) * 1.5) + 1
    assert allowed - 1 <= said.count("OK") <= allowed + refilled
    assert set(said) == {"OK", "RATE_LIMITED" if limit == "rate" else "DAILY_LIMIT_REACHED"}
    assert all(waits)
    assert world.counts()[0] == said.count("OK")
