"""Accepting emails and letters through gRPC (public-api.md §2.4, §2.6), and previews (§3.5)."""

from typing import Any

import pytest
from notify.common.v1 import common_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common.errors import NotifyError
from notify_common.ids import new_id
from notify_content.emails import EmailTemplate
from notify_testing.waiting import WAIT_SECONDS

from .conftest import World
from .requests import ADDRESS, FILE, email, fields, letter, sms

TOO_FEW_LINES = {"problem": "Address must be at least 3 lines"}


def test_an_email_answers_its_wording(world: World) -> None:
    service = world.admin.add_service(email_sender_local_part="pigeons")
    template = world.admin.add_template(service, "email", "Dear ((name))\n\n((list))", "For  ((name))")
    request = email(
        service,
        template,
        [("name", "a_b"), ("list", ["x", "y"])],
        one_click_unsubscribe_url="https://example.gov.uk/u",
        sanitise_content_for=["NAME"],
    )
    response = world.stub.SendEmail(request)
    assert response.subject == r"For a\_b"
    assert response.body == "Dear a\\_b\n\n\n\n* x\n* y"
    assert response.from_address == "pigeons@notifications.example.gov.uk"
    assert [(f.key, f.unsanitised, f.sanitised) for f in response.sanitised_fields] == [
        ("name", "a_b", r"a\_b")
    ]
    assert world.stub.SendEmail(request) == response
    assert world.counts() == (1, 1, 1)
    stored = world.get(service, request.request_id)
    assert stored.recipient == "Reader@example.com"
    assert (stored.subject, stored.body) == (response.subject, response.body)
    assert stored.one_click_unsubscribe_url == "https://example.gov.uk/u"


@pytest.mark.parametrize(
    ("changes", "reason", "facts"),
    [
        (
            {"email_address": "nobody"},
            "RECIPIENT_INVALID",
            {"stage": "schema", "field": "email_address", "problem": "Not a valid email address"},
        ),
        ({"email_address": "a\0b@example.com"}, "INVALID_FIELD", None),
        ({"one_click_unsubscribe_url": "http://x"}, "INVALID_FIELD", None),
        ({"values": []}, "MISSING_PERSONALISATION", {"names": "name"}),
        ({"email_reply_to_id": "00000000-0000-7000-8000-000000000000"}, "SENDER_NOT_FOUND", None),
        ({"key_type": "team"}, "RECIPIENT_NOT_ALLOWED", {"key_type": "team"}),
        (
            {"values": [("name", "é" * 1_000_001)]},
            "MESSAGE_TOO_LONG",
            {"channel": "email", "limit": "2000000", "size": "2000007"},
        ),
        ({"values": [("name", "x")], "template": "empty"}, "MESSAGE_EMPTY", {}),
    ],
)
def test_a_bad_email_is_refused_and_not_stored(
    world: World, changes: dict[str, object], reason: str, facts: dict[str, str] | None
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "Dear ((name))", "s")
    values = changes.pop("values", [("name", "Ann")])
    if changes.pop("template", None):
        template = world.admin.add_template(service, "email", "((no??x))((no??y))", "s")
        values = [("no", "no")]
    with pytest.raises(NotifyError) as raised:
        world.stub.SendEmail(email(service, template, values, **changes))
    assert raised.value.reason == reason
    assert facts is None or raised.value.metadata == facts
    assert world.counts() == (0, 0, 0)


