"""Reading notifications back (public-api.md §3.1, §3.2)."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
import sqlalchemy as sa
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notification_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.enums import KeyType
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_notifications.store.notifications import Filters, NotificationStore, _page_query
from notify_testing.waiting import WAIT_SECONDS
from sqlalchemy.dialects import postgresql

from .conftest import World
from .neighbours import at_once
from .requests import ADDRESS, email, letter, sms

NORMAL = common_pb2.KEY_TYPE_NORMAL


def listed(world: World, service: str, **filters: Any) -> pb.ListNotificationsResponse:
    given: dict[str, Any] = {"key_type": NORMAL} | filters
    request = pb.ListNotificationsRequest(service_id=service, **given)
    response: pb.ListNotificationsResponse = world.stub.ListNotifications(request)
    return response


def ids(response: pb.ListNotificationsResponse) -> list[str]:
    return [notification.id for notification in response.notifications]


@pytest.fixture
def sent(world: World) -> tuple[str, list[str]]:
    """Provide a service with a text, an email and a letter of a live key, and a text of a test key, oldest
    first.
    """
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "x")
    requests: list[Any] = [
        sms(service, text, reference="r"),
        email(service, world.admin.add_template(service, "email", "x", "s"), reference=""),
        letter(service, world.admin.add_template(service, "letter", "x", "s")),
    ]
    for request, send in zip(
        requests, (world.stub.SendSms, world.stub.SendEmail, world.stub.SendLetter), strict=True
    ):
        send(request)
    world.stub.SendSms(sms(service, text, key_type="test"))
    return service, [request.request_id for request in requests]


def test_filters(world: World, sent: tuple[str, list[str]]) -> None:
    service, (text, mail, post) = sent
    state = notification_pb2.Notification
    assert ids(listed(world, service)) == [post, mail, text]
    assert ids(listed(world, service, key_type=common_pb2.KEY_TYPE_TEAM)) == []
    assert len(ids(listed(world, service, key_type=common_pb2.KEY_TYPE_TEST))) == 1
    channels = [common_pb2.CHANNEL_SMS, common_pb2.CHANNEL_LETTER]
    assert ids(listed(world, service, channels=channels)) == [post, text]
    assert ids(listed(world, service, reference="r")) == [text]
    assert ids(listed(world, service, reference="")) == [mail]
    world.providers.tell(mail, "sent", "delivered")
    world.apply_events()
    assert ids(listed(world, service, states=[state.STATE_DELIVERED])) == [mail]
    assert ids(listed(world, service, states=[state.STATE_CREATED, state.STATE_SENDING])) == [post, text]
    assert ids(listed(world, new_id())) == []


def test_older_than(world: World, sent: tuple[str, list[str]]) -> None:
    service, (text, mail, post) = sent
    assert ids(listed(world, service, older_than_id=post)) == [mail, text]
    assert ids(listed(world, service, older_than_id=text)) == []
    assert ids(listed(world, service, older_than_id=new_id())) == []
    other = world.admin.add_service()
    assert ids(listed(world, other, older_than_id=post)) == []


def test_pages(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    requests = [sms(service, template, request_id=new_id()) for _ in range(7)]
    for request in requests:
        world.stub.SendSms(request)
    # of the same microsecond, so that the id decides
    world.execute("UPDATE notifications SET create_time = '2026-11-24T09:00:00Z'")
    seen: list[str] = []
    token = ""
    while True:
        page = listed(world, service, page_size=3, page_token=token)
        seen += ids(page)
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted((request.request_id for request in requests), reverse=True)


def test_a_page_of_long_emails_is_cut_to_what_the_wire_takes(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((x))", "s")
    for _ in range(4):
        world.stub.SendEmail(email(service, template, [("x", "x" * 1_500_000)]))
    first = listed(world, service)
    assert len(first.notifications) == 2
    second = listed(world, service, page_token=first.next_page_token)
    assert len(second.notifications) == 2
    assert not second.next_page_token


def test_a_page_of_long_links_and_addresses_is_cut_too(world: World) -> None:
    service = world.admin.add_service()
    mail = world.admin.add_template(service, "email", "x", "s")
    post = world.admin.add_template(service, "letter", "x", "s")
    url = f"https://example.gov.uk/{'u' * 1_500_000}"
    for _ in range(2):
        world.stub.SendEmail(email(service, mail, one_click_unsubscribe_url=url))
        world.stub.SendLetter(letter(service, post, [("address_line_1", "x" * 1_500_000), *ADDRESS[1:]]))
    first = listed(world, service)
    assert len(first.notifications) == 2
    assert len(listed(world, service, page_token=first.next_page_token).notifications) == 2


def test_no_more_is_read_for_a_page_than_the_wire_takes(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    requests = [sms(service, template, [("unused", "x" * 1_500_000)]) for _ in range(4)]
    for request in requests:
        world.stub.SendSms(request)
    first = listed(world, service)
    assert len(first.notifications) == 2
    second = listed(world, service, page_token=first.next_page_token)
    assert not second.next_page_token
    assert ids(first) + ids(second) == [request.request_id for request in reversed(requests)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_type": 0},
        {"key_type": 99},
        {"channels": [0]},
        {"states": [77]},
        {"older_than_id": "x"},
        {"page_size": -1},
        {"page_token": "rubbish"},
        {"reference": "a\0b"},
    ],
)
def test_bad_lists_are_invalid(world: World, wrong: dict[str, object]) -> None:
    with pytest.raises(NotifyError) as raised:
        listed(world, new_id(), **wrong)
    assert raised.value.reason in ("INVALID_FIELD", "PAGE_TOKEN_INVALID")


def test_a_page_token_belongs_to_its_filters(world: World, sent: tuple[str, list[str]]) -> None:
    service, _ = sent
    token = listed(world, service, page_size=1).next_page_token
    with pytest.raises(NotifyError) as raised:
        listed(world, service, page_size=1, page_token=token, reference="r")
    assert raised.value.reason == "PAGE_TOKEN_INVALID"


def test_another_service_s_notification_is_not_found(world: World, sent: tuple[str, list[str]]) -> None:
    _, (text, _, _) = sent
    for service, notification in ((world.admin.add_service(), text), (new_id(), new_id())):
        with pytest.raises(NotifyError) as raised:
            world.get(service, notification)
        assert raised.value.reason == "NOTIFICATION_NOT_FOUND"
    with pytest.raises(NotifyError) as raised:
        world.get("", "x")
    assert {violation.field for violation in raised.value.violations} == {"service_id", "notification_id"}


@pytest.mark.parametrize(
    ("postage", "last_line", "day"),
    [
        (common_pb2.POSTAGE_FIRST, "SW1A 1AA", date(2026, 11, 26)),
        (common_pb2.POSTAGE_SECOND, "SW1A 1AA", date(2026, 12, 2)),
        (common_pb2.POSTAGE_ECONOMY, "SW1A 1AA", date(2026, 12, 4)),
        (common_pb2.POSTAGE_FIRST, "France", date(2026, 12, 3)),
        (common_pb2.POSTAGE_FIRST, "Japan", date(2026, 12, 7)),
    ],
)
def test_a_letter_is_estimated_to_arrive_on_its_last_likely_day(
    world: World, postage: common_pb2.Postage, last_line: str, day: date
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "x", "s")
    world.admin.change_template(service, template, postage=postage)
    request = letter(service, template, [*ADDRESS[:2], ("address_line_7", last_line)])
    # printed on Wednesday the 25th
    with clock.set_for_tests(datetime(2026, 11, 24, 7, 10, 25, 65748, UTC)):
        world.stub.SendLetter(request)
    estimated = world.get(service, request.request_id).estimated_delivery_time
    assert estimated.ToDatetime(UTC) == datetime.combine(day, time(16, 0, 25, 65748, UTC))


# Compression shortens a repetitive text; these are as incompressible as a client's reference may be.
WIDE_REFERENCES = {
    "cjk": "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(1000)),
    "emoji": "".join(chr(0x1F300 + number * 7919 % 700) for number in range(1000)),
}


@pytest.mark.parametrize("reference", WIDE_REFERENCES.values(), ids=WIDE_REFERENCES.keys())
def test_a_reference_of_any_characters_is_stored_and_found(world: World, reference: str) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    request = sms(service, template, reference=reference)
    world.stub.SendSms(request)
    world.stub.SendSms(sms(service, template, reference=reference[:-1]))
    assert ids(listed(world, service, reference=reference)) == [request.request_id]


def test_no_index_holds_a_client_s_text(world: World) -> None:
    """What an index refuses for its size, or a client's words in it, would be refused with a fault."""
    indexed = world.rows(
        "SELECT DISTINCT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid "
        "JOIN pg_class t ON t.oid = i.indrelid WHERE t.relname IN ('notifications', 'outbox') "
        "AND a.atttypid = 'text'::regtype"
    )
    assert {row[0] for row in indexed} == {"key_type", "channel", "state", "md5", "destination", "lane"}


