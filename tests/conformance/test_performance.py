"""The public page of performance, over HTTP, from what notifications counted."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from notify_common import clock
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel, KeyType
from notify_gateway.public import docs
from notify_notifications.domain.counts import CountKey, TimeKey, time_step
from notify_notifications.domain.notification import State
from notify_notifications.store.counts import add_counts
from notify_notifications.store.platform_days import add_times, close_days
from notify_testing.waiting import WAIT_SECONDS

NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
TODAY = NOW.date()
YESTERDAY, BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=2)
SERVICES = [str(uuid.uuid4()) for _ in range(3)]


@pytest.fixture(scope="module")
def page_url(base_url: str, notifications_uow: UnitOfWork) -> Iterator[str]:
    """Provide the gateway, with texts of three services yesterday and emails of two the day before."""
    with clock.set_for_tests(NOW):
        with notifications_uow.begin() as tx:
            fill(tx)
        yield f"{base_url}/performance"


def fill(tx: Tx) -> None:
    for number, service_id in enumerate(SERVICES):
        add_counts(tx, {key(service_id, YESTERDAY, Channel.SMS): 100 + number})
    for service_id in SERVICES[:2]:
        add_counts(tx, {key(service_id, BEFORE, Channel.EMAIL): 7})
        add_counts(tx, {key(service_id, TODAY, Channel.SMS): 9_999})
    close_days(tx, TODAY, BEFORE)
    waited = {0.5: 150, 8.0: 100, 10.0: 3, 10.1: 46, 60.0: 4}
    add_times(tx, {TimeKey(YESTERDAY, Channel.SMS, time_step(at)): count for at, count in waited.items()})
    add_times(tx, {TimeKey(BEFORE, Channel.EMAIL, time_step(1.0)): 14})


def key(service_id: str, day: date, channel: Channel) -> CountKey:
    return CountKey(service_id, day, channel, str(uuid.uuid4()), KeyType.NORMAL, State.DELIVERED)


def get(url: str, **more: Any) -> requests.Response:
    return requests.get(url, timeout=WAIT_SECONDS, **more)


def test_figures_for_programs(page_url: str) -> None:
    answer = get(f"{page_url}.json")
    assert answer.status_code == 200
    told = answer.json()
    description = docs.document()
    schema = {**description["components"]["schemas"]["Performance"], "components": description["components"]}
    Draft202012Validator(schema).validate(told)
    assert (told["from"], told["to"], len(told["days"])) == ("2025-06-08", "2025-06-14", 7)
    texts = told["channels"]["sms"]
    assert texts["sent"] == 303
    assert texts["share_within_10_seconds"] == round(253 / 303, 4)
    within = texts["seconds_until_handed_over"]
    for percentile, seconds in {"p50": 8.0, "p95": 10.1, "p99": 60.0}.items():
        assert within[percentile] == pytest.approx(seconds, rel=0.021)
    channels = {name: told["channels"][name] for name in ("sms", "email", "letter")}
    assert told["days"][0] == {"date": "2025-06-14", **channels}


def test_what_few_services_sent_is_not_told(page_url: str) -> None:
    nothing = {"sent": None, "share_within_10_seconds": None, "seconds_until_handed_over": None}
    told = get(f"{page_url}.json").json()
    assert told["channels"]["email"] == told["days"][1]["email"] == nothing
    both = get(page_url).text + get(f"{page_url}.json").text
    assert not any(service_id in both for service_id in SERVICES)
    assert not any(word in both for word in ("102", "9999", "9,999", "19998", "19,998"))


def test_the_page_says_the_same(page_url: str) -> None:
    answer = get(page_url)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for words in ("303", "83.5 %", "not told", '<html lang="en">', 'name="viewport"', 'scope="row"'):
        assert words in answer.text


@pytest.mark.parametrize("path", ["", ".json"])
def test_others_may_keep_it_and_nobody_is_asked_anything(page_url: str, path: str) -> None:
    plain = get(page_url + path)
    assert plain.headers["Cache-Control"] == "public, max-age=60"
    hostile = "?days=99999999&from=0001-01-01&to=9999-12-31&service_id=%27%3B--&x=" + "y" * 4000
    asked = get(page_url + path + hostile)
    assert (asked.status_code, asked.content) == (200, plain.content)
    head = requests.head(page_url + path, timeout=WAIT_SECONDS)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == plain.headers["Content-Length"]
    for method in ("POST", "PUT", "DELETE"):
        assert requests.request(method, page_url + path, timeout=WAIT_SECONDS).status_code == 405
    assert get(page_url + path + "/").status_code == 404
