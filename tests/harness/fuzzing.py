"""Requests that schemathesis makes up from the public API's description: `make fuzz`, and a few in the tests.

Each answer is as the description says: its status, type, headers and body; none is a fault of the server's;
and what needs a token is not to be had without one. Names that must exist for a request to get far
(templates, messages, a batch) are known ones as often as not. All of it goes through the edge to the real
services.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import requests
from notify_testing.folders import passable_folder

from tests.harness.house import ASK_SECONDS, House, running_house

ROOT: Final = Path(__file__).resolve().parents[2]
INSIDE: Final = ("/metrics",)
"""Paths of the description that the edge lets nobody reach."""
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
VALUES: Final = {"name": "Amala", "date": "1 December", "needs parking": "no"}
ADDRESS: Final = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "postcode": "SW14 6BF"}
SENT: Final[Mapping[str, Mapping[str, Any]]] = {
    "sms": {"phone_number": "07400123456", "personalisation": VALUES},
    "email": {"email_address": "amala@example.com", "personalisation": VALUES},
    "letter": {"personalisation": {**VALUES, **ADDRESS}},
}


def fuzz(house: House, *options: str, seconds: float) -> str:
    """Have schemathesis ask a house, whose demo service has messages already; return what it found wrong.

    Args:
        options: of schemathesis: how much of what, and from which seed.
        seconds: after which it is ended, and that is what is wrong.
    """
    asked = requests.get(f"{house.stack.base_url}/openapi.json", timeout=ASK_SECONDS).json()
    known = made_up(house)
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "openapi.json"
        description.write_text(json.dumps(with_known(asked, known)))
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(description)),
            *("--url", house.stack.base_url, "--checks", ",".join(CHECKS), "--continue-on-failure"),
            *("--warnings", "off", "--no-color"),
            *("--suppress-health-check", "all"),
            *(part for path in INSIDE for part in ("--exclude-path", path)),
            *options,
        ]
        told = {
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.harness.fuzz_hooks",
            "FUZZ_API_KEY": house.seeded.api_keys["normal"],
        }
        try:
            ended = subprocess.run(
                command,
                cwd=folder,  # where it keeps what it learns from one run to the next
                env=os.environ | told,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return f"it was not done in {seconds:.0f} s: {late.stdout!r}"
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def made_up(house: House) -> dict[str, list[str]]:
    """Make a message of each channel and a batch; return values that requests may name, by field."""
    templates = house.seeded.templates
    bodies = {channel: {"template_id": templates[channel], **body} for channel, body in SENT.items()}
    ids = [house.send(channel, body).id for channel, body in bodies.items()]
    answer = requests.post(
        f"{house.stack.base_url}/v2/batches",
        json=[{"type": channel, **body} for channel, body in bodies.items()],
        headers=house.headers(**{"Idempotency-Key": str(uuid.uuid4())}),
        timeout=ASK_SECONDS,
    )
    assert answer.status_code == 201, answer.text
    return {
        "template_id": list(templates.values()),
        "notification_id": ids,
        "older_than": ids,
        "batch_id": [str(answer.json()["id"])],
        "phone_number": ["07400123456", "+447400123456", "+1 415 555 0100"],
        "email_address": ["amala@example.com"],
    }


def with_known(description: Any, known: Mapping[str, Sequence[str]]) -> Any:
    """Return a description in which fields and parameters of these names are known values as often as not."""

    def choice(name: str, schema: Any) -> Any:
        return {"anyOf": [{"enum": list(known[name])}, schema]} if name in known else schema

    def changed(node: Any) -> Any:
        if isinstance(node, list):
            return [changed(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {name: changed(each) for name, each in node.items() if name != "responses"}
        if "in" in made and "schema" in made:
            made["schema"] = choice(made["name"], made["schema"])
        if isinstance(made.get("properties"), dict):
            made["properties"] = {name: choice(name, each) for name, each in made["properties"].items()}
        return made | ({"responses": node["responses"]} if "responses" in node else {})

    return changed(description)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a house of its own and ask it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="most requests made up of each operation")
    parser.add_argument("--seconds", type=int, default=600, help="most time for all of them")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    options = (
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(asked.cases)),
        *("--max-time", str(asked.seconds), "--seed", str(asked.seed)),
    )
    with passable_folder("notify-fuzz-") as folder, running_house(folder / "house", print) as house:
        wrong = fuzz(house, *options, seconds=2 * asked.seconds)
    print(wrong or "all as it is described")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
