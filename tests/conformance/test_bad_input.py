"""What the admin web app never asks for, over HTTP: things of others, two at once, too much of everything."""

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import Web, template
from .count_lines import routes

NOT_FOUND = {"result": "error", "message": "No result found"}


class Theirs:
    """A service with one of everything, and another that asks for it."""

    def __init__(self, web: Web, user_id: str) -> None:
        self.mine, self.id = web.service(user_id), web.service(user_id)
        self.by = user_id
        path = f"/service/{self.id}"
        member = web.user()
        web.make(f"/user/{member}/activate")
        web.make(f"{path}/users/{member}", {"permissions": []})
        self.template, letter = (web.template(self.id, user_id, kind) for kind in ("email", "letter"))
        file = {"id": str(uuid.uuid4()), "filename": "a.pdf", "created_by_id": user_id}
        settings = {"retention_period": 4, "validate_users_email": True}
        web.make(f"{path}/templates/{self.template}/template_email_files", {**file, **settings})
        url = "https://a.example.gov.uk/"
        callback = {"url": url, "bearer_token": "0123456789", "updated_by_id": user_id}
        invited = {"email_address": "bob@example.gov.uk", "from_user": user_id, "permissions": "send_texts"}
        more = {"service": self.id, "auth_type": "sms_auth", "invite_link_host": url}
        asked = {"requester_id": web.user(), "contacted_user_ids": [user_id], "invite_link_host": url}
        web.make(f"{path}/api-key", {"name": "k", "key_type": "normal", "created_by": user_id})
        job = str(uuid.uuid4())
        web.upload(self.id, job, self.template)
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        web.make(f"{path}/job", {"id": job, "created_by": user_id, "scheduled_for": later})
        listed = {"id": str(uuid.uuid4()), "original_file_name": "a.csv", "row_count": 1}
        web.make(f"{path}/contact-list", {**listed, "template_type": "sms", "created_by": user_id})
        made = {
            "template_folder_id": ("template-folder", {"name": "F", "parent_id": None}),
            "sms_sender_id": ("sms-sender", {"sms_sender": "A", "is_default": False}),
            "reply_to_address_id": ("email-reply-to", {"email_address": "a@b.gov.uk", "is_default": True}),
            "letter_contact_id": ("letter-contact", {"contact_block": "A", "is_default": True}),
            "callback-api": ("callback-api", {**callback, "callback_type": "delivery_status"}),
            "invitation_id": ("invite", {**invited, **more}),
        }
        kept = {"notification_type": "sms", "days_of_retention": 3}
        self.ids = {
            **{name: web.make(f"{path}/{below}", body)["id"] for name, (below, body) in made.items()},
            "job_id": job,
            "contact_list_id": listed["id"],
            "template_id": self.template,
            "letter_id": letter,
            "template_email_file_id": file["id"],
            "user_id": member,
            "key_id": web.get(f"{path}/api-keys")["apiKeys"][0]["id"],
            "data-retention": web.make(f"{path}/data-retention", kept, "result")["id"],
            "join_request_id": web.make(f"{path}/service-join-request", asked, "service_join_request_id"),
        }

    def state(self, web: Web) -> dict[str, Any]:
        """Return all that the service has."""
        path, template, ids = f"/service/{self.id}", f"template/{self.template}", self.ids
        below = [
            *("users", "api-keys", "sms-sender", "email-reply-to", "letter-contact", "data-retention"),
            *("template-folder", "invite", template, f"{template}/versions"),
            f"templates/{self.template}/template_email_files/{ids['template_email_file_id']}",
            f"job/{ids['job_id']}",
            "contact-list",
            f"service-join-request/{ids['join_request_id']}",
            f"callback-api/{ids['callback-api']}?callback_type=delivery_status",
        ]
        return {each: web.get(each) for each in (path, *(f"{path}/{name}" for name in below))}


@pytest.fixture(scope="module")
def theirs(web: Web, ann: str) -> Theirs:
    return Theirs(web, ann)


