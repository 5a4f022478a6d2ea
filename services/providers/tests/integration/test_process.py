"""The schema, the commands and the boot errors."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from notify_common.db.migrations import schema_differences
from notify_providers.store.tables import metadata
from notify_testing.rpc import certificates
from notify_testing.waiting import WAIT_SECONDS

from . import fake_mmg
from .conftest import PAGE_SECRET, World, eventually
from .fake_mmg import FakeMmg
from .messages import sms


def test_the_models_are_the_schema(world: World) -> None:
    assert schema_differences(metadata, world.url) == []


def command(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command of the service."""
    files = certificates()["providers"]
    values: dict[str, object] = {
        "database_url": "postgresql://nobody@127.0.0.1:1/nothing",
        "page_token_secret": PAGE_SECRET,
        "tls_ca_file": files.ca,
        "tls_cert_file": files.cert,
        "tls_key_file": files.key,
        **settings,
    }
    environment = {f"NOTIFY_PROVIDERS_{name.upper()}": str(value) for name, value in values.items()}
    return subprocess.run(
        [sys.executable, "-m", "notify_providers", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_good_settings_are_said_to_be_complete() -> None:
    assert command("check-config").returncode == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mmg_url": "https://example.com"}, "mmg_url and mmg_api_key should be set together"),
        ({"mmg_url": "ftp://x", "mmg_api_key": "k"}, "NOTIFY_PROVIDERS_MMG_URL"),
        ({"environment": "production", "sandbox_live_messages": "true"}, "sandbox_live_messages"),
        ({"environment": "staging"}, "suppression_secret is required in every environment but local"),
        ({"dispatch_window": "0"}, "NOTIFY_PROVIDERS_DISPATCH_WINDOW"),
        ({"provider_timeout_seconds": "45"}, "NOTIFY_PROVIDERS_PROVIDER_TIMEOUT_SECONDS"),
    ],
)
def test_bad_settings_are_one_clear_sentence(settings: dict[str, object], words: str) -> None:
    done = command("check-config", **settings)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_queue_is_one_clear_sentence() -> None:
    done = command("work", "--queues", "dispatch,nonsense")
    assert done.returncode == 2
    assert "no such queue: nonsense; there are dispatch, receipts, sandbox, housekeeping" in done.stderr


def test_parked_dispatches_are_shown_and_released(world: World) -> None:
    bad, good = sms("447700900903"), sms()
    world.take_over(bad, good)
    workers = world.workers(world.parts(retry_interval_seconds=3600), "dispatch")
    world.run("UPDATE dispatches SET attempt = 2 WHERE id = :id", id=bad.id)
    world.run(
        "INSERT INTO attempts SELECT :id, n, 'sandbox-sms', now(), now(), 'retryable', 'http_503'"
        " FROM generate_series(1, 2) n",
        id=bad.id,
    )
    world.run("UPDATE dispatches SET content = jsonb_set(content, '{colour}', '1') WHERE id = :id", id=bad.id)
    workers.settle()
    shown = command("parked", database_url=world.url)
    assert shown.stdout == "dispatches/sms: 1 parked: can't be planned: TypeError\n"
    world.run("UPDATE dispatches SET content = content - 'colour' WHERE id = :id", id=bad.id)
    released = command("parked", "--release", "dispatches/sms", database_url=world.url)
    assert (released.returncode, released.stdout) == (0, "dispatches/sms: 1 released\n")
    workers.settle()
    assert world.states() == {"sent": 2}
    assert [outcome for outcome, _ in world.attempts(bad.id)] == ["retryable", "retryable", "accepted"]
    assert command("parked", database_url=world.url).stdout == ""
    assert [tuple(row) for row in world.rows("SELECT action, queue, caller, count FROM ops_actions")] == [
        ("redrive", "dispatches/sms", "command-line", 1)
    ]


