"""Channels to other services: mTLS, retries, balancing, our call rules (design.md §2.7, §4.3)."""

import os
import sys
import threading
from functools import partial

import grpc

from notify_common.rpc.interceptors.client import ClientChannel
from notify_common.rpc.options import channel_options
from notify_common.rpc.tls import channel_credentials, file_stamps
from notify_common.settings import ServiceSettings

LOOK_SECONDS = 10.0
"""How often, at most, a channel looks whether its certificate was renewed."""


class Channels:
    """The channels of this process, one for each service and target, made when first asked for.

    They follow the files of the certificate: where it was renewed, calls go over a new connection.

    A channel does not survive a fork, so channels belong to a process id: a child gets its own. Stubs hold
    channels; make them after the fork too.
    """

    def __init__(self, settings: ServiceSettings, look_seconds: float = LOOK_SECONDS) -> None:
        self._settings = settings
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._channels: dict[tuple[int, str, str], ClientChannel] = {}

    def get(self, service: str, target: str) -> ClientChannel:
        """Return the channel to the service `service` (`admin`, `letters`, …) at `target`.

        `target` is a gRPC target such as `dns:///notifications:6012`, whose addresses are used in turn, or
        `unix:/path`. The server's certificate must bear the name `service`, which a sidecar sees to where
        there is one. Raises RuntimeError during an import: what is made then is shared by every process that
        is forked later.
        """
        key = (os.getpid(), service, target)
        channel = self._channels.get(key)
        if channel is not None:
            return channel
        _refuse_at_import()
        with self._lock:
            channel = self._channels.get(key)
            if channel is None:
                channel = ClientChannel(
                    partial(self._make, service, target),
                    partial(file_stamps, self._settings),
                    self._look_seconds,
                )
                self._channels[key] = channel
            return channel

    def _make(self, service: str, target: str) -> grpc.Channel:
        options = channel_options(service)
        if self._settings.sidecar:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, channel_credentials(self._settings), options=options)

    def close(self) -> None:
        """Close the channels that this process made; call under way end with CANCELLED."""
        with self._lock:
            for key in [key for key in self._channels if key[0] == os.getpid()]:
                self._channels.pop(key).close()


def _refuse_at_import() -> None:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            raise RuntimeError("no channel may be made while a module is imported; make it in bootstrap")
        frame = frame.f_back  # type: ignore[assignment] # None ends the loop
