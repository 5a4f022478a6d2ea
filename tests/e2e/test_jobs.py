"""A spreadsheet goes through the deployed processes, whichever is killed."""

import uuid
from typing import Any

from notify_common.blobs.s3 import BlobStore
from notify_local.backing import ObjectStore
from notify_local.seed import fixed_id
from notify_local.stack import JOB_BUCKET

from tests.harness.house import SETTLE_SECONDS, House, eventually

from .test_callbacks import admin

ROWS = 4_000
_COUNTS = """
SELECT count(*), count(DISTINCT row_number), min(row_number), max(row_number),
    count(*) FILTER (WHERE state = 'delivered')
FROM notifications WHERE batch_id = %s
"""
_ATTEMPTS = """
SELECT count(DISTINCT a.dispatch_id), count(*)
FROM attempts a JOIN dispatches d ON d.id = a.dispatch_id WHERE d.service_id = %s AND d.lane = 'job'
"""
_END_OTHERS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user
"""


def upload(house: House) -> str:
    """Put a file of texts where the admin web app puts it; return its id."""
    id = str(uuid.uuid4())
    lines = "".join(f"07400{number:06},Ann {number},Monday\n" for number in range(ROWS))
    told = {
        "original_file_name": "people.csv",
        "notification_count": str(ROWS),
        "template_id": house.seeded.templates["sms"],
        "valid": "True",
    }
    bucket = BlobStore(
        house.stack.object_store_url, JOB_BUCKET, ObjectStore.access_key, ObjectStore.secret_key
    )
    key = f"service-{house.seeded.service_id}-notify/{id}.csv"
    bucket.put(key, f"phone number,name,date\n{lines}".encode(), told)
    return id


def counted(house: House, id: str) -> tuple[Any, ...]:
    return house.query("notifications", _COUNTS, id)[0]


def test_each_row_is_sent_once_whatever_is_killed(house: House) -> None:
    id = upload(house)
    asked = {"id": id, "created_by": fixed_id("user")}
    assert admin(house, "POST", "/job", asked)["data"]["job_status"] == "pending"
    assert eventually(lambda: counted(house, id)[0] > 0, SETTLE_SECONDS)
    house.stack.kill("notifications-jobs")
    house.query("notifications", _END_OTHERS)
    house.stack.restart("notifications-jobs")
    # the lease of the worker that died has to end first
    assert eventually(lambda: counted(house, id)[0] == ROWS, 2 * SETTLE_SECONDS)
    assert eventually(lambda: counted(house, id)[4] == ROWS, SETTLE_SECONDS)
    assert counted(house, id)[:4] == (ROWS, ROWS, 0, ROWS - 1)
    shown = admin(house, "GET", f"/job/{id}")["data"]
    assert shown["job_status"] == "finished all notifications created"
    assert shown["statistics"] == [{"status": "delivered", "count": ROWS}]
    ((handed, attempts),) = house.query("providers", _ATTEMPTS, house.seeded.service_id)
    assert handed == attempts
