"""Dashboards, usage and reports with figures in them, over HTTP (internal-api.md §§2B.1, 2B.5)."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from notify_common import clock
from notify_common.db.engine import create_engine
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_notifications.domain.counts import CountKey, Processing, Usage, UsageKey
from notify_notifications.domain.notification import State
from notify_notifications.store.counts import add_counts, add_usage
from notify_notifications.store.platform_days import add_processing, close_days

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY, YEAR, FIRST = NOW.date(), 2026, date(2026, 4, 1)
SMS, EMAIL, LETTER = Channel.SMS, Channel.EMAIL, Channel.LETTER
NORMAL, TEST = KeyType.NORMAL, KeyType.TEST
ALLOWANCE = 100


class Web:
    """The admin web app, as far as it reads figures."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def call(self, method: str, path: str, status: int = 200, **step: Any) -> Any:
        offset = int(NOW.timestamp() - time.time())
        token = {"iss": "notify-admin", "secret": "@admin", "iat_offset": offset}
        answer = self._client.send({"method": method, "path": path, "auth": token, **step}, {})
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def days(self, path: str, first: date, last: date) -> Any:
        return self.get(path, start_date=str(first), end_date=str(last))


class Scene:
    """A live service of an organisation that sent messages of three channels."""

    def __init__(self, web: Web, user_id: str) -> None:
        word = uuid.uuid4().hex[:8]
        limits = dict.fromkeys(
            (f"{name}_message_limit" for name in ("email", "sms", "letter", "international_sms")), 1000
        )
        form = {
            "user_id": user_id,
            "created_by": user_id,
            "restricted": False,
            "organisation_type": "central",
        }
        self.name = f"Figures {word}"
        made = web.call("POST", "/service", 201, json={**form, **limits, "name": self.name})
        self.id = made["data"]["id"]
        organisation = {"name": f"Office {word}", "crown": False, "organisation_type": "central"}
        self.organisation = web.call("POST", "/organisations", 201, json=organisation)
        body = {"service_id": self.id}
        web.call("POST", f"/organisations/{self.organisation['id']}/service", 204, json=body)
        self.templates = {}
        for kind in ("sms", "email", "letter"):
            template = {"name": f"A {kind}", "template_type": kind, "content": "x", "service": self.id}
            subject = {} if kind == "sms" else {"subject": "s"}
            made = web.call(
                "POST",
                f"/service/{self.id}/template",
                201,
                json={**template, **subject, "created_by": user_id},
            )
            self.templates[kind] = made["data"]["id"]
        web.call(
            "POST",
            f"/service/{self.id}/billing/free-sms-fragment-limit",
            201,
            json={"free_sms_fragment_limit": ALLOWANCE},
        )
        web.call("POST", f"/service/{self.id}/template/{self.templates['email']}", json=_archive(user_id))
        self.path = f"/service/{self.id}"


def _archive(user_id: str) -> dict[str, Any]:
    return {"archived": True, "created_by": user_id}


@pytest.fixture(scope="module")
def web(client: Any) -> Iterator[Web]:
    with clock.set_for_tests(NOW):
        yield Web(client)


@pytest.fixture(scope="module")
def scene(web: Web, notifications_url: str) -> Scene:
    word = uuid.uuid4().hex[:8]
    user = {
        "name": "Ann",
        "email_address": f"ann.{word}@example.gov.uk",
        "password": f"a long {word} password",
        "mobile_number": "07700900201",
        "auth_type": "sms_auth",
    }
    made = Scene(web, web.call("POST", "/user", 201, json=user)["data"]["id"])
    engine = create_engine(notifications_url)
    with UnitOfWork(engine).begin() as tx:
        fill(tx, made)
    engine.dispose()
    return made


