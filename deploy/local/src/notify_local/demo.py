"""Sends a text, an email and a letter with the official Python client and follows each to its delivery."""

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from notifications_python_client.errors import HTTPError
from notifications_python_client.notifications import NotificationsAPIClient
from notify.letters.v1 import print_runs_service_pb2, print_runs_service_pb2_grpc
from notify_common.enums import Channel
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

DELIVERY_SECONDS = 60.0
# Processes that have just started may say that they are busy. All tries are within the life of a token.
_WHEN_BUSY = Retry(
    total=6,
    connect=0,
    backoff_factor=0.25,
    backoff_max=4,
    status_forcelist={503},
    allowed_methods=None,
    raise_on_status=False,
)
LETTER_DELIVERED = "received"
"""The public word for a delivered letter (public-api.md §4.1)."""

PERSONALISATION = {"name": "Amala", "date": "1 December 2026 at 1:15pm", "needs parking": "yes"}
ADDRESS = {
    "address_line_1": "Amala Bird",
    "address_line_2": "123 High Street",
    "address_line_3": "Richmond upon Thames",
    "address_line_4": "SW14 6BF",
}


class DemoFailed(Exception):
    """A demo message was not accepted or not delivered; the text says which, or that nobody answers."""


@dataclass(frozen=True)
class DemoFile:
    """What `.run/demo.json` tells scripts; it is there while the platform is up (design.md §6)."""

    content: dict[str, Any]

    @classmethod
    def read(cls, run_folder: Path) -> "DemoFile":
        """Read the file. Raises DemoFailed where no stack runs."""
        path = demo_path(run_folder)
        try:
            return cls(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise DemoFailed(f"{path} is not there: start the platform first, with `make run`") from error

    def write(self, run_folder: Path) -> None:
        """Write the file, whole at once and for its owner alone: it holds keys."""
        path = demo_path(run_folder)
        partial = path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.content, file, indent=2)
        partial.replace(path)

    def channel(self, context: str) -> grpc.Channel:
        """Return a channel to a context with the operator's certificate; close it after use."""
        certs = {name: Path(path).read_bytes() for name, path in self.content["certs"].items()}
        credentials = grpc.ssl_channel_credentials(certs["ca"], certs["key"], certs["cert"])
        return grpc.secure_channel(self.content["grpc"][context], credentials)


def details(error: grpc.RpcError) -> str:
    """Return what a failed call says, in its own words."""
    return str(error.details()) if isinstance(error, grpc.Call) else str(error)


def demo_path(run_folder: Path) -> Path:
    """Return where the demo file of a stack is."""
    return run_folder / "demo.json"


def send_demo_messages(demo: DemoFile, tell: Callable[[str], None]) -> dict[str, str]:
    """Send the three messages, wait until each is delivered, and return channel -> notification id.

    The letter needs a print run, which is started by hand here, as an operator would. Raises DemoFailed.
    """
    try:
        return _send_demo_messages(demo, tell)
    except HTTPError as error:
        said = "does not answer: is the platform up?" if error.response is None else f"said: {error}"
        raise DemoFailed(f"{demo.content['base_url']} {said}") from error
    except grpc.RpcError as error:
        raise DemoFailed(f"the print run was not started: {details(error)}") from error


def _send_demo_messages(demo: DemoFile, tell: Callable[[str], None]) -> dict[str, str]:
    client = NotificationsAPIClient(demo.content["api_keys"]["normal"], base_url=demo.content["base_url"])
    client.request_session.mount(demo.content["base_url"], HTTPAdapter(max_retries=_WHEN_BUSY))
    templates = demo.content["templates"]

    def sent(send: Callable[..., dict[str, Any]], channel: Channel, **recipient: object) -> str:
        # so that asking again doubles nothing
        client.request_session.headers["Idempotency-Key"] = str(uuid.uuid4())
        values = {"personalisation": PERSONALISATION, **recipient}
        return str(send(template_id=templates[channel], **values)["id"])

    ids: dict[str, str] = {
        Channel.SMS: sent(client.send_sms_notification, Channel.SMS, phone_number="+447900900123"),
        Channel.EMAIL: sent(
            client.send_email_notification, Channel.EMAIL, email_address="amala@example.gov.uk"
        ),
        Channel.LETTER: sent(
            client.send_letter_notification, Channel.LETTER, personalisation={**PERSONALISATION, **ADDRESS}
        ),
    }
    _wait_for_pdf(client, ids["letter"])
    with demo.channel("letters") as connection:
        print_runs_service_pb2_grpc.PrintRunsServiceStub(connection).StartPrintRun(
            print_runs_service_pb2.StartPrintRunRequest(request_id=str(uuid.uuid4())), timeout=10
        )
    for channel, notification_id in ids.items():
        wanted = LETTER_DELIVERED if channel == Channel.LETTER else "delivered"
        _wait_for_status(client, channel, notification_id, wanted)
        tell(f"{channel}: {wanted} ({notification_id})")
    return ids


def _wait_for_pdf(client: NotificationsAPIClient, notification_id: str) -> None:
    def ready() -> bool:
        return bool(client.get_notification_by_id(notification_id)["is_cost_data_ready"])

    if not _until(ready):
        raise DemoFailed(f"the letter {notification_id} was not typeset within {DELIVERY_SECONDS:.0f} s")


def _wait_for_status(client: NotificationsAPIClient, channel: str, notification_id: str, wanted: str) -> None:
    seen = ""

    def arrived() -> bool:
        nonlocal seen
        seen = str(client.get_notification_by_id(notification_id)["status"])
        return seen == wanted

    if not _until(arrived):
        raise DemoFailed(
            f"the {channel} {notification_id} is {seen}, not {wanted}, after {DELIVERY_SECONDS:.0f} s"
        )


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
