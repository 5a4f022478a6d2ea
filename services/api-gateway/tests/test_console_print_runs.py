"""The pages of print runs, as a program sees them."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from notify.common.v1.common_pb2 import Postage
from notify.letters.v1.print_run_pb2 import PrintRun, PrintVolume
from notify.letters.v1.print_runs_service_pb2 import GetPrintRunResponse

from .neighbours import Neighbours


def add_run(neighbours: Neighbours, state: "PrintRun.State", **values: int) -> PrintRun:
    """Put a run in, started a minute before it was complete."""
    run = PrintRun(id=str(uuid4()), state=state, **values)  # type: ignore[arg-type] # mypy sees strings too
    run.create_time.FromJsonString("2026-03-05T17:50:00Z")
    run.deadline.FromJsonString("2026-03-05T17:30:00Z")
    if state == PrintRun.STATE_SUBMITTED:
        run.complete_time.FromJsonString("2026-03-05T17:51:00Z")
    volumes = [PrintVolume(postage=Postage.POSTAGE_REST_OF_WORLD, letter_count=1200, sheet_count=2400)]
    neighbours.print_runs.answers.insert(0, GetPrintRunResponse(print_run=run, volumes=volumes))
    return run


@pytest.fixture
def client(internal_client: FlaskClient) -> FlaskClient:
    return internal_client


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    return response.get_data(as_text=True)


def test_no_runs(client: FlaskClient) -> None:
    assert "No print run has been started yet." in page(client, "/console/print-runs")
    assert "/console/print-runs" in page(client, "/console/")


def test_a_run_under_way_has_a_bar_that_moves(client: FlaskClient, neighbours: Neighbours) -> None:
    run = add_run(
        neighbours,
        PrintRun.STATE_SUBMITTING,
        letter_count=1200,
        submitted_letter_count=500,
        batch_count=3,
        submitted_batch_count=1,
        parked_batch_count=1,
    )
    listed = page(client, "/console/print-runs")
    assert f"/console/print-runs/{run.id}" in listed
    assert '<progress max="1200" value="500"' in listed
    shown = page(client, f"/console/print-runs/{run.id}")
    assert '<progress max="1200" value="500"' in shown
    assert "500 of 1,200 letters" in shown
    assert "1 of 3" in shown
    assert "handing its batches to the printer" in shown
    assert "1 batch was given up" in shown
    assert "1,200 letters, 2,400 sheets" in shown
    assert "data-live" in shown


@pytest.mark.parametrize(("expected", "size"), [(6000, "6,000"), (1000, "1,200")])
def test_a_run_that_collects_says_what_it_expects(
    client: FlaskClient, neighbours: Neighbours, expected: int, size: str
) -> None:
    run = add_run(
        neighbours,
        PrintRun.STATE_COLLECTING,
        letter_count=1200,
        submitted_letter_count=500,
        expected_letter_count=expected,
    )
    for path in ("/console/print-runs", f"/console/print-runs/{run.id}"):
        shown = page(client, path)
        assert f'<progress max="{size.replace(",", "")}" value="500"' in shown
        assert f"500 of 1,200 letters collected so far, {size} expected" in shown


def test_a_run_of_unknown_size_promises_no_end(client: FlaskClient, neighbours: Neighbours) -> None:
    run = add_run(neighbours, PrintRun.STATE_COLLECTING, letter_count=1200, submitted_letter_count=500)
    for path in ("/console/print-runs", f"/console/print-runs/{run.id}"):
        shown = page(client, path)
        assert "<progress aria-labelledby=" in shown
        assert "500 of 1,200 letters collected so far" in shown


def test_a_complete_run_stands_still(client: FlaskClient, neighbours: Neighbours) -> None:
    run = add_run(neighbours, PrintRun.STATE_SUBMITTED, letter_count=6000, submitted_letter_count=6000)
    shown = page(client, f"/console/print-runs/{run.id}")
    assert "complete" in shown
    assert "<dt>Letters a second</dt><dd>100</dd>" in shown
    assert "data-live" not in shown
    empty = add_run(neighbours, PrintRun.STATE_SUBMITTED)
    assert '<progress max="1" value="1"' in page(client, f"/console/print-runs/{empty.id}")


def test_an_unknown_run_is_not_found(client: FlaskClient) -> None:
    page(client, f"/console/print-runs/{uuid4()}", 404)
