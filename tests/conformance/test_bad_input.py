"""What the admin web app never asks for, over HTTP: things of others, two at once, too much of everything."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from notify_gateway.admin import internal
from notify_gateway.auth import ClientAuthenticator

NOT_FOUND = {"result": "error", "message": "No result found"}
PASSWORD = "correct horse 9"


class Web:
    """The admin web app, which sends what it likes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        step = {"method": method, "path": path, "auth": "admin"}
        answer: requests.Response = self._client.send(step if body is None else {**step, "json": body}, {})
        return answer

    def make(self, path: str, body: Any, within: str = "data") -> Any:
        answer = self.send("POST", path, body)
        assert answer.status_code in (200, 201, 204), answer.text
        found = answer.json() if answer.content else {}
        return found.get(within, found)

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def user(self, password: str = PASSWORD) -> dict[str, Any]:
        address = f"bad-input-{uuid.uuid4()}@example.gov.uk"
        form = {"name": "Ann", "email_address": address, "mobile_number": "07700900201"}
        made: dict[str, Any] = self.make("/user", {**form, "password": password})
        return made

    def service(self, user_id: str) -> str:
        limits = dict.fromkeys((f"{name}_message_limit" for name in ("email", "sms", "letter")), 50)
        form = {"name": f"Bad input {uuid.uuid4()}", "user_id": user_id, "created_by": user_id}
        made: str = self.make("/service", {**form, **limits, "restricted": False})["id"]
        return made

    def upload(self, service_id: str, job_id: str, template_id: str) -> None:
        told = {"original_file_name": "a.csv", "notification_count": "1", "valid": "True"}
        file = {
            "bucket": "csv",
            "key": f"service-{service_id}-notify/{job_id}.csv",
            "body": "email address\n",
        }
        self._client.s3_put({**file, "metadata": {**told, "template_id": template_id}}, {})

    def template(self, service_id: str, user_id: str, kind: str = "sms", content: str = "Hello") -> str:
        form = {"name": "A", "template_type": kind, "content": content, "service": service_id}
        subject = {} if kind == "sms" else {"subject": "S"}
        made: str = self.make(f"/service/{service_id}/template", {**form, **subject, "created_by": user_id})[
            "id"
        ]
        return made


@pytest.fixture(scope="module")
def web(client: Any) -> Web:
    return Web(client)


@pytest.fixture(scope="module")
def ann(web: Web) -> str:
    made: str = web.user()["id"]
    web.make(f"/user/{made}/activate", None)
    return made