def bodies(theirs: Theirs) -> dict[str, list[Any]]:
    """Return what is sent to rules that are asked with ids of another service."""
    by, changed = {"created_by": theirs.by}, {"updated_by_id": theirs.by, "callback_type": "delivery_status"}
    settings = {"retention_period": 4, "validate_users_email": True}
    file = {"filename": "b.pdf", "created_by_id": theirs.by, **settings}
    approved = {"status": "approved", "status_changed_by_id": theirs.by, "permissions": ["send_texts"]}
    files = "templates/{template_id}/template_email_files"
    below: dict[str, list[Any]] = {
        "api-key/revoke/{api_key_id}": [by],
        "callback-api/{id}": [{**changed, "url": "https://b.example.gov.uk/"}],
        "callback-api/{id}/signing-secret": [changed],
        "data-retention/{id}": [{"days_of_retention": 90}],
        "email-reply-to/{reply_to_address_id}": [
            {"email_address": "evil@example.gov.uk", "is_default": True}
        ],
        "invite/{invitation_id}": [{"status": "cancelled"}],
        "letter-contact/{letter_contact_id}": [{"contact_block": "Evil", "is_default": True}],
        "service-join-request/{join_request_id}": [approved],
        "sms-sender/{sms_sender_id}": [{"sms_sender": "Evil", "is_default": True}],
        "template-folder/{template_folder_id}": [{"name": "Evil"}],
        "template-folder/{target_id}/contents": [{"templates": [], "folders": []}],
        "template/{template_id}": [
            {change: value, **by}
            for change, value in {"content": "Evil", "archived": True, "redact_personalisation": True}.items()
        ],
        files: [{**file, "id": str(uuid.uuid4())}],
        f"{files}/{{template_email_file_id}}": [{**settings, "link_text": "Evil", "pending": False}],
        f"{files}/{{template_email_file_id}}/archive": [{"archived_by_id": theirs.by}],
    }
    permission = {"permissions": [{"permission": "send_texts"}]}
    return {
        **{f"{SERVICE}/{rule}": sent for rule, sent in below.items()},
        "/user/{user_id}/service/{service_id}/permission": [permission],
    }


SERVICE = "/service/{service_id}"
UNLIKE = {
    f"POST {SERVICE}/users/{{user_id}}": "anybody may be made a member",
    f"GET {SERVICE}/template/{{template_id}}/preview": "asks notifications, as the rest",
    f"GET {SERVICE}/callbacks/{{id}}": "",
    f"GET {SERVICE}/inbound-sms/{{inbound_sms_id}}": "",
    f"GET {SERVICE}/notifications/{{notification_id}}": "",
    f"GET {SERVICE}/template/preview/{{notification_id}}/{{file_type}}": "",
    f"GET {SERVICE}/unsubscribe-request-report/{{report_id}}": "",
    f"POST {SERVICE}/notifications/{{notification_id}}/cancel": "",
    f"POST {SERVICE}/process-unsubscribe-request-report/{{report_id}}": "",
}
EMPTY = (
    f"GET {SERVICE}/data-retention/{{id}}",
    f"GET {SERVICE}/templates/{{template_id}}/template_email_files",
)
"""What the contract answers with nothing, or with an empty list."""


def rules() -> Iterator[tuple[str, str]]:
    """Yield method and rule of the routes that name a service and something of it."""
    for route in (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route) for route in routes()):
        named = set(re.findall(r"{(\w+)}", route))
        others = named - {"service_id", "version", "channel", "print_date", "file_type"}
        if "service_id" in named and others and route not in UNLIKE:
            method, rule = route.split()
            yield method, rule


def test_what_another_service_has_is_found_nowhere(web: Web, theirs: Theirs) -> None:
    before, known = theirs.state(web), bodies(theirs)
    asked = 0
    alike = {"api_key_id": theirs.ids["key_id"], "target_id": theirs.ids["template_folder_id"]}
    for method, rule in rules():
        ids = {**theirs.ids, **alike, "service_id": theirs.mine, "version": "1"}
        ids["id"] = next((value for name, value in theirs.ids.items() if f"/{name}/" in rule), "")
        path = rule.format(**ids)
        path += "?callback_type=delivery_status" if "callback" in rule else ""
        for body in known.get(rule, [None]) if method == "POST" else [None]:
            answer, asked = web.send(method, path, body), asked + 1
            if f"{method} {rule}" in EMPTY and answer.status_code == 200:
                assert answer.json() in ({}, {"data": []}), (method, path)
                continue
            assert answer.status_code in (400, 404), (method, path, answer.status_code, answer.text)
            assert "ValidationError" not in answer.text, (method, path, answer.text)
    assert asked > 30
    assert theirs.state(web) == before


