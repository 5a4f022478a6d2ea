"""Text senders, reply-to addresses and letter contact blocks over the wire."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1 import service_pb2
from notify.admin.v1 import services_service_pb2 as pb
from notify.common.v1 import common_pb2
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


@pytest.fixture
def service(admin: Admin) -> service_pb2.Service:
    return admin.make_service()


class Kind:
    """The RPCs of one kind of sender under one roof."""

    def __init__(self, admin: Admin, name: str, field: str, plural: str, rpc: str, values: list[str]) -> None:
        self.name, self.field, self.plural, self.rpc, self.values = name, field, plural, rpc, values
        self._stub = admin.services

    def create(
        self, service_id: str, value: str, *, is_default: bool = False, request_id: str | None = None
    ) -> service_pb2.SmsSender:
        request = getattr(pb, f"Create{self.rpc}Request")(request_id=request_id or new_id())
        sender = getattr(request, self.name)
        sender.service_id = service_id
        sender.is_default = is_default
        setattr(sender, self.field, value)
        return getattr(getattr(self._stub, f"Create{self.rpc}")(request), self.name)  # type: ignore[no-any-return]

    def list(self, service_id: str, **paging: Any) -> list[tuple[str, bool]]:
        plural = {"ReplyToAddress": "ReplyToAddresses"}.get(self.rpc, f"{self.rpc}s")
        request = getattr(pb, f"List{plural}Request")(service_id=service_id, **paging)
        response = getattr(self._stub, f"List{plural}")(request)
        self.token = response.next_page_token
        return [(getattr(sender, self.field), sender.is_default) for sender in getattr(response, self.plural)]

    def set(self, service_id: str, sender_id: str, value: str, *, is_default: bool) -> service_pb2.SmsSender:
        request = getattr(pb, f"Set{self.rpc}Request")()
        sender = getattr(request, self.name)
        sender.id, sender.service_id, sender.is_default = sender_id, service_id, is_default
        setattr(sender, self.field, value)
        return getattr(getattr(self._stub, f"Set{self.rpc}")(request), self.name)  # type: ignore[no-any-return]

    def archive(self, service_id: str, sender_id: str) -> service_pb2.SmsSender:
        request = getattr(pb, f"Archive{self.rpc}Request")(
            service_id=service_id, **{f"{self.name}_id": sender_id}
        )
        return getattr(getattr(self._stub, f"Archive{self.rpc}")(request), self.name)  # type: ignore[no-any-return]


KINDS = {
    "sms": ("sms_sender", "sender", "sms_senders", "SmsSender", ["ALPHA", "BRAVO", "CHARLIE"]),
    "reply-to": (
        "reply_to_address",
        "email_address",
        "reply_to_addresses",
        "ReplyToAddress",
        ["a@example.gov.uk", "b@example.gov.uk", "c@example.gov.uk"],
    ),
    "contact": (
        "letter_contact",
        "contact_block",
        "letter_contacts",
        "LetterContact",
        ["A\nEX1 1AA", "B\nEX1 1AA", "C\nEX1 1AA"],
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, admin: Admin) -> Kind:
    return Kind(admin, *KINDS[request.param])


def refused(call: object, *arguments: object, **keywords: object) -> str:
    with pytest.raises(NotifyError) as caught:
        call(*arguments, **keywords)  # type: ignore[operator]
    return caught.value.reason


def test_new_default_takes_the_place_of_the_old(service: service_pb2.Service, kind: Kind) -> None:
    first, second, third = kind.values
    kind.create(service.id, first, is_default=True)
    kind.create(service.id, second)
    assert kind.create(service.id, third, is_default=True).is_default
    listed = kind.list(service.id)
    assert listed[0] == (third, True)
    assert [value for value, is_default in listed if is_default] == [third]
    assert {first, second} <= {value for value, _ in listed}


def test_lists_in_pages_that_join(service: service_pb2.Service, kind: Kind) -> None:
    for value in kind.values:
        kind.create(service.id, value, is_default=value == kind.values[0])
    everything = kind.list(service.id)
    paged, token = [], ""
    for _ in everything:
        paged += kind.list(service.id, page_size=1, page_token=token)
        token = kind.token
    assert paged == everything
    assert token == ""


def test_repeat_gets_the_same_and_other_content_is_refused(service: service_pb2.Service, kind: Kind) -> None:
    request_id = new_id()
    first = kind.create(service.id, kind.values[0], is_default=True, request_id=request_id)
    assert first.id == request_id
    assert kind.create(service.id, kind.values[0], is_default=True, request_id=request_id) == first
    assert refused(kind.create, service.id, kind.values[1], request_id=request_id) == "REQUEST_ID_REUSED"


def test_another_services_sender_is_not_found(admin: Admin, service: service_pb2.Service, kind: Kind) -> None:
    other = admin.make_service("Other")
    made = kind.create(service.id, kind.values[0], is_default=True)
    assert refused(kind.archive, other.id, made.id) == "SENDER_NOT_FOUND"
    request_of_another = refused(kind.create, other.id, kind.values[1], is_default=True, request_id=made.id)
    assert request_of_another == "REQUEST_ID_REUSED"


def test_unknown_service_is_not_found(kind: Kind, unknown: str) -> None:
    assert refused(kind.create, unknown, kind.values[0]) == "SERVICE_NOT_FOUND"
    assert refused(kind.list, unknown) == "SERVICE_NOT_FOUND"


def test_archived_one_is_listed_no_more_and_archiving_twice_is_no_error(
    service: service_pb2.Service, kind: Kind
) -> None:
    kind.create(service.id, kind.values[0], is_default=True)
    made = kind.create(service.id, kind.values[1])
    archived = kind.archive(service.id, made.id)
    assert archived.archived
    assert kind.archive(service.id, made.id) == archived
    assert kind.values[1] not in [value for value, _ in kind.list(service.id)]


def test_every_change_is_told(admin: Admin, service: service_pb2.Service, kind: Kind) -> None:
    kind.create(service.id, kind.values[0], is_default=True)
    cursor = admin.cursor()
    made = kind.create(service.id, kind.values[1])
    kind.archive(service.id, made.id)
    kind.archive(service.id, made.id)
    marker = admin.make_service("Marker")
    changes = admin.wait_for_changes(cursor, 3)
    assert changes == [("KIND_SERVICE", service.id, "")] * 2 + [("KIND_SERVICE", marker.id, "")]


def test_set_makes_the_default_and_tells(admin: Admin, service: service_pb2.Service, kind: Kind) -> None:
    kind.create(service.id, kind.values[0], is_default=True)
    made = kind.create(service.id, kind.values[1])
    assert not made.HasField("update_time")
    cursor = admin.cursor()
    changed = kind.set(service.id, made.id, kind.values[2], is_default=True)
    assert (getattr(changed, kind.field), changed.is_default, changed.id) == (kind.values[2], True, made.id)
    assert changed.HasField("update_time")
    assert [value for value, is_default in kind.list(service.id) if is_default] == [kind.values[2]]
    assert admin.wait_for_changes(cursor, 1) == [("KIND_SERVICE", service.id, "")]


def test_set_refuses_what_is_not_there_or_not_allowed(
    admin: Admin, service: service_pb2.Service, kind: Kind, unknown: str
) -> None:
    made = kind.create(service.id, kind.values[0], is_default=True)
    other = admin.make_service("Other")
    assert refused(kind.set, service.id, unknown, kind.values[1], is_default=True) == "SENDER_NOT_FOUND"
    assert refused(kind.set, other.id, made.id, kind.values[1], is_default=True) == "SENDER_NOT_FOUND"
    assert refused(kind.set, service.id, made.id, "", is_default=True) == "INVALID_FIELD"
    if kind.name == "letter_contact":
        assert not kind.set(service.id, made.id, kind.values[1], is_default=False).is_default
    else:
        assert refused(kind.set, service.id, made.id, kind.values[1], is_default=False) == "DEFAULT_NEEDED"


def test_of_many_who_become_the_default_one_is(service: service_pb2.Service, kind: Kind) -> None:
    kind.create(service.id, kind.values[0], is_default=True)
    ids = [kind.create(service.id, value).id for value in kind.values[1:]]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda i: kind.set(service.id, ids[i % 2], kind.values[1 + i % 2], is_default=True), range(8)
            )
        )
    assert [is_default for _, is_default in kind.list(service.id)].count(True) == 1


def test_inbound_number_is_neither_renamed_nor_archived(
    admin: Admin, service: service_pb2.Service, uow: UnitOfWork
) -> None:
    sms = Kind(admin, *KINDS["sms"])
    made = sms.create(service.id, "07700900500")
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE sms_senders SET inbound_number_id = id WHERE id = :id"), {"id": made.id})
    assert refused(sms.set, service.id, made.id, "OTHER", is_default=False) == "INBOUND_NUMBER_FIXED"
    assert refused(sms.archive, service.id, made.id) == "INBOUND_NUMBER_FIXED"
    assert sms.set(service.id, made.id, "07700900500", is_default=True).is_default


def test_changed_contact_block_makes_versions_of_the_letters_that_use_it(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    contacts = Kind(admin, *KINDS["contact"])
    contact = contacts.create(service.id, "A\nEX1 1AA")
    letter = admin.make_template(
        service.id, user_id, channel=common_pb2.CHANNEL_LETTER, subject="S", letter_contact_id=contact.id
    )
    contacts.set(service.id, contact.id, "B\nEX1 1AA", is_default=True)
    assert admin.get_template(letter).letter_contact_block == "B\nEX1 1AA"
    assert admin.get_template(letter, version=1).letter_contact_block == "A\nEX1 1AA"
    contacts.set(service.id, contact.id, "B\nEX1 1AA", is_default=False)
    assert admin.get_template(letter).version == 2


def test_reply_to_address_is_there_but_once(admin: Admin, service: service_pb2.Service) -> None:
    reply_to = Kind(admin, *KINDS["reply-to"])
    first = reply_to.create(service.id, "a@example.gov.uk", is_default=True)
    assert refused(reply_to.create, service.id, "a@example.gov.uk") == "NAME_TAKEN"
    second = reply_to.create(service.id, "b@example.gov.uk")
    assert refused(reply_to.set, service.id, second.id, "a@example.gov.uk", is_default=False) == "NAME_TAKEN"
    assert reply_to.set(service.id, first.id, "a@example.gov.uk", is_default=True).is_default


def test_default_text_sender_can_not_be_archived(admin: Admin, service: service_pb2.Service) -> None:
    sms = Kind(admin, *KINDS["sms"])
    default = sms.create(service.id, "ALPHA", is_default=True)
    assert refused(sms.archive, service.id, default.id) == "DEFAULT_SENDER"
    assert sms.list(service.id)[0] == ("ALPHA", True)


def test_first_reply_to_must_be_the_default_and_leaves_last(
    admin: Admin, service: service_pb2.Service
) -> None:
    reply_to = Kind(admin, *KINDS["reply-to"])
    assert refused(reply_to.create, service.id, "a@example.gov.uk") == "DEFAULT_NEEDED"
    first = reply_to.create(service.id, "a@example.gov.uk", is_default=True)
    second = reply_to.create(service.id, "b@example.gov.uk")
    assert not second.is_default
    assert refused(reply_to.archive, service.id, first.id) == "DEFAULT_SENDER"
    reply_to.archive(service.id, second.id)
    reply_to.archive(service.id, first.id)
    assert reply_to.list(service.id) == []
    assert refused(reply_to.create, service.id, "c@example.gov.uk") == "DEFAULT_NEEDED"


def test_archived_contact_block_leaves_the_templates_in_a_new_version(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    contacts = Kind(admin, *KINDS["contact"])
    contact = contacts.create(service.id, "Team\nEX1 1AA")
    letter = admin.make_template(
        service.id, user_id, channel=common_pb2.CHANNEL_LETTER, subject="S", letter_contact_id=contact.id
    )
    other = admin.make_template(service.id, user_id)
    cursor = admin.cursor()
    contacts.archive(service.id, contact.id)
    current = admin.get_template(letter)
    assert (current.version, current.letter_contact_id, current.letter_contact_block) == (2, "", "")
    assert admin.get_template(letter, version=1).letter_contact_block == "Team\nEX1 1AA"
    assert admin.get_template(other).version == 1
    assert ("KIND_TEMPLATE", service.id, letter.id) in admin.wait_for_changes(cursor, 2)


@pytest.mark.parametrize("value", ["", "00x", "é" * 5])
def test_bad_value_is_refused_and_nothing_written(
    admin: Admin, service: service_pb2.Service, value: str
) -> None:
    sms = Kind(admin, *KINDS["sms"])
    assert refused(sms.create, service.id, value) == "INVALID_FIELD"
    assert len(sms.list(service.id)) == 1


def test_no_more_than_a_snapshot_holds(admin: Admin, service: service_pb2.Service) -> None:
    reply_to = Kind(admin, *KINDS["reply-to"])
    for number in range(250):
        last = new_id()
        is_default = number == 0
        reply_to.create(service.id, f"a{number}@example.gov.uk", request_id=last, is_default=is_default)
    assert refused(reply_to.create, service.id, "more@example.gov.uk") == "TOO_MANY"
    reply_to.create(service.id, "a249@example.gov.uk", request_id=last)
