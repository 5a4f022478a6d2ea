"""Taking messages over and looking at them, through the gRPC services with every interceptor."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from notify.common.v1 import common_pb2
from notify.providers.v1 import dispatch_pb2
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1 import provider_settings_service_pb2 as settings_pb
from notify.providers.v1 import sandbox_service_pb2 as sandbox_pb
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify.providers.v1.provider_settings_service_pb2_grpc import ProviderSettingsServiceStub
from notify.providers.v1.sandbox_service_pb2_grpc import SandboxServiceStub
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_providers.usecases.submit_print_batch import MAX_LETTERS
from notify_testing.rpc import InProcessServer

from .conftest import World
from .messages import OTHER_SERVICE_ID, SERVICE_ID, email, letter, letter_proto, sms, sms_proto


@pytest.fixture
def stub(server: InProcessServer) -> DispatchServiceStub:
    """Return DispatchService as the relay calls it."""
    return DispatchServiceStub(server.channel("notifications"))


def test_a_repeated_batch_is_taken_over_once(world: World, stub: DispatchServiceStub) -> None:
    batch = [sms_proto() for _ in range(500)]
    first = stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=batch))
    again = stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[*batch[:300], sms_proto()]))
    twice = sms_proto()
    within = stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[twice, twice]))
    assert (first.accepted_count, first.duplicate_count) == (500, 0)
    assert (again.accepted_count, again.duplicate_count) == (1, 300)
    assert (within.accepted_count, within.duplicate_count) == (1, 1)
    assert world.states() == {"queued": 502}


def test_what_was_taken_over_is_what_the_sandbox_shows(world: World, server: InProcessServer) -> None:
    stub = DispatchServiceStub(server.channel("notifications"))
    text = sms_proto("447700900456")
    mail = dispatch_pb2.Dispatch(
        id=new_id(),
        service_id=SERVICE_ID,
        key_type=common_pb2.KEY_TYPE_TEAM,
        email=dispatch_pb2.EmailContent(
            to_address="zoë@example.com",
            from_name="Sérvice",
            from_address="s@example.com",
            reply_to_address="r@example.com",
            subject="Subject \N{WAVING HAND SIGN}",
            plain_body="plain",
            html_body="<p>html</p>",
            unsubscribe_url="https://example.com/u",
        ),
        origin_request_id="request-2",
        traceparent=text.traceparent,
    )
    stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[text, mail]))
    post = letter_proto()
    stub.SubmitPrintBatch(iter([header(1), chunk(post)]))
    world.workers(world.parts()).settle()
    sandbox = SandboxServiceStub(server.channel())
    for handed in (text, mail, post):
        message = sandbox.GetSandboxMessage(sandbox_pb.GetSandboxMessageRequest(message_id=handed.id)).message
        assert message.dispatch == handed
        assert (message.id, message.service_id, message.copy_count) == (handed.id, SERVICE_ID, 1)


@pytest.mark.parametrize(
    "content",
    [
        {"subject": ""},
        {"subject": "s" * 1_000_000},
        {"plain_body": ""},
        {"html_body": "h" * 3_000_000},
        {"unsubscribe_url": f"https://example.com/{'u' * 1_000_000}"},
    ],
    ids=lambda content: next(iter(content)),
)
def test_emails_as_odd_as_services_may_send_are_taken_over(
    world: World, stub: DispatchServiceStub, content: dict[str, str]
) -> None:
    fields = {"subject": "Subject", "plain_body": "plain", "html_body": "<p>html</p>"} | content
    mail = dispatch_pb2.Dispatch(
        id=new_id(),
        service_id=SERVICE_ID,
        key_type=common_pb2.KEY_TYPE_NORMAL,
        email=dispatch_pb2.EmailContent(
            to_address="z@example.com", from_name="Service", from_address="s@example.com", **fields
        ),
    )
    assert stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[mail])).accepted_count == 1
    assert world.states() == {"queued": 1}


def test_a_number_as_oddly_typed_as_it_may_be_is_taken_over(world: World, stub: DispatchServiceStub) -> None:
    text = sms_proto()
    text.sms.phone_number_as_typed = "\u200b" * 5_000 + "07700900123"
    assert stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[text])).accepted_count == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "dispatches[0].id"),
        ({"id": "1"}, "dispatches[0].id"),
        ({"service_id": "x"}, "dispatches[0].service_id"),
        ({"key_type": 0}, "dispatches[0].key_type"),
        ({"key_type": 99}, "dispatches[0].key_type"),
        ({"sms": {"phone_number": ""}}, "dispatches[0].sms.phone_number"),
        ({"sms": {"phone_number": "+447700900123"}}, "dispatches[0].sms.phone_number"),
        ({"sms": {"body": ""}}, "dispatches[0].sms.body"),
        ({"sms": {"body": "a\0b"}}, "dispatches[0].sms.body"),
        ({"sms": {"sender": ""}}, "dispatches[0].sms.sender"),
        ({"traceparent": "x" * 200}, "dispatches[0].traceparent"),
    ],
)
def test_a_bad_field_refuses_the_whole_batch(
    world: World, stub: DispatchServiceStub, change: dict[str, object], field: str
) -> None:
    bad = sms_proto()
    bad.MergeFrom(dispatch_pb2.Dispatch(**{k: v for k, v in change.items() if v}))  # type: ignore[arg-type]
    for name, value in change.items():
        if not value:
            bad.ClearField(name)
        elif isinstance(value, dict):
            for inner, text in value.items():
                setattr(getattr(bad, name), inner, text)
    with pytest.raises(NotifyError) as caught:
        stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=[bad, sms_proto()]))
    assert caught.value.reason == "INVALID_FIELD"
    assert [violation.field for violation in caught.value.violations] == [field]
    assert world.states() == {}


def test_a_batch_must_not_be_empty_too_large_or_of_letters(world: World, stub: DispatchServiceStub) -> None:
    for batch in ([], [sms_proto() for _ in range(501)], [letter_proto()], [dispatch_pb2.Dispatch()]):
        with pytest.raises(NotifyError) as caught:
            stub.BatchDispatch(pb.BatchDispatchRequest(dispatches=batch))
        assert caught.value.reason == "INVALID_FIELD"
    assert world.states() == {}


def header(count: int) -> pb.SubmitPrintBatchRequest:
    """Return the first piece of a print batch."""
    return pb.SubmitPrintBatchRequest(header=pb.PrintBatchHeader(print_batch_id=new_id(), letter_count=count))


def chunk(*letters: dispatch_pb2.Dispatch) -> pb.SubmitPrintBatchRequest:
    """Return a further piece."""
    return pb.SubmitPrintBatchRequest(chunk=pb.PrintBatchChunk(dispatches=letters))


def test_a_print_batch_that_is_sent_again_is_taken_over_once(world: World, stub: DispatchServiceStub) -> None:
    letters = [letter_proto() for _ in range(700)]
    parts = [header(700), chunk(*letters[:500]), chunk(*letters[500:])]
    first = stub.SubmitPrintBatch(iter(parts))
    again = stub.SubmitPrintBatch(iter(parts))
    assert (first.accepted_count, first.duplicate_count) == (700, 0)
    assert (again.accepted_count, again.duplicate_count) == (0, 700)
    assert world.states() == {"queued": 700}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([header(2), chunk(letter_proto())], "COUNT_MISMATCH"),
        ([header(1), chunk(letter_proto(), letter_proto())], "COUNT_MISMATCH"),
        ([header(1)], "COUNT_MISMATCH"),
        ([chunk(letter_proto())], "INVALID_FIELD"),
        ([], "INVALID_FIELD"),
        ([header(1), header(1)], "INVALID_FIELD"),
        ([header(0)], "INVALID_FIELD"),
        ([header(MAX_LETTERS + 1)], "INVALID_FIELD"),
        ([header(1), chunk()], "INVALID_FIELD"),
        ([header(1), chunk(sms_proto())], "INVALID_FIELD"),
        ([pb.SubmitPrintBatchRequest()], "INVALID_FIELD"),
    ],
)
def test_a_print_batch_that_is_wrong_leaves_nothing(
    world: World, stub: DispatchServiceStub, parts: list[pb.SubmitPrintBatchRequest], reason: str
) -> None:
    with pytest.raises(NotifyError) as caught:
        stub.SubmitPrintBatch(iter(parts))
    assert caught.value.reason == reason
    assert world.states() == {}


def test_a_print_batch_that_breaks_off_leaves_nothing(world: World, stub: DispatchServiceStub) -> None:
    def breaking() -> Iterator[pb.SubmitPrintBatchRequest]:
        yield header(2)
        yield chunk(letter_proto())
        raise ConnectionError("the caller died")

    with pytest.raises((NotifyError, grpc.RpcError, ConnectionError)):
        stub.SubmitPrintBatch(breaking())
    assert world.states() == {}


def test_a_dispatch_shows_its_attempts_and_receipts_but_no_content(
    world: World, stub: DispatchServiceStub
) -> None:
    message = email("busy-twice@sandbox.notify")
    world.take_over(message)
    before = stub.GetDispatch(pb.GetDispatchRequest(service_id=SERVICE_ID, dispatch_id=message.id))
    assert before.dispatch.state == dispatch_pb2.Dispatch.STATE_QUEUED
    assert not before.attempts
    world.workers(world.parts()).settle()
    after = stub.GetDispatch(pb.GetDispatchRequest(service_id=SERVICE_ID, dispatch_id=message.id))
    assert after.dispatch.state == dispatch_pb2.Dispatch.STATE_SENT
    assert after.dispatch.WhichOneof("content") is None
    assert after.dispatch.origin_request_id == "request-1"
    assert [(a.number, a.provider, a.reason) for a in after.attempts] == [
        (1, "sandbox-email", "http_503"),
        (2, "sandbox-email", "http_503"),
        (3, "sandbox-email", ""),
    ]
    assert after.attempts[2].outcome == dispatch_pb2.Attempt.OUTCOME_ACCEPTED
    assert after.attempts[2].end_time.ToDatetime() >= after.attempts[2].start_time.ToDatetime()
    assert [(r.provider, r.status) for r in after.receipts] == [("sandbox-email", "delivered")]


def test_a_dispatch_of_another_service_is_not_found(world: World, stub: DispatchServiceStub) -> None:
    message = sms()
    world.take_over(message)
    for service_id, dispatch_id in ((OTHER_SERVICE_ID, message.id), (SERVICE_ID, new_id())):
        with pytest.raises(NotifyError) as caught:
            stub.GetDispatch(pb.GetDispatchRequest(service_id=service_id, dispatch_id=dispatch_id))
        assert caught.value.reason == "DISPATCH_NOT_FOUND"
        with pytest.raises(NotifyError) as caught:
            stub.ResolveDispatch(
                pb.ResolveDispatchRequest(
                    service_id=service_id,
                    dispatch_id=dispatch_id,
                    resolution=pb.ResolveDispatchRequest.RESOLUTION_RETRY,
                )
            )
        assert caught.value.reason == "DISPATCH_NOT_FOUND"


def test_only_a_dispatch_in_doubt_can_be_decided(world: World, stub: DispatchServiceStub) -> None:
    message = sms()
    world.take_over(message)
    request = pb.ResolveDispatchRequest(
        service_id=SERVICE_ID,
        dispatch_id=message.id,
        resolution=pb.ResolveDispatchRequest.RESOLUTION_MARK_SENT,
    )
    with pytest.raises(NotifyError) as caught:
        stub.ResolveDispatch(request)
    assert caught.value.reason == "NOT_IN_DOUBT"
    assert world.states() == {"queued": 1}


def test_dispatches_in_a_state_are_listed_in_pages(world: World, stub: DispatchServiceStub) -> None:
    refused = [sms("447700900901") for _ in range(5)]
    world.take_over(*refused, sms())
    world.workers(world.parts()).settle()
    listed: list[str] = []
    token = ""
    while True:
        page = stub.ListDispatches(
            pb.ListDispatchesRequest(state=dispatch_pb2.Dispatch.STATE_FAILED, page_size=2, page_token=token)
        )
        listed += [dispatch.id for dispatch in page.dispatches]
        token = page.next_page_token
        if not token:
            break
    assert sorted(listed) == sorted(message.id for message in refused)
    with pytest.raises(NotifyError) as caught:
        stub.ListDispatches(pb.ListDispatchesRequest(page_size=2))
    assert caught.value.reason == "INVALID_FIELD"


def test_the_sandbox_is_searched_by_words_channel_and_outcome(world: World, server: InProcessServer) -> None:
    sandbox = SandboxServiceStub(server.channel())
    workers = world.workers(world.parts())
    for message in (sms("447700900456"), email("Ann.Other@Example.com"), letter("Zoë 100% Person")):
        world.take_over(message)
        workers.settle()

    def listed(**wanted: Any) -> list[str]:
        page = sandbox.ListSandboxMessages(sandbox_pb.ListSandboxMessagesRequest(page_size=50, **wanted))
        return [message.recipient.partition(",")[0] for message in page.messages]

    assert listed(contains="ann.OTHER@") == ["Ann.Other@Example.com"]
    for number in ("7700 9004", "07700 900 456", "+44 7700-900456", "0044 7700 900456"):
        assert listed(contains=number) == ["447700900456"]
    assert listed(contains="100%") == ["Zoë 100% Person"]
    assert listed(contains="nothing says so") == []
    assert listed(channel=common_pb2.CHANNEL_SMS) == ["447700900456"]
    assert listed(contains="Ann", channel=common_pb2.CHANNEL_SMS) == []
    delivered = listed(outcome="delivered")
    assert sorted(delivered + listed(outcome="none")) == sorted(listed())
    assert "447700900456" in delivered
    assert listed(outcome="permanent-failure") == []


def test_the_sandbox_lists_newest_first_and_is_searched_by_recipient(
    world: World, server: InProcessServer
) -> None:
    sandbox = SandboxServiceStub(server.channel())
    workers = world.workers(world.parts())
    for message in (sms("447700900456"), email("Ann.Other@Example.com"), letter("Zoë 100% Person"), sms()):
        world.take_over(message)
        workers.settle()

    def listed(contains: str = "", size: int = 0) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            page = sandbox.ListSandboxMessages(
                sandbox_pb.ListSandboxMessagesRequest(
                    recipient_contains=contains, page_size=size, page_token=token
                )
            )
            found += [message.recipient for message in page.messages]
            assert not any(message.HasField("dispatch") for message in page.messages)
            token = page.next_page_token
            if not token:
                return found

    everything = [
        "447700900123",
        "Zoë 100% Person, 1 Street, SW1A 1AA",
        "Ann.Other@Example.com",
        "447700900456",
    ]
    assert listed() == listed(size=1) == listed(size=3) == everything
    assert listed("OTHER@") == ["Ann.Other@Example.com"]
    assert listed("7700 900 4") == ["447700900456"]
    assert listed("100%p") == ["Zoë 100% Person, 1 Street, SW1A 1AA"]
    assert listed("%") == ["Zoë 100% Person, 1 Street, SW1A 1AA"]
    assert listed("nobody") == []
    with pytest.raises(NotifyError) as caught:
        sandbox.GetSandboxMessage(sandbox_pb.GetSandboxMessageRequest(message_id=new_id()))
    assert caught.value.reason == "SANDBOX_MESSAGE_NOT_FOUND"


def test_providers_are_listed_and_changed_under_a_lock(world: World, server: InProcessServer) -> None:
    stub = ProviderSettingsServiceStub(server.channel("operator"))
    listed = list(stub.ListProviders(settings_pb.ListProvidersRequest(page_size=6)).providers)
    token = stub.ListProviders(settings_pb.ListProvidersRequest(page_size=6)).next_page_token
    listed += stub.ListProviders(settings_pb.ListProvidersRequest(page_size=6, page_token=token)).providers
    emails, letters = ["sandbox-email", "ses", "smtp"], ["dvla", "print-drop", "sandbox-print"]
    texts = ["aws-sms", "firetext", "mmg", "sandbox-sms", "twilio"]
    assert [p.name for p in listed] == [*emails, *letters, *texts]
    provider = next(p for p in listed if p.name == "sandbox-sms")
    provider.active = False
    provider.priority = 50
    request = settings_pb.UpdateProviderRequest(provider=provider, update_mask={"paths": ["active"]})
    changed = stub.UpdateProvider(request).provider
    assert (changed.active, changed.priority, changed.version) == (False, 0, 2)
    with pytest.raises(NotifyError) as caught:
        stub.UpdateProvider(request)
    assert caught.value.reason == "STALE_VERSION"
    world.take_over(sms())
    world.workers(world.parts()).step()
    assert world.states() == {"queued": 1}, "an inactive provider gets nothing"


@pytest.mark.parametrize(
    ("provider", "paths", "reason"),
    [
        ({"name": "pigeon", "version": 1}, ["active"], "PROVIDER_NOT_FOUND"),
        ({"name": "mmg", "version": 1}, [], "INVALID_FIELD"),
        ({"name": "mmg", "version": 1}, ["name"], "INVALID_FIELD"),
        ({"name": "mmg", "version": 1}, ["unknown_outcome_rule"], "INVALID_FIELD"),
        ({"name": "mmg", "version": 1, "priority": 101}, ["priority"], "INVALID_FIELD"),
        ({"name": "mmg"}, ["active"], "INVALID_FIELD"),
    ],
)
def test_a_wrong_change_of_a_provider_is_refused(
    world: World, server: InProcessServer, provider: dict[str, object], paths: list[str], reason: str
) -> None:
    stub = ProviderSettingsServiceStub(server.channel("operator"))
    request = settings_pb.UpdateProviderRequest(
        provider=settings_pb.Provider(**provider),  # type: ignore[arg-type]
        update_mask={"paths": paths},
    )
    with pytest.raises(NotifyError) as caught:
        stub.UpdateProvider(request)
    assert caught.value.reason == reason
    assert world.value("SELECT max(version) FROM provider_settings") == 1