def fill(tx: Any, scene: Scene) -> None:
    """Let the service have sent messages today and on the first day of the financial year."""
    sms, email, letter = (scene.templates[kind] for kind in ("sms", "email", "letter"))
    counts = {
        (TODAY, SMS, sms, NORMAL, State.DELIVERED): 5,
        (TODAY, SMS, sms, NORMAL, State.CREATED): 2,
        (TODAY, SMS, sms, NORMAL, State.CANCELLED): 1,
        (TODAY, SMS, sms, NORMAL, State.TECHNICAL_FAILURE): 1,
        (TODAY, SMS, sms, TEST, State.DELIVERED): 30,
        (TODAY, EMAIL, email, NORMAL, State.PENDING): 0,
        (TODAY, EMAIL, email, NORMAL, State.PERMANENT_FAILURE): 3,
        (TODAY, LETTER, letter, NORMAL, State.RETURNED_LETTER): 1,
        (FIRST, SMS, sms, NORMAL, State.SENT): 60,
    }
    add_counts(tx, {CountKey(scene.id, *key): count for key, count in counts.items() if count})
    usage = {
        (FIRST, SMS, sms, "mmg", 1, None, 0): (60, 90),
        (TODAY, SMS, sms, "firetext", 3, None, 0): (5, 10),
        (TODAY, EMAIL, email, "ses", 0, None, 0): (3, 0),
        (TODAY, LETTER, letter, "dvla", 0, Postage.FIRST, 1): (1, 1),
        (TODAY, LETTER, letter, "dvla", 0, Postage.SECOND, 2): (10, 20),
    }
    close_days(tx, TODAY)
    add_processing(tx, {FIRST: Processing(60, 45), TODAY: Processing(1, 1)})
    add_usage(tx, {UsageKey(scene.id, *key): Usage(*used) for key, used in usage.items()})


def test_dashboard(web: Web, scene: Scene) -> None:
    stats = web.get(f"{scene.path}/statistics", limit_days=7)["data"]
    assert stats == {
        "sms": {"requested": 8, "delivered": 5, "failed": 1},
        "email": {"requested": 3, "delivered": 0, "failed": 3},
        "letter": {"requested": 1, "delivered": 0, "failed": 0},
    }
    assert web.get(scene.path, detailed="True", today_only="True")["data"]["statistics"] == stats
    rows = web.get("/service", detailed="True")["data"]
    (mine,) = (row for row in rows if row["id"] == scene.id)
    assert mine["statistics"]["sms"] == {"requested": 38, "delivered": 35, "failed": 1}
    rows = web.get("/service", detailed="True", start_date=str(FIRST), end_date=str(FIRST))["data"]
    (mine,) = (row for row in rows if row["id"] == scene.id)
    assert mine["statistics"]["sms"]["delivered"] == 60
    assert len(rows) == 1


def test_templates(web: Web, scene: Scene) -> None:
    rows = web.get(f"{scene.path}/template-statistics", whole_days=7)["data"]
    sms, email = scene.templates["sms"], scene.templates["email"]
    found = {(row["template_id"], row["status"]): row["count"] for row in rows}
    assert (found[sms, "delivered"], found[sms, "created"], found[email, "permanent-failure"]) == (5, 2, 3)
    assert {row["template_name"] for row in rows} == {"A sms", "A email", "A letter"}
    used = web.get(f"{scene.path}/template-statistics/last-used/{sms}")
    assert used == {"last_date_used": f"{TODAY}T00:00:00.000000Z"}
    months = web.get(f"{scene.path}/notifications/templates_usage/monthly", year=YEAR)["stats"]
    first = {key: months[0][key] for key in ("template_id", "name", "type", "month", "year", "count")}
    assert first == {
        "template_id": sms,
        "name": "A sms",
        "type": "sms",
        "month": 4,
        "year": YEAR,
        "count": 60,
    }


def test_months(web: Web, scene: Scene) -> None:
    months = web.get(f"{scene.path}/notifications/monthly", year=YEAR)["data"]
    assert next(iter(months)) == "2026-04"
    assert list(months)[-1] == "2026-11"
    assert months["2026-04"]["sms"]["sent"] == 60
    assert months["2026-11"]["letter"] == {"returned-letter": 1}
    rows = web.days("/service/monthly-data-by-service", FIRST, TODAY)
    mine = [row for row in rows if row[1] == scene.id and row[3] == "sms"]
    assert [str(FIRST), scene.id, scene.name, "sms", 0, 0, 0, 0, 0, 60] in mine
    assert ["2026-11-01", scene.id, scene.name, "sms", 0, 5, 1, 0, 0, 0] in mine


def test_platform(web: Web, scene: Scene) -> None:
    found = web.get("/platform-stats")
    assert found["sms"]["test-key"] >= 30
    assert found["email"]["failures"]["permanent-failure"] >= 3
    assert web.get(f"{scene.path}/notifications/count", template_type=["sms", "letter"]) == {
        "notifications_sent_count": 16
    }


