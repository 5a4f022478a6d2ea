"""ConfigFeedService over the wire."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1 import config_feed_service_pb2 as pb
from notify.admin.v1 import service_pb2, snapshot_pb2, users_service_pb2
from notify.admin.v1 import services_service_pb2 as services_pb
from notify.admin.v1.service_setting_pb2 import DataRetention
from notify.admin.v1.service_settings_service_pb2 import CreateDataRetentionRequest
from notify.admin.v1.service_settings_service_pb2_grpc import ServiceSettingsServiceStub
from notify.common.v1 import common_pb2
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_common.snapshots.source import get_snapshots

from .conftest import Admin


def service_key(service_id: str) -> snapshot_pb2.SnapshotKey:
    return snapshot_pb2.SnapshotKey(service_id=service_id)


def template_key(service_id: str, template_id: str, version: int = 0) -> snapshot_pb2.SnapshotKey:
    return snapshot_pb2.SnapshotKey(
        template_version=snapshot_pb2.TemplateVersionKey(
            service_id=service_id, template_id=template_id, version=version
        )
    )


def snapshots(admin: Admin, *keys: snapshot_pb2.SnapshotKey) -> list[snapshot_pb2.Snapshot]:
    return list(admin.feed.GetSnapshots(pb.GetSnapshotsRequest(keys=keys)).snapshots)


def test_snapshot_of_a_service_holds_all_that_sending_needs(admin: Admin) -> None:
    service = admin.make_service(guest_list=service_pb2.GuestList(email_addresses=["guest@example.gov.uk"]))
    ann = admin.make_user("Ann", "ann@example.gov.uk", "07700900123")
    bob = admin.make_user("Bob", "bob@example.gov.uk")
    for user_id in (ann, bob):
        admin.users.AddMember(users_service_pb2.AddMemberRequest(service_id=service.id, user_id=user_id))
    for sender, is_default in (("FISH", True), ("GONE", False)):
        made = admin.services.CreateSmsSender(
            services_pb.CreateSmsSenderRequest(
                request_id=new_id(),
                sms_sender=service_pb2.SmsSender(service_id=service.id, sender=sender, is_default=is_default),
            )
        ).sms_sender
    admin.services.ArchiveSmsSender(
        services_pb.ArchiveSmsSenderRequest(service_id=service.id, sms_sender_id=made.id)
    )
    reply_to = admin.services.CreateReplyToAddress(
        services_pb.CreateReplyToAddressRequest(
            request_id=new_id(),
            reply_to_address=service_pb2.ReplyToAddress(
                service_id=service.id, email_address="fish@example.gov.uk", is_default=True
            ),
        )
    ).reply_to_address
    (answer,) = snapshots(admin, service_key(service.id))
    assert answer.key == service_key(service.id)
    assert answer.service.service == admin.get_service(service.id)
    senders = [(sender.sender, sender.is_default) for sender in answer.service.sms_senders]
    assert senders == [("FISH", True), ("GOVUK", False)]
    assert list(answer.service.reply_to_addresses) == [reply_to]
    assert list(answer.service.member_email_addresses) == ["ann@example.gov.uk", "bob@example.gov.uk"]
    assert list(answer.service.member_mobile_numbers) == ["+447700900123"]


def test_snapshot_of_a_service_tells_how_long_its_messages_are_kept(admin: Admin) -> None:
    service, other = admin.make_service("One"), admin.make_service("Two")
    settings = ServiceSettingsServiceStub(admin.channel)
    for channel, days in ((common_pb2.CHANNEL_SMS, 3), (common_pb2.CHANNEL_LETTER, 90)):
        kept = DataRetention(service_id=service.id, channel=channel, days=days)
        settings.CreateDataRetention(CreateDataRetentionRequest(request_id=new_id(), data_retention=kept))
    answer, of_the_other = snapshots(admin, service_key(service.id), service_key(other.id))
    found = [(kept.channel, kept.days) for kept in answer.service.data_retention]
    assert found == [(common_pb2.CHANNEL_SMS, 3), (common_pb2.CHANNEL_LETTER, 90)]
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
    with pytest.raises(NotifyError) as caught:
        snapshots(admin, *[service_key(unknown)] * count)
    assert [violation.field for violation in caught.value.violations] == ["keys"]


def test_takes_a_hundred_keys(admin: Admin) -> None:
    service = admin.make_service()
    answers = snapshots(admin, *[service_key(service.id)] * 100)
    assert {answer.service.service.id for answer in answers} == {service.id}
    assert len(get_snapshots(admin.feed, [service_key(service.id)] * 250)) == 250


def test_large_templates_come_a_few_at_a_time_and_keep_nobody_else_from_being_read(
    admin: Admin, user_id: str
) -> None:
    service = admin.make_service()
    fields: dict[str, Any] = {
        "channel": common_pb2.CHANNEL_EMAIL,
        "subject": "Long",
        "content": "x" * 1_990_000,
    }
    large = [admin.make_template(service.id, user_id, **fields) for _ in range(3)]
    keys = [template_key(service.id, template.id) for template in large] + [service_key(service.id)]
    assert [answer.key for answer in snapshots(admin, *keys)] == keys[:2]
    answers = get_snapshots(admin.feed, keys)
    assert [answer.key for answer in answers] == keys
    assert [answer.template for answer in answers[:3]] == large
    assert answers[3].service.service.id == service.id


def test_names_every_bad_key(admin: Admin) -> None:
    bad = [snapshot_pb2.SnapshotKey(), service_key("x"), template_key("y", "", -1)]
    with pytest.raises(NotifyError) as caught:
        snapshots(admin, *bad)
    assert [violation.field for violation in caught.value.violations] == [
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
    cursor = admin.cursor()
    made = [admin.make_service(f"Service {number}").id for number in range(5)]
    assert [service_id for _, service_id, _ in admin.wait_for_changes(cursor, 5)] == made
    response = admin.feed.ListConfigChanges(pb.ListConfigChangesRequest(cursor=cursor, page_size=2))
    assert [change.service_id for change in response.changes] == made[:2]
    assert all(change.HasField("change_time") for change in response.changes)
    rest = admin.feed.ListConfigChanges(pb.ListConfigChangesRequest(cursor=response.next_cursor))
    assert [change.service_id for change in rest.changes] == made[2:]
    end = admin.feed.ListConfigChanges(pb.ListConfigChangesRequest(cursor=rest.next_cursor))
    assert (list(end.changes), end.next_cursor) == ([], rest.next_cursor)


def test_refuses_what_is_no_cursor(admin: Admin) -> None:
    for cursor in ("nonsense", "1;DROP TABLE services"):
        with pytest.raises(NotifyError) as caught:
            admin.feed.ListConfigChanges(pb.ListConfigChangesRequest(cursor=cursor))
        assert [violation.field for violation in caught.value.violations] == ["cursor"]


def test_refused_change_is_not_told(admin: Admin) -> None:
    service = admin.make_service()
    cursor = admin.cursor()
    with pytest.raises(NotifyError):
        admin.make_service(service.name)
    marker = admin.make_service("Marker")
    assert admin.wait_for_changes(cursor, 1) == [("KIND_SERVICE", marker.id, "")]


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
