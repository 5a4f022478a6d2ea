"""Real processes: relay, Redis and Celery workers, killed and doubled."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from celery import Celery
from notify.common.v1.common_pb2 import KEY_TYPE_TEST
from notify.letters.v1 import letters_service_pb2 as pb
from notify_letters.clients.broker import RENDER, RENDER_BATCH, SUBMIT, Broker

from .conftest import RABBITMQ, World, letter, until
from .fake_sqs import FakeSqs


def create(world: World, count: int, **values: object) -> None:
    """Take letters over."""
    letters = [letter(**values) for _ in range(count)]
    world.letters.BatchCreateLetters(pb.BatchCreateLettersRequest(letters=letters))


def all_told_once(world: World, count: int) -> bool:
    """Tell whether all letters are ready and each was told of once."""
    return world.states() == {"ready": count} and len(world.events()) == count


def test_letters_pass_through_the_relay_and_celery(world: World) -> None:
    with world.relay() as relay, world.celery() as celery:
        create(world, 120)
        create(world, 2, key_type=KEY_TYPE_TEST)
        until(lambda: world.states() == {"ready": 120, "submitted": 2}, [relay, celery])
    assert len(world.events()) == 122
    assert len(world.providers.dispatches) == 2


def test_a_killed_worker_process_loses_and_doubles_nothing(world: World) -> None:
    version = world.template("\n\n".join(["Dear ((name)), a long letter. " * 40] * 20))
    with world.relay(lease_seconds=1) as relay, world.celery(lease_seconds=1) as celery:
        create(world, 120, template_version=version)
        until(lambda: world.value("SELECT count(*) FROM render_batches WHERE leased_until > now()") > 0)
        until(lambda: world.value("SELECT count(*) FROM letter_events") < 120)
        celery.kill()
        assert world.value("SELECT count(*) FROM render_batches") > 0, "it died in the middle"
        with world.celery("second", lease_seconds=1) as second:
            until(lambda: all_told_once(world, 120), [relay, second])
        assert world.value("SELECT count(*) FROM render_batches") == 0


def test_a_killed_pool_process_is_replaced(world: World) -> None:
    version = world.template("\n\n".join(["Dear ((name)), a long letter. " * 40] * 20))
    with world.relay(lease_seconds=1) as relay, world.celery(lease_seconds=1) as celery:
        create(world, 80, template_version=version)
        busy = "SELECT pid FROM pg_stat_activity WHERE application_name = 'notify-letters'"
        until(lambda: world.value("SELECT count(*) FROM render_batches WHERE leased_until > now()") > 0)
        assert world.rows(busy)
        for child in psutil.Process(celery.pid).children():
            child.kill()
        until(lambda: all_told_once(world, 80), [relay, celery])


def test_tasks_lost_by_the_broker_are_sent_again(world: World) -> None:
    with world.relay(resend_seconds=1) as relay:
        create(world, 10)
        with redis.Redis.from_url(world.settings.broker_url.get_secret_value()) as client:
            until(lambda: client.llen(RENDER) == 1, [relay])
            client.flushall()
            until(lambda: client.llen(RENDER) >= 1, [relay])
        with world.celery() as celery:
            until(lambda: all_told_once(world, 10), [relay, celery])


def test_a_broker_that_is_full_ends_no_worker(world: World) -> None:
    world.template("\n\n".join(["Dear ((name)), a long letter. " * 40] * 20))
    with world.relay(resend_seconds=1) as relay, world.celery() as celery:
        create(world, 80)
        until(lambda: world.value("SELECT count(*) FROM render_batches WHERE leased_until > now()") > 0)
        with redis.Redis.from_url(world.settings.broker_url.get_secret_value()) as client:
            client.config_set("maxmemory", 1)
            before = world.value("SELECT count(*) FROM letter_events")
            until(lambda: world.value("SELECT count(*) FROM letter_events") > before, [relay, celery])
            client.config_set("maxmemory", 0)
        create(world, 10)
        until(lambda: all_told_once(world, 90), [relay, celery])


def test_doubled_tasks_are_harmless(world: World) -> None:
    create(world, 45)
    broker = Broker(Celery(broker=world.settings.broker_url.get_secret_value()))
    for batch_id in world.batch_ids("render_batches") * 4:
        broker.send(RENDER_BATCH, RENDER, batch_id)
    with world.celery(worker_processes=2) as celery:
        until(lambda: all_told_once(world, 45), [celery])
        with redis.Redis.from_url(world.settings.broker_url.get_secret_value()) as client:
            until(lambda: client.llen(RENDER) == 0 and client.hlen("unacked") == 0, [celery])
    assert all_told_once(world, 45)


def test_only_so_many_tasks_wait_in_the_broker(world: World) -> None:
    with world.relay(max_waiting_tasks=3) as relay:
        create(world, 200)
        with redis.Redis.from_url(world.settings.broker_url.get_secret_value()) as client:
            until(lambda: client.llen(RENDER) == 3, [relay])
            with world.celery() as celery:
                until(lambda: all_told_once(world, 200), [relay, celery])
            assert client.llen(RENDER) == 0


def test_the_heartbeat_file_is_there_while_a_worker_takes_tasks(world: World) -> None:
    heartbeat = world.folder / "celery.heartbeat"
    with world.celery() as celery:
        before = heartbeat.stat().st_mtime
        until(lambda: heartbeat.stat().st_mtime > before, [celery])
    assert not heartbeat.exists()


def test_a_broker_that_is_down_delays_and_loses_nothing(world: World) -> None:
    with world.relay(broker_url="redis://127.0.0.1:1/0") as relay:
        create(world, 3)
        until(lambda: "batch failed" in relay.last_lines(40))
        assert world.value("SELECT count(*) FROM render_batches WHERE enqueued_until IS NULL") == 1
    with world.relay() as relay, world.celery() as celery:
        until(lambda: all_told_once(world, 3), [relay, celery])


def test_two_beats_start_one_run_of_the_day(world: World) -> None:
    """Both find it missing as soon as they start; what was due before they did is caught up with."""
    with world.celery() as celery, world.beat("first") as first, world.beat("second") as second:
        until(lambda: world.value("SELECT count(*) FROM print_runs") > 0, [celery, first, second])
        until(lambda: "print run started" in celery.last_lines(100), [celery])
        with redis.Redis.from_url(world.settings.broker_url.get_secret_value()) as client:
            until(lambda: client.llen(SUBMIT) == 0 and client.hlen("unacked") == 0, [celery])
    assert world.value("SELECT count(*) FROM print_runs") == 1
    assert not (world.folder / "first.heartbeat").exists()


def broker_by_files(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of a broker that keeps its messages in a folder."""
    messages = folder / "messages"
    messages.mkdir()
    options = {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "control_folder": str(folder / "control"),
    }
    return {"broker_url": "filesystem://", "broker_options": json.dumps(options)}


