"""The pages of the inbox, as a program sees them (design.md §6)."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1.notification_pb2 import Notification
from notify.providers.v1.dispatch_pb2 import Attempt, Dispatch
from notify.providers.v1.dispatch_service_pb2 import GetDispatchResponse
from notify_common import clock
from notify_common.errors import NotifyError
from notify_gateway.console import views

from .neighbours import Neighbours, a_notification, timestamp
from .sandbox import add_email, add_letter, add_text, add_way

EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture
def client(internal_client: FlaskClient) -> FlaskClient:
    return internal_client


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    assert response.mimetype == "text/html"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    return response.get_data(as_text=True)


def test_an_empty_inbox(client: FlaskClient) -> None:
    assert "Nothing has been sent yet." in page(client, "/console/")
    assert client.get("/console").status_code == 308


def test_newest_first_in_pages(client: FlaskClient, neighbours: Neighbours) -> None:
    texts = [add_text(neighbours, body=f"Text {number:02}") for number in range(30)]
    first = page(client, "/console/")
    assert first.index("Text 29") < first.index("Text 28") < first.index("Text 05")
    assert "Text 04" not in first
    assert texts[29].id in first
    older = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = page(client, older)
    assert "Text 04" in second
    assert "Text 05" not in second
    assert "← Newest" in second
    assert 'rel="next"' not in second


def test_search(client: FlaskClient, neighbours: Neighbours) -> None:
    add_text(neighbours, "447700900111", "to find")
    add_text(neighbours, "447700900222", "to leave")
    found = page(client, "/console/?q=%20900111%00")
    assert "to find" in found
    assert "to leave" not in found
    assert 'value="900111"' in found
    assert "07700 900111" in found
    assert "to find" in page(client, "/console/?q=TO%20FIND")
    nothing = page(client, f"/console/?q={EVIL}")
    assert "No message matches" in nothing
    assert EVIL not in nothing


def test_search_by_reference(client: FlaskClient, neighbours: Neighbours) -> None:
    wanted, other = add_text(neighbours, body="the wanted one"), add_text(neighbours, body="another")
    stored = [a_notification(item.service_id, id=item.id) for item in (wanted, other)]
    stored[0].reference = "case-7"
    neighbours.notifications.stored.extend(stored)
    found = page(client, "/console/?q=case-7")
    assert "With the reference “case-7”" in found
    assert "the wanted one" in found
    assert "another" not in found
    neighbours.recorder.failures["ListNotifications"] = NotifyError("UNAVAILABLE")
    assert "No message matches" in page(client, "/console/?q=case-7")


def test_filters(client: FlaskClient, neighbours: Neighbours) -> None:
    text, email = add_text(neighbours, body="a text"), add_email(neighbours)
    text.outcome = "permanent-failure"
    email.outcome = "delivered"
    shown = page(client, "/console/?channel=sms")
    assert "a text" in shown
    assert "Your visit" not in shown
    assert '<option value="sms" selected>' in shown
    delivered = page(client, "/console/?outcome=delivered")
    assert "Your visit" in delivered
    assert "a text" not in delivered
    assert "permanent failure" in page(client, "/console/")
    assert "No message matches the filters" in page(client, "/console/?channel=email&outcome=none")
    assert "a text" in page(client, "/console/?channel=pigeon&outcome=lost")


def test_numbers_as_people_write_them_and_times_with_their_zone(
    client: FlaskClient, neighbours: Neighbours
) -> None:
    numbers = {
        "447900900123": "07900 900123",
        "14155550123": "+1 415-555-0123",
        "not-one": "not-one",
    }
    for recipient, shown in numbers.items():
        found = add_text(neighbours, recipient)
        assert shown in page(client, f"/console/messages/{found.id}")
        listed = page(client, "/console/")
        assert shown in listed
        assert f"{found.receive_time.ToDatetime():%H:%M:%S} UTC" in listed


def test_a_page_token_that_no_longer_holds_shows_the_first_page(
    client: FlaskClient, neighbours: Neighbours
) -> None:
    neighbours.recorder.failures["ListSandboxMessages"] = NotifyError("PAGE_TOKEN_INVALID")
    assert client.get("/console/?page=old").status_code == 404
    assert [asked.page_token for asked in neighbours.recorder.requests("ListSandboxMessages")] == ["old", ""]


def test_a_text(client: FlaskClient, neighbours: Neighbours) -> None:
    text = add_text(neighbours, body=f"Hello {EVIL}\n" + "x" * 200)
    add_way(neighbours, text)
    shown = page(client, f"/console/messages/{text.id}")
    assert "2 parts" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert" not in shown
    for part in ("Accepted", "Handed over", "Attempt 1", "(timeout)", "Attempt 2", "Receipt", "+3.50 s"):
        assert part in shown
    assert "data-live" not in shown


def test_a_message_that_is_still_on_its_way_is_looked_at_again(
    client: FlaskClient, neighbours: Neighbours
) -> None:
    text = add_text(neighbours)
    add_way(neighbours, text, Notification.STATE_SENDING)
    assert "data-live" in page(client, f"/console/messages/{text.id}")


def test_a_message_handed_over_twice_is_pointed_out(client: FlaskClient, neighbours: Neighbours) -> None:
    text = add_text(neighbours)
    text.copy_count = 2
    assert "handed over 2 times" in page(client, "/console/")
    assert "handed this message 2 times" in page(client, f"/console/messages/{text.id}")


def test_an_email_is_framed_without_scripts(client: FlaskClient, neighbours: Neighbours) -> None:
    email = add_email(neighbours)
    shown = page(client, f"/console/messages/{email.id}")
    frame = shown.split("<iframe")[1].split(">")[0]
    sandbox = frame.split('sandbox="')[1].split('"')[0].split()
    assert not {"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"} & set(sandbox)
    assert "script ran" not in shown
    response = client.get(f"/console/messages/{email.id}/email")
    policy = response.headers["Content-Security-Policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
    assert directives["default-src"] == ["'none'"]
    assert "script-src" not in directives
    assert not {"allow-scripts", "allow-same-origin"} & set(directives["sandbox"])
    assert directives["frame-ancestors"] == ["'self'"]
    assert '<head lang="en"><base target="_blank">' in response.get_data(as_text=True)


def test_only_emails_have_an_email_page(client: FlaskClient, neighbours: Neighbours) -> None:
    text = add_text(neighbours)
    assert client.get(f"/console/messages/{text.id}/email").status_code == 404


def test_a_letter(client: FlaskClient, neighbours: Neighbours) -> None:
    letter = add_letter(neighbours, pages=3)
    shown = page(client, f"/console/messages/{letter.id}")
    assert shown.count("<img ") == 3
    assert 'alt="Page 3 of 3 of the letter"' in shown
    assert "SW14 6BF" in shown
    assert '<span class="who">Amala Bird</span>' in page(client, "/console/")
    image = client.get(f"/console/messages/{letter.id}/pages/2.png")
    assert image.mimetype == "image/png"
    assert image.data == neighbours.letters.pages[letter.id][1]
    pdf = client.get(f"/console/messages/{letter.id}/letter.pdf")
    assert (pdf.mimetype, pdf.data) == ("application/pdf", neighbours.letters.pdfs[letter.id])
    for number in (0, 4, 99999):
        assert client.get(f"/console/messages/{letter.id}/pages/{number}.png").status_code == 404


def test_a_letter_that_letters_does_not_know(client: FlaskClient, neighbours: Neighbours) -> None:
    letter = add_letter(neighbours)
    neighbours.letters.pages.clear()
    assert "no page images" in page(client, f"/console/messages/{letter.id}")


def test_what_is_not_there(client: FlaskClient) -> None:
    for path in (f"/console/messages/{uuid4()}", f"/console/messages/{uuid4()}/email"):
        assert "Not found" in page(client, path, 404)
    assert client.get("/console/messages/x").status_code == 404


def test_services_that_do_not_answer(client: FlaskClient, neighbours: Neighbours) -> None:
    text = add_text(neighbours)
    for method in ("GetNotification", "GetDispatch"):
        neighbours.recorder.failures[method] = NotifyError("UNAVAILABLE")
    assert "Nothing is known of its way." in page(client, f"/console/messages/{text.id}")
    neighbours.recorder.failures["ListSandboxMessages"] = NotifyError("UNAVAILABLE")
    assert "Not available right now" in page(client, "/console/", 503)


@pytest.mark.parametrize("path", ["/console/", "/console/static/console.css", "/console/static/live.js"])
def test_other_sites_can_not_read_the_inbox(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_names_of_days() -> None:
    with clock.set_for_tests(datetime(2026, 5, 3, 0, 30, tzinfo=UTC)):
        names = [
            views._day_name((clock.now() - timedelta(days=days)).date(), clock.now().date())
            for days in range(3)
        ]
    assert names == ["Today", "Yesterday", "Friday 1 May 2026"]


def test_a_dispatch_in_doubt_waits_for_a_person() -> None:
    now = timestamp(datetime.now(UTC))
    notification = a_notification(str(uuid4()), Channel.CHANNEL_SMS)
    attempt = Attempt(number=1, provider="sandbox", start_time=now)
    in_doubt = Dispatch(state=Dispatch.STATE_IN_DOUBT, create_time=now)
    dispatch = GetDispatchResponse(dispatch=in_doubt, attempts=[attempt])
    timeline = views.timeline(notification, dispatch)
    assert [step.title for step in timeline.steps] == ["Accepted", "Handed over", "Attempt 1", "In doubt"]
    assert timeline.steps[2].detail == "sandbox: under way"
    assert timeline.moving


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:6011", ""])
def test_the_inbox_is_shown_under_its_own_names_alone(
    client: FlaskClient, neighbours: Neighbours, host: str
) -> None:
    found = add_text(neighbours)
    for path in ("/console/", f"/console/messages/{found.id}", "/console/static/console.css"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 421
        assert found.id not in response.get_data(as_text=True)
    for name in ("localhost", "localhost:6011", "127.0.0.1:6011"):
        assert client.get("/console/", headers={"Host": name}).status_code == 200


def test_the_start_names_the_inbox_the_api_and_the_docs(client: FlaskClient) -> None:
    answer = client.get("/").get_json()
    assert answer["status"] == "ok"
    assert answer["console"] == "http://localhost/console/"
    assert answer["api"] == "http://localhost/v2"
    assert answer["docs"] == "http://localhost/docs"
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page_of_it = client.get("/", headers=browser)
    assert page_of_it.mimetype == "text/html"
    for place in ("console", "docs"):
        assert f'href="{answer[place]}"' in page_of_it.get_data(as_text=True)
    assert client.get("/?simple=1", headers=browser).get_json() == {"status": "ok"}


def test_the_faults_that_are_scripted_are_listed(client: FlaskClient) -> None:
    shown = page(client, "/console/faults")
    for text in ("07700900904", "down@sandbox.notify", "Sandbox Down", "never &lt;answers&gt;", "created"):
        assert text in shown