class Theirs:
    """A service with one of everything, and another that asks for it."""

    def __init__(self, web: Web, user_id: str) -> None:
        self.mine, self.id = web.service(user_id), web.service(user_id)
        self.by = user_id
        path = f"/service/{self.id}"
        member = web.user()["id"]
        web.make(f"/user/{member}/activate", None)
        web.make(f"{path}/users/{member}", {"permissions": []})
        self.template, letter = (web.template(self.id, user_id, kind) for kind in ("email", "letter"))
        file = {"id": str(uuid.uuid4()), "filename": "a.pdf", "created_by_id": user_id}
        settings = {"retention_period": 4, "validate_users_email": True}
        web.make(f"{path}/templates/{self.template}/template_email_files", {**file, **settings})
        callback = {
            "url": "https://a.example.gov.uk/",
            "bearer_token": "0123456789",
            "updated_by_id": user_id,
        }
        invited = {"email_address": "bob@example.gov.uk", "from_user": user_id, "permissions": "send_texts"}
        more = {"service": self.id, "auth_type": "sms_auth", "invite_link_host": "https://a.example.gov.uk"}
        asked = {
            "requester_id": web.user()["id"],
            "contacted_user_ids": [user_id],
            "invite_link_host": "https://a.example.gov.uk",
        }
        key = {"name": "k", "key_type": "normal", "created_by": user_id}
        web.make(f"{path}/api-key", key)
        default = {"is_default": True}
        job = str(uuid.uuid4())
        web.upload(self.id, job, self.template)
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        web.make(f"{path}/job", {"id": job, "created_by": user_id, "scheduled_for": later})
        self.ids = {
            "job_id": job,
            "template_id": self.template,
            "letter_id": letter,
            "template_email_file_id": file["id"],
            "template_folder_id": web.make(f"{path}/template-folder", {"name": "F", "parent_id": None})["id"],
            "user_id": member,
            "key_id": web.get(f"{path}/api-keys")["apiKeys"][0]["id"],
            "sms_sender_id": web.make(f"{path}/sms-sender", {"sms_sender": "A", "is_default": False})["id"],
            "reply_to_address_id": web.make(
                f"{path}/email-reply-to", {"email_address": "a@b.gov.uk", **default}
            )["id"],
            "letter_contact_id": web.make(f"{path}/letter-contact", {"contact_block": "A", **default})["id"],
            "callback-api": web.make(
                f"{path}/callback-api", {**callback, "callback_type": "delivery_status"}
            )["id"],
            "data-retention": web.make(
                f"{path}/data-retention", {"notification_type": "sms", "days_of_retention": 3}, "result"
            )["id"],
            "invitation_id": web.make(f"{path}/invite", {**invited, **more})["id"],
            "join_request_id": web.make(f"{path}/service-join-request", asked, "")["service_join_request_id"],
        }

    def state(self, web: Web) -> dict[str, Any]:
        """Return all that the service has."""
        path, template = f"/service/{self.id}", f"/service/{self.id}/template/{self.template}"
        below = (
            "users api-keys sms-sender email-reply-to letter-contact data-retention template-folder invite"
        )
        paths = [path, template, f"{template}/versions", *(f"{path}/{name}" for name in below.split())]
        paths += [f"{path}/job/{self.ids['job_id']}"]
        paths += [f"{path}/service-join-request/{self.ids['join_request_id']}"]
        files = f"{path}/templates/{self.template}/template_email_files"
        paths += [f"{files}/{self.ids['template_email_file_id']}"]
        callback = f"{path}/callback-api/{self.ids['callback-api']}?callback_type=delivery_status"
        return {each: web.get(each) for each in (*paths, callback)}


@pytest.fixture(scope="module")
def theirs(web: Web, ann: str) -> Theirs:
    return Theirs(web, ann)


def bodies(theirs: Theirs) -> dict[str, list[Any]]:
    """Return what is sent to rules that are asked with ids of another service."""
    by = {"created_by": theirs.by}
    callback = {"updated_by_id": theirs.by, "callback_type": "delivery_status"}
    permissions = {"permissions": [{"permission": "send_texts"}]}
    file = {
        "filename": "b.pdf",
        "created_by_id": theirs.by,
        "retention_period": 4,
        "validate_users_email": True,
    }
    template = "/service/<uuid:service_id>/template/<uuid:template_id>"
    files = "/service/<uuid:service_id>/templates/<uuid:template_id>/template_email_files"
    folders = "/service/<uuid:service_id>/template-folder"
    return {
        "/service/<uuid:service_id>/api-key/revoke/<uuid:api_key_id>": [by],
        "/service/<uuid:service_id>/callback-api/<uuid:id>": [
            {**callback, "url": "https://b.example.gov.uk/"}
        ],
        "/service/<uuid:service_id>/callback-api/<uuid:id>/signing-secret": [callback],
        "/service/<uuid:service_id>/data-retention/<uuid:id>": [{"days_of_retention": 90}],
        "/service/<uuid:service_id>/email-reply-to/<uuid:reply_to_address_id>": [
            {"email_address": "evil@example.gov.uk", "is_default": True}
        ],
        "/service/<uuid:service_id>/invite/<invitation_id>": [{"status": "cancelled"}],
        "/service/<uuid:service_id>/letter-contact/<uuid:letter_contact_id>": [
            {"contact_block": "Evil", "is_default": True}
        ],
        "/service/<uuid:service_id>/service-join-request/<uuid:join_request_id>": [
            {"status": "approved", "status_changed_by_id": theirs.by, "permissions": ["send_texts"]}
        ],
        "/service/<uuid:service_id>/sms-sender/<uuid:sms_sender_id>": [
            {"sms_sender": "Evil", "is_default": True}
        ],
        f"{folders}/<uuid:template_folder_id>": [{"name": "Evil"}],
        f"{folders}/<uuid:target_id>/contents": [{"templates": [], "folders": []}],
        template: [
            {"content": "Evil", **by},
            {"archived": True, **by},
            {"redact_personalisation": True, **by},
        ],
        files: [{**file, "id": str(uuid.uuid4())}],
        f"{files}/<uuid:template_email_file_id>": [
            {"link_text": "Evil", "retention_period": 9, "validate_users_email": False, "pending": False}
        ],
        f"{files}/<uuid:template_email_file_id>/archive": [{"archived_by_id": theirs.by}],
        "/user/<uuid:user_id>/service/<uuid:service_id>/permission": [permissions],
    }


