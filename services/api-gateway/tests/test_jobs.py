"""Jobs in the admin web app, where the recorded cases say nothing (internal-api.md B13 to B20, C3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Channel
from notify.notifications.v1 import jobs_service_pb2
from notify.notifications.v1 import notifications_service_pb2 as pb
from notify_common.errors import NotifyError
from notify_common.ids import new_id

from .neighbours import Neighbours, timestamp
from .test_uploads import by_admin

NOON = datetime(2026, 7, 31, 12, tzinfo=UTC)


def job(number: int) -> jobs_service_pb2.Job:
    """Return a finished job, each an hour older than the one before."""
    return jobs_service_pb2.Job(
        id=new_id(),
        channel=Channel.CHANNEL_SMS,
        file_name=f"{number}.csv",
        state=jobs_service_pb2.Job.STATE_FINISHED,
        start_time=timestamp(NOON - timedelta(hours=number)),
    )


def test_uploads_are_jobs_and_days_of_letters_in_one_order(
    internal_client: FlaskClient, neighbours: Neighbours
) -> None:
    days = [NOON - timedelta(minutes=30 + 60 * number) for number in (1, 60, 130)]
    neighbours.notifications.print_days = [
        pb.GetUploadedLetterCountsResponse.PrintDay(print_date="2026-07-31", deadline=timestamp(day))
        for day in days
    ]
    neighbours.jobs.jobs = [job(number) for number in range(120)]
    service = neighbours.admin.add_service()
    names: list[str] = []
    for page in (1, 2, 3):
        shown = internal_client.get(f"/service/{service}/upload?page={page}", headers=by_admin()).get_json()
        names += [one["original_file_name"] for one in shown["data"]]
        assert shown["total"] == 123
    expected = [(one, "Uploaded letters") for one in days]
    expected += [(NOON - timedelta(hours=number), f"{number}.csv") for number in range(120)]
    assert names == [name for _, name in sorted(expected, reverse=True)]


def test_nobody_makes_no_job(internal_client: FlaskClient, neighbours: Neighbours) -> None:
    path = f"/service/{neighbours.admin.add_service()}/job"
    answer = internal_client.post(path, headers=by_admin(), json={"id": new_id(), "created_by": new_id()})
    assert answer.status_code == 404
    assert neighbours.recorder.requests("CreateJob") == []


def test_all_letters_are_asked_for_until_there_are_no_more(
    internal_client: FlaskClient, neighbours: Neighbours
) -> None:
    path = f"/service/{neighbours.admin.add_service()}/job/{new_id()}/cancel-letter-job"
    assert internal_client.post(path, headers=by_admin(), json={}).get_json() == 1000
    neighbours.recorder.failures = {"CancelJobLetters": NotifyError("JOB_LETTERS_SENT")}
    answer = internal_client.post(path, headers=by_admin(), json={})
    sentence = "It’s too late to cancel sending, these letters have already been sent."
    assert (answer.status_code, answer.get_json()) == (400, {"message": sentence})
    neighbours.recorder.failures = {}


@pytest.mark.parametrize(
    ("query", "links"),
    [
        ("page=1", {"next": 2, "last": 4}),
        ("page=2", {"prev": 1, "next": 3, "last": 4}),
        ("page=4", {"prev": 3}),
        ("page=1&page_size=5000", {}),
    ],
)
def test_pages_of_a_job_link_to_each_other(
    internal_client: FlaskClient, neighbours: Neighbours, query: str, links: dict[str, int]
) -> None:
    neighbours.jobs.rows = 160
    path = f"/service/{neighbours.admin.add_service()}/job/{new_id()}/notifications"
    answer: Any = internal_client.get(f"{path}?{query}", headers=by_admin())
    if answer.status_code == 404:  # a page without messages
        assert "page=1" not in query
        return
    assert answer.get_json()["links"] == {name: f"{path}?page={number}" for name, number in links.items()}


@pytest.mark.parametrize("query", ["limit_days=x", "page=0", "page=x", "contact_list_id=x"])
def test_what_no_list_is_asked_by(internal_client: FlaskClient, neighbours: Neighbours, query: str) -> None:
    path = f"/service/{neighbours.admin.add_service()}/job"
    assert internal_client.get(f"{path}?{query}", headers=by_admin()).status_code in (400, 404)
