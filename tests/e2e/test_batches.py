"""Batches through all real processes: each row once, exactly as answered, whatever the body is or dies."""

import gzip
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from notify_common.ids import child_id
from notify_testing.waiting import WAIT_SECONDS, until

from tests.harness.house import ACCEPT_SECONDS, House

NDJSON = {"Content-Type": "application/x-ndjson"}
Json = Any


def text_row(house: House, number: int = 0, **changed: Json) -> dict[str, Json]:
    row = {
        "type": "sms",
        "template_id": house.seeded.templates["sms"],
        "phone_number": f"07400{number:06}",
        "personalisation": {"name": "Amala", "date": "1 December"},
    } | changed
    return {name: value for name, value in row.items() if value is not None}


def email_row(house: House, **changed: Json) -> dict[str, Json]:
    return {
        "type": "email",
        "template_id": house.seeded.templates["email"],
        "email_address": "amala@example.com",
        "personalisation": {"name": "Amala", "date": "1 December", "needs parking": "no"},
    } | changed


def lines(*rows: Json) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def post(
    house: House, body: bytes | Iterator[bytes], key: str = "", query: str = "", **headers: str
) -> requests.Response:
    return requests.post(
        f"{house.stack.base_url}/v2/batches{query}",
        data=body,
        headers=house.headers(**{"Idempotency-Key": key or str(uuid.uuid4())} | NDJSON | headers),
        timeout=WAIT_SECONDS,
    )


def stored(house: House, batch_id: str) -> set[str]:
    rows = house.query("notifications", "SELECT id::text FROM notifications WHERE batch_id = %s", batch_id)
    return {row[0] for row in rows}


def batches(house: House) -> int:
    return int(house.query("notifications", "SELECT count(*) FROM batches")[0][0])


def test_good_rows_are_accepted_and_bad_ones_told_as_they_would_be_alone(house: House) -> None:
    bad = [
        (text_row(house, phone_number="07"), "phone_number", "ValidationError"),
        (text_row(house, type="fax"), "type", "ValidationError"),
        (text_row(house, type=None), "type", "ValidationError"),
        (text_row(house, phone_number=7), "phone_number", "ValidationError"),
        (text_row(house, extra=1), None, "ValidationError"),
        (text_row(house, template_id=str(uuid.uuid4())), "template_id", "BadRequestError"),
        (text_row(house, template_id=house.seeded.templates["email"]), "template_id", "BadRequestError"),
        (text_row(house, personalisation={}), "personalisation", "BadRequestError"),
        (text_row(house, sms_sender_id=str(uuid.uuid4())), "sms_sender_id", "BadRequestError"),
        (email_row(house, email_address="a@"), "email_address", "ValidationError"),
        (
            email_row(house, personalisation={"name": {"file": "JVBERg=="}}),
            "personalisation",
            "BadRequestError",
        ),
        (text_row(house, deliver_by="2020-01-01T00:00:00Z"), "deliver_by", "ValidationError"),
        ([1], None, "ValidationError"),
        (b'{"type": "sms", "phone_number": NaN}\n', None, "BadRequestError"),
        (b"{\n", None, "BadRequestError"),
        (b"\xff\xfe{}\n", None, "BadRequestError"),
        (b"[" * 30_000 + b"\n", None, "BadRequestError"),
        (b'{"type": "sms", "reference": "\\u0000"}\n', "reference", "ValidationError"),
    ]
    good = [text_row(house), email_row(house), b'{"type": "fax", ' + lines(text_row(house))[1:], b" \r\n"]
    answer = post(house, lines(*good, *(row for row, _, _ in bad)))
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["row_count"], told["accepted_count"]) == (21, 3)
    assert told["refused_rows"] == [[4, 21]]
    first = {entry["row"]: entry for entry in reversed(told["errors"])}
    for number, (row, field, error) in enumerate(bad, 4):
        assert (first[number]["field"], first[number]["error"]) == (field, error), (row, first[number])
        if isinstance(row, dict) and row.get("type") in ("sms", "email") and "file" not in str(row):
            alone = requests.post(
                f"{house.stack.base_url}/v2/notifications/{row.pop('type')}",
                json=row,
                headers=house.headers(),
                timeout=WAIT_SECONDS,
            )
            assert alone.status_code == first[number]["status_code"]
            assert alone.json()["errors"][0]["message"] == first[number]["message"]
    assert stored(house, told["id"]) == {child_id(told["id"], number) for number in (1, 2, 3)}
    shown = requests.get(told["uri"], headers=house.headers(), timeout=WAIT_SECONDS).json()
    assert (shown["status"], shown["accepted_count"], shown["refused_count"]) == ("complete", 3, 18)
    assert sum(shown["counts"].values()) == 3
    listed = requests.get(shown["notifications"], headers=house.headers(), timeout=WAIT_SECONDS).json()
    assert {one["id"] for one in listed["notifications"]} == stored(house, told["id"])


