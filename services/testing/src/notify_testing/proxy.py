"""A TCP proxy before a PostgreSQL server whose connections can go silent, as in a failover."""

import contextlib
import socket
import threading
from types import TracebackType

from notify_common.db.engine import postgres_url


class SilentProxy:
    """Passes bytes between clients and a server on a unix socket while the `with` block runs.

    After `go_silent` the connections that there are pass nothing on, in either direction, and stay open;
    new ones work.

    Args:
        url: of a database on the server.
    """

    def __init__(self, url: str) -> None:
        self._url = postgres_url(url)
        folder, port = self._url.query["host"], self._url.port or 5432
        self._server = f"{folder}/.s.PGSQL.{port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.accepted = 0
        """Connections so far."""

    @property
    def url(self) -> str:
        """The database behind the proxy."""
        host, port = self._listener.getsockname()
        url = self._url.set(drivername="postgresql", host=host, port=port, query={})
        return url.render_as_string(hide_password=False)

    def go_silent(self) -> None:
        """Pass nothing on any more on the connections that there are."""
        with self._lock:
            self._silent.update(self._open)

    def __enter__(self) -> "SilentProxy":
        threading.Thread(target=self._accept, name="silent-proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            with self._lock:
                self.accepted += 1
                self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                if source in self._silent:
                    continue
                target.sendall(received)
            if source not in self._silent:
                target.shutdown(socket.SHUT_WR)
