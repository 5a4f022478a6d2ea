"""Whether readers of a large service keep another tenant waiting: `make drill-readers`.

Starts the platform with its edge, gives one service a million messages, and has 4, 16 and 48 readers list
those of it that are `created`, each again as soon as it is answered, whatever the answer, while another
service sends one text after the other. Before each of the three it sends as many beside nobody. Prints the
medians of its waits and their ratio; fails where one is longer than BOUND_MS. On a machine that is busy with
other things the ratio alone says something.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections import Counter
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any, Final

import jwt
import psycopg2
import pycurl
import requests
from notify_local.seed import Seeded, seed
from notify_local.stack import Stack
from stacks import running_stack

BOUND_MS: Final = 50.0
READERS: Final = (4, 16, 48)
SENDS: Final = 60
_CHUNK: Final = 20_000
_TOKEN_SECONDS: Final = 10.0

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
    with running_stack(with_edge=True) as stack:
        large, other = seed(stack, "Large"), seed(stack, "Other")
        fill(stack, large, rows)
        waits(stack.base_url, other)  # the first ones wait for what is then cached
        medians = [median_wait(stack.base_url, large, other, readers) for readers in READERS]
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


def median_wait(base_url: str, large: Seeded, other: Seeded, readers: int) -> float:
    """Milliseconds that a send waits beside so many readers."""
    alone = statistics.median(waits(base_url, other))
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    # in this process they would keep the sender itself waiting
    process = spawning.Process(
        target=read, args=(f"{base_url}/v2/notifications?status=created", large, readers, theirs), daemon=True
    )
    process.start()
    ours.recv()
    beside = statistics.median(waits(base_url, other))
    ours.send("stop")
    seen = ours.recv()
    process.join(30)
    print(
        f"{readers} readers: sends wait {beside:.0f} ms, {beside / alone:.1f} times the {alone:.0f} ms "
        f"without; reads answered {seen}",
        flush=True,
    )
    return beside


def waits(base_url: str, service: Seeded) -> list[float]:
    """Milliseconds that each of a number of sends waits."""
    body: Any = {
        "template_id": service.templates["sms"],
        "phone_number": "07400 000001",
        "personalisation": {"name": "x", "date": "x"},
    }
    taken = []
    with requests.Session() as session:
        for _ in range(SENDS):
            started = time.perf_counter()
            answer = session.post(
                f"{base_url}/v2/notifications/sms", json=body, headers=headers(service), timeout=30
            )
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 201:
                raise SystemExit(f"a send was answered {answer.status_code}")
    return taken


def read(url: str, service: Seeded, readers: int, pipe: Connection) -> None:
    """Read from so many connections until something comes through the pipe; answer it with what was seen.

    Says when the first are under way.
    """
    seen: Counter[int] = Counter()
    multi = pycurl.CurlMulti()
    waiting = [_reader(url) for _ in range(readers)]
    token, since = _header_lines(service), time.monotonic()
    pipe.send("begun")
    while not pipe.poll():
        if time.monotonic() - since > _TOKEN_SECONDS:
            token, since = _header_lines(service), time.monotonic()
        for reader in waiting:
            reader.setopt(pycurl.HTTPHEADER, token)
            multi.add_handle(reader)
        multi.perform()
        _, answered, failed = multi.info_read()
        waiting = [*answered, *(reader for reader, *_ in failed)]
        for reader in waiting:
            seen[reader.getinfo(pycurl.RESPONSE_CODE)] += 1
            multi.remove_handle(reader)
        if not waiting:
            multi.select(0.1)
    pipe.send(dict(seen))


def _reader(url: str) -> pycurl.Curl:
    reader = pycurl.Curl()
    reader.setopt(pycurl.URL, url)
    reader.setopt(pycurl.TIMEOUT, 60)
    reader.setopt(pycurl.WRITEFUNCTION, lambda part: None)
    return reader


def _header_lines(service: Seeded) -> list[str]:
    return [f"{name}: {value}" for name, value in headers(service).items()]


def headers(service: Seeded) -> dict[str, str]:
    """Return a fresh token of the service."""
    key = service.api_keys["normal"]
    token = jwt.encode({"iss": service.service_id, "iat": int(time.time())}, key[-36:], "HS256")
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    sys.exit(main())
