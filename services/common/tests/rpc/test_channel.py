"""Channels belong to a process and are never made at import (design.md §4.3)."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from notify_common.rpc.channel import Channels
from notify_common.rpc.options import channel_options, server_options
from notify_testing.rpc import InProcessServer, tls_settings
from notify_testing.waiting import WAIT_SECONDS

Serve = Callable[..., InProcessServer]

FORKING = """
import os, sys
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceStub
from notify_common.rpc.channel import Channels
from notify_common.settings import ServiceSettings
from notify_testing.requests import GET_USER

channels = Channels(ServiceSettings())
if sys.argv[2] == "used":
    UsersServiceStub(channels.get("admin", sys.argv[1])).GetUser(GET_USER)
before = channels.get("admin", sys.argv[1]) if sys.argv[2] == "used" else None
child = os.fork()
if child == 0:
    channel = channels.get("admin", sys.argv[1])
    assert channel is not before
    UsersServiceStub(channel).GetUser(GET_USER)
    os._exit(0)
_, status = os.waitpid(child, 0)
UsersServiceStub(channels.get("admin", sys.argv[1])).GetUser(GET_USER)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("before", ["used", "unused"])
def test_a_forked_process_gets_channels_of_its_own(serve_users: Serve, before: str) -> None:
    files = tls_settings("gateway-internal")
    environment = os.environ | {
        "TLS_CA_FILE": str(files.tls_ca_file),
        "TLS_CERT_FILE": str(files.tls_cert_file),
        "TLS_KEY_FILE": str(files.tls_key_file),
    }
    done = subprocess.run(
        [sys.executable, "-c", FORKING, serve_users().target, before],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_client_pings_more_often_than_servers_take() -> None:
    server, client = dict(server_options()), dict(channel_options("admin"))
    least = server["grpc.http2.min_ping_interval_without_data_ms"]
    assert int(client["grpc.keepalive_time_ms"]) > int(least)
    assert client["grpc.keepalive_permit_without_calls"] == server["grpc.keepalive_permit_without_calls"]


def test_grpc_knows_every_option() -> None:
    # It ignores an option of another name without a word.
    (library,) = Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")
    known = library.read_bytes()
    options = [*server_options(), *channel_options("admin")]
    assert [name for name, _ in options if name.encode() not in known] == []


def test_asking_again_gives_the_same_channel() -> None:
    channels = Channels(tls_settings("gateway-internal"))
    first = channels.get("admin", "dns:///localhost:1")
    assert channels.get("admin", "dns:///localhost:1") is first
    assert channels.get("letters", "dns:///localhost:1") is not first
    assert channels.get("admin", "dns:///localhost:2") is not first
    channels.close()
    assert channels.get("admin", "dns:///localhost:1") is not first
    channels.close()


def test_a_channel_made_at_import_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hasty.py").write_text(
        "from notify_common.rpc.channel import Channels\n"
        "from notify_testing.rpc import tls_settings\n"
        "Channels(tls_settings('gateway-internal')).get('admin', 'dns:///localhost:1')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="while a module is imported"):
        __import__("hasty")
