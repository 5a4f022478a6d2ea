"""What messages cost before they are stored: `max_cost`, batches and previews (docs/adr/0031)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from notify.notifications.v1 import batches_service_pb2 as pb
from notify.notifications.v1.batches_service_pb2_grpc import BatchesServiceStub
from notify_common.enums import KeyType, Postage
from notify_common.errors import NotifyError
from notify_common.rpc import status
from notify_notifications.usecases.preview_rows import MOST_COUNTED
from notify_notifications.usecases.usage import get_prices

from .conftest import World
from .requests import ADDRESS, caller, email, letter, precompiled_letter, sms
from .test_batches import opening, part, rows_of, told

ABROAD = [("address_line_1", "Ann"), ("address_line_2", "1 Rue"), ("address_line_3", "France")]


@pytest.fixture
def stub(world: World) -> Any:
    return BatchesServiceStub(world.channel)


@pytest.fixture
def dearer(world: World) -> Iterator[Callable[[], None]]:
    """Return what makes a fragment cost a pound more."""

    def rise() -> None:
        world.execute("UPDATE sms_rates SET rate_micropounds = rate_micropounds + 1000000")

    known = world.rows("SELECT valid_from, rate_micropounds FROM sms_rates")
    yield rise
    for since, rate in known:
        world.execute(
            "UPDATE sms_rates SET rate_micropounds = :rate WHERE valid_from = :since", rate=rate, since=since
        )


def prices(world: World) -> Any:
    return get_prices(world.parts.uow)


def refused(call: Callable[[], Any], reason: str = "COST_ABOVE_MAXIMUM") -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        call()
    assert caught.value.reason == reason
    return caught.value


def test_a_text_may_cost_its_maximum_and_no_more(world: World) -> None:
    service = world.admin.add_service(
        name="A name that needs room", prefix_sms=True, permissions=["sms", "international_sms"]
    )
    # one fragment without the service's name, two with it
    template = world.admin.add_template(service, "sms", "x" * 150)
    price = 2 * prices(world).sms_micropounds
    world.stub.SendSms(sms(service, template, max_cost_micropounds=price))
    before = world.counts()
    error = refused(lambda: world.stub.SendSms(sms(service, template, max_cost_micropounds=price - 1)))
    amounts = {name: round(float(pounds) * 1e6) for name, pounds in error.metadata.items()}
    assert amounts == {"cost": price, "max_cost": price - 1}
    abroad = sms(service, template, phone_number="+33 6 12 34 56 78", max_cost_micropounds=price)
    multiple = refused(lambda: world.stub.SendSms(abroad)).metadata["cost"]
    assert float(multiple) > float(error.metadata["cost"])
    assert world.counts() == before


@pytest.mark.parametrize(
    "request_of",
    [
        lambda service, text, mail: sms(service, text, key_type="test", max_cost_micropounds=0),
        lambda service, text, mail: sms(service, text, phone_number="07700900000", max_cost_micropounds=0),
        lambda service, text, mail: email(service, mail, max_cost_micropounds=0),
    ],
    ids=["test key", "simulated", "email"],
)
def test_what_costs_nothing_passes_any_maximum(world: World, request_of: Callable[..., Any]) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi")
    mail = world.admin.add_template(service, "email", "Hi", "s")
    request = request_of(service, text, mail)
    send = world.stub.SendEmail if request.DESCRIPTOR.name == "SendEmailRequest" else world.stub.SendSms
    assert send(request).notification_id


def test_a_letter_counts_as_the_dearest_that_it_may_become(world: World) -> None:
    service = world.admin.add_service(permissions=["letter", "international_letters"])
    template = world.admin.add_template(service, "letter", "Dear", "s")
    hidden = world.admin.precompiled_template(service).id
    known = prices(world)
    home = known.dearest_letter(KeyType.NORMAL, [Postage.SECOND])
    away = known.dearest_letter(KeyType.NORMAL, [Postage.EUROPE])
    furthest = known.dearest_letter(KeyType.NORMAL, [Postage.SECOND, Postage.EUROPE, Postage.REST_OF_WORLD])
    assert home == known.letter_micropounds[Postage.SECOND, 5] < furthest
    cases: list[tuple[Any, int, Any]] = [
        (letter(service, template), home, world.stub.SendLetter),
        (letter(service, template, ABROAD), away, world.stub.SendLetter),
        (precompiled_letter(service, hidden), furthest, world.stub.SendPrecompiledLetter),
    ]
    for request, price, send in cases:
        before = world.counts()
        request.max_cost_micropounds = price - 1
        refused(partial(send, request))
        assert world.counts() == before
        request.max_cost_micropounds = price
        assert send(request).notification_id
    request = letter(service, template, key_type="test", max_cost_micropounds=0)
    assert world.stub.SendLetter(request).notification_id


def test_what_is_wrong_with_a_message_comes_before_its_cost_and_limits_before_both(world: World) -> None:
    service = world.admin.add_service(limits={"sms_per_day": 1})
    template = world.admin.add_template(service, "sms", "Hi ((x))")
    dear = {"max_cost_micropounds": 0}
    refused(lambda: world.stub.SendSms(sms(service, template, **dear)), "MISSING_PERSONALISATION")
    refused(lambda: world.stub.SendSms(sms(service, template, [("x", "1")], **dear)))
    # what is refused holds no place of the day
    world.stub.SendSms(sms(service, template, [("x", "1")]))
    refused(lambda: world.stub.SendSms(sms(service, template, [("x", "1")], **dear)), "DAILY_LIMIT_REACHED")


def test_a_repeat_gets_the_first_answer_whatever_it_would_cost_by_then(
    world: World, dearer: Callable[[], None]
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "sms", "Hi")
    asked = {"idempotency_key": "k", "max_cost_micropounds": prices(world).sms_micropounds}
    first = world.stub.SendSms(sms(service, template, **asked))
    dearer()
    assert world.stub.SendSms(sms(service, template, **asked)) == first
    other = sms(service, template, **{**asked, "max_cost_micropounds": 5_000_000})
    refused(lambda: world.stub.SendSms(other), "REQUEST_ID_REUSED")
    refused(lambda: world.stub.SendSms(sms(service, template, **{**asked, "idempotency_key": "l"})))
    assert world.counts() == (1, 1, 1)


def test_rows_are_priced_together_those_that_would_be_refused_at_nothing(world: World, stub: Any) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi ((x))")
    mail = world.admin.add_template(service, "email", "Hi", "s")
    post = world.admin.add_template(service, "letter", "Dear", "s")
    rows = rows_of(
        sms(service, text, [("x", "1")]),
        sms(service, text, [("x", "y" * 200)]),
        sms(service, text),
        sms(service, text, [("x", "1")], max_cost_micropounds=1),
        email(service, mail),
        letter(service, post, ADDRESS),
    )
    rows.append(pb.BatchRow(number=7))
    known = prices(world)
    most = known.dearest_letter(KeyType.NORMAL, [Postage.SECOND])
    ask = pb.PriceRowsRequest(caller=caller(service), rows=rows)
    assert stub.PriceRows(ask).cost_micropounds == 3 * known.sms_micropounds + most
    test_key = pb.PriceRowsRequest(caller=caller(service, "test"), rows=rows)
    assert stub.PriceRows(test_key).cost_micropounds == 0
    assert world.counts() == (0, 0, 0)


def test_a_batch_that_could_cost_too_much_is_not_begun_and_one_that_was_goes_on(
    world: World, stub: Any
) -> None:
    service = world.admin.add_service()
    refused(lambda: stub.OpenBatch(opening(service, cost_micropounds=11, max_cost_micropounds=10)))
    assert world.rows("SELECT count(*) FROM batches")[0][0] == 0
    first = opening(service, cost_micropounds=10, max_cost_micropounds=10)
    batch = stub.OpenBatch(first).batch
    stub.LeaveBatch(pb.LeaveBatchRequest(batch_id=batch.id, run_id=first.run_id))
    again = stub.OpenBatch(opening(service, cost_micropounds=11, max_cost_micropounds=10))
    assert (again.batch.id, again.replayed) == (batch.id, True)


def test_rows_that_became_dearer_are_refused_where_they_pass_what_is_left(
    world: World, stub: Any, dearer: Callable[[], None]
) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "Hi")
    price = prices(world).sms_micropounds
    opened = opening(service)
    batch = stub.OpenBatch(opened).batch
    rows = rows_of(*(sms(service, text) for _ in range(4)))
    answer = stub.BatchAcceptRows(part(opened, batch.id, rows, max_cost_micropounds=2 * price))
    assert told(answer) == dict.fromkeys((3, 4), "COST_ABOVE_MAXIMUM")
    # a repeat counts what is stored
    answer = stub.BatchAcceptRows(
        part(opened, batch.id, rows, is_repeat=True, max_cost_micropounds=3 * price)
    )
    assert told(answer) == {4: "COST_ABOVE_MAXIMUM"}
    dearer()
    answer = stub.BatchAcceptRows(
        part(opened, batch.id, rows, is_repeat=True, max_cost_micropounds=4 * price)
    )
    assert told(answer) == {4: "COST_ABOVE_MAXIMUM"}
    assert world.counts() == (3, 3, 3)


def test_a_preview_has_sheets_and_price_of_letters_and_says_what_their_maximum_refuses(
    world: World, stub: Any
) -> None:
    service = world.admin.add_service(permissions=["letter", "international_letters", "sms"])
    post = world.admin.add_template(service, "letter", "Dear ((x))", "s")
    text = world.admin.add_template(service, "sms", "Hi")
    known = prices(world)
    world.previews.pages = 3
    rows = rows_of(
        letter(service, post, [*ADDRESS, ("x", "1")]),
        letter(service, post, [*ABROAD, ("x", "1")]),
        letter(service, post, ADDRESS),
        letter(service, post, [*ADDRESS, ("x", "1")], max_cost_micropounds=1),
        sms(service, text, max_cost_micropounds=1),
    )
    ask = pb.PreviewRowsRequest(caller=caller(service), rows=rows)
    home, away, missing, dear, dear_text = stub.PreviewRows(ask).previews
    assert (home.page_count, home.sheet_count) == (3, 2)
    assert home.cost_micropounds == known.letter_micropounds[Postage.SECOND, 2]
    assert away.cost_micropounds == known.letter_micropounds[Postage.EUROPE, 2]
    assert not missing.HasField("cost_micropounds")
    assert (missing.page_count, missing.sheet_count) == (0, 0)
    for row in (dear, dear_text):
        assert [status.from_bytes(one).reason for one in row.limits] == ["COST_ABOVE_MAXIMUM"]
    asked = world.previews.asked[0]
    assert (asked.service_id, asked.subject, asked.content) == (service, "s", "Dear ((x))")
    test_key = pb.PreviewRowsRequest(caller=caller(service, "test"), rows=rows[:1])
    (free,) = stub.PreviewRows(test_key).previews
    assert (free.sheet_count, free.cost_micropounds) == (2, 0)
    world.previews.pages = 11
    (long,) = stub.PreviewRows(pb.PreviewRowsRequest(caller=caller(service), rows=rows[:1])).previews
    assert (long.page_count, long.HasField("cost_micropounds"), long.cost_micropounds) == (11, True, 0)


def test_pages_are_counted_of_so_many_letters_and_a_preview_does_without_them(
    world: World, stub: Any
) -> None:
    service = world.admin.add_service()
    post = world.admin.add_template(service, "letter", "Dear", "s")
    rows = rows_of(*(letter(service, post, ADDRESS) for _ in range(MOST_COUNTED + 2)))
    ask = pb.PreviewRowsRequest(caller=caller(service), rows=rows)
    previews = stub.PreviewRows(ask).previews
    assert [bool(one.sheet_count) for one in previews] == [True] * MOST_COUNTED + [False] * 2
    assert not any(one.error for one in previews)
    world.previews.fails_with = "OVERLOADED"
    (one,) = stub.PreviewRows(pb.PreviewRowsRequest(caller=caller(service), rows=rows[:1])).previews
    assert (one.sheet_count, one.HasField("cost_micropounds"), one.error) == (0, False, b"")
    assert one.body == "Dear"