def test_housekeeping_keeps_the_newest_and_deletes_the_rest(world: World) -> None:
    for _ in range(5):
        world.take_over(sms())
        world.workers(world.parts()).settle()
    newest = world.rows("SELECT id FROM sandbox_messages ORDER BY receive_time DESC LIMIT 2")
    world.run("UPDATE delivery_events SET create_time = now() - interval '40 days' WHERE kind = 'sent'")
    world.workers(world.parts(sandbox_keep_count=2), "housekeeping").settle()
    assert world.rows("SELECT id FROM sandbox_messages ORDER BY receive_time DESC") == newest
    assert world.rows("SELECT kind, count(*) FROM delivery_events GROUP BY 1") == [("delivered", 5)]
    world.run("UPDATE sandbox_messages SET receive_time = now() - interval '8 days'")
    world.workers(world.parts(), "housekeeping").settle()
    assert world.value("SELECT count(*) FROM sandbox_messages") == 0


def test_dispatches_are_deleted_with_all_that_became_of_them_when_their_time_is_over(world: World) -> None:
    old, refused, kept = sms(), sms("447700900901"), replace(sms(), retention_days=30)
    world.take_over(old, refused, kept)
    world.workers(world.parts()).settle()
    times = world.rows("SELECT id, extract(epoch FROM expire_time - create_time) / 86400 FROM dispatches")
    assert {str(id): int(days) for id, days in times} == {old.id: 7, refused.id: 7, kept.id: 30}
    world.workers(world.parts(), "housekeeping").settle()
    assert world.value("SELECT count(*) FROM dispatches") == 3
    world.run("UPDATE dispatches SET expire_time = expire_time - interval '8 days'")
    world.workers(world.parts(), "housekeeping").settle()
    for column, table in (("id", "dispatches"), ("dispatch_id", "attempts"), ("dispatch_id", "receipts")):
        assert [str(id) for (id,) in world.rows(f"SELECT DISTINCT {column} FROM {table}")] == [kept.id]


def test_what_was_not_sent_in_its_time_is_given_up_and_its_content_goes(world: World, mmg: FakeMmg) -> None:
    waits, doubtful, parked, under_way = (sms(f"44770090000{n}") for n in range(4))
    mmg.script("447700900001", fake_mmg.GARBAGE)
    mmg.script("447700900003", fake_mmg.HANG)
    world.hold_at_once("mmg")
    world.take_over(waits, parked)
    world.run("UPDATE dispatches SET due_at = now() + interval '1 day' WHERE id = :id", id=waits.id)
    world.run("UPDATE dispatches SET parked_at = now() WHERE id = :id", id=parked.id)
    world.take_over(doubtful, under_way)
    with world.workers(world.parts(**mmg.settings)).running():
        eventually(lambda: world.states() == {"in-doubt": 1, "queued": 3} and mmg.hanging == 1)
        world.run("UPDATE dispatches SET expire_time = now() - interval '1 second'")
        world.workers(world.parts(), "housekeeping").settle()
        assert world.states() == {"queued": 1}, "a call under way is let end"
        for message in (waits, doubtful, parked):
            assert world.kinds(message.id) == ["technical-failure"]
        mmg.release()
        eventually(lambda: world.kinds(under_way.id) == ["sent"])
    world.workers(world.parts(), "housekeeping").settle()
    assert world.value("SELECT count(*) FROM dispatches") == 0


def test_only_so_many_receipts_of_unknown_messages_are_kept(world: World) -> None:
    world.run(
        "INSERT INTO unmatched_receipts"
        " (dispatch_id, provider, reference, status, detail, kind, second_copy, provider_time)"
        " SELECT gen_random_uuid(), 'mmg', n::text, '3', '', 'delivered', false, now()"
        " FROM generate_series(1, 1200) n"
    )
    world.workers(world.parts(unmatched_keep_count=1000), "housekeeping").settle()
    assert world.rows("SELECT min(reference::int), count(*) FROM unmatched_receipts") == [(201, 1000)]