def test_arrays_say_the_same_as_lines(house: House) -> None:
    rows = [text_row(house), email_row(house), {"type": "sms"}, 7, {"type": "sms", "a": [[1e400]]}]
    body = json.dumps(rows, indent=2).encode()
    array = post(house, body, **{"Content-Type": "application/json"}).json()
    by_line = post(house, lines(*rows)).json()
    unlike = {"id": "", "uri": ""}
    assert array | unlike == by_line | unlike
    # without a length too, since the closing bracket says that it is whole
    chunked = post(house, iter([body[:100], body[100:]]), **{"Content-Type": "application/json"})
    assert chunked.json() | unlike == array | unlike


def test_what_is_no_batch_is_refused_and_stores_nothing(house: House) -> None:
    row = lines(text_row(house))
    before = batches(house)
    array = {"Content-Type": "application/json"}
    for body, headers, status, sentence in [
        (b"", {}, 400, "A batch must have at least 1 row"),
        (b"\n \r\n", {}, 400, "A batch must have at least 1 row"),
        (b"[]", array, 400, "A batch must have at least 1 row"),
        (row * 100_001, {}, 400, "A batch cannot have more than 100000 rows"),
        (b"[" + row, array, 400, "Invalid JSON supplied in POST data"),
        (b"[" + row + b",]", array, 400, "Invalid JSON supplied in POST data"),
        (b"[" + row + b"] x", array, 400, "Invalid JSON supplied in POST data"),
        (b"[" + row + row + b"]", array, 400, "Invalid JSON supplied in POST data"),
        (row, array, 400, "Invalid JSON supplied in POST data"),
        (("[" + row.decode() + "]").encode("utf-16"), array, 400, "Invalid JSON supplied in POST data"),
        (b"[" * 100_000, array, 400, "Invalid JSON supplied in POST data"),
        (row + b"x" * 70_000, {}, 413, "Row 2 is too large. It cannot be larger than 65536 bytes."),
        (b'["' + b"x" * 70_000, array, 413, "Row 1 is too large. It cannot be larger than 65536 bytes."),
        (gzip.compress(row), {"Content-Encoding": "gzip"}, 415, "Content-Encoding is not supported"),
        (row, {"Content-Type": "text/csv"}, 415, "Content-Type must be one of"),
        (iter([row]), {}, 411, "Content-Length is a required header"),
    ]:
        answer = post(house, body, **headers)  # type: ignore[arg-type] # a body of either kind
        assert answer.status_code == status, answer.text
        assert sentence in answer.json()["errors"][0]["message"]
    answer = requests.post(
        f"{house.stack.base_url}/v2/batches", data=row, headers=house.headers() | NDJSON, timeout=WAIT_SECONDS
    )
    assert answer.json()["errors"][0]["message"] == "Idempotency-Key is a required header"
    unknown = f"{house.stack.base_url}/v2/batches/{uuid.uuid4()}"
    assert requests.get(unknown, headers=house.headers(), timeout=WAIT_SECONDS).status_code == 404
    assert batches(house) == before


