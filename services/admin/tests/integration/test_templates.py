"""TemplatesService over the wire."""

from functools import partial
from typing import Any

import pytest
from notify.admin.v1.service_pb2 import Service
from notify.admin.v1.template_pb2 import Template
from notify.common.v1.common_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_LETTER,
    CHANNEL_SMS,
    POSTAGE_FIRST,
    POSTAGE_SECOND,
)
from notify_common.ids import new_id
from notify_testing.calls import at_once, reason

from .conftest import Admin


def versions(admin: Admin, template: Template) -> list[Template]:
    return admin.every("ListTemplateVersions", service_id=template.service_id, template_id=template.id)


def names(admin: Admin, service_id: str, channel: Any = 0) -> list[str]:
    return [each.name for each in admin.every("ListTemplates", service_id=service_id, channel=channel)]


def edit(template: Template, **fields: Any) -> Template:
    """Return what changes some fields of the first version of a template."""
    return Template(id=template.id, service_id=template.service_id, **{"version": 1, **fields})


def test_creates_each_kind(admin: Admin, service: Service, user_id: str) -> None:
    text = admin.make_template(service.id, user_id)
    assert (text.version, text.archived, text.hidden) == (1, False, False)
    assert (text.created_by_id, text.created_by_email_address) == (user_id, "ann@example.gov.uk")
    assert not text.HasField("update_time")
    subject = "About ((thing))"
    email = admin.make_template(
        service.id, user_id, channel=CHANNEL_EMAIL, subject=subject, has_unsubscribe_link=True
    )
    assert email.has_unsubscribe_link
    welsh = {"welsh_subject": "Am ((thing))", "welsh_content": "Annwyl ((name))"}
    letter = admin.make_template(service.id, user_id, channel=CHANNEL_LETTER, subject=subject, **welsh)
    assert letter.postage == POSTAGE_SECOND
    for template in (text, email, letter):
        assert admin.get_template(template) == template


def test_letter_has_the_contact_block_that_is_named_alone(
    admin: Admin, service: Service, user_id: str
) -> None:
    contact = {"service_id": service.id, "contact_block": "Default\nEX1 1AA", "is_default": True}
    contact_id = admin.CreateLetterContact(letter_contact=contact).id
    assert not admin.make_template(service.id, user_id, channel=CHANNEL_LETTER).letter_contact_id
    named = admin.make_template(service.id, user_id, channel=CHANNEL_LETTER, letter_contact_id=contact_id)
    assert named.letter_contact_block == "Default\nEX1 1AA"
    named.letter_contact_id = ""
    cleared = admin.update_template(named, user_id, "letter_contact_id")
    assert (cleared.letter_contact_id, cleared.letter_contact_block) == ("", "")


def test_contact_block_of_another_service_is_not_found(admin: Admin, service: Service, user_id: str) -> None:
    contact = {"service_id": admin.make_service("Other").id, "contact_block": "Theirs"}
    letter = {
        "channel": CHANNEL_LETTER,
        "letter_contact_id": admin.CreateLetterContact(letter_contact=contact).id,
    }
    assert reason(admin.make_template, service.id, user_id, **letter) == "SENDER_NOT_FOUND"
    assert names(admin, service.id) == []


def test_repeat_gets_the_same_and_other_content_is_refused(
    admin: Admin, service: Service, user_id: str
) -> None:
    template = {"name": "A", "channel": CHANNEL_SMS, "content": "B", "service_id": service.id}
    create = partial(admin.CreateTemplate, request_id=new_id())
    first = create(template={**template, "created_by_id": user_id})
    assert create(template={**template, "created_by_id": user_id}) == first
    other = {**template, "created_by_id": user_id, "content": "C"}
    assert reason(create, template=other) == "REQUEST_ID_REUSED"
    assert [version.content for version in versions(admin, first)] == ["B"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"channel": 77}, "INVALID_FIELD"),
        ({"content": "a\0b"}, "INVALID_FIELD"),
        ({"created_by_id": "00000000-0000-0000-0000-000000000001"}, "USER_NOT_FOUND"),
    ],
)
def test_bad_template_is_refused_and_nothing_written(
    admin: Admin, service: Service, user_id: str, fields: dict[str, Any], expected: str
) -> None:
    assert reason(admin.make_template, service.id, user_id, **fields) == expected
    assert names(admin, service.id) == []


def test_channel_must_be_among_the_services_permissions(admin: Admin, user_id: str) -> None:
    service = admin.make_service(permissions=["sms"])
    template = admin.make_template(service.id, user_id)
    refused = reason(admin.make_template, service.id, user_id, channel=CHANNEL_EMAIL)
    assert refused == "CHANNEL_NOT_ALLOWED"
    service.permissions[:] = ["email"]
    admin.update_service(service, "permissions")
    template.content = "New"
    assert reason(admin.update_template, template, user_id, "content") == "CHANNEL_NOT_ALLOWED"


