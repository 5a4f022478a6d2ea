"""Whether readers of a large service keep another tenant waiting: `make drill-readers`.

Starts the platform, gives one service a million messages, and has 4, 16 and 48 readers list those of it that
are `created` without a pause, while another service sends one text after the other. Prints the median of its
waits; fails where that is longer than BOUND_MS. On a machine that is busy with other things it says little.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import jwt
import psycopg2
import requests
from notify_local.seed import Seeded, seed
from notify_local.stack import Options, Stack

BOUND_MS: Final = 50.0
READERS: Final = (4, 16, 48)
SENDS: Final = 60
_CHUNK: Final = 20_000

_FILL: Final = """
INSERT INTO notifications (
    id, service_id, api_key_id, key_type, channel, template_id, template_version, recipient,
    normalised_recipient, sender, personalisation, unsubscribe_url, content_hash, state, create_time,
    international, phone_prefix, rate_multiplier
)
SELECT
    gen_random_uuid(), %(service)s, gen_random_uuid(), 'normal', 'sms', %(template)s, 1, '', '', '',
    '[["name", "x"], ["date", "x"]]', '', '', CASE WHEN n %% 5000 = 0 THEN 'created' ELSE 'delivered' END,
    now() - n * interval '1 second', false, '44', 1
FROM generate_series(%(first)s, %(last)s) AS n
"""


def main() -> int:
    """Return the exit status: 0 where the median wait kept the bound beside all readers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="notify-drill-")))
        folder.chmod(0o755)  # PostgreSQL, if this runs as root, is an ordinary user
        stack = Stack(Options(folder / "stack", console=False))
        exits.callback(stack.stop)
        stack.start(lambda text: print(f"starting {text}", flush=True))
        large, other = seed(stack, "Large"), seed(stack, "Other")
        fill(stack, large, rows)
        medians = [median_wait(stack, large, other, readers) for readers in (0, *READERS)]
    kept = max(medians) <= BOUND_MS
    print(f"bound {BOUND_MS:.0f} ms: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def fill(stack: Stack, service: Seeded, rows: int) -> None:
    """Give a service so many messages."""
    with closing(psycopg2.connect(stack.app_urls["notifications"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for first in range(1, rows + 1, _CHUNK):
                values = {"service": service.service_id, "template": service.templates["sms"]}
                last = min(first + _CHUNK - 1, rows)
                cursor.execute(_FILL, {**values, "first": first, "last": last})
                print(f"{last} messages", flush=True)


def median_wait(stack: Stack, large: Seeded, other: Seeded, readers: int) -> float:
    """Milliseconds that a send waits beside so many readers."""
    done = threading.Event()
    seen: Counter[int] = Counter()

    def read() -> None:
        with requests.Session() as session:
            url = f"{stack.base_url}/v2/notifications?status=created"
            while not done.is_set():
                status = session.get(url, headers=headers(large), timeout=30).status_code
                seen[status] += 1

    threads = [threading.Thread(target=read, daemon=True) for _ in range(readers)]
    for thread in threads:
        thread.start()
    waits = []
    body: Any = {
        "template_id": other.templates["sms"],
        "phone_number": "07400 000001",
        "personalisation": {"name": "x", "date": "x"},
    }
    with requests.Session() as session:
        for _ in range(SENDS):
            started = time.perf_counter()
            answer = session.post(
                f"{stack.base_url}/v2/notifications/sms", json=body, headers=headers(other), timeout=30
            )
            waits.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 201:
                raise SystemExit(f"a send was answered {answer.status_code}")
    done.set()
    for thread in threads:
        thread.join(30)
    median = statistics.median(waits)
    print(f"{readers} readers: sends wait {median:.0f} ms; reads answered {dict(seen)}", flush=True)
    return median


def headers(service: Seeded) -> dict[str, str]:
    """A fresh token of the service."""
    key = service.api_keys["normal"]
    token = jwt.encode({"iss": service.service_id, "iat": int(time.time())}, key[-36:], "HS256")
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    sys.exit(main())
