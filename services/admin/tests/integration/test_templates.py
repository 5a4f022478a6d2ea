"""TemplatesService over the wire."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from notify.admin.v1 import service_pb2, services_service_pb2, template_pb2, templates_service_pb2
from notify.common.v1 import common_pb2
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .conftest import Admin


@pytest.fixture
def service(admin: Admin) -> service_pb2.Service:
    return admin.make_service()


def versions(admin: Admin, template: template_pb2.Template) -> list[template_pb2.Template]:
    request = templates_service_pb2.ListTemplateVersionsRequest(
        service_id=template.service_id, template_id=template.id
    )
    return list(admin.templates.ListTemplateVersions(request).templates)


def names(admin: Admin, service_id: str, channel: Any = 0) -> list[str]:
    request = templates_service_pb2.ListTemplatesRequest(service_id=service_id, channel=channel)
    return [template.name for template in admin.templates.ListTemplates(request).templates]


def archive(admin: Admin, template: template_pb2.Template, user_id: str) -> template_pb2.Template:
    request = templates_service_pb2.ArchiveTemplateRequest(
        service_id=template.service_id, template_id=template.id, archived_by_id=user_id
    )
    answer: template_pb2.Template = admin.templates.ArchiveTemplate(request).template
    return answer


def test_creates_each_kind(admin: Admin, service: service_pb2.Service, user_id: str) -> None:
    text = admin.make_template(service.id, user_id)
    assert (text.version, text.archived, text.hidden) == (1, False, False)
    assert (text.created_by_id, text.created_by_email_address) == (user_id, "ann@example.gov.uk")
    assert not text.HasField("update_time")
    email = admin.make_template(
        service.id,
        user_id,
        channel=common_pb2.CHANNEL_EMAIL,
        subject="About ((thing))",
        has_unsubscribe_link=True,
    )
    assert email.has_unsubscribe_link
    letter = admin.make_template(
        service.id,
        user_id,
        channel=common_pb2.CHANNEL_LETTER,
        subject="About ((thing))",
        welsh_subject="Am ((thing))",
        welsh_content="Annwyl ((name))",
    )
    assert letter.postage == common_pb2.POSTAGE_SECOND
    for template in (text, email, letter):
        assert admin.get_template(template) == template


def test_letter_has_the_contact_block_that_is_named_alone(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    contact = service_pb2.LetterContact(
        service_id=service.id, contact_block="Default\nEX1 1AA", is_default=True
    )
    request = services_service_pb2.CreateLetterContactRequest(request_id=new_id(), letter_contact=contact)
    contact_id = admin.services.CreateLetterContact(request).letter_contact.id
    letter = {"channel": common_pb2.CHANNEL_LETTER, "subject": "S"}
    assert not admin.make_template(service.id, user_id, **letter).letter_contact_id
    named = admin.make_template(service.id, user_id, letter_contact_id=contact_id, **letter)
    assert named.letter_contact_block == "Default\nEX1 1AA"
    named.letter_contact_id = ""
    cleared = admin.update_template(named, user_id, "letter_contact_id")
    assert (cleared.letter_contact_id, cleared.letter_contact_block) == ("", "")


def test_contact_block_of_another_service_is_not_found(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    other = admin.make_service("Other")
    contact = service_pb2.LetterContact(service_id=other.id, contact_block="Theirs")
    request = services_service_pb2.CreateLetterContactRequest(request_id=new_id(), letter_contact=contact)
    theirs = admin.services.CreateLetterContact(request).letter_contact.id
    with pytest.raises(NotifyError) as caught:
        admin.make_template(
            service.id, user_id, channel=common_pb2.CHANNEL_LETTER, subject="S", letter_contact_id=theirs
        )
    assert caught.value.reason == "SENDER_NOT_FOUND"
    assert names(admin, service.id) == []


def test_repeat_gets_the_same_and_other_content_is_refused(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    template = template_pb2.Template(
        name="A", channel=common_pb2.CHANNEL_SMS, content="B", service_id=service.id, created_by_id=user_id
    )
    request = templates_service_pb2.CreateTemplateRequest(request_id=new_id(), template=template)
    first = admin.templates.CreateTemplate(request).template
    assert admin.templates.CreateTemplate(request).template == first
    request.template.content = "C"
    with pytest.raises(NotifyError) as caught:
        admin.templates.CreateTemplate(request)
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert [version.content for version in versions(admin, first)] == ["B"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channel": 0}, "INVALID_FIELD"),
        ({"channel": 77}, "INVALID_FIELD"),
        ({"name": ""}, "INVALID_FIELD"),
        ({"content": ""}, "INVALID_FIELD"),
        ({"content": "a\0b"}, "INVALID_FIELD"),
        ({"subject": "texts have none"}, "INVALID_FIELD"),
        ({"content": "x" * 919}, "MESSAGE_TOO_LONG"),
        (
            {"channel": common_pb2.CHANNEL_EMAIL, "subject": "S", "content": "x" * 2_097_153},
            "MESSAGE_TOO_LONG",
        ),
        (
            {"channel": common_pb2.CHANNEL_LETTER, "subject": "S", "content": "qr: " + "x" * 600},
            "QR_CODE_TOO_LONG",
        ),
        ({"created_by_id": "00000000-0000-0000-0000-000000000001"}, "USER_NOT_FOUND"),
        ({"service_id": "00000000-0000-0000-0000-000000000001"}, "SERVICE_NOT_FOUND"),
    ],
)
def test_bad_template_is_refused_and_nothing_written(
    admin: Admin, service: service_pb2.Service, user_id: str, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotifyError) as caught:
        admin.make_template(service.id, user_id, **fields)
    assert caught.value.reason == reason
    assert names(admin, service.id) == []


def test_channel_must_be_among_the_services_permissions(admin: Admin, user_id: str) -> None:
    service = admin.make_service(permissions=["sms"])
    template = admin.make_template(service.id, user_id)
    with pytest.raises(NotifyError) as caught:
        admin.make_template(service.id, user_id, channel=common_pb2.CHANNEL_EMAIL, subject="S")
    assert caught.value.reason == "CHANNEL_NOT_ALLOWED"
    service.permissions[:] = ["email"]
    admin.update_service(service, "permissions")
    template.content = "New"
    with pytest.raises(NotifyError) as caught:
        admin.update_template(template, user_id, "content")
    assert caught.value.reason == "CHANNEL_NOT_ALLOWED"


def test_update_makes_a_version_and_leaves_the_old_one(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    first = admin.make_template(service.id, user_id)
    editor = admin.make_user("Bob", "bob@example.gov.uk")
    cursor = admin.cursor()
    wanted = template_pb2.Template(
        id=first.id, service_id=service.id, version=1, content="Goodbye ((name))", name="Ignored"
    )
    second = admin.update_template(wanted, editor, "content")
    assert (second.version, second.content, second.name) == (2, "Goodbye ((name))", "Reminder")
    assert second.created_by_id == user_id
    assert second.create_time == first.create_time
    assert second.HasField("update_time")
    assert admin.get_template(first) == second
    assert admin.get_template(first, version=1) == first
    assert versions(admin, first) == [second, first]
    assert admin.wait_for_changes(cursor, 1) == [("KIND_TEMPLATE", service.id, first.id)]


def test_update_without_a_difference_makes_no_version(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    first = admin.make_template(service.id, user_id)
    assert admin.update_template(first, user_id, "content", "name") == first
    assert len(versions(admin, first)) == 1


def test_update_without_a_difference_makes_the_version_that_is_asked_for(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    first = admin.make_template(service.id, user_id)
    ask = templates_service_pb2.UpdateTemplateRequest(
        template=first, updated_by_id=user_id, makes_version=True
    )
    second = admin.templates.UpdateTemplate(ask).template
    assert (second.version, second.name, second.content) == (2, first.name, first.content)
    assert versions(admin, first) == [second, first]


@pytest.mark.parametrize(
    ("change", "paths", "reason"),
    [
        ({"version": 7, "content": "New"}, ["content"], "STALE_VERSION"),
        ({"content": "x" * 919}, ["content"], "MESSAGE_TOO_LONG"),
        ({"content": ""}, ["content"], "INVALID_FIELD"),
        ({"channel": common_pb2.CHANNEL_EMAIL}, ["channel"], "INVALID_FIELD"),
        ({}, [], "INVALID_FIELD"),
        ({"postage": common_pb2.POSTAGE_FIRST}, ["postage"], "INVALID_FIELD"),
    ],
)
def test_bad_update_changes_nothing(
    admin: Admin,
    service: service_pb2.Service,
    user_id: str,
    change: dict[str, Any],
    paths: list[str],
    reason: str,
) -> None:
    template = admin.make_template(service.id, user_id)
    values: dict[str, Any] = {"id": template.id, "service_id": service.id, "version": 1}
    wanted = template_pb2.Template(**(values | change))
    with pytest.raises(NotifyError) as caught:
        admin.update_template(wanted, user_id, *paths)
    assert caught.value.reason == reason
    assert versions(admin, template) == [template]


def test_of_many_who_change_one_version_one_wins(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    template = admin.make_template(service.id, user_id)

    def attempt(number: int) -> str:
        wanted = template_pb2.Template(
            id=template.id, service_id=service.id, version=1, content=f"Edit {number}"
        )
        try:
            admin.update_template(wanted, user_id, "content")
        except NotifyError as error:
            return error.reason
        return "won"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(8)))
    assert sorted(results) == ["STALE_VERSION"] * 7 + ["won"]
    assert [version.version for version in versions(admin, template)] == [2, 1]


def test_archived_template_can_be_read_but_not_changed(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    template = admin.make_template(service.id, user_id)
    archived = archive(admin, template, user_id)
    assert (archived.archived, archived.version) == (True, 2)
    assert archive(admin, template, user_id) == archived
    assert names(admin, service.id) == []
    assert admin.get_template(template) == archived
    archived.content = "New"
    with pytest.raises(NotifyError) as caught:
        admin.update_template(archived, user_id, "content")
    assert caught.value.reason == "TEMPLATE_ARCHIVED"


def test_another_services_template_is_not_found(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    template = admin.make_template(service.id, user_id)
    template.service_id = admin.make_service("Other").id
    for call in (
        lambda: admin.get_template(template),
        lambda: admin.get_template(template, version=1),
        lambda: versions(admin, template),
        lambda: archive(admin, template, user_id),
        lambda: admin.update_template(template, user_id, "content"),
    ):
        with pytest.raises(NotifyError) as caught:
            call()
        assert caught.value.reason == "TEMPLATE_NOT_FOUND"


def test_version_that_there_is_not_is_not_found(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    template = admin.make_template(service.id, user_id)
    with pytest.raises(NotifyError) as caught:
        admin.get_template(template, version=2)
    assert caught.value.reason == "TEMPLATE_NOT_FOUND"


def test_lists_by_name_then_channel_in_pages_that_join(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    for name, channel in (("B", 2), ("A", 2), ("A", 1), ("C", 1), ("B", 1)):
        subject = "S" if channel == common_pb2.CHANNEL_EMAIL else ""
        admin.make_template(service.id, user_id, name=name, channel=channel, subject=subject)
    found: list[tuple[str, int]] = []
    token = ""
    for _ in range(3):
        page = admin.templates.ListTemplates(
            templates_service_pb2.ListTemplatesRequest(service_id=service.id, page_size=2, page_token=token)
        )
        found += [(template.name, template.channel) for template in page.templates]
        token = page.next_page_token
    assert found == [("A", 2), ("A", 1), ("B", 2), ("B", 1), ("C", 1)]
    assert token == ""
    assert names(admin, service.id, common_pb2.CHANNEL_SMS) == ["A", "B", "C"]
    assert names(admin, admin.make_service("Empty").id) == []


def test_page_of_large_templates_ends_where_an_answer_is_full(
    admin: Admin, service: service_pb2.Service, user_id: str
) -> None:
    fields: dict[str, Any] = {
        "channel": common_pb2.CHANNEL_EMAIL,
        "subject": "Long",
        "content": "x" * 1_990_000,
    }
    made = [admin.make_template(service.id, user_id, name=name, **fields) for name in "abc"]
    request = templates_service_pb2.ListTemplatesRequest(service_id=service.id)
    pages = [admin.templates.ListTemplates(request)]
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(admin.templates.ListTemplates(request))
    assert [[template.id for template in page.templates] for page in pages] == [
        [made[0].id, made[1].id],
        [made[2].id],
    ]


def test_list_of_an_unknown_service_is_not_found(admin: Admin, unknown: str) -> None:
    with pytest.raises(NotifyError) as caught:
        names(admin, unknown)
    assert caught.value.reason == "SERVICE_NOT_FOUND"
