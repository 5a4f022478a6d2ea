"""gRPC options of both ends in one place, since they must agree (design.md §4.3)."""

from collections.abc import Sequence

from notify_common.rpc import service_config

Options = Sequence[tuple[str, str | int]]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""The most that one message may have; larger things are streamed in chunks."""

LARGEST_CONTENT_BYTES = MAX_MESSAGE_BYTES - 64 * 1024
"""The most that the texts of one message may have, with room for what is around them."""

_LONGEST_BACKOFF_MS = 2000
RECONNECT_SECONDS = 1.2 * _LONGEST_BACKOFF_MS / 1000
"""Within this time a channel finds a server that listens again: its longest pause and what gRPC adds."""

_KEEPALIVE_MS = 30_000  # a client pings this often …
_LEAST_PING_INTERVAL_MS = 20_000  # … and a server takes more than that for abuse
_KEEPALIVE_TIMEOUT_MS = 10_000
_MAX_CONNECTION_AGE_MS = 300_000  # clients look for new servers this often
_CONNECTION_AGE_GRACE_MS = 30_000
_MAX_TRAILER_BYTES = 64 * 1024  # the details of an error travel there


def server_options() -> Options:
    """Return the options of a server."""
    return (
        ("grpc.so_reuseport", 0),  # a taken port is an error, not a second listener
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
        ("grpc.max_connection_age_ms", _MAX_CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_AGE_GRACE_MS),
    )


def channel_options(service: str) -> Options:
    """Return the options of a channel to `service`, whose certificate bears that name."""
    return (
        ("grpc.ssl_target_name_override", service),
        ("grpc.service_config", service_config.for_channel(service)),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", _MAX_TRAILER_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * _MAX_TRAILER_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        # A restarted server is found again at once, not after gRPC's default of up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", _LONGEST_BACKOFF_MS),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
    )