UNLIKE = {
    "POST /service/<uuid:service_id>/users/<uuid:user_id>": "anybody may be made a member",
    "GET /service/<uuid:service_id>/template/<uuid:template_id>/preview": "asks notifications, as the rest",
    "GET /service/<uuid:service_id>/callbacks/<uuid:id>": "",
    "GET /service/<uuid:service_id>/inbound-sms/<uuid:inbound_sms_id>": "",
    "GET /service/<uuid:service_id>/notifications/<uuid:notification_id>": "",
    "GET /service/<uuid:service_id>/template/preview/<uuid:notification_id>/<file_type>": "",
    "GET /service/<uuid:service_id>/unsubscribe-request-report/<uuid:report_id>": "",
    "POST /service/<uuid:service_id>/notifications/<uuid:notification_id>/cancel": "",
    "POST /service/<uuid:service_id>/process-unsubscribe-request-report/<uuid:report_id>": "",
}
EMPTY = (
    "GET /service/<uuid:service_id>/data-retention/<uuid:id>",
    "GET /service/<uuid:service_id>/templates/<uuid:template_id>/template_email_files",
)
"""What the contract answers with nothing, or with an empty list."""


def rules() -> Iterator[tuple[str, str]]:
    """Yield method and rule of the routes that name a service and something of it."""
    app = Flask("rules")
    for blueprint in internal.blueprints(object(), ClientAuthenticator("nobody", [])):  # type: ignore[arg-type] # nothing is called
        app.register_blueprint(blueprint)
    for rule in app.url_map.iter_rules():
        others = rule.arguments - {"service_id", "version", "channel", "print_date", "file_type"}
        if "service_id" in rule.arguments and others and not rule.rule.endswith("/"):
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if f"{method} {rule.rule}" not in UNLIKE:
                yield method, rule.rule


