"""What people do who were written to: unsubscribing, by their mail program and by hand (public-api.md §7)."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify_common.errors import NotifyError

from .conftest import Tenant
from .neighbours import Neighbours, a_text

ID = str(uuid4())


@pytest.fixture
def token(neighbours: Neighbours) -> str:
    neighbours.recipients.token = "gAAAAA_a-token"
    return neighbours.recipients.token


def test_mail_programs_unsubscribe_with_one_post(
    client: FlaskClient, neighbours: Neighbours, token: str
) -> None:
    answer = client.post(f"/unsubscribe/{ID.upper()}/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.json == {"message": "Unsubscribe successful", "result": "success"}
    (asked,) = neighbours.recorder.requests("RecordUnsubscribeRequest")
    assert asked.notification_id == ID


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("LINK_INVALID", "This is not a valid unsubscribe link."),
        ("LINK_EXPIRED", "This is not a valid unsubscribe link."),
        ("NOTIFICATION_NOT_FOUND", "This unsubscribe link is invalid or expired."),
    ],
)
def test_links_that_do_not_work(
    client: FlaskClient, neighbours: Neighbours, token: str, reason: str, sentence: str
) -> None:
    neighbours.recorder.failures["RecordUnsubscribeRequest"] = NotifyError(reason)
    answer = client.post(f"/unsubscribe/{ID}/{token}")
    assert answer.status_code == 404
    assert answer.get_json() == {"message": {"unsubscribe request": sentence}, "result": "error"}
    page = client.post(f"/unsubscribe/page/{ID}/{token}")
    assert page.status_code == 404
    assert "This link does not work" in page.text


def test_a_failure_of_ours_asks_to_try_again(client: FlaskClient, neighbours: Neighbours, token: str) -> None:
    neighbours.recorder.failures["RecordUnsubscribeRequest"] = NotifyError("UNAVAILABLE")
    answer = client.post(f"/unsubscribe/{ID}/{token}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    page = client.post(f"/unsubscribe/page/{ID}/{token}")
    assert page.status_code == 503
    assert "Try again" in page.text


@pytest.mark.parametrize("token", ["x" * 5000, "%00"])
def test_tokens_that_can_be_none_are_asked_of_nobody(
    client: FlaskClient, neighbours: Neighbours, token: str
) -> None:
    assert client.post(f"/unsubscribe/{ID}/{token}").status_code == 404
    assert neighbours.recorder.calls == []


def test_following_a_link_changes_nothing(client: FlaskClient, neighbours: Neighbours, token: str) -> None:
    page = client.get(f"/unsubscribe/page/{ID}/{token}")
    assert '<form method="post">' in page.text
    assert neighbours.recorder.calls == []
    assert client.post(f"/unsubscribe/page/{ID}/{token}").status_code == 200
    assert len(neighbours.recorder.requests("RecordUnsubscribeRequest")) == 1


def test_pages_are_nobody_else_s_to_read(client: FlaskClient, token: str) -> None:
    headers = client.get(f"/unsubscribe/page/{ID}/{token}").headers
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert client.get("/unsubscribe/page/static/pages.css").status_code == 200


def test_received_texts_need_a_token_and_show_the_service_s_own(
    client: FlaskClient, tenant: Tenant, neighbours: Neighbours
) -> None:
    path = "/v2/received-text-messages"
    assert client.get(path).status_code == 401
    mine, other = a_text(tenant.id), a_text(str(uuid4()))
    neighbours.recipients.texts += [other, mine]
    shown = client.get(path, headers=tenant.headers("test"))
    assert shown.json is not None
    (text,) = shown.json["received_text_messages"]
    assert text["id"] == mine.id
    links = {
        "current": f"http://localhost/{path[1:]}",
        "next": f"http://localhost{path}?older_than={mine.id}",
    }
    assert shown.json["links"] == links
    end = client.get(f"{path}?older_than={mine.id}", headers=tenant.headers())
    assert end.json == {"received_text_messages": [], "links": {"current": links["current"]}}
    for query in ("older_than=x", "older_than=", "page=1"):
        assert client.get(f"{path}?{query}", headers=tenant.headers()).status_code == 400
