"""Text senders, reply-to addresses and letter contact blocks over the wire."""

from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from notify.admin.v1.service_pb2 import Service
from notify.common.v1.common_pb2 import CHANNEL_LETTER
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason

from .conftest import Admin


class Kind:
    """The methods of one kind of sender of one service: text senders."""

    name, field, rpc, plural = "sms_sender", "sender", "SmsSender", "SmsSenders"
    values = ("ALPHA", "BRAVO", "CHARLIE")

    def __init__(self, admin: Admin, service_id: str) -> None:
        self._admin, self.service_id = admin, service_id

    def of(self, service_id: str) -> "Kind":
        """Return those of another service."""
        return type(self)(self._admin, service_id)

    def create(self, value: str, is_default: bool = False, **request: str) -> Any:
        """Return a new one."""
        given = {"service_id": self.service_id, self.field: value, "is_default": is_default}
        return self._call("Create", **{self.name: given}, **request)

    def set(self, sender_id: str, value: str, is_default: bool) -> Any:
        """Return it as it is then."""
        given = {"id": sender_id, "service_id": self.service_id, "is_default": is_default}
        return self._call("Set", **{self.name: {**given, self.field: value}})

    def archive(self, sender_id: str) -> Any:
        """Return it as it is then."""
        return self._call("Archive", **{"service_id": self.service_id, f"{self.name}_id": sender_id})

    def pages(self, **paging: Any) -> list[list[tuple[str, bool]]]:
        """Return value and whether it is the default of all, page by page."""
        found = self._admin.pages(f"List{self.plural}", service_id=self.service_id, **paging)
        return [[(getattr(each, self.field), each.is_default) for each in page] for page in found]

    def listed(self) -> list[tuple[str, bool]]:
        """Return the same in one list."""
        return [each for page in self.pages() for each in page]

    def defaults(self) -> list[str]:
        """Return the values of the default ones."""
        return [value for value, is_default in self.listed() if is_default]

    def _call(self, verb: str, **fields: Any) -> Any:
        return getattr(self._admin, f"{verb}{self.rpc}")(**fields)


class ReplyTo(Kind):
    """Reply-to addresses."""

    name, field, rpc, plural = "reply_to_address", "email_address", "ReplyToAddress", "ReplyToAddresses"
    values = ("a@example.gov.uk", "b@example.gov.uk", "c@example.gov.uk")


class Contact(Kind):
    """Contact blocks."""

    name, field, rpc, plural = "letter_contact", "contact_block", "LetterContact", "LetterContacts"
    values = ("A\nEX1 1AA", "B\nEX1 1AA", "C\nEX1 1AA")


@pytest.fixture(params=[Kind, ReplyTo, Contact], ids=["sms", "reply-to", "contact"])
def kind(request: pytest.FixtureRequest, admin: Admin, service: Service) -> Kind:
    """Provide each kind."""
    made: Kind = request.param(admin, service.id)
    return made


@pytest.fixture
def sms(admin: Admin, service: Service) -> Kind:
    """Provide text senders."""
    return Kind(admin, service.id)


@pytest.fixture
def reply_to(admin: Admin, service: Service) -> Kind:
    """Provide reply-to addresses."""
    return ReplyTo(admin, service.id)


@pytest.fixture
def contacts(admin: Admin, service: Service) -> Kind:
    """Provide contact blocks."""
    return Contact(admin, service.id)


def test_new_default_takes_the_place_of_the_old(kind: Kind) -> None:
    first, second, third = kind.values
    kind.create(first, True)
    kind.create(second)
    assert kind.create(third, True).is_default
    listed = kind.listed()
    assert listed[0] == (third, True)
    assert kind.defaults() == [third]
    assert {first, second} <= {value for value, _ in listed}


def test_lists_in_pages_that_join(kind: Kind) -> None:
    for value in kind.values:
        kind.create(value, value == kind.values[0])
    assert kind.pages(page_size=1) == [[each] for each in kind.listed()]


def test_repeat_gets_the_same_and_other_content_is_refused(kind: Kind) -> None:
    create, request_id = partial(kind.create, is_default=True), new_id()
    first = create(kind.values[0], request_id=request_id)
    assert first.id == request_id
    assert create(kind.values[0], request_id=request_id) == first
    assert reason(kind.create, kind.values[1], request_id=request_id) == "REQUEST_ID_REUSED"


def test_another_services_sender_is_not_found(admin: Admin, kind: Kind) -> None:
    other = kind.of(admin.make_service("Other").id)
    made = kind.create(kind.values[0], True)
    assert reason(other.archive, made.id) == "SENDER_NOT_FOUND"
    assert reason(other.create, kind.values[1], True, request_id=made.id) == "REQUEST_ID_REUSED"


def test_unknown_service_is_not_found(kind: Kind, unknown: str) -> None:
    assert reason(kind.of(unknown).create, kind.values[0]) == "SERVICE_NOT_FOUND"
    assert reason(kind.of(unknown).listed) == "SERVICE_NOT_FOUND"


def test_archived_one_is_listed_no_more_and_every_change_is_told_once(admin: Admin, kind: Kind) -> None:
    kind.create(kind.values[0], True)
    cursor = admin.cursor()
    made = kind.create(kind.values[1])
    archived = kind.archive(made.id)
    assert archived.archived
    assert kind.archive(made.id) == archived
    assert kind.values[1] not in [value for value, _ in kind.listed()]
    assert admin.changes(cursor) == [("KIND_SERVICE", kind.service_id, "")] * 2