FILTERS: list[dict[str, Any]] = [
    {"states": ["created"]},
    {"states": ["created", "delivered", "permanent-failure"]},
    {"channels": ["sms"]},
    {"channels": ["email", "letter"], "states": ["sending"]},
    {"reference": "r 7"},
    {"reference": "r 7", "states": ["created"]},
    {},
]


def test_every_filter_reads_little_of_a_large_service(world: World) -> None:
    service = fill(world)
    store = NotificationStore(world.parts.uow)
    (row,) = world.rows(
        "SELECT create_time, id::text FROM notifications ORDER BY create_time DESC OFFSET 50 LIMIT 1"
    )
    for given in FILTERS:
        for position in (None, (row[0], row[1])):
            filters = Filters(key_type=KeyType.NORMAL, **given)
            query = _page_query(service, filters, position, 21)
            compiled = query.compile(
                dialect=postgresql.dialect(),  # type: ignore[no-untyped-call] # SQLAlchemy's own
                compile_kwargs={"literal_binds": True},
            )
            explained = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {compiled}".replace(":", "\\:")
            ((plan,),) = world.rows(explained)
            scans = list(scanned(plan[0]["Plan"]))
            assert "Seq Scan" not in {kind for kind, _ in scans}
            # no more than a page of each combination of values, and the rows of the page
            assert sum(rows for _, rows in scans) <= 30 * 21 + 21
            found, _ = store.page(service, filters, position, 20, 10**9)
            assert [one.id for one in found] == expected(world, service, given, position)


