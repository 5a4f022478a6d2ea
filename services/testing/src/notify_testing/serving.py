"""HTTP servers in threads of a test's process."""

import threading
from socketserver import BaseServer

# how long a server needs to notice that it is to end; the library's own half a second is most of a quick test
_NOTICE_SECONDS = 0.02


def serve_in_thread(server: BaseServer) -> None:
    """Answer requests until `server.shutdown()`, which waits for the end."""
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": _NOTICE_SECONDS}, daemon=True
    ).start()