def test_set_makes_the_default_and_tells(admin: Admin, kind: Kind) -> None:
    kind.create(kind.values[0], True)
    made = kind.create(kind.values[1])
    assert not made.HasField("update_time")
    cursor = admin.cursor()
    changed = kind.set(made.id, kind.values[2], True)
    assert (getattr(changed, kind.field), changed.is_default, changed.id) == (kind.values[2], True, made.id)
    assert changed.HasField("update_time")
    assert kind.defaults() == [kind.values[2]]
    assert admin.wait_for_changes(cursor, 1) == [("KIND_SERVICE", kind.service_id, "")]


def test_set_refuses_what_is_not_there_or_not_allowed(admin: Admin, kind: Kind, unknown: str) -> None:
    made = kind.create(kind.values[0], True)
    other = kind.of(admin.make_service("Other").id)
    assert reason(kind.set, unknown, kind.values[1], True) == "SENDER_NOT_FOUND"
    assert reason(other.set, made.id, kind.values[1], True) == "SENDER_NOT_FOUND"
    assert reason(kind.set, made.id, "", True) == "INVALID_FIELD"
    if isinstance(kind, Contact):
        assert not kind.set(made.id, kind.values[1], False).is_default
    else:
        assert reason(kind.set, made.id, kind.values[1], False) == "DEFAULT_NEEDED"


def test_of_many_who_become_the_default_one_is(kind: Kind) -> None:
    kind.create(kind.values[0], True)
    made = [(kind.create(value).id, value) for value in kind.values[1:]]
    changed = at_once([partial(kind.set, *each, True) for each in made] * 4)
    assert {each.is_default for each in changed} == {True}
    assert len(kind.defaults()) == 1


def test_inbound_number_is_neither_renamed_nor_archived(sms: Kind, uow: UnitOfWork) -> None:
    made = sms.create("07700900500")
    with uow.begin() as tx:
        tx.execute(sa.text("UPDATE sms_senders SET inbound_number_id = id WHERE id = :id"), {"id": made.id})
    assert reason(sms.set, made.id, "OTHER", False) == "INBOUND_NUMBER_FIXED"
    assert reason(sms.archive, made.id) == "INBOUND_NUMBER_FIXED"
    assert sms.set(made.id, "07700900500", True).is_default


def test_changed_contact_block_makes_versions_of_the_letters_that_use_it(
    admin: Admin, contacts: Kind, user_id: str
) -> None:
    contact = contacts.create("A\nEX1 1AA").id
    uses_it = {"channel": CHANNEL_LETTER, "letter_contact_id": contact}
    letter = admin.make_template(contacts.service_id, user_id, **uses_it)
    contacts.set(contact, "B\nEX1 1AA", True)
    assert admin.get_template(letter).letter_contact_block == "B\nEX1 1AA"
    assert admin.get_template(letter, version=1).letter_contact_block == "A\nEX1 1AA"
    contacts.set(contact, "B\nEX1 1AA", False)
    assert admin.get_template(letter).version == 2


def test_archived_contact_block_leaves_the_templates_in_a_new_version(
    admin: Admin, contacts: Kind, user_id: str
) -> None:
    contact, service_id = contacts.create("Team\nEX1 1AA").id, contacts.service_id
    uses_it = {"channel": CHANNEL_LETTER, "letter_contact_id": contact}
    letter = admin.make_template(service_id, user_id, **uses_it)
    other = admin.make_template(service_id, user_id)
    cursor = admin.cursor()
    contacts.archive(contact)
    current = admin.get_template(letter)
    assert (current.version, current.letter_contact_id, current.letter_contact_block) == (2, "", "")
    assert admin.get_template(letter, version=1).letter_contact_block == "Team\nEX1 1AA"
    assert admin.get_template(other).version == 1
    assert ("KIND_TEMPLATE", service_id, letter.id) in admin.wait_for_changes(cursor, 2)


def test_reply_to_address_is_there_but_once(reply_to: Kind) -> None:
    first = reply_to.create("a@example.gov.uk", True)
    assert reason(reply_to.create, "a@example.gov.uk") == "NAME_TAKEN"
    second = reply_to.create("b@example.gov.uk")
    assert reason(reply_to.set, second.id, "a@example.gov.uk", False) == "NAME_TAKEN"
    assert reply_to.set(first.id, "a@example.gov.uk", True).is_default


def test_first_reply_to_must_be_the_default_and_leaves_last(reply_to: Kind) -> None:
    assert reason(reply_to.create, "a@example.gov.uk") == "DEFAULT_NEEDED"
    first = reply_to.create("a@example.gov.uk", True)
    second = reply_to.create("b@example.gov.uk")
    assert not second.is_default
    assert reason(reply_to.archive, first.id) == "DEFAULT_SENDER"
    reply_to.archive(second.id)
    reply_to.archive(first.id)
    assert reply_to.listed() == []
    assert reason(reply_to.create, "c@example.gov.uk") == "DEFAULT_NEEDED"


@pytest.mark.parametrize("value", ["", "00x", "é" * 5])
def test_bad_value_is_refused_and_nothing_written(sms: Kind, value: str) -> None:
    assert reason(sms.create, value) == "INVALID_FIELD"
    assert len(sms.listed()) == 1


def test_no_more_than_a_snapshot_holds(reply_to: Kind) -> None:
    for number in range(250):
        made = reply_to.create(f"a{number}@example.gov.uk", number == 0)
    assert reason(reply_to.create, "more@example.gov.uk") == "TOO_MANY"
    reply_to.create("a249@example.gov.uk", request_id=made.id)