def fill(world: World) -> str:
    """Return a service with 6,000 messages of which few are of other states than delivered."""
    service = new_id()
    statement = sa.text(
        """
        INSERT INTO notifications (
            id, service_id, api_key_id, key_type, channel, template_id, template_version, reference,
            recipient, normalised_recipient, sender, personalisation, unsubscribe_url, content_hash, state,
            create_time, international, phone_prefix, rate_multiplier
        )
        SELECT
            gen_random_uuid(), CAST(:service AS uuid), gen_random_uuid(), 'normal',
            (ARRAY['sms', 'sms', 'sms', 'email', 'letter'])[1 + number % 5], gen_random_uuid(), 1,
            'r ' || number % 1001, '', '', '', '[]', '', '', CASE WHEN number % 297 = 0 THEN 'created'
            WHEN number % 291 = 0 THEN 'sending' ELSE 'delivered' END,
            now() - number * interval '1 second', false, '', 1
        FROM generate_series(1, 6000) AS number
        """
    )
    with world.superuser.connect() as conn:
        autocommit = conn.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(statement, {"service": service})
        autocommit.exec_driver_sql("ANALYZE notifications")
    return service


def scanned(plan: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the scans of notifications in a plan, each with the rows that it looked at."""
    if plan.get("Relation Name") == "notifications":
        looked_at = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Node Type"], int(looked_at * plan["Actual Loops"])
    for inner in plan.get("Plans", ()):
        yield from scanned(inner)


def expected(
    world: World, service: str, given: dict[str, Any], before: tuple[datetime, str] | None
) -> list[str]:
    found = world.rows(
        "SELECT id::text, channel, state, reference, create_time FROM notifications "
        "WHERE service_id = CAST(:service AS uuid) ORDER BY create_time DESC",
        service=service,
    )
    return [
        row[0]
        for row in found
        if row[1] in given.get("channels", [row[1]])
        and row[2] in given.get("states", [row[2]])
        and row[3] == given.get("reference", row[3])
        and (before is None or row[4] < before[0])
    ][:20]


def test_readers_take_no_thread_from_those_who_send(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "x")
    world.stub.SendSms(sms(service, template))
    with world.superuser.begin() as conn:
        conn.exec_driver_sql("LOCK TABLE sms_rates")  # reads wait for it; sending does not need it
        readers = [
            threading.Thread(target=lambda: at_once(lambda: listed(world, service))) for _ in range(12)
        ]
        for reader in readers:
            reader.start()
        for _ in range(3):
            world.stub.SendSms(sms(service, template))
    for reader in readers:
        reader.join(WAIT_SECONDS)
    assert world.counts()[0] == 4
