"""ConfigFeedService over the wire."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1.config_feed_service_pb2_grpc import ConfigFeedServiceStub
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.snapshot_pb2 import SnapshotKey, TemplateVersionKey
from notify.common.v1.common_pb2 import CHANNEL_EMAIL, CHANNEL_LETTER, CHANNEL_SMS
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.snapshots.source import get_snapshots
from notify_testing.calls import reason, violations

from .conftest import Admin


def service_key(service_id: str) -> SnapshotKey:
    return SnapshotKey(service_id=service_id)


def template_key(service_id: str, template_id: str, version: int = 0) -> SnapshotKey:
    key = TemplateVersionKey(service_id=service_id, template_id=template_id, version=version)
    return SnapshotKey(template_version=key)


def snapshots(admin: Admin, *keys: SnapshotKey) -> list[Any]:
    return list(admin.public.GetSnapshots(keys=keys))


@pytest.fixture
def feed(admin: Admin) -> ConfigFeedServiceStub:
    """Provide what neighbours read the feed with."""
    return ConfigFeedServiceStub(admin.public.channel)


def test_snapshot_of_a_service_holds_all_that_sending_needs(admin: Admin) -> None:
    service = admin.make_service(guest_list={"email_addresses": ["guest@example.gov.uk"]})
    of = {"service_id": service.id}
    ann = admin.make_user("Ann", "ann@example.gov.uk", "07700900123")
    bob = admin.make_user("Bob", "bob@example.gov.uk")
    for user_id in (ann, bob):
        admin.AddMember(**of, user_id=user_id)
    for sender, is_default in (("FISH", True), ("GONE", False)):
        made = admin.CreateSmsSender(sms_sender={**of, "sender": sender, "is_default": is_default})
    admin.ArchiveSmsSender(**of, sms_sender_id=made.id)
    address = {"email_address": "fish@example.gov.uk", "is_default": True}
    reply_to = admin.CreateReplyToAddress(reply_to_address={**of, **address})
    (answer,) = snapshots(admin, service_key(service.id))
    assert answer.key == service_key(service.id)
    found = answer.service
    assert found.service == admin.get_service(service.id)
    senders = [(sender.sender, sender.is_default) for sender in found.sms_senders]
    assert senders == [("FISH", True), ("GOVUK", False)]
    assert list(found.reply_to_addresses) == [reply_to]
    assert list(found.member_email_addresses) == ["ann@example.gov.uk", "bob@example.gov.uk"]
    assert list(found.member_mobile_numbers) == ["+447700900123"]


def test_snapshot_of_a_service_tells_how_long_its_messages_are_kept(admin: Admin, service: Service) -> None:
    kept = [(CHANNEL_SMS, 3), (CHANNEL_LETTER, 90)]
    for channel, days in kept:
        admin.CreateDataRetention(data_retention={"service_id": service.id, "channel": channel, "days": days})
    keys = service_key(service.id), service_key(admin.make_service("Two").id)
    answer, of_the_other = snapshots(admin, *keys)
    assert [(each.channel, each.days) for each in answer.service.data_retention] == kept
    assert not of_the_other.service.data_retention


def test_snapshots_come_in_the_order_of_the_keys_and_unknown_ones_without_a_value(
    admin: Admin, user_id: str, unknown: str
) -> None:
    first, second = admin.make_service("One"), admin.make_service("Two")
    template = admin.make_template(first.id, user_id)
    template.content = "New"
    newer = admin.update_template(template, user_id, "content")
    keys = [
        template_key(first.id, template.id, 1),
        service_key(unknown),
        service_key(second.id),
        template_key(first.id, template.id),
        template_key(first.id, template.id, 3),
        template_key(second.id, template.id),
        template_key(first.id, template.id, 2),
        service_key(first.id),
        service_key(second.id),
    ]
    answers = snapshots(admin, *keys)
    assert [answer.key for answer in answers] == keys
    values = [answer.WhichOneof("value") for answer in answers]
    assert values == ["template", None, "service", "template", None, None, "template", "service", "service"]
    assert [answers[index].template.content for index in (0, 3, 6)] == ["Hello ((name))", "New", "New"]
    assert answers[3].template == newer
    assert answers[8].service.service.id == second.id


@pytest.mark.parametrize("count", [0, 101])
def test_refuses_no_keys_and_too_many(admin: Admin, unknown: str, count: int) -> None:
    assert violations(snapshots, admin, *[service_key(unknown)] * count) == ["keys"]


def test_takes_a_hundred_keys(admin: Admin, service: Service, feed: ConfigFeedServiceStub) -> None:
    answers = snapshots(admin, *[service_key(service.id)] * 100)
    assert {answer.service.service.id for answer in answers} == {service.id}
    assert len(get_snapshots(feed, [service_key(service.id)] * 250)) == 250


def test_large_templates_come_a_few_at_a_time_and_keep_nobody_else_from_being_read(
    admin: Admin, service: Service, user_id: str, feed: ConfigFeedServiceStub
) -> None:
    long = {"channel": CHANNEL_EMAIL, "content": "x" * 1_990_000}
    large = [admin.make_template(service.id, user_id, **long) for _ in range(3)]
    keys = [template_key(service.id, template.id) for template in large] + [service_key(service.id)]
    assert [answer.key for answer in snapshots(admin, *keys)] == keys[:2]
    answers = get_snapshots(feed, keys)
    assert [answer.key for answer in answers] == keys
    assert [answer.template for answer in answers[:3]] == large
    assert answers[3].service.service.id == service.id


def test_names_every_bad_key(admin: Admin) -> None:
    bad = [SnapshotKey(), service_key("x"), template_key("y", "", -1)]
    assert violations(snapshots, admin, *bad) == [
        "keys[0].key",
        "keys[1].service_id",
        "keys[2].template_version.service_id",
        "keys[2].template_version.template_id",
        "keys[2].template_version.version",
    ]


def test_snapshot_needs_the_same_number_of_statements_for_many_services(
    admin: Admin, uow: UnitOfWork
) -> None:
    services = [admin.make_service(f"Service {number}") for number in range(20)]
    statements: list[str] = []
    sa.event.listen(uow.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    snapshots(admin, *(service_key(service.id) for service in services))
    assert len(statements) == 7


def test_feed_tells_changes_in_order_page_by_page(admin: Admin) -> None:
    cursor, read = admin.cursor(), admin.public.ListConfigChanges
    made = [admin.make_service(f"Service {number}").id for number in range(5)]
    assert [service_id for _, service_id, _ in admin.wait_for_changes(cursor, 5)] == made
    response = read(cursor=cursor, page_size=2)
    assert [change.service_id for change in response.changes] == made[:2]
    assert all(change.HasField("change_time") for change in response.changes)
    rest = read(cursor=response.next_cursor)
    assert [change.service_id for change in rest.changes] == made[2:]
    end = read(cursor=rest.next_cursor)
    assert (list(end.changes), end.next_cursor) == ([], rest.next_cursor)


@pytest.mark.parametrize("cursor", ["nonsense", "1;DROP TABLE services"])
def test_refuses_what_is_no_cursor(admin: Admin, cursor: str) -> None:
    assert violations(admin.public.ListConfigChanges, cursor=cursor) == ["cursor"]


def test_refused_change_is_not_told(admin: Admin, service: Service) -> None:
    cursor = admin.cursor()
    assert reason(admin.make_service, service.name) == "NAME_TAKEN"
    assert admin.changes(cursor) == []


def test_old_changes_make_room(admin: Admin, uow: UnitOfWork) -> None:
    for number in range(5):
        admin.make_service(f"Service {number}")
    with uow.begin() as conn:
        conn.execute(
            sa.text("UPDATE config_changes SET create_time = create_time - :age"), {"age": timedelta(days=8)}
        )
    admin.make_service("New")
    with uow.begin() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM config_changes")).scalar_one() == 1
