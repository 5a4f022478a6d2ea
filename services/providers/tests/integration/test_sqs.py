"""Receipts that are fetched from SQS (pipeline.md §3.4)."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from notify_common.ids import new_id
from notify_providers import bootstrap
from notify_providers.clients.ses import SesSettings
from pydantic import ValidationError

from . import fake_aws
from .configured import provider_settings
from .conftest import Workers, World
from .fake_aws import FakeSes
from .fake_sns import FakeSns
from .fake_sqs import FakeSqs
from .test_ses import event, sent


@pytest.fixture
def sqs() -> Iterator[FakeSqs]:
    """Provide a stand-in for SQS over HTTP."""
    fake = FakeSqs()
    yield fake
    fake.close()


def fetching(world: World, sns: FakeSns, sqs: FakeSqs) -> Workers:
    """Return the worker that fetches SES's receipts."""
    given = {**sns.settings, **fake_aws.KEY, "region": fake_aws.REGION, "receipt_queue_url": sqs.url}
    parts = world.parts(providers=provider_settings(ses=SesSettings.model_validate(given)))
    return world.workers(parts, "receipts")


def test_receipts_are_fetched_recorded_and_deleted(
    world: World, ses: FakeSes, sns: FakeSns, sqs: FakeSqs
) -> None:
    ids = [sent(world, ses) for _ in range(2)]
    sqs.put(sns.notification(event(ids[0])))
    sqs.put(sns.notification(event(ids[1], "Bounce", "Permanent"), version="2"))
    assert fetching(world, sns, sqs).step() == 2
    assert world.kinds(ids[0]) == ["sent", "delivered"]
    assert world.kinds(ids[1]) == ["sent", "permanent-failure"]
    assert (sqs.waiting, sqs.faults) == (0, [])


def test_more_than_sqs_gives_at_once_are_fetched_in_turn(world: World, sns: FakeSns, sqs: FakeSqs) -> None:
    for number in range(13):
        sqs.put(sns.notification(event(new_id(), messageId=f"0107018b-{number}")))
    workers = fetching(world, sns, sqs)
    assert [workers.step(), workers.step(), workers.step()] == [10, 3, 0]
    assert world.value("SELECT count(*) FROM unmatched_receipts") == 13
    assert sqs.waiting == 0


def test_a_message_that_was_not_deleted_comes_again_and_counts_once(
    world: World, ses: FakeSes, sns: FakeSns, sqs: FakeSqs
) -> None:
    id = sent(world, ses)
    sqs.put(sns.notification(event(id)))
    workers = fetching(world, sns, sqs)
    sqs.fails_to_delete = True
    with pytest.raises(ClientError):
        workers.step()
    sqs.fails_to_delete = False
    sqs.show_again()
    assert workers.step() == 1
    assert world.kinds(id) == ["sent", "delivered"]
    assert sqs.waiting == 0


def test_what_is_recorded_is_deleted_though_the_next_can_t_be(
    world: World, ses: FakeSes, sns: FakeSns, sqs: FakeSqs
) -> None:
    id = sent(world, ses)
    sqs.put(b"{")
    sqs.put(sns.notification(event(id)))
    sqs.put(sns.notification(event(id, "Bounce", "Permanent"), TopicArn=f"{sns.topic}-of-others"))
    assert fetching(world, sns, sqs).step() == 1
    assert world.kinds(id) == ["sent", "delivered"]
    assert sqs.waiting == 2, "what can't be used is for the queue's redrive policy"


def test_nothing_is_fetched_where_no_queue_is_named(world: World) -> None:
    assert bootstrap.workers(world.parts(), "receipts") == []


@pytest.mark.parametrize(
    "values",
    [
        {"receipt_queue_url": "https://sqs.eu-west-2.amazonaws.com/123456789012/q"},
        {"region": "eu-west-2", "receipt_queue_url": "receipts"},
    ],
)
def test_settings_that_do_not_fit(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SesSettings.model_validate(values)
