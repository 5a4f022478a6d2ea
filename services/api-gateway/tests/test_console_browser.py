"""The inbox in a real Chromium (design.md §6)."""

from collections.abc import Iterator

import pytest
from flask import Flask
from notify.notifications.v1.notification_pb2 import Notification
from notify_content.email_page import EmailBranding, render_page
from notify_content.emails import EmailTemplate
from notify_testing.waiting import WAIT_SECONDS
from playwright.sync_api import Browser, Page, expect

from .browser import chromium
from .neighbours import Neighbours
from .sandbox import add_email, add_letter, add_text, add_way
from .serving import serve

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def base_url(internal_app: Flask) -> Iterator[str]:
    with serve(internal_app) as url:
        yield url


@pytest.fixture
def page(browser: Browser, base_url: str, neighbours: Neighbours) -> Iterator[Page]:
    context = browser.new_context(base_url=base_url)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    # What an email asks for and is not given is reported, too: that is as it should be.
    assert [text for text in problems if "pixel.png" not in text and "sandboxed" not in text] == []


def test_searching_and_reading_a_text(page: Page, neighbours: Neighbours) -> None:
    add_text(neighbours, "447700900111", "The one")
    add_text(neighbours, "447700900222", "Another")
    page.goto("/console/")
    expect(page.get_by_role("heading", name="Messages")).to_be_visible()
    page.get_by_label("Recipient, reference or text").fill("900111")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name="Another")).to_have_count(0)
    page.get_by_role("link", name="The one").click()
    expect(page.get_by_role("heading", name="Text to 07700 900111")).to_be_visible()
    expect(page.get_by_text("7 characters in 1 part")).to_be_visible()
    page.get_by_role("link", name="All messages").click()
    expect(page.get_by_role("link", name="Another")).to_be_visible()


def test_an_email_runs_no_script_and_asks_nobody_for_anything(page: Page, neighbours: Neighbours) -> None:
    failures: dict[str, str | None] = {}
    page.on("requestfailed", lambda request: failures.update({request.url: request.failure}))
    email = add_email(neighbours)
    page.goto(f"/console/messages/{email.id}")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Dear Amala")).to_be_visible()
    expect(page).to_have_title("Your visit on 5 May – Notify sandbox")
    assert frame.locator("body").inner_text().strip().startswith("Pigeon Affairs")
    # The browser itself refuses, so that no server outside hears of the message.
    assert failures == {"https://tracker.example/pixel.png": "csp"}
    expect(page.get_by_text("please bring these things: https://example.com/list")).to_be_visible()


def test_a_link_in_an_email_opens_beside_the_inbox(page: Page, neighbours: Neighbours) -> None:
    email = add_email(neighbours)
    page.context.route("https://example.com/**", lambda route: route.fulfill(body="elsewhere"))
    page.goto(f"/console/messages/{email.id}")
    with page.expect_popup() as popup:
        page.frame_locator("iframe").get_by_role("link", name="these things").click()
    popup.value.wait_for_url("https://example.com/list")
    expect(page.get_by_role("heading", name="Your visit on 5 May")).to_be_visible()


def test_a_letter_shows_its_pages(page: Page, neighbours: Neighbours) -> None:
    letter = add_letter(neighbours, pages=2)
    page.goto(f"/console/messages/{letter.id}")
    second = page.get_by_role("img", name="Page 2 of 2 of the letter")
    second.scroll_into_view_if_needed()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth === 1000", arg=second.element_handle()
    )
    assert page.get_by_role("link", name="Open the PDF").get_attribute("href") == (
        f"/console/messages/{letter.id}/letter.pdf"
    )


def test_new_messages_appear_by_themselves(page: Page, neighbours: Neighbours) -> None:
    page.goto("/console/")
    expect(page.get_by_text("Nothing has been sent yet.")).to_be_visible()
    add_text(neighbours, body="Just sent")
    expect(page.get_by_role("link", name="Just sent")).to_be_visible(timeout=WAIT_SECONDS * 1000)
    expect(page.get_by_role("status")).to_have_text("New messages have arrived")


