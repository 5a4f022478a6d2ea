"""A stand-in for MMG: takes every message at once. Prints its port; ends with SIGTERM.

Bare asyncio, so that it takes as little as possible of the cores that the bench shares with it.
"""

import argparse
import asyncio

_BODY = b'{"Reference":"0000000"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    + str(len(_BODY)).encode()
    + b"\r\n\r\n"
    + _BODY
)
_LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One kept-open connection."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = int(head[head.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, _ANSWER)
            else:
                self._transport.write(_ANSWER)


async def serve(latency: float) -> None:
    """Listen on a free port until it is ended."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(latency), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="time to an answer")
    asyncio.run(serve(parser.parse_args().latency_ms / 1000))
