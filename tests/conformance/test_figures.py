"""Dashboards, usage and reports with figures in them, over HTTP (internal-api.md §§2B.1, 2B.5)."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel, KeyType, Postage
from notify_notifications.domain.counts import CountKey, Processing, Usage, UsageKey
from notify_notifications.domain.notification import State
from notify_notifications.store.counts import add_counts, add_usage
from notify_notifications.store.platform_days import add_processing, close_days

from .conftest import Web

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY, YEAR, FIRST = NOW.date(), 2026, date(2026, 4, 1)
SMS, EMAIL, LETTER = Channel.SMS, Channel.EMAIL, Channel.LETTER
NORMAL, TEST = KeyType.NORMAL, KeyType.TEST
ALLOWANCE = 100


class Scene:
    """A live service of an organisation that sent messages of three channels."""

    def __init__(self, web: Web, user_id: str) -> None:
        self.id = web.service(user_id)
        self.path = f"/service/{self.id}"
        self.name = web.get(self.path)["data"]["name"]
        office = {"name": f"Office {uuid.uuid4()}", "crown": False, "organisation_type": "central"}
        self.organisation = web.make("/organisations", office)
        web.make(f"/organisations/{self.organisation['id']}/service", {"service_id": self.id})
        self.templates = {kind: web.template(self.id, user_id, kind) for kind in ("sms", "email", "letter")}
        web.make(f"{self.path}/billing/free-sms-fragment-limit", {"free_sms_fragment_limit": ALLOWANCE})
        archived = {"archived": True, "created_by": user_id}
        web.make(f"{self.path}/template/{self.templates['email']}", archived)

    def row(self, rows: Any, name: str = "service_id") -> Any:
        """Return the row of the service, which is one."""
        (mine,) = (row for row in rows if row[name] == self.id)
        return mine


@pytest.fixture(scope="module", autouse=True)
def noon() -> Iterator[None]:
    with clock.set_for_tests(NOW):
        yield


@pytest.fixture(scope="module")
def scene(web: Web, notifications_uow: UnitOfWork, noon: None) -> Scene:
    made = Scene(web, web.user())
    with notifications_uow.begin() as tx:
        fill(tx, made)
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


def days(web: Web, path: str, first: date, last: date) -> Any:
    return web.get(path, start_date=str(first), end_date=str(last))


def test_dashboard(web: Web, scene: Scene) -> None:
    stats = web.get(f"{scene.path}/statistics", limit_days=7)["data"]
    assert stats == {
        "sms": {"requested": 8, "delivered": 5, "failed": 1},
        "email": {"requested": 3, "delivered": 0, "failed": 3},
        "letter": {"requested": 1, "delivered": 0, "failed": 0},
    }
    assert web.get(scene.path, detailed="True", today_only="True")["data"]["statistics"] == stats
    rows = web.get("/service", detailed="True")["data"]
    mine = scene.row(rows, "id")
    assert mine["statistics"]["sms"] == {"requested": 38, "delivered": 35, "failed": 1}
    rows = web.get("/service", detailed="True", start_date=str(FIRST), end_date=str(FIRST))["data"]
    mine = scene.row(rows, "id")
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
    first = {"template_id": sms, "name": "A sms", "type": "sms", "month": 4, "year": YEAR, "count": 60}
    assert first.items() <= months[0].items()


def test_months(web: Web, scene: Scene) -> None:
    months = web.get(f"{scene.path}/notifications/monthly", year=YEAR)["data"]
    assert next(iter(months)) == "2026-04"
    assert list(months)[-1] == "2026-11"
    assert months["2026-04"]["sms"]["sent"] == 60
    assert months["2026-11"]["letter"] == {"returned-letter": 1}
    rows = days(web, "/service/monthly-data-by-service", FIRST, TODAY)
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
    bill = scene.row(days(web, "/platform-stats/data-for-billing-report", FIRST, TODAY))
    assert (bill["organisation_name"], bill["sms_chargeable_units"]) == (scene.organisation["name"], 20)
    assert bill["total_letters"] == 11
    lines = bill["letter_breakdown"].splitlines()
    assert [line.split(" at ")[0] for line in lines] == ["1 first class letters", "10 second class letters"]
    day = days(web, "/platform-stats/daily-volumes-report", FIRST, FIRST)[0]
    assert (day["day"], day["sms_totals"], day["sms_fragment_totals"]) == (str(FIRST), 60, 90)
    providers = days(web, "/platform-stats/daily-sms-provider-volumes-report", TODAY, TODAY)
    assert [(row["provider"], row["sms_chargeable_units"]) for row in providers] == [("firetext", 30)]
    for first in (FIRST, FIRST - timedelta(days=400)):
        row = scene.row(days(web, "/platform-stats/volumes-by-service", first, TODAY))
        assert (row["sms_notifications"], row["sms_chargeable_units"]) == (65, 120)
        assert (row["letter_totals"], row["letter_sheet_totals"]) == (11, 21)
    live = scene.row(web.get("/service/live-services-data")["data"])
    assert (live["sms_totals"], live["email_totals"], live["letter_totals"]) == (65, 3, 11)
    assert (live["free_sms_fragment_limit"], live["contact_name"]) == (ALLOWANCE, None)


def test_performance(web: Web, scene: Scene) -> None:
    found = days(web, "/performance-dashboard", FIRST, FIRST)
    totals = {"total_notifications": 60, "sms_notifications": 60, "letter_notifications": 0}
    assert totals.items() <= found.items()
    assert found["notifications_by_type"] == [{"date": str(FIRST), "emails": 0, "sms": 60, "letters": 0}]
    assert found["processing_time"] == [{"date": str(FIRST), "percentage_under_10_seconds": 75}]
    mine = scene.row(found["services_using_notify"])
    assert mine["organisation_id"] == scene.organisation["id"]
    assert found["live_service_count"] == len(found["services_using_notify"])
