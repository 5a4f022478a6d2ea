"""Scanning files for viruses by clamd, over its own protocol (`INSTREAM`, null-terminated commands)."""

import socket
from enum import StrEnum
from typing import Annotated, Final, Protocol

from pydantic import Field

ClamdAddress = Annotated[str, Field(pattern=r"^(off|tcp://[^/\s]+:[0-9]{1,5}|unix:///\S+)$")]
"""Setting: where clamd listens, `tcp://host:port` or `unix:///path`; `off` for files that are not scanned."""

_CHUNK: Final = 64 * 1024
_LONGEST_ANSWER: Final = 4096


class Verdict(StrEnum):
    """What a scan found."""

    CLEAN = "clean"
    INFECTED = "infected"


class ScannerUnavailable(Exception):
    """clamd can't be reached, or did not answer: nothing is known of the file, or of any other."""


class ScanFailed(Exception):
    """clamd says that it can't scan this file, such as one that is larger than it takes."""


class Scanner(Protocol):
    """What finds viruses."""

    def scan(self, content: bytes) -> Verdict:
        """Scan a file. Raises ScannerUnavailable, ScanFailed."""


def scanner_of(address: str, seconds: float) -> Scanner | None:
    """Return what scans files as the setting says; None where they are not scanned."""
    return None if address == "off" else Clamd(address, seconds)


class Clamd:
    """Sends one file a connection; safe to share between threads.

    Args:
        address: `tcp://host:port` or `unix:///path`.
        seconds: longest wait for the connection, for room to send, and for the verdict, each.
    """

    def __init__(self, address: str, seconds: float = 30.0) -> None:
        self._kind, _, self._place = address.partition("://")
        self._seconds = seconds

    def scan(self, content: bytes) -> Verdict:
        """Scan a file.

        Raises:
            ScannerUnavailable: ask again later.
            ScanFailed: this file can't be scanned.
        """
        try:
            with self._connect() as connection:
                answer = self._ask(connection, content)
        except OSError as error:
            raise ScannerUnavailable(type(error).__name__) from None
        if answer.endswith(b"FOUND"):
            return Verdict.INFECTED
        if answer == b"stream: OK":
            return Verdict.CLEAN
        if answer.endswith(b"ERROR"):
            raise ScanFailed
        # cut off, or not clamd at all: never clean
        raise ScannerUnavailable("no verdict")

    def _connect(self) -> socket.socket:
        if self._kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(self._seconds)
            try:
                connection.connect(self._place)
            except OSError:
                connection.close()
                raise
            return connection
        host, _, port = self._place.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), self._seconds)

    def _ask(self, connection: socket.socket, content: bytes) -> bytes:
        try:
            connection.sendall(b"zINSTREAM\0")
            for start in range(0, len(content), _CHUNK):
                chunk = content[start : start + _CHUNK]
                connection.sendall(len(chunk).to_bytes(4) + chunk)
            connection.sendall(bytes(4))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it says no before it has all: its answer tells why
        answer = b""
        while len(answer) < _LONGEST_ANSWER and not answer.endswith(b"\0"):
            part = connection.recv(_LONGEST_ANSWER)
            if not part:
                break
            answer += part
        # without its end an answer may be cut off
        return answer[:-1].strip() if answer.endswith(b"\0") else b""
