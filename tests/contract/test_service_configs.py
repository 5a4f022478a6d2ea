"""Every method has a deadline within its budget, and a retry policy only where repeating is harmless."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from notify_common.rpc import service_config

from .conftest import ROOT, Rpc

CONTEXTS = ("admin", "common", "letters", "notifications", "providers")

# design.md §2.7, seconds.
STREAM, BATCH, FEED, WRITE, SEND, READ = 600, 10, 5, 5, 2, 2


def config(context: str) -> Any:
    return json.loads((ROOT / f"protos/notify/{context}/v1/service_config.json").read_text())


def budget(rpc: Rpc) -> int:
    name = rpc.method.name
    if rpc.method.client_streaming or rpc.method.server_streaming:
        return STREAM
    if name.startswith("Send") or name == "BatchSend":  # the latter is waited for as each of its messages is
        return SEND
    # pages are drawn, and letters typeset, while the caller waits
    if name.startswith("Batch") or name.endswith("PageImage") or name == "PreviewRows":
        return BATCH
    if re.match(r"List\w+(Events|Changes)$", name):
        return FEED
    return READ if name.startswith(("Get", "List", "Preview", "Count")) else WRITE


def test_every_method_has_exactly_one_line(rpcs: list[Rpc]) -> None:
    lines = Counter(
        f"{name['service']}/{name['method']}"
        for context in CONTEXTS
        for entry in config(context)["methodConfig"]
        for name in entry["name"]
    )
    assert lines == Counter(rpc.path for rpc in rpcs)


def test_every_timeout_is_its_kind_s_budget(rpcs: list[Rpc]) -> None:
    wrong = {rpc.path for rpc in rpcs if service_config.timeout(f"/{rpc.path}") != budget(rpc)}
    assert wrong == set()


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_method_stands_in_its_own_context_s_file(context: str) -> None:
    for entry in config(context)["methodConfig"]:
        for name in entry["name"]:
            assert name["service"].startswith(f"notify.{context}.v1."), name


@pytest.mark.parametrize("context", CONTEXTS)
def test_calls_are_spread_and_retries_are_held_back(context: str) -> None:
    assert config(context)["loadBalancingConfig"] == [{"round_robin": {}}]
    throttling = config(context)["retryThrottling"]
    assert 0 < throttling["tokenRatio"] < 1 < throttling["maxTokens"] <= 1000


@pytest.mark.parametrize("context", CONTEXTS)
def test_retries_are_three_tries_for_unavailable_alone(context: str) -> None:
    for entry in config(context)["methodConfig"]:
        assert set(entry) <= {"name", "timeout", "retryPolicy"}
        if "retryPolicy" in entry:
            assert entry["retryPolicy"]["maxAttempts"] == 3
            assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_what_can_not_be_repeated_or_repeats_by_itself_is_not_retried(rpcs: list[Rpc]) -> None:
    retried = {
        f"{name['service']}/{name['method']}"
        for context in CONTEXTS
        for entry in config(context)["methodConfig"]
        if "retryPolicy" in entry
        for name in entry["name"]
    }
    for rpc in rpcs:
        stream = rpc.method.client_streaming or rpc.method.server_streaming
        by_itself = re.match(
            r"Batch(?!Send$)|List\w+(Events|Changes)$", rpc.method.name
        )  # rows and polls come again
        harmful = re.match(r"Update|Resolve|Count", rpc.method.name)
        if stream or by_itself or harmful:
            assert rpc.path not in retried, rpc.path
        has_request_id = any(field.name == "request_id" for field in rpc.request.field)
        if re.match(r"Get|List|Preview", rpc.method.name) and not by_itself:
            assert rpc.path in retried, rpc.path
        if has_request_id:
            assert rpc.path in retried, rpc.path


@pytest.mark.parametrize("context", CONTEXTS)
def test_channels_get_it_without_timeouts(context: str) -> None:
    given = json.loads(service_config.for_channel(context))
    assert [entry for entry in given["methodConfig"] if "timeout" in entry] == []
    stripped = [
        {k: v for k, v in entry.items() if k != "timeout"} for entry in config(context)["methodConfig"]
    ]
    assert given["methodConfig"] == stripped
