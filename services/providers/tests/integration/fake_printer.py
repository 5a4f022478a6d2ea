"""A printer behind SFTP: a real server over a folder, and somebody who takes what is put there."""

import asyncio
import hashlib
import json
import threading
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

import asyncssh

USERNAME = "notify"


class FakePrinter:
    """Lets in who has the key. `taken` are the letters that it took, each as often as it did.

    Attributes:
        faults: names of operations that fail once each: `open`, `write` or `posix_rename`.
        knows_posix_rename: whether the server has that extension.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: list[str] = []
        self.manifests: list[list[dict[str, Any]]] = []
        self.faults: deque[str] = deque()
        self.knows_posix_rename = True
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host_key.export_public_key().decode()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.port = self._server.get_port()

    def names(self) -> list[str]:
        """Return the names of the files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def take(self) -> None:
        """Do what the printer does: take each zip whose manifest stands, and see that it is whole."""
        for path in sorted(self.folder.glob("*.JSONL")):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            head, letters = lines[0], lines[1:]
            file = self.folder / head["file"]
            if not file.exists():
                continue
            assert head["file"].removesuffix(".ZIP") == path.name.removesuffix(".JSONL")
            assert hashlib.sha256(file.read_bytes()).hexdigest() == head["sha256"]
            assert file.stat().st_size == head["bytes"]
            with zipfile.ZipFile(file) as opened:
                assert opened.namelist() == [letter["file"] for letter in letters]
                for letter in letters:
                    assert hashlib.sha256(opened.read(letter["file"])).hexdigest() == letter["sha256"]
            assert head["letters"] == len(letters)
            self.taken += [letter["id"] for letter in letters]
            self.manifests.append(lines)
            path.unlink()
            file.unlink()

    def close(self) -> None:
        """Stop the server."""
        self._loop.call_soon_threadsafe(self._server.close)
        asyncio.run_coroutine_threadsafe(self._server.wait_closed(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        printer = self

        class Door(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                known = printer.client_key.convert_to_public()
                return username == USERNAME and key.public_data == known.public_data

        class Folder(asyncssh.SFTPServer):
            def __init__(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
                super().__init__(chan, chroot=str(printer.folder).encode())

            def open(self, *arguments: Any) -> Any:
                printer._fail("open")
                return super().open(*arguments)

            def write(self, *arguments: Any) -> Any:
                printer._fail("write")
                return super().write(*arguments)

            def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
                if not printer.knows_posix_rename:
                    raise asyncssh.SFTPOpUnsupported("no such extension")
                printer._fail("posix_rename")
                return super().posix_rename(oldpath, newpath)

        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Door,
            server_host_keys=[self._host_key],
            sftp_factory=Folder,
            config=None,
        )

    def _fail(self, operation: str) -> None:
        if self.faults and self.faults[0] == operation:
            self.faults.popleft()
            raise asyncssh.SFTPFailure("the disk is full")