def test_update_makes_a_version_and_leaves_the_old_one(admin: Admin, service: Service, user_id: str) -> None:
    first = admin.make_template(service.id, user_id)
    editor = admin.make_user("Bob", "bob@example.gov.uk")
    cursor = admin.cursor()
    wanted = edit(first, content="Goodbye ((name))", name="Ignored")
    second = admin.update_template(wanted, editor, "content")
    assert (second.version, second.content, second.name) == (2, "Goodbye ((name))", "Reminder")
    assert (second.created_by_id, second.create_time) == (user_id, first.create_time)
    assert second.HasField("update_time")
    assert admin.get_template(first) == second
    assert admin.get_template(first, version=1) == first
    assert versions(admin, first) == [second, first]
    assert admin.wait_for_changes(cursor, 1) == [("KIND_TEMPLATE", service.id, first.id)]


def test_update_without_a_difference_makes_the_version_that_is_asked_for_alone(
    admin: Admin, service: Service, user_id: str
) -> None:
    first = admin.make_template(service.id, user_id)
    assert admin.update_template(first, user_id, "content", "name") == first
    assert versions(admin, first) == [first]
    second = admin.update_template(first, user_id, makes_version=True)
    assert (second.version, second.name, second.content) == (2, first.name, first.content)
    assert versions(admin, first) == [second, first]


@pytest.mark.parametrize(
    ("change", "paths", "expected"),
    [
        ({"version": 7, "content": "New"}, ["content"], "STALE_VERSION"),
        ({"content": "x" * 919}, ["content"], "MESSAGE_TOO_LONG"),
        ({"channel": CHANNEL_EMAIL}, ["channel"], "INVALID_FIELD"),
        ({}, [], "INVALID_FIELD"),
        ({"postage": POSTAGE_FIRST}, ["postage"], "INVALID_FIELD"),
    ],
)
def test_bad_update_changes_nothing(
    admin: Admin, service: Service, user_id: str, change: dict[str, Any], paths: list[str], expected: str
) -> None:
    template = admin.make_template(service.id, user_id)
    assert reason(admin.update_template, edit(template, **change), user_id, *paths) == expected
    assert versions(admin, template) == [template]


def test_of_many_who_change_one_version_one_wins(admin: Admin, service: Service, user_id: str) -> None:
    template = admin.make_template(service.id, user_id)
    edits = [edit(template, content=f"Edit {number}") for number in range(8)]
    results = at_once(partial(admin.update_template, each, user_id, "content") for each in edits)
    assert results.count("STALE_VERSION") == 7
    assert [version.version for version in versions(admin, template)] == [2, 1]


def test_archived_template_can_be_read_but_not_changed(admin: Admin, service: Service, user_id: str) -> None:
    template = admin.make_template(service.id, user_id)
    archived = admin.archive_template(template, user_id)
    assert (archived.archived, archived.version) == (True, 2)
    assert admin.archive_template(template, user_id) == archived
    assert names(admin, service.id) == []
    assert admin.get_template(template) == archived
    archived.content = "New"
    assert reason(admin.update_template, archived, user_id, "content") == "TEMPLATE_ARCHIVED"


def test_lists_by_name_then_channel_in_pages_that_join(admin: Admin, service: Service, user_id: str) -> None:
    for name, channel in (("B", 2), ("A", 2), ("A", 1), ("C", 1), ("B", 1)):
        admin.make_template(service.id, user_id, name=name, channel=channel)
    pages = admin.pages("ListTemplates", service_id=service.id, page_size=2)
    found = [[(template.name, template.channel) for template in page] for page in pages]
    assert found == [[("A", 2), ("A", 1)], [("B", 2), ("B", 1)], [("C", 1)]]
    assert names(admin, service.id, CHANNEL_SMS) == ["A", "B", "C"]
    assert names(admin, admin.make_service("Empty").id) == []


def test_page_of_large_templates_ends_where_an_answer_is_full(
    admin: Admin, service: Service, user_id: str
) -> None:
    long = {"channel": CHANNEL_EMAIL, "content": "x" * 1_990_000}
    made = [admin.make_template(service.id, user_id, name=name, **long).id for name in "abc"]
    pages = admin.pages("ListTemplates", service_id=service.id)
    assert [[template.id for template in page] for page in pages] == [made[:2], made[2:]]


def test_list_of_an_unknown_service_is_not_found(admin: Admin, unknown: str) -> None:
    assert reason(names, admin, unknown) == "SERVICE_NOT_FOUND"