def test_usage_of_a_service(web: Web, scene: Scene) -> None:
    months = web.get(f"{scene.path}/billing/monthly-usage", year=YEAR)
    assert [(row["month"], row["notification_type"], row["postage"]) for row in months] == [
        ("April", "sms", "none"),
        ("November", "letter", "second"),
        ("November", "letter", "first"),
        ("November", "sms", "none"),
    ]
    april, letters, _, texts = months
    assert (april["chargeable_units"], april["charged_units"], april["free_allowance_used"]) == (90, 0, 90)
    assert (april["notifications_sent"], april["cost"]) == (60, 0)
    assert (letters["chargeable_units"], letters["cost"]) == (10, pytest.approx(10 * letters["rate"]))
    assert (texts["chargeable_units"], texts["charged_units"], texts["free_allowance_used"]) == (30, 20, 10)
    assert texts["cost"] == pytest.approx(20 * texts["rate"])
    year = web.get(f"{scene.path}/billing/yearly-usage-summary", year=YEAR)
    assert [(row["notification_type"], row["notifications_sent"]) for row in year] == [
        ("email", 3),
        ("letter", 10),
        ("letter", 1),
        ("sms", 65),
    ]
    assert set(year[0]) == {*months[0]} - {"month", "postage"}


def test_usage_of_an_organisation(web: Web, scene: Scene) -> None:
    found = web.get(f"/organisations/{scene.organisation['id']}/services-with-usage", year=YEAR)
    (row,) = found["services"]
    assert (row["service_id"], row["free_sms_limit"], row["sms_remainder"]) == (scene.id, ALLOWANCE, 0)
    assert (row["sms_billable_units"], row["chargeable_billable_sms"], row["emails_sent"]) == (120, 20, 3)
    assert row["sms_cost"] > 0 < row["letter_cost"]
    assert found["updated_at"]


def test_reports_of_all_services(web: Web, scene: Scene) -> None:
    (bill,) = (
        row
        for row in web.days("/platform-stats/data-for-billing-report", FIRST, TODAY)
        if row["service_id"] == scene.id
    )
    assert (bill["organisation_name"], bill["sms_chargeable_units"]) == (scene.organisation["name"], 20)
    assert bill["total_letters"] == 11
    lines = bill["letter_breakdown"].splitlines()
    assert [line.split(" at ")[0] for line in lines] == ["1 first class letters", "10 second class letters"]
    day = web.days("/platform-stats/daily-volumes-report", FIRST, FIRST)[0]
    assert (day["day"], day["sms_totals"], day["sms_fragment_totals"]) == (str(FIRST), 60, 90)
    providers = web.days("/platform-stats/daily-sms-provider-volumes-report", TODAY, TODAY)
    assert [(row["provider"], row["sms_chargeable_units"]) for row in providers] == [("firetext", 30)]
    for first in (FIRST, FIRST - timedelta(days=400)):
        (row,) = (
            row
            for row in web.days("/platform-stats/volumes-by-service", first, TODAY)
            if row["service_id"] == scene.id
        )
        assert (row["sms_notifications"], row["sms_chargeable_units"]) == (65, 120)
        assert (row["letter_totals"], row["letter_sheet_totals"]) == (11, 21)
    (live,) = (row for row in web.get("/service/live-services-data")["data"] if row["service_id"] == scene.id)
    assert (live["sms_totals"], live["email_totals"], live["letter_totals"]) == (65, 3, 11)
    assert (live["free_sms_fragment_limit"], live["contact_name"]) == (ALLOWANCE, None)


def test_performance(web: Web, scene: Scene) -> None:
    found = web.days("/performance-dashboard", FIRST, FIRST)
    assert (found["total_notifications"], found["sms_notifications"], found["letter_notifications"]) == (
        60,
        60,
        0,
    )
    assert found["notifications_by_type"] == [{"date": str(FIRST), "emails": 0, "sms": 60, "letters": 0}]
    assert found["processing_time"] == [{"date": str(FIRST), "percentage_under_10_seconds": 75}]
    (mine,) = (row for row in found["services_using_notify"] if row["service_id"] == scene.id)
    assert mine["organisation_id"] == scene.organisation["id"]
    assert found["live_service_count"] == len(found["services_using_notify"])


@pytest.mark.parametrize("path", ["daily-volumes-report", "volumes-by-service", "data-for-billing-report"])
def test_days_that_are_none(web: Web, path: str) -> None:
    answer = web.call("GET", f"/platform-stats/{path}", 400, query={"start_date": "2026-02-30"})
    assert answer["message"] == "Input must be a date in the format: YYYY-MM-DD"
