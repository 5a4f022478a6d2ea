"""Letters that members of a service upload as PDFs in the admin web app (internal-api.md C1, B20, B21)."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import World
from .requests import precompiled_letter

ADDRESS = "Ann Other\n1 High Street\nEX1 1EX"


def uploaded(
    world: World, service: str, user_id: str = "", **overrides: Any
) -> pb.SendPrecompiledLetterRequest:
    """Return the request of a member, by default of the one who made the service."""
    given = {
        "request_id": str(uuid4()),
        "reference": "letter.pdf",
        "recipient_address": ADDRESS,
        "postage": common_pb2.POSTAGE_EUROPE,
    }
    request = precompiled_letter(service, world.admin.precompiled_template(service).id, **given | overrides)
    request.caller.api_key_id = ""
    request.caller.created_by_id = user_id or world.admin.user_id
    return request


def reason(world: World, request: Any) -> str:
    with pytest.raises(NotifyError) as raised:
        world.stub.SendPrecompiledLetter(request)
    return raised.value.reason


def at(world: World, service: str, moment: datetime) -> str:
    with clock.set_for_tests(moment):
        request = uploaded(world, service)
        world.stub.SendPrecompiledLetter(request)
    return request.request_id


def of_day(world: World, service: str, day: str, **values: int) -> tuple[list[str], int]:
    request = pb.GetUploadedLettersRequest(
        service_id=service,
        template_id=world.admin.precompiled_template(service).id,
        print_date=day,
        **{"page_number": 1, "page_size": 50} | values,
    )
    answer = world.stub.GetUploadedLetters(request)
    return [one.id for one in answer.notifications], answer.total_count


def days(world: World, service: str, most: int = 90) -> list[tuple[str, str, int]]:
    request = pb.GetUploadedLetterCountsRequest(
        service_id=service, template_id=world.admin.precompiled_template(service).id, days=most
    )
    answer = world.stub.GetUploadedLetterCounts(request)
    return [
        (day.print_date, day.deadline.ToDatetime(UTC).isoformat(), day.letter_count)
        for day in answer.print_days
    ]


def test_a_members_letter_is_stored_and_handed_over_once(world: World) -> None:
    service = world.admin.add_service()
    request = uploaded(world, service)
    answer = world.stub.SendPrecompiledLetter(request)
    assert (answer.notification_id, answer.postage) == (request.request_id, common_pb2.POSTAGE_EUROPE)
    assert world.stub.SendPrecompiledLetter(request) == answer
    assert world.counts()[0] == 1
    found = world.get(service, request.request_id)
    assert world.state(service, request.request_id) == "pending_virus_check"
    assert (found.created_by_id, found.recipient) == (world.admin.user_id, ADDRESS)
    assert (found.reference, dict(found.address)) == ("letter.pdf", {"address_line_1": "letter.pdf"})
    ((key, normalised),) = world.rows(
        "SELECT api_key_id, normalised_recipient FROM notifications WHERE id = :id", id=request.request_id
    )
    assert (key, normalised) == (None, "annother1highstreetex11ex")
    world.relay()
    assert world.letters.letters[request.request_id].precompiled.uploaded


def test_who_may_not_send(world: World) -> None:
    service = world.admin.add_service(name="Pigeon post")
    stranger = new_id()
    with pytest.raises(NotifyError) as raised:
        world.stub.SendPrecompiledLetter(uploaded(world, service, stranger))
    assert raised.value.reason == "NOT_A_MEMBER"
    facts = {"user": stranger, "service_name": "Pigeon post"}
    assert raised.value.metadata.items() >= facts.items()
    trial = world.admin.add_service(restricted=True)
    assert reason(world, uploaded(world, trial)) == "LETTERS_NOT_ALLOWED_FOR_KEY"
    mute = world.admin.add_service(permissions=["sms"])
    assert reason(world, uploaded(world, mute)) == "CHANNEL_NOT_ALLOWED"
    full = world.admin.add_service(limits={"letter_per_day": 0})
    assert reason(world, uploaded(world, full)) == "DAILY_LIMIT_REACHED"
    assert world.counts() == (0, 0, 0)


def test_a_caller_is_a_key_or_a_member(world: World) -> None:
    service = world.admin.add_service()
    both, neither = uploaded(world, service), uploaded(world, service)
    both.caller.api_key_id = new_id()
    neither.caller.created_by_id = ""
    for request in (both, neither):
        assert reason(world, request) == "INVALID_FIELD"
    by_key = precompiled_letter(service, both.template_id, request_id=str(uuid4()))
    assert reason(world, by_key) == "INVALID_FIELD"


def test_letters_belong_to_the_day_of_their_print_run(world: World) -> None:
    service = world.admin.add_service()
    before = at(world, service, datetime(2026, 7, 30, 16, 29, tzinfo=UTC))
    first = at(world, service, datetime(2026, 7, 30, 16, 30, tzinfo=UTC))
    last = at(world, service, datetime(2026, 7, 31, 16, 29, 59, tzinfo=UTC))
    next_day = at(world, service, datetime(2026, 8, 1, 0, 0, tzinfo=UTC))
    by_key = precompiled_letter(service, world.admin.precompiled_template(service).id)
    with clock.set_for_tests(datetime(2026, 7, 31, 12, 0, tzinfo=UTC)):
        world.stub.SendPrecompiledLetter(by_key)
    at(world, world.admin.add_service(), datetime(2026, 7, 31, 12, 0, tzinfo=UTC))
    assert of_day(world, service, "2026-07-30") == ([before], 1)
    assert of_day(world, service, "2026-07-31") == ([last, first], 2)
    assert of_day(world, service, "2026-08-01") == ([next_day], 1)
    assert of_day(world, service, "2026-07-31", page_number=2, page_size=1) == ([first], 2)
    with clock.set_for_tests(datetime(2026, 8, 1, 12, 0, tzinfo=UTC)):
        assert days(world, service) == [
            ("2026-08-01", "2026-08-01T16:30:00+00:00", 1),
            ("2026-07-31", "2026-07-31T16:30:00+00:00", 2),
            ("2026-07-30", "2026-07-30T16:30:00+00:00", 1),
        ]
        assert [count for _, _, count in days(world, service, 1)] == [1, 1]
    world.letters.tell(last, "cancelled")
    world.apply_events()
    assert of_day(world, service, "2026-07-31") == ([first], 1)
    with pytest.raises(NotifyError) as raised:
        of_day(world, service, "2026-07-32")
    assert raised.value.reason == "INVALID_FIELD"