def test_an_email_whose_page_is_too_large_is_refused_before_it_is_stored(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((text))", "s")
    with pytest.raises(NotifyError) as raised:
        world.stub.SendEmail(email(service, template, [("text", "a\n\n" * 100_000)]))
    assert raised.value.reason == "MESSAGE_TOO_LONG"
    assert raised.value.metadata["channel"] == ""
    assert int(raised.value.metadata["size"]) > int(raised.value.metadata["limit"])
    assert world.counts() == (0, 0, 0)
    world.stub.SendEmail(email(service, template, [("text", "prose " * 330_000)]))
    assert world.counts() == (1, 1, 1)


@pytest.mark.parametrize(
    ("subject", "changes"),
    [
        ("((x))((x))", {"values": [("x", "x" * 2_100_000)]}),
        ("s", {"values": [("x", "-" * 1_500_000)], "sanitise_content_for": ["x"]}),
        (
            "((x))",
            {
                "values": [("x", "x" * 2_200_000)],
                "one_click_unsubscribe_url": f"https://example.gov.uk/{'u' * 1_950_000}",
            },
        ),
    ],
    ids=["subject", "sanitised", "link"],
)
def test_an_email_that_no_answer_could_hold_is_refused_and_not_stored(
    world: World, subject: str, changes: dict[str, object]
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "x", subject)
    with pytest.raises(NotifyError) as raised:
        world.stub.SendEmail(email(service, template, **changes))
    assert raised.value.reason == "MESSAGE_TOO_LONG"
    assert world.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("((x))((x))", [*ADDRESS, ("x", "x" * 2_100_000)]),
        ("((address_line_1))", [("address_line_1", "x" * 2_100_000), *ADDRESS[1:]]),
    ],
    ids=["body", "address"],
)
def test_a_letter_that_no_answer_could_hold_is_refused_and_not_stored(
    world: World, content: str, values: list[tuple[str, str]]
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", content, "s")
    with pytest.raises(NotifyError) as raised:
        world.stub.SendLetter(letter(service, template, values))
    assert raised.value.reason == "MESSAGE_TOO_LONG"
    assert world.counts() == (0, 0, 0)


def test_a_letter_too_long_to_be_printed_is_accepted_whatever_it_holds(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "((x))", "s")
    content = f"qr: {'a' * 505}\n\n" + "* a\n" * 400_000
    world.stub.SendLetter(letter(service, template, [*ADDRESS, ("x", content)]))
    assert world.counts() == (1, 1, 1)


def test_simulated_addresses_are_not_stored(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "x", "s")
    address = "Simulate-Delivered-2@notifications.service.gov.uk"
    assert world.stub.SendEmail(email(service, template, email_address=address)).body == "x"
    assert world.counts() == (0, 0, 0)


def test_a_letter_is_stored_with_its_postage(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "Dear ((name))", "On <b> ((name))")
    at_home = letter(service, template, [*ADDRESS, ("name", "<i>")])
    abroad = letter(
        service,
        template,
        [
            ("address_line_1", "A\n1 Rue"),
            ("address_line_2", "Paris"),
            ("address_line_3", "France"),
            ("name", "B"),
        ],
    )
    response = world.stub.SendLetter(at_home)
    assert (response.subject, response.body) == ("On &lt;b&gt; &lt;i&gt;", "Dear <i>")
    assert world.stub.SendLetter(at_home) == response
    world.stub.SendLetter(abroad)
    stored = world.get(service, at_home.request_id)
    assert stored.postage == common_pb2.POSTAGE_SECOND
    assert stored.address == dict(ADDRESS)
    assert stored.recipient == ""
    assert stored.HasField("estimated_delivery_time")
    assert world.get(service, abroad.request_id).postage == common_pb2.POSTAGE_EUROPE


@pytest.mark.parametrize(
    ("changes", "reason", "facts"),
    [
        ({"key_type": "team"}, "LETTERS_NOT_ALLOWED_FOR_KEY", {"key_type": "team"}),
        ({"values": []}, "ADDRESS_INVALID", TOO_FEW_LINES),
        # only keys spelt exactly so make up the address
        (
            {"values": [("Address Line 1", "A"), *ADDRESS[1:]]},
            "ADDRESS_INVALID",
            TOO_FEW_LINES,
        ),
        (
            {"values": [*ADDRESS, ("address_line_7", "")]},
            "ADDRESS_INVALID",
            TOO_FEW_LINES,
        ),
    ],
)
def test_a_bad_letter_is_refused(
    world: World, changes: dict[str, object], reason: str, facts: dict[str, str]
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "x", "s")
    values = changes.pop("values", ADDRESS)
    with pytest.raises(NotifyError) as raised:
        world.stub.SendLetter(letter(service, template, values, **changes))
    assert (raised.value.reason, raised.value.metadata) == (reason, facts)
    assert world.counts() == (0, 0, 0)


def test_trial_services_send_no_letters_but_with_test_keys(world: World) -> None:
    service = world.admin.add_service(restricted=True)
    template = world.admin.add_template(service, "letter", "x", "s")
    with pytest.raises(NotifyError) as raised:
        world.stub.SendLetter(letter(service, template))
    assert raised.value.metadata == {"key_type": "normal"}
    world.stub.SendLetter(letter(service, template, key_type="test"))


def test_a_qr_code_that_is_too_long(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "letter", "qr: ((x))", "s")
    world.stub.SendLetter(letter(service, template, [*ADDRESS, ("x", "a" * 504)]))
    with pytest.raises(NotifyError) as raised:
        world.stub.SendLetter(letter(service, template, [*ADDRESS, ("x", "&" + "a" * 500)]))
    assert raised.value.reason == "QR_CODE_TOO_LONG"
    assert raised.value.metadata == {"data": "&" + "a" * 500, "num_bytes": "505", "max_bytes": "504"}


def preview(service: str, template: str, values: list[tuple[str, object]]) -> pb.PreviewTemplateRequest:
    return pb.PreviewTemplateRequest(service_id=service, template_id=template, personalisation=fields(values))


def test_previews(world: World) -> None:
    service = world.admin.add_service()
    text = world.admin.add_template(service, "sms", "old ((x))")
    world.admin.archive_template(service, text)
    mail = world.admin.add_template(service, "email", "Dear ((x))", "For ((x))")
    welsh = world.admin.add_template(
        service, "letter", "English ((x))", "s <b>", welsh_subject="Pwnc", welsh_content="Cymraeg ((enw))"
    )
    answer = world.stub.PreviewTemplate(preview(service, text, [("X", "1")]))
    assert (answer.channel, answer.body, answer.html) == (common_pb2.CHANNEL_SMS, "old 1", "")
    answer = world.stub.PreviewTemplate(preview(service, mail, [("x", "<b>")]))
    assert answer.subject == "For <b>"
    assert "Dear &lt;b&gt;" in answer.html
    assert answer.HasField("create_time")
    with pytest.raises(NotifyError) as raised:
        world.stub.PreviewTemplate(preview(service, welsh, [("x", "1")]))
    assert (raised.value.reason, raised.value.metadata) == ("MISSING_PERSONALISATION", {"names": "enw"})
    answer = world.stub.PreviewTemplate(preview(service, welsh, [("x", "1"), ("enw", "2")]))
    assert (answer.subject, answer.body) == ("s &lt;b&gt;", "English 1")
    assert answer.postage == common_pb2.POSTAGE_SECOND
    with pytest.raises(NotifyError) as raised:
        world.stub.PreviewTemplate(preview(service, new_id(), []))
    assert raised.value.reason == "TEMPLATE_NOT_FOUND"
    assert world.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"template_id": "00000000-0000-7000-8000-000000000000"}, "TEMPLATE_NOT_FOUND"),
        ({"values": [("other", FILE)]}, "MISSING_PERSONALISATION"),
        ({"email_reply_to_id": "00000000-0000-7000-8000-000000000000"}, "SENDER_NOT_FOUND"),
        ({"key_type": "team"}, "RECIPIENT_NOT_ALLOWED"),
        ({}, "FILE_NOT_ALLOWED"),
        ({"email_address": "simulate-delivered@notifications.service.gov.uk"}, "FILE_NOT_ALLOWED"),
    ],
)
def test_an_email_with_a_file_is_refused_after_the_other_checks(
    world: World, changes: dict[str, object], reason: str
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((name))", "s")
    request: dict[str, Any] = {"template_id": template, "values": [("name", FILE)]} | changes
    with pytest.raises(NotifyError) as raised:
        world.stub.SendEmail(email(service, **request))
    assert raised.value.reason == reason
    assert world.counts() == (0, 0, 0)


def send(world: World, channel: str, service: str, template: str, values: list[tuple[str, object]]) -> None:
    if channel == "sms":
        world.stub.SendSms(sms(service, template, values, sms_sender_id=new_id()))
    else:
        world.stub.SendLetter(letter(service, template, values, key_type="team"))


@pytest.mark.parametrize(
    ("values", "reason", "facts"),
    [
        ([("other", FILE)], "MISSING_PERSONALISATION", {"names": "name"}),
        ([("name", FILE)], "FILE_NOT_ALLOWED", {}),
        ([("name", "x"), ("unused", FILE)], "FILE_NOT_ALLOWED", {}),
    ],
)
@pytest.mark.parametrize("channel", ["sms", "letter"])
def test_a_file_goes_by_no_other_channel(
    world: World, channel: str, values: list[tuple[str, object]], reason: str, facts: dict[str, str]
) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, channel, "((name))", "s" if channel == "letter" else "")
    # what else is wrong with these is looked at later
    with pytest.raises(NotifyError) as raised:
        send(world, channel, service, template, values)
    assert (raised.value.reason, raised.value.metadata) == (reason, facts)
    assert world.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("| Bus | £2 |\n|---|---|\n| Tram | £3 |", "Tram"),
        ("[a]: https://b.gov.uk", "[a]: https://b.gov.uk"),
        ("* ", "* "),
    ],
)
def test_a_preview_prints_what_sending_would(world: World, body: str, shown: str) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", body, "s")
    html = world.stub.PreviewTemplate(preview(service, template, [])).html
    assert html == EmailTemplate("s", body).render().html_body
    assert shown.strip() in html


def test_a_preview_that_no_answer_holds_is_refused(world: World) -> None:
    service = world.admin.add_service()
    template = world.admin.add_template(service, "email", "((x))", "s")
    with pytest.raises(NotifyError) as refused:
        world.stub.PreviewTemplate(preview(service, template, [("x", "&" * 900_000)]), timeout=WAIT_SECONDS)
    assert refused.value.reason == "MESSAGE_TOO_LONG"
