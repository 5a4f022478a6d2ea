"""What MMG and the sandbox report (public-api.md §9.2)."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_providers.clients import sandbox
from notify_providers.clients.base import Callback, Rejected
from notify_providers.clients.mmg import Mmg, MmgSettings
from notify_providers.domain.receipts import Kind, Receipt

ID = "7d1a6b1e-3c40-4a3f-9d51-0f1b0a1c2d3e"


def read(body: bytes) -> Receipt:
    """Read the body of a receipt of MMG."""
    [receipt] = Mmg().read_receipts(MmgSettings(), Callback(body)).receipts
    return receipt


def mmg(**fields: Any) -> Receipt:
    """Read a receipt of MMG."""
    return read(json.dumps({"CID": ID, "status": "3", **fields}).encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("2", "permanent-failure"),
        ("3", "delivered"),
        (3, "delivered"),
        ("4", "temporary-failure"),
        ("5", "permanent-failure"),
        ("0", "technical-failure"),
        ("delivered", "technical-failure"),
    ],
)
def test_each_status_of_mmg_has_its_kind(status: str | int, kind: str) -> None:
    assert mmg(status=status).kind == kind


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-05 16:01:07", datetime(2026, 1, 5, 16, 1, 7, tzinfo=UTC)),
        ("2026-07-05 16:01:07", datetime(2026, 7, 5, 15, 1, 7, tzinfo=UTC)),
        ("2026-07-05T16:01:07+00:00", datetime(2026, 7, 5, 16, 1, 7, tzinfo=UTC)),
        ("2026-07-05T16:01:07Z", datetime(2026, 7, 5, 16, 1, 7, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        (1467730867, None),
        (None, None),
    ],
)
def test_times_are_london_time_unless_they_say_otherwise(written: Any, time: datetime | None) -> None:
    assert mmg(deliverytime=written).provider_time == time


def test_only_a_duplicate_id_is_about_a_second_copy() -> None:
    assert mmg(status="5", substatus=23).silent
    assert not mmg(status="5", substatus="24").silent
    assert not mmg(status="2", substatus="23").silent


def test_half_a_character_can_be_stored() -> None:
    receipt = read(b'{"CID": "%s", "status": "3\\ud800", "substatus": "\\udc00"}' % ID.encode())
    assert (receipt.status, receipt.detail) == ("3?", "?")


def test_an_id_in_upper_case_is_the_same_id() -> None:
    assert mmg(CID=ID.upper()).reference == ID


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, ("status", "CID")),
        ({"status": "3"}, ("CID",)),
        ({"CID": ID, "status": None}, ("status",)),
        ({"CID": ID, "status": " "}, ("status",)),
        ({"CID": ID, "status": "3\0"}, ()),
    ],
)
def test_missing_fields_are_named(fields: dict[str, Any], missing: tuple[str, ...]) -> None:
    body = json.dumps(fields).encode()
    if not missing:
        assert read(body).status == "3"
        return
    with pytest.raises(Rejected) as caught:
        read(body)
    sentences = [f"MMG callback failed: {name} missing" for name in missing]
    assert caught.value.answer.status == 400
    assert json.loads(caught.value.answer.body) == {"result": "error", "message": sentences}


def test_a_reference_that_is_none_of_our_ids_is_dropped_with_a_yes() -> None:
    done = Mmg().read_receipts(MmgSettings(), Callback(b'{"CID": "x", "status": "3"}'))
    assert (done.receipts, done.answer.status) == ((), 200)
    assert done.answer.body == b'{"result":"success"}\n'


@pytest.mark.parametrize("kind", list(Kind))
def test_the_sandbox_speaks_our_words(kind: Kind) -> None:
    body = sandbox.write_receipt(ID, kind, "2026-01-01T00:00:00+00:00").encode()
    receipt = sandbox.read_receipt("sandbox-email", body)
    assert (receipt.kind, receipt.provider, receipt.dispatch_id) == (kind, "sandbox-email", ID)
    assert receipt.provider_time == datetime(2026, 1, 1, tzinfo=UTC)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["CID", "status", "x"]), inner),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(Rejected):
        Mmg().read_receipts(MmgSettings(), Callback(json.dumps(value).encode()))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises(Rejected):
        read(body)