def broker_by_rabbitmq(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """Return settings of a RabbitMQ."""
    return {"broker_url": str(request.getfixturevalue("rabbitmq"))}


BROKERS = [broker_by_files, *([broker_by_rabbitmq] if RABBITMQ else [])]


@pytest.mark.parametrize("settings_of", BROKERS)
def test_other_brokers_carry_the_tasks_by_configuration_alone(
    world: World,
    request: pytest.FixtureRequest,
    settings_of: Callable[[pytest.FixtureRequest, Path], dict[str, str]],
) -> None:
    settings = settings_of(request, world.folder)
    with world.relay(**settings) as relay, world.celery(**settings) as celery:
        create(world, 50)
        until(lambda: all_told_once(world, 50), [relay, celery])


def test_sqs_has_queues_with_time_for_the_longest_task_and_keeps_nothing_that_is_done(
    world: World, sqs: FakeSqs
) -> None:
    """Amazon's own needs no more of a URL than `sqs://`."""
    options = {"region": "eu-west-2", "queue_name_prefix": "notify-", "wait_time_seconds": 1}
    settings = {
        "broker_url": f"sqs://AKIAEXAMPLE:secret@127.0.0.1:{sqs.port}",
        "broker_options": json.dumps(options | {"is_secure": False}),
    }
    with world.relay(**settings) as relay, world.celery(**settings) as celery:
        create(world, 50)
        until(lambda: all_told_once(world, 50), [relay, celery])
        until(lambda: not any(sqs.queues.values()), [celery])
    assert sqs.visibility_seconds == {"notify-render": 3600, "notify-submit": 3600}
