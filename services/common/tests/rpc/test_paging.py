"""Page tokens: what was put in comes out, and nothing else is taken (design.md §2.7)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify.common.v1.page_token_pb2 import PageToken
from notify_common.errors import NotifyError
from notify_common.rpc.options import LARGEST_CONTENT_BYTES
from notify_common.rpc.paging import Pager, page_size, that_fit

PAGER = Pager(b"s" * 32)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
positions = st.lists(texts, max_size=4).map(tuple)
filters = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers() | texts | st.lists(texts, max_size=3), max_size=4
)


def refused(token: str, given_filters: dict[str, object]) -> bool:
    try:
        PAGER.decode(token, given_filters)
    except NotifyError as error:
        return error.reason == "PAGE_TOKEN_INVALID" and error.violations[0].field == "page_token"
    return False


@given(positions, filters)
def test_a_token_comes_back_as_it_went(position: tuple[str, ...], given_filters: dict[str, object]) -> None:
    assert PAGER.decode(PAGER.encode(position, given_filters), given_filters) == position


@given(positions, filters, filters)
def test_other_filters_are_refused(
    position: tuple[str, ...], first: dict[str, object], second: dict[str, object]
) -> None:
    same = repr(sorted(first.items())) == repr(sorted(second.items()))
    assert refused(PAGER.encode(position, first), second) is not same


@given(positions, filters, st.data())
def test_a_changed_token_is_refused(
    position: tuple[str, ...], given_filters: dict[str, object], data: st.DataObject
) -> None:
    token = PAGER.encode(position, given_filters)
    at = data.draw(st.integers(0, len(token) - 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ é\n"
    other = data.draw(st.sampled_from(alphabet).filter(lambda letter: letter != token[at]))
    assert refused(token[:at] + other + token[at + 1 :], given_filters)
    assert refused(token[:at], given_filters) or at == 0
    assert refused(token + other, given_filters)


@given(st.text(min_size=1, max_size=300))
def test_any_other_text_is_refused(text: str) -> None:
    assert refused(text, {})


@given(st.binary(min_size=1, max_size=200))
def test_any_other_bytes_are_refused(content: bytes) -> None:
    assert refused(base64.urlsafe_b64encode(content).decode().rstrip("="), {})


def test_another_service_s_token_is_refused() -> None:
    assert refused(Pager(b"t" * 32).encode(("a",), {}), {})


def test_the_order_of_filters_does_not_matter() -> None:
    token = PAGER.encode(("a",), {"service_id": "1", "states": ["sent"]})
    assert PAGER.decode(token, {"states": ["sent"], "service_id": "1"}) == ("a",)


def test_no_token_asks_for_the_first_page() -> None:
    assert PAGER.decode("", {"any": "filter"}) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pager(b"short")


@pytest.mark.parametrize(("asked", "given_size"), [(0, 50), (1, 1), (250, 250), (251, 250), (2**31 - 1, 250)])
def test_page_sizes(asked: int, given_size: int) -> None:
    assert page_size(asked) == given_size


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(NotifyError) as caught:
        page_size(-1)
    assert caught.value.reason == "INVALID_FIELD"


def test_an_answer_ends_before_it_is_too_large_and_holds_one_at_least() -> None:
    half = PageToken(position=["x" * (LARGEST_CONTENT_BYTES // 2 - 100)])
    larger = PageToken(position=["x" * (LARGEST_CONTENT_BYTES + 1)])
    assert that_fit([half, half, half]) == [half, half]
    assert that_fit([larger, half]) == [larger]
    assert that_fit([half, larger]) == [half]
    assert that_fit([]) == []