def test_ids_of_another_service_in_bodies_are_found_nowhere(web: Web, theirs: Theirs) -> None:
    before = theirs.state(web)
    mine, ids, by = f"/service/{theirs.mine}", theirs.ids, theirs.by
    letter = web.template(theirs.mine, by, "letter")
    asked = [
        (f"{mine}/template", template(theirs.mine, by, parent_folder_id=ids["template_folder_id"])),
        (f"{mine}/template/{letter}", {"reply_to": ids["letter_contact_id"], "created_by": by}),
        (f"{mine}/template-folder", {"name": "F", "parent_id": ids["template_folder_id"]}),
        (f"{mine}/template-folder/contents", {"templates": [ids["template_id"]], "folders": []}),
        (f"{mine}/template-folder/contents", {"templates": [], "folders": [ids["template_folder_id"]]}),
        (f"{mine}/invite", {"service": theirs.id, "email_address": "x"}),
    ]
    for path, body in asked:
        answer = web.send("POST", path, body)
        assert answer.status_code in (400, 404), (path, answer.text)
    folder = web.make(f"{mine}/template-folder", {"name": "Mine", "parent_id": None})["id"]
    given = {"name": "Mine", "users_with_permission": [ids["user_id"]]}
    assert web.send("POST", f"{mine}/template-folder/{folder}", given).status_code == 404
    assert theirs.state(web) == before


def test_two_editors_of_a_template_both_find_theirs_among_the_versions(web: Web, ann: str) -> None:
    service = web.service(ann)
    path = f"/service/{service}/template/{web.template(service, ann)}"
    contents = [f"Hello from {number}" for number in range(8)]

    def save(content: str) -> int:
        answer = web.send("POST", path, {"content": content, "created_by": ann})
        assert answer.status_code == 200, answer.text
        version: int = answer.json()["data"]["version"]
        return version

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(save, contents))
    assert sorted(versions) == list(range(2, 10))
    kept = {each["version"]: each["content"] for each in web.get(f"{path}/versions")["data"]}
    assert kept == {1: "Hello", **dict(zip(versions, contents, strict=True))}
    assert web.get(path)["data"]["content"] == kept[9]


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"content": "Hello"}, 1),
        ({"content": "Hello", "name": "A letter", "service": "SERVICE", "archived": False}, 1),
        ({"redact_personalisation": False}, 1),
        ({"created_by": "OTHER"}, 2),
        ({"name": "B"}, 2),
        ({"parent_folder_id": "SERVICE"}, 2),
        ({"archive_email_file_ids": []}, 2),
        ({"reply_to": None}, 2),
    ],
)
def test_a_version_is_made_where_the_stored_template_and_the_request_differ(
    web: Web, ann: str, changes: dict[str, Any], version: int
) -> None:
    """Follow internal-api.md §4.7."""
    service = web.service(ann)
    path = f"/service/{service}/template/{web.template(service, ann, 'letter')}"
    names = {"SERVICE": service, "OTHER": web.user() if "OTHER" in changes.values() else ""}
    form = {
        key: names.get(value, value) if isinstance(value, str) else value for key, value in changes.items()
    }
    answer = web.send("POST", path, {"created_by": ann, **form})
    assert (answer.status_code, answer.json()["data"]["version"]) == (200, version), answer.text


def test_a_member_who_was_removed_in_the_meantime(web: Web, ann: str) -> None:
    service, bob = web.service(ann), web.user()
    member = f"/service/{service}/users/{bob}"
    web.make(member, {"permissions": [{"permission": "send_texts"}]})
    folder = web.make(f"/service/{service}/template-folder", {"name": "F", "parent_id": None})["id"]
    assert web.send("DELETE", member).status_code == 204
    again = web.send("DELETE", member)
    assert (again.status_code, again.json()["result"]) == (404, "error")
    body = {"permissions": [{"permission": "manage_settings"}], "folder_permissions": [folder]}
    assert web.send("POST", f"/user/{bob}/service/{service}/permission", body).status_code == 404
    seen = {"name": "F", "users_with_permission": [bob]}
    assert web.send("POST", f"/service/{service}/template-folder/{folder}", seen).status_code == 404
    assert [each["id"] for each in web.get(f"/service/{service}/users")["data"]] == [ann]
    assert web.get(f"/user/{bob}")["data"]["permissions"] == {}