def test_what_another_service_has_is_found_nowhere(web: Web, theirs: Theirs) -> None:
    before, known = theirs.state(web), bodies(theirs)
    asked = 0
    alike = {"api_key_id": theirs.ids["key_id"], "target_id": theirs.ids["template_folder_id"]}
    for method, rule in rules():
        ids = {**theirs.ids, "service_id": theirs.mine, **alike, "version": "1"}
        ids["id"] = next((value for name, value in theirs.ids.items() if f"/{name}/" in rule), "")
        path = rule
        for name, value in ids.items():
            for kind in ("<uuid:{}>", "<int:{}>", "<{}>"):
                path = path.replace(kind.format(name), value)
        assert "<" not in path
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
    form = {"name": "A", "template_type": "sms", "content": "x", "service": theirs.mine, "created_by": by}
    asked = [
        (f"{mine}/template", {**form, "parent_folder_id": ids["template_folder_id"]}),
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
    template = f"/service/{service}/template/{web.template(service, ann)}"
    contents = [f"Hello from {number}" for number in range(8)]

    def save(content: str) -> int:
        answer = web.send("POST", template, {"content": content, "created_by": ann})
        assert answer.status_code == 200, answer.text
        version: int = answer.json()["data"]["version"]
        return version

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(save, contents))
    assert sorted(versions) == list(range(2, 10))
    kept = {each["version"]: each["content"] for each in web.get(f"{template}/versions")["data"]}
    assert kept == {1: "Hello", **dict(zip(versions, contents, strict=True))}
    assert web.get(template)["data"]["content"] == kept[9]


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"content": "Hello"}, 1),
        ({"content": "Hello", "name": "A", "service": "SERVICE", "archived": False}, 1),
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
    template = f"/service/{service}/template/{web.template(service, ann, 'letter')}"
    names = {"SERVICE": service, "OTHER": web.user()["id"] if "OTHER" in changes.values() else ""}
    form = {
        key: names.get(value, value) if isinstance(value, str) else value for key, value in changes.items()
    }
    answer = web.send("POST", template, {"created_by": ann, **form})
    assert (answer.status_code, answer.json()["data"]["version"]) == (200, version), answer.text


def test_a_member_who_was_removed_in_the_meantime(web: Web, ann: str) -> None:
    service, bob = web.service(ann), web.user()["id"]
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
    service, bob = web.service(ann), web.user()["id"]
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
    form = {"name": "A", "template_type": kind, "content": "x" * megabytes * 2**20, "subject": "S"}
    form = {name: value for name, value in form.items() if kind != "sms" or name != "subject"}
    answer = web.send("POST", f"/service/{service}/template", {**form, "service": service, "created_by": ann})
    assert answer.status_code == 413, answer.text
    assert web.get(f"/service/{service}/template")["data"] == []


def test_a_text_that_is_too_long_is_told_so_however_long(web: Web, ann: str) -> None:
    service = web.service(ann)
    form = {
        "name": "A",
        "template_type": "sms",
        "content": "x" * 2**21,
        "service": service,
        "created_by": ann,
    }
    answer = web.send("POST", f"/service/{service}/template", form)
    sentence = "Content has a character count greater than the limit of 918"
    assert (answer.status_code, answer.json()["message"]) == (400, {"content": [sentence]})


def test_passwords_without_end(web: Web) -> None:
    long, endless = "p" * 5000, "p" * 2**20
    user = f"/user/{web.user(long)['id']}"
    assert web.send("POST", f"{user}/verify/password", {"password": long}).status_code == 204
    assert web.send("POST", f"{user}/verify/password", {"password": endless}).json() == NOT_FOUND
    assert web.send("POST", f"{user}/update-password", {"_password": endless}).json() == NOT_FOUND
    form = {"name": "A", "email_address": f"{uuid.uuid4()}@example.gov.uk", "mobile_number": "07700900201"}
    assert web.send("POST", "/user", {**form, "password": endless}).json() == NOT_FOUND
    assert web.send("POST", "/user/email", {"email": form["email_address"]}).status_code == 404
    assert web.send("POST", f"{user}/verify/password", {"password": long}).status_code == 204


def test_words_do_not_tell_who_could_sign_in(web: Web) -> None:
    """Ask as who is active, is not yet, is archived, and is locked out."""
    users = [f"/user/{web.user()['id']}" for _ in range(4)]
    active, _pending, archived, locked = users
    for path in (active, archived, locked):
        web.make(f"{path}/activate", None)
    web.make(f"{archived}/archive", None)
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
    web.make(f"/service/{service}/archive", None)
    answer = web.send("POST", f"/service/{service}", {"name": "Back again", "created_by": ann})
    assert (answer.status_code, list(answer.json()["message"])) == (400, ["name"])
