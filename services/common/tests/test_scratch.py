"""Scratch files on a disk that is full."""

import tempfile

import pytest
from notify_common.errors import NotifyError
from notify_common.scratch import needs_room


def test_a_full_disk_is_told_as_being_busy() -> None:
    with pytest.raises(NotifyError) as caught, needs_room(), open("/dev/full", "wb") as file:
        file.write(b"left in the buffer until it is closed")
    assert caught.value.reason == "OVERLOADED"
    assert caught.value.retry_after is not None


def test_so_is_a_disk_that_was_full_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    with pytest.raises(NotifyError) as caught, needs_room(), tempfile.TemporaryFile():
        pass
    assert caught.value.reason == "OVERLOADED"


def test_other_faults_stay_what_they_are() -> None:
    with pytest.raises(FileNotFoundError), needs_room(), open("/nowhere/file", "wb"):
        pass