def test_permissions_that_there_are_not(web: Web, ann: str) -> None:
    service, bob = web.service(ann), web.user()
    body = {"permissions": [{"permission": "rule_the_world"}]}
    for path in (f"/service/{service}/users/{bob}", f"/user/{ann}/service/{service}/permission"):
        before = web.get(f"/service/{service}/users")
        assert web.send("POST", path, body).status_code in (400, 404)
        assert web.get(f"/service/{service}/users") == before
    answer = web.send("POST", f"/service/{service}", {"permissions": ["rule_the_world"]})
    assert answer.status_code == 400
    assert list(answer.json()["message"]) == ["permissions"]


@pytest.mark.parametrize(("kind", "megabytes"), [("sms", 5), ("email", 5), ("letter", 5), ("email", 11)])
def test_a_template_that_is_far_too_long(web: Web, ann: str, kind: str, megabytes: int) -> None:
    service = web.service(ann)
    form = template(service, ann, kind, content="x" * megabytes * 2**20)
    answer = web.send("POST", f"/service/{service}/template", form)
    assert answer.status_code == 413, answer.text
    assert web.get(f"/service/{service}/template")["data"] == []


def test_a_text_that_is_too_long_is_told_so_however_long(web: Web, ann: str) -> None:
    service = web.service(ann)
    form = template(service, ann, content="x" * 2**21)
    answer = web.send("POST", f"/service/{service}/template", form)
    sentence = "Content has a character count greater than the limit of 918"
    assert (answer.status_code, answer.json()["message"]) == (400, {"content": [sentence]})


def test_passwords_without_end(web: Web) -> None:
    long, endless = "p" * 5000, "p" * 2**20
    user = f"/user/{web.user(long)}"
    assert web.send("POST", f"{user}/verify/password", {"password": long}).status_code == 204
    assert web.send("POST", f"{user}/verify/password", {"password": endless}).json() == NOT_FOUND
    assert web.send("POST", f"{user}/update-password", {"_password": endless}).json() == NOT_FOUND
    form = {"name": "A", "email_address": f"{uuid.uuid4()}@example.gov.uk", "mobile_number": "07700900201"}
    assert web.send("POST", "/user", {**form, "password": endless}).json() == NOT_FOUND
    assert web.send("POST", "/user/email", {"email": form["email_address"]}).status_code == 404
    assert web.send("POST", f"{user}/verify/password", {"password": long}).status_code == 204


def test_words_do_not_tell_who_could_sign_in(web: Web) -> None:
    """Ask as who is active, is not yet, is archived, and is locked out."""
    users = [f"/user/{web.user()}" for _ in range(4)]
    active, _pending, archived, locked = users
    for path in (active, archived, locked):
        web.make(f"{path}/activate")
    web.make(f"{archived}/archive")
    for _ in range(10):
        web.send("POST", f"{locked}/verify/password", {"password": "wrong"})
    answers = [web.send("POST", f"{path}/verify/password", {"password": "wrong"}) for path in users]
    assert {(each.status_code, each.text) for each in answers} == {(400, answers[0].text)}
    codes = [
        web.send("POST", f"{path}/verify/code", {"code": "00000", "code_type": "sms"})
        for path in (*users, f"/user/{uuid.uuid4()}")
    ]
    assert {each.status_code for each in codes} == {404}
    nobody = f"{uuid.uuid4()}@example.gov.uk"
    for path in ("/user/email", "/user/reset-password"):
        answer = web.send("POST", path, {"email": nobody})
        assert (answer.status_code, nobody in answer.text) == (404, False)


def test_what_an_archived_service_answers_has_keys_that_the_app_reads(web: Web, ann: str) -> None:
    service = web.service(ann)
    web.make(f"/service/{service}/archive")
    answer = web.send("POST", f"/service/{service}", {"name": "Back again", "created_by": ann})
    assert (answer.status_code, list(answer.json()["message"])) == (400, ["name"])


def test_a_change_by_nobody_is_told_as_one_of_the_creator(web: Web, ann: str) -> None:
    service = web.service(ann)
    web.make(f"/service/{service}", {"name": f"Renamed {uuid.uuid4()}"})
    told = web.get(f"/service/{service}/history")["data"]["service_history"]
    assert [each["created_by_id"] for each in told] == [ann, ann]
