"""What alerts, dashboards and documents say of metrics and log lines is what the running platform has."""

import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

import pytest
import requests
from notify_capacity.measured import POINTS
from notify_capacity.measured import value as measured
from notify_common import logging
from notify_local.stack import copy_name, is_envoy, original
from notify_testing.waiting import WAIT_SECONDS
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.house import House, eventually, log_lines
from tests.harness.observability import RUNBOOKS, SCRAPED, grouped_by, queries, rules, selectors

_NO_METRICS = frozenset({"letters-celery", "letters-beat", "callback-receiver"})
_SETTLE_SECONDS = 90.0
"""Longer than the rarest of measurements is apart."""
CONNECTIONS = {
    "admin": measured("server_connections"),
    "providers": measured("server_connections"),
    "letters": measured("server_connections"),
    "notifications": measured("notifications_connections"),
    "notifications-work": measured("notifications_work_connections"),
    "notifications-callbacks": measured("callbacks_connections"),
    "notifications-jobs": measured("jobs_connections"),
    "providers-work": measured("providers_work_connections"),
    "letters-work": measured("letters_work_connections"),
}
_OURS = ("notify_", "http_", "grpc_")
_OUTCOMES = frozenset({"grpc_code", "status", "outcome", "result", "verdict"})
"""Labels whose bad values are there once something bad happened."""
_VALUES = {"name": "A. Person", "date": "1 December", "needs parking": "no"}
_ADDRESS = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "address_line_3": "SW14 6BF"}


@dataclass
class Exported:
    """What processes export.

    Attributes:
        samples: name of a sample -> label -> the values that it has.
        metrics: names of the metrics, those without any sample included.
        connections: process -> connections to its database that it may have.
    """

    samples: dict[str, dict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    metrics: set[str] = field(default_factory=set)
    connections: dict[str, float] = field(default_factory=dict)

    def labels(self, metric: str) -> set[str] | None:
        """Return the labels of a metric's samples; None where it has none."""
        for name in (metric, f"{metric}_bucket"):
            if name in self.samples:
                return set(self.samples[name]) - {"le", "pid"}
        return None


@pytest.fixture(scope="module")
def exported(house: House) -> Exported:
    """Provide what all processes export once messages of each channel went through, and a report came."""
    templates = house.seeded.templates
    recipients = {"sms": {"phone_number": "07400123456"}, "email": {"email_address": "a@example.com"}}
    for channel, recipient in recipients.items():
        body = {"template_id": templates[channel], "personalisation": _VALUES, **recipient}
        house.wait_for_states([house.send(channel, body).id], "delivered")
    letter = {"template_id": templates["letter"], "personalisation": _VALUES | _ADDRESS}
    house.wait_until_typeset([house.send("letter", letter).id])
    house.start_print_run()
    report = {"CID": "nobody's", "status": "3"}
    requests.post(f"{house.stack.base_url}/notifications/sms/mmg", json=report, timeout=WAIT_SECONDS)
    asked = {one.metric for query in queries() for one in selectors(query.expression)} - not_scraped()
    found = [scrape(house)]

    def is_all_there() -> bool:
        found[0] = scrape(house)
        return asked <= set(found[0].samples)

    eventually(is_all_there, _SETTLE_SECONDS)
    return found[0]


def scrape(house: House) -> Exported:
    """Return what all processes export that have metrics."""
    found = Exported()
    gateways = {
        copy_name(face, number): port
        for face, ports in house.stack.gateway_ports.items()
        for number, port in enumerate(ports)
    }
    for process in house.stack.processes:
        if original(process) in _NO_METRICS or is_envoy(process):
            continue
        started = [line for line in log_lines(house.stack.folder, process) if line["event"] == "started"]
        port = started[-1]["port"] if started else gateways[process]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_SECONDS) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            if not family.name.endswith("_created"):
                found.metrics.add(f"{family.name}_total" if family.type == "counter" else family.name)
            for sample in family.samples:
                if sample.name == "notify_database_connections_limit" and process == original(process):
                    found.connections[process] = sample.value
                for label, value in sample.labels.items():
                    found.samples[sample.name][label].add(value)
                found.samples[sample.name]  # those without labels too
    return found


def not_scraped() -> set[str]:
    """Return the metrics that Prometheus itself makes: of its scrapes, and by rules."""
    return {"up", *(rule["record"] for rule in rules("record"))}


def labels_recorded() -> dict[str, Set[str]]:
    """Return the labels of what rules record: those that they group by."""
    return {
        rule["record"]: set().union(*(labels for labels, _ in grouped_by(rule["expr"]))) - {"le"}
        for rule in rules("record")
    }


def test_queries_ask_for_what_is_exported(exported: Exported) -> None:
    recorded = labels_recorded()

    def labels_of(metric: str) -> Set[str]:
        return SCRAPED | recorded.get(metric, set(exported.samples.get(metric, ())))

    wrong = []
    for query in queries():
        for one in selectors(query.expression):
            if one.metric not in exported.samples and one.metric not in not_scraped():
                wrong.append(f"{query.place}: nobody exports {one.metric}")
            for label in one.labels - labels_of(one.metric):
                wrong.append(f"{query.place}: {one.metric} has no label {label}")
            for label, value in one.equal.items():
                values = exported.samples.get(one.metric, {}).get(label)
                if values and label not in _OUTCOMES and value not in values:
                    wrong.append(f"{query.place}: {one.metric} never has {label}={value}")
        for labels, metrics in grouped_by(query.expression):
            for label in labels - set().union(*map(labels_of, metrics)):
                wrong.append(f"{query.place}: nothing that it sums up has a label {label}")
    assert not wrong, "\n".join(wrong)


def test_each_metric_of_the_platform_is_documented_and_no_other(exported: Exported) -> None:
    page = RUNBOOKS.with_name("observability.md").read_text()
    documented = {
        name: set(filter(None, labels.split(", ")))
        for name, labels in re.findall(r"^\| `(\w+)(?:\{([\w, ]+)\})?` \|", page, re.MULTILINE)
        if name.startswith(_OURS)
    }
    assert set(documented) == {name for name in exported.metrics if name.startswith(_OURS)}
    told = {name: exported.labels(name) for name in documented}
    assert {name: labels for name, labels in told.items() if labels not in (None, documented[name])} == {}


def test_connections_are_those_that_capacity_is_planned_by(house: House, exported: Exported) -> None:
    assert exported.connections == CONNECTIONS
    foretold = POINTS["connections of a platform with one of each process, but Celery's"]
    assert sum(exported.connections.values()) == foretold.measured


def test_log_lines_have_documented_fields_alone(house: House, exported: Exported) -> None:
    seen: dict[str, str] = {}
    for process in house.stack.processes:
        if is_envoy(process):
            continue  # their lines are declared in edge.yaml and sidecar.yaml
        for line in log_lines(house.stack.folder, process):
            seen |= dict.fromkeys(undocumented(line), f"{process}: {line.get('event')}")
    assert not seen


def undocumented(fields: Iterable[str]) -> set[str]:
    """Return the fields of a line that no document names, and the one that says that some were left out."""
    named = (logging.FIXED | logging.KEYS) - {"dropped"}
    return {one for one in fields if one not in named and not one.endswith(logging.ENDINGS)}
