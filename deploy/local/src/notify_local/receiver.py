"""A service's own server, for people who try the platform: takes callbacks over HTTPS and shows what came.

`python -m notify_local.receiver` takes callbacks on one port of 127.0.0.1, and shows the last hundred on
another: a page at `/`, the same as JSON at `/received.json`.
"""

import argparse
import html
import json
import ssl
import threading
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

MOST_KEPT: Final = 100
MOST_BYTES: Final = 65_536
_SHOWN: Final = ("authorization", "webhook-id", "webhook-timestamp", "webhook-signature")
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Callbacks</title>
<style>
body{{font:16px sans-serif;margin:2em;max-width:60em}}
pre{{background:#f3f2f1;padding:1em;overflow:auto}}
</style>
<h1>What the demo service was told</h1>
<p>The last hundred callbacks, newest first. Load the page again for more.</p>
{callbacks}</html>"""


def main() -> None:
    """Take and show callbacks until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m notify_local.receiver", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where callbacks are taken, over HTTPS")
    parser.add_argument("--page-port", type=int, required=True, help="where they are shown, over HTTP")
    parser.add_argument("--cert", required=True, help="certificate (PEM)")
    parser.add_argument("--key", required=True, help="its key (PEM)")
    arguments = parser.parse_args()
    received: deque[dict[str, Any]] = deque(maxlen=MOST_KEPT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.cert, arguments.key)

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", "0")), MOST_BYTES)
            body = self.rfile.read(length).decode(errors="replace")
            headers = {name: self.headers[name] for name in _SHOWN if name in self.headers}
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            received.appendleft({"time": time, "path": self.path, "headers": headers, "body": _read(body)})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    class Showing(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            shown = list(received)
            as_json = self.path == "/received.json"
            content = json.dumps(shown) if as_json else _page(shown)
            self.send_response(200)
            kind = "application/json" if as_json else "text/html; charset=utf-8"
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            return

    class Secured(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def finish_request(self, request: Any, client_address: Any) -> None:
            with context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            return

    taking = Secured(("127.0.0.1", arguments.port), Taking)
    threading.Thread(target=taking.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", arguments.page_port), Showing).serve_forever()


def _read(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _page(shown: list[dict[str, Any]]) -> str:
    parts = (
        f"<h2>{html.escape(one['path'])}</h2><pre>{html.escape(json.dumps(one, indent=2))}</pre>"
        for one in shown
    )
    return _PAGE.format(callbacks="\n".join(parts) or "<p>None as yet.</p>")


if __name__ == "__main__":
    main()
