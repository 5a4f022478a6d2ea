"""The state machine: whatever the order and however often events come, it goes forward only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_common.enums import Channel, KeyType, Postage
from notify_notifications.domain.notification import (
    FINAL_RANK,
    Event,
    Happening,
    Progress,
    State,
    advance,
    rank,
)

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
UK = {"international": False, "phone_prefix": "44"}
FRANCE = {"international": True, "phone_prefix": "33"}
AMERICA = {"international": True, "phone_prefix": "1"}


def created(**changes: object) -> Progress:
    sms = Progress(
        id="n",
        service_id="s",
        template_id="t",
        channel=Channel.SMS,
        key_type=KeyType.NORMAL,
        create_time=START,
        state=State.CREATED,
        international=False,
        phone_prefix="44",
        rate_multiplier=1,
        fragment_count=None,
        sent_time=None,
        update_time=None,
        provider="",
        sheet_count=None,
        postage=None,
    )
    return replace(sms, **changes)  # type: ignore[arg-type]


def events(*happenings: Happening) -> list[Event]:
    return [
        Event("n", happening, START + timedelta(seconds=index), "mmg", 2)
        for index, happening in enumerate(happenings)
    ]


histories = st.lists(st.sampled_from(list(Happening)), max_size=8)
destinations = st.sampled_from([UK, FRANCE, AMERICA])
key_types = st.sampled_from(list(KeyType))


@given(histories, destinations, key_types)
def test_no_event_moves_a_message_back(
    history: list[Happening], destination: dict[str, object], key_type: KeyType
) -> None:
    progress = created(key_type=key_type, **destination)
    for event in events(*history):
        after = advance(progress, [event])
        assert rank(after.state) >= rank(progress.state)
        if rank(progress.state) == FINAL_RANK:
            assert after.state in (progress.state, State.RETURNED_LETTER)
        progress = after


@given(histories, destinations, st.data())
def test_order_and_repeats_don_t_decide_whether_the_end_is_reached(
    history: list[Happening], destination: dict[str, object], data: st.DataObject
) -> None:
    # what these mean depends on whether a provider had taken the message before
    depend = {Happening.TECHNICAL_FAILURE}
    if destination["international"]:
        depend.add(Happening.PERMANENT_FAILURE)
    history = [one for one in history if one not in depend]
    shuffled = data.draw(st.permutations(history + history))
    straight = advance(created(**destination), events(*history))
    crooked = advance(created(**destination), events(*shuffled))
    assert rank(crooked.state) == rank(straight.state)
    assert (crooked.sent_time is None) == (straight.sent_time is None)


@pytest.mark.parametrize("destination", [UK, FRANCE, AMERICA])
def test_what_no_provider_was_asked_to_send_can_fail_for_good(destination: dict[str, object]) -> None:
    progress = advance(created(**destination), events(Happening.PERMANENT_FAILURE))
    assert (progress.state, progress.sent_time) == (State.PERMANENT_FAILURE, None)
    assert progress.fragment_count == 0, "nothing is charged"


@given(histories, destinations)
def test_applying_a_page_again_changes_nothing(
    history: list[Happening], destination: dict[str, object]
) -> None:
    page = events(*history)
    once = advance(created(**destination), page)
    twice = advance(once, page)
    assert twice.state is once.state
    assert rank(once.state) < FINAL_RANK or twice == once


@pytest.mark.parametrize(
    ("destination", "history", "state"),
    [
        (UK, [Happening.SENT], State.SENDING),
        (UK, [Happening.SENT, Happening.PENDING], State.PENDING),
        (UK, [Happening.PENDING, Happening.SENT], State.PENDING),
        (UK, [Happening.SENT, Happening.DELIVERED, Happening.TEMPORARY_FAILURE], State.DELIVERED),
        (UK, [Happening.DELIVERED, Happening.SENT], State.DELIVERED),
        (UK, [Happening.TECHNICAL_FAILURE], State.TECHNICAL_FAILURE),
        (FRANCE, [Happening.SENT], State.SENT),
        (FRANCE, [Happening.SENT, Happening.DELIVERED], State.DELIVERED),
        (AMERICA, [Happening.SENT, Happening.DELIVERED], State.SENT),
        (AMERICA, [Happening.DELIVERED, Happening.SENT], State.SENT),
        (AMERICA, [Happening.SENT, Happening.TECHNICAL_FAILURE], State.SENT),
        (AMERICA, [Happening.TECHNICAL_FAILURE], State.TECHNICAL_FAILURE),
    ],
)
def test_texts(destination: dict[str, object], history: list[Happening], state: State) -> None:
    assert advance(created(**destination), events(*history)).state is state


def test_the_first_final_receipt_sets_the_time_of_the_last_change() -> None:
    progress = advance(created(), events(Happening.SENT, Happening.DELIVERED, Happening.DELIVERED))
    assert progress.sent_time == START
    assert progress.update_time == START + timedelta(seconds=1)
    assert progress.provider == "mmg"


@pytest.mark.parametrize(
    ("key_type", "sheets", "sent_time"),
    [(KeyType.NORMAL, 2, START + timedelta(seconds=1)), (KeyType.TEST, 0, None)],
)
def test_a_letter_is_delivered_by_its_receipt(
    key_type: KeyType, sheets: int, sent_time: datetime | None
) -> None:
    letter = created(channel=Channel.LETTER, key_type=key_type, phone_prefix="")
    ready, sent, delivered = events(Happening.LETTER_READY, Happening.SENT, Happening.DELIVERED)
    progress = advance(letter, [ready])
    assert (progress.state, progress.sheet_count) == (State.CREATED, sheets)
    progress = advance(progress, [sent])
    assert (progress.state, progress.sent_time) == (State.SENDING, sent_time)
    assert advance(progress, [delivered]).state is State.DELIVERED


def test_a_letter_that_came_as_a_pdf_is_created_once_it_is_checked() -> None:
    pdf = created(
        channel=Channel.LETTER, phone_prefix="", state=State.PENDING_VIRUS_CHECK, postage=Postage.SECOND
    )
    (ready,) = events(Happening.LETTER_READY)
    assert (advance(pdf, [ready]).state, advance(pdf, [ready]).postage) == (State.CREATED, Postage.SECOND)
    abroad = advance(pdf, [replace(ready, postage=Postage.EUROPE)])
    assert (abroad.state, abroad.postage, abroad.sheet_count) == (State.CREATED, Postage.EUROPE, 2)
    (found,) = events(Happening.LETTER_VIRUS_FOUND)
    assert advance(pdf, [found, ready]).state is State.VIRUS_SCAN_FAILED


@pytest.mark.parametrize("before", list(State))
def test_a_letter_that_the_post_brings_back_is_returned_whatever_it_was(before: State) -> None:
    letter = created(channel=Channel.LETTER, phone_prefix="", state=before, sheet_count=2)
    back, delivered, cancelled = events(
        Happening.LETTER_RETURNED, Happening.DELIVERED, Happening.LETTER_CANCELLED
    )
    assert advance(letter, [back, delivered, cancelled]).state is State.RETURNED_LETTER


@pytest.mark.parametrize("before", [State.PENDING_VIRUS_CHECK, State.CREATED])
def test_a_cancelled_letter_stays_cancelled(before: State) -> None:
    letter = created(channel=Channel.LETTER, phone_prefix="", state=before)
    cancelled, ready, delivered = events(
        Happening.LETTER_CANCELLED, Happening.LETTER_READY, Happening.DELIVERED
    )
    assert advance(letter, [cancelled, ready, delivered]).state is State.CANCELLED
    assert advance(letter, [ready, cancelled]).state is State.CANCELLED


@pytest.mark.parametrize(
    ("happening", "state"),
    [
        (Happening.LETTER_VALIDATION_FAILED, State.VALIDATION_FAILED),
        (Happening.LETTER_TECHNICAL_FAILURE, State.TECHNICAL_FAILURE),
    ],
)
def test_a_failed_pdf(happening: Happening, state: State) -> None:
    assert advance(created(channel=Channel.LETTER, phone_prefix=""), events(happening)).state is state
