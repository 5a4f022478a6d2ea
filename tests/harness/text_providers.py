"""Stand-ins for providers of texts on 127.0.0.1, which take every text and may end the call badly."""

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit


class CallFault(StrEnum):
    """How a call ends whose text was taken."""

    NONE = "none"
    LATE = "late"
    """The answer comes `late_seconds` later."""
    RESET = "reset"
    HTML = "html"
    """Status 200, with a page in place of JSON."""
    STATUS_500 = "500"


class TextProvider:
    """A stand-in: counts the texts that it took by their ids. It listens between `listen` and `leave`.

    Attributes:
        path: where it takes texts.
        status, body: how it says yes.
        taken: id of a message -> how many copies came.
        fault_of: says of an id how its call ends.
        on_taken: is told each id, in a thread of the stand-in's, once the text is taken.
        late_seconds: what "late" is.
    """

    path = ""
    status = b"200 OK"
    body = b"{}"

    def __init__(self, late_seconds: float = 1.0) -> None:
        self.taken: Counter[str] = Counter()
        self.fault_of: Callable[[str], CallFault] = lambda _: CallFault.NONE
        self.on_taken: Callable[[str], None] = lambda _: None
        self.late_seconds = late_seconds
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Return where it takes texts."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def id_of(self, body: bytes) -> str:
        """Return our id of the text in a request."""
        raise NotImplementedError

    def listen(self) -> None:
        """Take connections from here on."""
        begun = asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self._server = asyncio.run_coroutine_threadsafe(begun, self._loop).result()

    def leave(self) -> None:
        """Refuse connections from here on, and drop those that are open."""

        async def close() -> None:
            assert self._server is not None
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                id = self.id_of(await reader.readexactly(length))
                self.taken[id] += 1
                self.on_taken(id)
                if not await self._answer(self.fault_of(id), writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _answer(self, fault: CallFault, writer: asyncio.StreamWriter) -> bool:
        """Answer one call; return whether the connection is still of use."""
        if fault is CallFault.RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return False
        if fault is CallFault.LATE:
            await asyncio.sleep(self.late_seconds)
        status = b"500 Internal Server Error" if fault is CallFault.STATUS_500 else self.status
        body = b"<html><body>OK</body></html>" if fault is CallFault.HTML else self.body
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        return True


class Mmg(TextProvider):
    """Stands in for MMG."""

    path = "/jsonv2a/api.php"
    body = b'{"Reference":"1"}'

    def id_of(self, body: bytes) -> str:
        """See TextProvider."""
        return str(json.loads(body)["cid"])


class Firetext(TextProvider):
    """Stands in for Firetext."""

    path = "/api/sendsms/json"
    body = b'{"code":0,"description":"SMS successfully queued"}'

    def id_of(self, body: bytes) -> str:
        """See TextProvider."""
        return parse_qs(body.decode())["reference"][0]


class Twilio(TextProvider):
    """Stands in for Twilio, which is told our id in the address that it reports to."""

    status = b"201 Created"
    body = b'{"sid":"SM00000000000000000000000000000001","status":"queued"}'

    def id_of(self, body: bytes) -> str:
        """See TextProvider."""
        callback = parse_qs(body.decode())["StatusCallback"][0]
        return parse_qs(urlsplit(callback).query)["notification_id"][0]
