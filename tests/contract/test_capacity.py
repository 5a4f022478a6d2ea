"""The capacity model: what it foretells was measured, and what it is told is checked."""

import subprocess
import sys
from itertools import pairwise

import pytest
from notify_capacity.__main__ import main
from notify_capacity.measured import MEASURED, POINTS, value
from notify_capacity.model import Load, dispatches_a_second, plan
from notify_capacity.simulation import arrivals, fair_shares, flood, run_day

LARGE = Load(100e6)


def foretold() -> dict[str, float]:
    """Return what the model says of each point."""
    kept = ("notifications_bytes", "callback_bytes", "providers_bytes", "event_bytes")
    servers = 3 * value("server_connections") + value("notifications_connections")
    workers = (
        "notifications_work_connections",
        "callbacks_connections",
        "jobs_connections",
        "providers_work_connections",
        "letters_work_connections",
    )
    return {
        "messages a second of a worker whose provider takes 60 ms": dispatches_a_second(60),
        "processor ms of accepting with 8 connections": value("accept_ms"),
        "MiB of 5000 texts in notifications and providers": 5000 * sum(map(value, kept)) / 2**20,
        "connections of a platform with one of each process, but Celery's": servers
        + sum(map(value, workers)),
    }


def test_the_model_foretells_what_was_measured() -> None:
    said = foretold()
    assert said.keys() == POINTS.keys()
    for name, point in POINTS.items():
        assert said[name] == pytest.approx(point.measured, rel=point.tolerance or 1e-9), name
    assert all(one.command and one.source and one.value > 0 for one in MEASURED.values())


def test_more_messages_need_no_less() -> None:
    plans = [plan(Load(10**exponent)) for exponent in range(3, 10)]
    for one, other in pairwise(plans):
        assert one.processes <= other.processes
        assert one.processors < other.processors
        assert all(one.gib[name] <= other.gib[name] for name in one.gib)
    assert all(need.count >= 2 for need in plans[0].needs)


def test_a_slow_provider_needs_more_workers() -> None:
    def workers(milliseconds: float) -> int:
        made = plan(Load(100e6, provider_ms=milliseconds))
        return next(need.count for need in made.needs if need.process == "providers-work")

    assert workers(1000) > workers(60) >= workers(0)


def test_a_day_of_a_hundred_million_leaves_nothing_waiting() -> None:
    assert sum(arrivals(LARGE)) == pytest.approx(LARGE.messages_a_day)
    planned = run_day(LARGE, LARGE.peak)
    assert planned.handled == pytest.approx(LARGE.messages_a_day)
    assert (planned.left, planned.longest_wait) == (0, 0)
    # what is too small for the peak catches up after it, and says how long that takes
    half = run_day(LARGE, LARGE.peak / 2)
    assert half.handled == pytest.approx(LARGE.messages_a_day)
    assert 60 < half.longest_wait < 3600
    assert run_day(LARGE, LARGE.messages_a_day / 86_400 / 2).left > 0


def test_a_flood_of_one_tenant_makes_no_other_wait() -> None:
    rate = LARGE.peak / 0.6
    crowd = {
        "others": 100,
        "their_rate": LARGE.peak * 0.6 / 100,
        "flood_count": 2e6,
        "rate": rate,
        "seconds": 400,
    }
    fair = flood(**crowd)  # type: ignore[arg-type] # by name
    unfair = flood(**crowd, fair=False)  # type: ignore[arg-type] # by name
    assert fair["others"] <= 1
    assert unfair["others"] > 100
    assert fair["flood"] >= unfair["flood"]


def test_shares_are_the_same_until_somebody_has_less() -> None:
    assert fair_shares({"a": 100, "b": 1, "c": 50}, 61) == {"b": 1, "a": 30, "c": 30}
    assert fair_shares({"a": 1, "b": 2}, 10) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--messages", "0"),
        ("--messages", "nan"),
        ("--messages", "-5"),
        ("--messages", "1e6", "--mix", "0.9,0.9,0.9"),
        ("--messages", "1e6", "--mix", "1"),
        ("--messages", "1e6", "--mix", "a,b,c"),
        ("--messages", "1e6", "--peak-factor", "0"),
        ("--messages", "1e6", "--days", "0"),
        ("--messages", "1e6", "--told", "2"),
    ],
)
def test_what_is_no_load_is_refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_the_command_prints_a_plan_and_its_constants() -> None:
    command = [sys.executable, "-m", "notify_capacity", "--messages", "1000000", "--constants"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for name in (*MEASURED, "providers-work", "connections", "GiB"):
        assert name in done.stdout