def test_a_body_of_150_mb_is_refused(house: House) -> None:
    key = str(uuid.uuid4())
    head = f"POST /v2/batches HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\nContent-Length: 150000000\r\n"
    for name, value in (house.headers() | NDJSON).items():
        head += f"{name}: {value}\r\n"
    with socket.create_connection(("127.0.0.1", house.stack.port), WAIT_SECONDS) as connection:
        # what is left of a body is read for a while, so that a client that is still sending hears the answer
        connection.sendall(head.encode() + b"\r\n" + b"x" * 11_000_000)
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"cannot be larger than 134217728 bytes" in answer


def test_a_key_stands_for_one_body(house: House) -> None:
    key = str(uuid.uuid4())
    body = lines(text_row(house), text_row(house, 1), {"type": "sms"})
    first = post(house, body, key)
    again = post(house, body, key)
    assert again.json() == first.json()
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    other = post(house, body + body, key)
    assert (other.status_code, other.json()["errors"][0]["error"]) == (422, "UnprocessableEntityError")
    assert len(stored(house, first.json()["id"])) == 2


def test_an_upload_that_breaks_off_stores_nothing_and_its_repeat_all(house: House) -> None:
    key = str(uuid.uuid4())
    body = lines(*(text_row(house, number) for number in range(1200)))
    head = (
        f"POST /v2/batches HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n"
    )
    for name, value in (house.headers() | NDJSON).items():
        head += f"{name}: {value}\r\n"
    before = batches(house)
    with socket.create_connection(("127.0.0.1", house.stack.port), WAIT_SECONDS) as connection:
        connection.sendall(head.encode() + b"\r\n" + body[: len(body) // 2])
    answer = post(house, body, key)
    until(lambda: answer.status_code == 201 or post(house, body, key).status_code == 201, WAIT_SECONDS)
    told = post(house, body, key).json()
    assert told["accepted_count"] == len(stored(house, told["id"])) == 1200
    assert batches(house) == before + 1


@pytest.mark.parametrize("process", ["notifications", "gateway-public"])
def test_a_death_in_the_middle_loses_and_doubles_nothing(house: House, process: str) -> None:
    key = str(uuid.uuid4())
    count = 3_000
    body = lines(*(text_row(house, number) for number in range(count)))
    answers: list[Json] = []

    def send_until_answered() -> None:
        until_time = time.monotonic() + ACCEPT_SECONDS
        pause = threading.Event()
        while not answers and time.monotonic() < until_time:
            try:
                answer = post(house, body, key)
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code == 201:
                answers.append(answer.json())
            elif answer is not None:
                assert answer.status_code in (409, 429, 500, 502, 503, 504), answer.text
            pause.wait(0.5)

    def begun() -> int:
        rows = house.query(
            "notifications",
            "SELECT count FROM batch_counts WHERE batch_id = "
            "(SELECT id FROM batches ORDER BY create_time DESC LIMIT 1) AND state = 'created'",
        )
        return int(rows[0][0]) if rows else 0

    known = batches(house)
    sender = threading.Thread(target=send_until_answered)
    sender.start()
    until(lambda: batches(house) > known and begun() >= 500, WAIT_SECONDS)
    house.stack.kill(process)
    house.stack.restart(process)
    sender.join(ACCEPT_SECONDS)
    assert answers
    (told,) = answers
    assert told["accepted_count"] == count
    assert stored(house, told["id"]) == {child_id(told["id"], number) for number in range(1, count + 1)}
    (counted,) = house.query(
        "notifications", "SELECT sum(count) FROM batch_counts WHERE batch_id = %s", told["id"]
    )
    assert counted[0] == count


def test_a_preview_shows_messages_and_sends_none(house: House) -> None:
    url = f"{house.stack.base_url}/v2/preview"
    before = house.query("notifications", "SELECT count(*) FROM notifications")
    rows = [text_row(house), email_row(house), text_row(house, phone_number="07"), text_row(house, type=None)]
    answer = requests.post(url, json=rows, headers=house.headers(), timeout=WAIT_SECONDS)
    assert answer.status_code == 200, answer.text
    text, mail, bad, untyped = answer.json()["previews"]
    assert (text["would_be_accepted"], text["encoding"], text["fragments"]) == (True, "GSM-7", 1)
    assert text["cost_in_pounds"] > 0
    assert mail["html"]
    assert [one["would_be_accepted"] for one in (bad, untyped)] == [False, False]
    assert bad["errors"][0]["field"] == "phone_number"
    (alone,) = requests.post(url, json=rows[0], headers=house.headers(), timeout=WAIT_SECONDS).json()[
        "previews"
    ]
    assert alone == text
    address = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "postcode": "SW14 6BF"}
    letter: dict[str, Json] = {
        "type": "letter",
        "template_id": house.seeded.templates["letter"],
        "personalisation": {"name": "Amala", "date": "1 December", **address},
    }
    shown: list[Any] = []

    def is_typeset() -> bool:
        """Ask again while letters, on a busy machine, have no time to typeset one: then nothing is told of
        it."""
        shown[:] = requests.post(url, json=letter, headers=house.headers(), timeout=WAIT_SECONDS).json()[
            "previews"
        ]
        return shown[0]["pages"] is not None

    until(is_typeset)
    (typeset,) = shown
    assert (typeset["pages"], typeset["sheets"], typeset["postage"]) == (1, 1, "second"), typeset
    assert typeset["cost_in_pounds"] > text["cost_in_pounds"]
    many = requests.post(url, json=rows * 13, headers=house.headers(), timeout=WAIT_SECONDS)
    assert many.status_code == 400
    assert house.query("notifications", "SELECT count(*) FROM notifications") == before


def test_a_batch_that_could_cost_too_much_stores_nothing_and_one_that_may_is_as_any(house: House) -> None:
    rows = [text_row(house, number) for number in range(1200)]
    rows.append(text_row(house, personalisation={}))
    url = f"{house.stack.base_url}/v2/preview"
    (shown,) = requests.post(url, json=rows[0], headers=house.headers(), timeout=WAIT_SECONDS).json()[
        "previews"
    ]
    price = round(1200 * shown["cost_in_pounds"], 6)
    key, before = str(uuid.uuid4()), batches(house)
    refused = post(house, lines(*rows), key, f"?max_cost={price - 0.01:.6f}")
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["error"] == "BadRequestError"
    assert error["message"].startswith(f"Could cost £{price:.2f}")
    assert batches(house) == before
    # the key stands for nothing yet
    told = post(house, lines(*rows), key, f"?max_cost={price:.6f}")
    assert told.status_code == 201, told.text
    assert told.json()["refused_rows"] == [[1201, 1201]]
    assert len(stored(house, told.json()["id"])) == 1200
    again = post(house, lines(*rows), key, f"?max_cost={price:.6f}")
    assert again.headers["Idempotent-Replayed"] == "true"
    for query, status, sentence in [
        ("?max_cost=9", 422, "Idempotency-Key was used before"),
        ("", 422, "Idempotency-Key was used before"),
        ("?max_cost=-1", 400, "max_cost is not an amount in pounds from 0 to 1000000"),
        ("?max_cost=1000000.1", 400, "max_cost is not an amount"),
        ("?max_cost=1&max_cost=2", 400, "max_cost is not an amount"),
        ("?max_cost=NaN", 400, "max_cost is not an amount"),
        ("?max_cost=", 400, "max_cost is not an amount"),
    ]:
        answer = post(house, lines(*rows), key, query)
        assert answer.status_code == status, answer.text
        assert sentence in answer.json()["errors"][0]["message"]