def test_the_focus_stays_while_messages_arrive(page: Page, neighbours: Neighbours) -> None:
    add_text(neighbours, body="First")
    page.goto("/console/")
    page.get_by_role("link", name="First").focus()
    add_text(neighbours, body="Second")
    expect(page.get_by_role("link", name="Second")).to_be_visible(timeout=WAIT_SECONDS * 1000)
    expect(page.get_by_role("link", name="First")).to_be_focused()


def test_the_timeline_follows_the_message(page: Page, neighbours: Neighbours) -> None:
    text = add_text(neighbours)
    add_way(neighbours, text, Notification.STATE_SENDING)
    page.goto(f"/console/messages/{text.id}")
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.get_by_text("waiting")).to_be_visible()
    neighbours.notifications.stored.clear()
    add_way(neighbours, text)
    expect(timeline.get_by_text("delivered", exact=True)).to_be_visible(timeout=WAIT_SECONDS * 1000)
    expect(timeline.get_by_role("listitem")).to_have_count(5)


def test_all_of_it_works_by_keyboard(page: Page, neighbours: Neighbours) -> None:
    add_text(neighbours, body="By keyboard")
    page.goto("/console/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Recipient, reference or text")).to_be_focused()
    for label in ("Channel", "Outcome"):
        page.keyboard.press("Tab")
        expect(page.get_by_label(label)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="By keyboard")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Text to 07700 900123")


def test_it_works_without_javascript(browser: Browser, base_url: str, neighbours: Neighbours) -> None:
    add_text(neighbours, "447700900111", "No script")
    context = browser.new_context(base_url=base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/console/")
    page.get_by_label("Recipient, reference or text").fill("0111")
    page.get_by_label("Recipient, reference or text").press("Enter")
    page.get_by_role("link", name="No script").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(
    browser: Browser, base_url: str, neighbours: Neighbours, scheme: str
) -> None:
    text = add_text(neighbours, body="x" * 300)
    email = add_email(neighbours, "a-very-long-address-that-will-not-fit-anywhere@a-long-domain.example.com")
    letter = add_letter(neighbours)
    for message in (text, email, letter):
        add_way(neighbours, message)
    context = browser.new_context(base_url=base_url, viewport=PHONE, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("", *(f"messages/{message.id}" for message in (text, email, letter)), "?q=nothing"):
        page.goto(f"/console/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        low = page.evaluate(CONTRAST)
        assert low == [], path
    context.close()


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const shine = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const colour = parse(getComputedStyle(n).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("main *, header *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.checkVisibility()) continue;
    const [a, b] = [shine(parse(getComputedStyle(node).color)), shine(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(node.outerHTML.slice(0, 80));
  }
  return low;
}"""
"""Texts whose contrast is below 4.5:1 (WCAG 2.2, 1.4.3)."""


def test_an_email_on_a_phone_is_whole_and_keeps_off_the_edge(page: Page, neighbours: Neighbours) -> None:
    email = add_email(neighbours, f"{'a-very-long-address.' * 8}amala@example.gov.uk")
    words = "Your appointment is on 1 December 2026 at https://example.gov.uk/" + "x" * 200
    message = EmailTemplate("Your appointment", words).render()
    email.dispatch.email.html_body = render_page(message, EmailBranding())
    page.set_viewport_size({"width": 375, "height": 740})
    for path in (f"/console/messages/{email.id}", "/console/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"/console/messages/{email.id}")
    text = page.frame_locator("iframe").get_by_role("paragraph")
    expect(text).to_be_visible()
    frame, words_box = page.locator("iframe").bounding_box(), text.bounding_box()
    assert frame is not None
    assert words_box is not None
    assert words_box["x"] >= frame["x"] + 8
    assert words_box["x"] + words_box["width"] <= frame["x"] + frame["width"] - 8
