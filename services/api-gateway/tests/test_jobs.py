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


@pytest.mark.parametrize("count", [0, 250, 501])
def test_all_contact_lists_are_answered_at_once(
    internal_client: FlaskClient, neighbours: Neighbours, count: int
) -> None:
    about: dict[str, Any] = {"channel": Channel.CHANNEL_SMS, "created_by_id": neighbours.admin.user_id}
    neighbours.jobs.lists = [jobs_service_pb2.ContactList(id=new_id(), **about) for _ in range(count)]
    path = f"/service/{neighbours.admin.add_service()}/contact-list"
    shown: Any = internal_client.get(path, headers=by_admin()).get_json()
    assert [one["id"] for one in shown] == [one.id for one in neighbours.jobs.lists]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 404),  # of nobody
        ({"id": "x"}, 400),
        ({"row_count": 2**31}, 400),
        ({"row_count": -1}, 400),
        ({"row_count": True}, 400),
        ({"original_file_name": "x" * 1001}, 400),
        ({"original_file_name": None}, 400),
        ({"template_type": ["sms"]}, 400),
        ({"created_by": "x"}, 400),
    ],
)
def test_what_is_no_contact_list_is_not_kept(
    internal_client: FlaskClient, neighbours: Neighbours, changed: dict[str, Any], status: int
) -> None:
    path = f"/service/{neighbours.admin.add_service()}/contact-list"
    form = {"id": new_id(), "original_file_name": "a.csv", "row_count": 1, "template_type": "sms"}
    body = {**form, "created_by": new_id(), **changed}
    assert internal_client.post(path, headers=by_admin(), json=body).status_code == status
    assert neighbours.recorder.requests("CreateContactList") == []
