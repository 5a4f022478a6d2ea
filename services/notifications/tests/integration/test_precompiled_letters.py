"""Letters that come as PDFs: accepted, handed over, told of (public-api.md §2.7)."""

from typing import Any

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common.errors import NotifyError

from .conftest import World
from .requests import KEY_TYPES, letter, precompiled_letter


def hidden_template(world: World, service: str) -> str:
    template: str = world.admin.precompiled_template(service).id
    return template


def test_a_letter_that_comes_as_a_pdf_is_stored_and_handed_over(world: World) -> None:
    service = world.admin.add_service(permissions=["letter", "international_letters"])
    template = hidden_template(world, service)
    request = precompiled_letter(service, template, reference="r" * 5000)
    answer = world.stub.SendPrecompiledLetter(request)
    assert (answer.notification_id, answer.postage) == (request.request_id, common_pb2.POSTAGE_SECOND)
    assert world.stub.SendPrecompiledLetter(request) == answer
    assert world.counts()[0] == 1
    found = world.get(service, request.request_id)
    assert world.state(service, request.request_id) == "pending_virus_check"
    assert (found.subject, found.body) == ("Pre-compiled PDF", "")
    assert found.address == {"address_line_1": "Provided as PDF"}
    assert (found.template_id, found.template_version) == (template, 1)
    assert found.HasField("estimated_delivery_time")
    assert not found.HasField("cost")
    listed = world.stub.ListNotifications(
        pb.ListNotificationsRequest(service_id=service, key_type=KEY_TYPES["normal"], states=[found.state])
    )
    assert [one.id for one in listed.notifications] == [request.request_id]

    world.relay()
    handed = world.letters.letters[request.request_id]
    assert handed.precompiled.allow_international
    assert not handed.address_lines
    assert not handed.personalisation
    assert world.counts()[1] == 0


@pytest.mark.parametrize(
    ("kind", "facts", "state", "postage", "cost"),
    [
        ("ready", {"sheets": 2}, "created", common_pb2.POSTAGE_FIRST, 2),
        (
            "ready",
            {"sheets": 1, "postage": common_pb2.POSTAGE_EUROPE},
            "created",
            common_pb2.POSTAGE_EUROPE,
            1,
        ),
        ("validation_failed", {}, "validation_failed", common_pb2.POSTAGE_FIRST, 0),
        ("virus_scan_failed", {}, "virus_scan_failed", common_pb2.POSTAGE_FIRST, 0),
        ("technical_failure", {}, "technical_failure", common_pb2.POSTAGE_FIRST, 0),
    ],
)
def test_what_became_of_its_check_is_its_state(
    world: World, kind: str, facts: dict[str, Any], state: str, postage: int, cost: int
) -> None:
    service = world.admin.add_service()
    request = precompiled_letter(service, hidden_template(world, service), postage=common_pb2.POSTAGE_FIRST)
    world.stub.SendPrecompiledLetter(request)
    world.letters.tell(request.request_id, kind, **facts)
    world.apply_events()
    found = world.get(service, request.request_id)
    assert world.state(service, request.request_id) == state
    assert (found.postage, found.cost.letter_sheets) == (postage, cost)


def test_a_client_that_repeats_itself_has_one_letter(world: World) -> None:
    service = world.admin.add_service()
    template = hidden_template(world, service)
    first, again = (precompiled_letter(service, template, idempotency_key="k") for _ in range(2))
    other = precompiled_letter(service, template, idempotency_key="k", pdf_sha256="b" * 64)
    answer = world.stub.SendPrecompiledLetter(first)
    assert world.stub.SendPrecompiledLetter(again) == answer
    with pytest.raises(NotifyError) as raised:
        world.stub.SendPrecompiledLetter(other)
    assert raised.value.reason == "REQUEST_ID_REUSED"
    assert world.counts()[0] == 1


def test_who_may_send_and_what(world: World) -> None:
    def reason(request: pb.SendPrecompiledLetterRequest) -> str:
        with pytest.raises(NotifyError) as raised:
            world.stub.SendPrecompiledLetter(request)
        return raised.value.reason

    trial = world.admin.add_service(restricted=True)
    template = hidden_template(world, trial)
    assert reason(precompiled_letter(trial, template)) == "LETTERS_NOT_ALLOWED_FOR_KEY"
    assert reason(precompiled_letter(trial, template, key_type="team")) == "LETTERS_NOT_ALLOWED_FOR_KEY"
    world.stub.SendPrecompiledLetter(precompiled_letter(trial, template, key_type="test"))
    service = world.admin.add_service()
    written = world.admin.add_template(service, "letter", "x", "s")
    assert reason(precompiled_letter(service, written)) == "TEMPLATE_NOT_FOUND"
    mute = world.admin.add_service(permissions=["sms"])
    assert reason(precompiled_letter(mute, hidden_template(world, mute))) == "CHANNEL_NOT_ALLOWED"
    own = hidden_template(world, service)
    with pytest.raises(NotifyError) as raised:
        world.stub.SendLetter(letter(service, own))
    assert raised.value.reason == "TEMPLATE_NOT_FOUND"
    for odd in ({"pdf_sha256": "a"}, {"postage": common_pb2.POSTAGE_EUROPE}):
        assert reason(precompiled_letter(service, own, **odd)) == "INVALID_FIELD"


def test_it_takes_one_token(world: World) -> None:
    service = world.admin.add_service(limits={"rate_limit_per_minute": 6})
    template = hidden_template(world, service)
    for _ in range(2):
        world.stub.SendPrecompiledLetter(precompiled_letter(service, template))
    with pytest.raises(NotifyError) as raised:
        world.stub.SendPrecompiledLetter(precompiled_letter(service, template))
    assert raised.value.reason == "RATE_LIMITED"
