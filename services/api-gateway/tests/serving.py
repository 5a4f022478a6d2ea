"""The gateway over real HTTP, on a port that was free."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from notify_testing.serving import serve_in_thread
from werkzeug.serving import make_server


@contextmanager
def serve(app: Flask) -> Iterator[str]:
    """Serve `app` while the `with` block runs, and yield its base URL without a slash at the end."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serve_in_thread(server)
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
