"""Envoy in front of the gateways: `deploy/envoy/edge.yaml` on one machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from notify_local import envoy

INTERNAL_PATHS = (
    "/(?:(?:_status/live-service-and-organisation-counts|console|complaint|email-branding|events"
    "|inbound-number|invite|letter-attachment|letter-branding|letter-rates|letters|organisation|organisations"
    "|performance-dashboard|platform-admin|platform-stats|protected-sender-id|provider-details|service"
    "|sms-rate|user)(?:/.*)?)?"
)
"""What of the gateway's internal face is served on one machine, beside the public one at the same address:
what the admin web app asks for, the inbox and the page that leads to it (ADR 0027)."""

DOCUMENT_PATHS = (
    "/(?:get-page-count|letter_attachment_preview[.]png|precompiled|precompiled-preview[.]png"
    "|preview[.](?:pdf|png))(?:/.*)?"
)
"""The rest of that face: previews and checks, to which PDFs are sent."""

LARGEST_BODY_BYTES = 10 * 1024 * 1024

LISTS_AT_ONCE = 2
"""Lists of messages that a gateway makes at once."""

HEAP_BYTES = 512 * 1024 * 1024
"""Memory that the edge may take before it cuts the largest bodies off."""


def write_config(
    path: Path,
    edge_port: int,
    gateway_ports: Sequence[int],
    *,
    internal_ports: Sequence[int] = (),
    requests_per_second: int = 50_000,
    burst: int = 50_000,
    request_seconds: int = 30,
    watch_port: int | None = None,
    source: Path = envoy.FOLDER,
) -> Path:
    """Write production's configuration, changed into one of this machine, to `path`, and return that.

    It differs in its addresses, in that clients speak HTTP without TLS, and in limits: `requests_per_second`
    and `burst` are of one address, and on one machine everybody has the same. A request has to arrive within
    `request_seconds`. Its metrics are at `watch_port`, if there is one. With `internal_ports` the gateway's
    internal face is served as well, at the same address. Production's configuration is in `source`.
    """
    config = envoy.load("edge", source)
    edge = envoy.listener(config, "edge")
    edge["address"] = envoy.on_this_machine(edge_port)
    del edge["filter_chains"][0]["transport_socket"]
    manager = envoy.connection_manager(edge)
    manager["request_timeout"] = f"{request_seconds}s"
    [limit] = [
        filter["typed_config"] for filter in manager["http_filters"] if "local_ratelimit" in filter["name"]
    ]
    limit["descriptors"][0]["token_bucket"] |= {
        "max_tokens": burst,
        "tokens_per_fill": requests_per_second,
    }
    for lane in ("gateway", "lists", "batches"):
        envoy.send_to(envoy.cluster(config, lane), gateway_ports)
    if internal_ports:
        _serve_internal_face(config, manager, internal_ports)
    envoy.watch_at(config, watch_port, path.with_suffix(".sock"))
    return envoy.write(config, path)


def _serve_internal_face(config: dict[str, Any], manager: dict[str, Any], ports: Sequence[int]) -> None:
    buffer = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
    [host] = manager["route_config"]["virtual_hosts"]
    for name, paths, waiting in (
        ("internal", INTERNAL_PATHS, {"buffer": {"max_request_bytes": LARGEST_BODY_BYTES}}),
        ("documents", DOCUMENT_PATHS, {"disabled": True}),
    ):
        route = {
            "name": name,
            "match": {"safe_regex": {"regex": paths}},
            "route": {"cluster": "internal_gateway", "timeout": "40s"},
            "typed_per_filter_config": {"envoy.filters.http.buffer": {"@type": buffer, **waiting}},
        }
        host["routes"].insert(0, route)
    internal: dict[str, Any] = {"name": "internal_gateway", "connect_timeout": "1s", "load_assignment": {}}
    internal["load_assignment"]["cluster_name"] = "internal_gateway"
    envoy.send_to(internal, ports)
    config["static_resources"]["clusters"].append(internal)
