"""A scanner that speaks clamd's protocol and knows one virus, the test file of the antivirus industry."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import BinaryIO, Final

VIRUS: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""Whatever holds this is infected."""

_COMMAND: Final = b"zINSTREAM\0"
_LENGTH_BYTES: Final = 4


class FakeClamd:
    """Listens while the `with` block runs, and answers each connection once, as clamd does.

    Args:
        largest: in bytes; a larger file can't be scanned.
    """

    def __init__(self, largest: int = 1024 * 1024) -> None:
        self._largest = largest
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.scanned: list[bytes] = []
        """What it was given, in full."""
        self.cut_answers = False
        """Whether its answers break off before their end."""

    @property
    def address(self) -> str:
        """Where it listens, as the letters service is told."""
        host, port = self._listener.getsockname()
        return f"tcp://{host}:{port}"

    def __enter__(self) -> "FakeClamd":
        threading.Thread(target=self._serve, daemon=True, name="fake-clamd").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Listen no more; whoever connects from now on is refused."""
        # wakes the thread that waits in accept, which closing alone does not
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                answer = self._answer(stream)
                connection.sendall(answer[:-1] if self.cut_answers else answer)

    def _answer(self, stream: BinaryIO) -> bytes:
        read = stream.read
        if read(len(_COMMAND)) != _COMMAND:
            return b"UNKNOWN COMMAND\0"
        content = b""
        while length := int.from_bytes(read(_LENGTH_BYTES)):
            content += read(length)
            if len(content) > self._largest:
                return b"INSTREAM size limit exceeded. ERROR\0"
        self.scanned.append(content)
        return b"stream: Eicar-Test-Signature FOUND\0" if VIRUS in content else b"stream: OK\0"
