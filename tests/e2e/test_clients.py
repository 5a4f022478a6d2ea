"""Every call of the official clients, unmodified, through all real processes (public-api.md §11).

Sending by the Python client stands in test_messages.py too; here each call of either is made at least once.
"""

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests
from notifications_python_client.errors import HTTP503Error, HTTPError
from notifications_python_client.notifications import NotificationsAPIClient
from notifications_python_client.utils import prepare_upload
from notify.admin.v1 import (
    template_email_file_pb2,
    template_files_service_pb2,
    template_files_service_pb2_grpc,
    template_pb2,
    templates_service_pb2,
    templates_service_pb2_grpc,
)
from notify.common.v1 import common_pb2
from notify_common.blobs.s3 import BlobStore
from notify_common.ids import new_id
from notify_local.backing import ObjectStore
from notify_local.seed import Seeded, fixed_id, seed
from notify_local.stack import TEMPLATE_FILE_BUCKET
from notify_testing import pdfs
from notify_testing.waiting import WAIT_SECONDS

from tests.harness.house import House, eventually
from tests.harness.services import bring_text, set_up

NODE_FOLDER = Path(__file__).parent / "node"
NODE_SECONDS = 300.0
"""How long installing the Node client, and then its calls, may take."""
NO_NETWORK = re.compile("ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT")
"""What npm says where it reaches no registry."""

VALUES = {"name": "Amala", "date": "1 December"}
ADDRESS = {"address_line_1": "A. Person", "address_line_2": "1 High Street", "address_line_3": "SW14 6BF"}
RECEIVED = ("one", "two", "three")


@dataclass(frozen=True)
class ClientService:
    """A service that has set up all that clients use: files by email and a number for received texts."""

    base_url: str
    seeded: Seeded
    sms_sender_id: str
    """UUID of the sender that its number is."""
    number: str
    """Its number, such as 07700900500."""

    @property
    def templates(self) -> dict[str, str]:
        return self.seeded.templates

    def client(self, key: str = "normal") -> NotificationsAPIClient:
        """Return the official Python client with a key of the service."""
        return NotificationsAPIClient(self.seeded.api_keys[key], base_url=self.base_url)


@pytest.fixture(scope="module")
def service(house: House) -> ClientService:
    """Provide the service of these tests, which received three texts."""
    seeded = seed(house.stack, f"Official clients {uuid.uuid4()}")
    sender = set_up(house, seeded.service_id)
    for place, content in enumerate(RECEIVED):
        bring_text(house, sender.sender, content, day=place + 1)
    made = ClientService(house.stack.base_url, seeded, sender.id, sender.sender)
    client = made.client()

    def arrived() -> bool:
        return len(client.get_received_texts()["received_text_messages"]) == len(RECEIVED)

    assert eventually(arrived, WAIT_SECONDS)
    return made


@pytest.fixture(scope="module")
def pdf_letter(service: ClientService) -> str:
    """Provide the id of a letter of a test key whose PDF is there."""
    client = service.client("test")
    sent = client.send_letter_notification(service.templates["letter"], {**VALUES, **ADDRESS})["id"]
    assert eventually(lambda: pdf_of(client, sent).startswith(b"%PDF"), WAIT_SECONDS)
    return str(sent)


def pdf_of(client: NotificationsAPIClient, letter_id: str) -> bytes:
    """Return a letter's PDF; none while it is not ready."""
    try:
        content: bytes = client.get_pdf_for_letter(letter_id).read()
    except HTTPError as error:
        if error_of(error) != (400, "PDFNotReadyError"):
            raise
        return b""
    return content


def error_of(error: HTTPError) -> tuple[int, str]:
    """Return status and class of an error of a route below /v2, as the client keeps it."""
    return error.status_code, first_of(error)["error"]


def first_of(error: HTTPError) -> dict[str, Any]:
    """Return the first error of an answer, as the client keeps it."""
    errors: Any = error.message
    first: dict[str, Any] = errors[0]
    return first


def raised_by(call: Callable[[], object]) -> HTTPError:
    """Return the error that a call of the client ends with."""
    with pytest.raises(HTTPError) as raised:
        call()
    return raised.value


def test_python_sends_every_channel_and_reads_it_back(service: ClientService, pdf_letter: str) -> None:
    client, reference, templates = service.client(), uuid.uuid4().hex, service.templates
    text = client.send_sms_notification(
        "07400123456", templates["sms"], VALUES, reference, sms_sender_id=service.sms_sender_id
    )
    assert text["content"]["from_number"] == f"44{service.number.removeprefix('0')}"
    assert "Hello Amala" in text["content"]["body"]
    email = client.send_email_notification(
        "amala@example.com",
        templates["email"],
        {**VALUES, "name": "*Amala*", "needs parking": "no"},
        reference,
        one_click_unsubscribe_url="https://example.com/unsubscribe",
        sanitise_content_for=["name"],
    )
    assert email["content"]["one_click_unsubscribe_url"] == "https://example.com/unsubscribe"
    assert set(email["sanitised_content"]) == {"name"}
    letter = client.send_letter_notification(templates["letter"], {**VALUES, **ADDRESS}, reference)
    assert letter["content"]["subject"] == "Your appointment on 1 December"
    ready = client.send_precompiled_letter_notification(reference, io.BytesIO(pdfs.letter()), "first")
    assert ready == {"id": ready["id"], "postage": "first", "reference": reference}

    sent = [one["id"] for one in (text, email, letter, ready)]
    for one in sent:
        assert client.get_notification_by_id(one)["reference"] == reference
    page = client.get_all_notifications(reference=reference)
    assert [one["id"] for one in page["notifications"]] == sent[::-1]
    older = client.get_all_notifications(reference=reference, older_than=letter["id"], include_jobs=True)
    assert [one["id"] for one in older["notifications"]] == [email["id"], text["id"]]
    letters = client.get_all_notifications(template_type=["letter", "sms"], reference=reference)
    assert {one["type"] for one in letters["notifications"]} == {"letter", "sms"}
    none = client.get_all_notifications(status=["validation-failed", "returned-letter"], reference=reference)
    assert none["notifications"] == []
    everything = client.get_all_notifications_iterator(reference=reference)
    assert [one["id"] for one in everything] == sent[::-1]
    assert pdf_of(client, pdf_letter).startswith(b"%PDF")


def test_python_sends_a_file_that_its_link_downloads(service: ClientService) -> None:
    content = pdfs.letter()
    file = prepare_upload(
        io.BytesIO(content), "report.pdf", confirm_email_before_download=False, retention_period="4 weeks"
    )
    email = service.client().send_email_notification(
        "amala@example.com", service.templates["email"], {**VALUES, "name": file, "needs parking": "no"}
    )
    links = re.findall(r"http\S+/d/[\w-]+/[\w-]+\?key=[\w-]+", email["content"]["body"])
    assert len(links) == 1, email["content"]["body"]
    page = requests.get(links[0], timeout=WAIT_SECONDS)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert requests.post(links[0], timeout=WAIT_SECONDS).content == content


def test_emails_of_a_template_link_to_its_files(house: House, service: ClientService) -> None:
    content = pdfs.letter()
    template = template_pb2.Template(
        service_id=service.seeded.service_id,
        created_by_id=fixed_id("user"),
        name="With a guide",
        channel=common_pb2.CHANNEL_EMAIL,
        subject="Your guide",
        content="Dear ((name)), see ((guide.pdf))",
    )
    with house.channel("admin") as channel:
        templates = templates_service_pb2_grpc.TemplatesServiceStub(channel)
        making = templates_service_pb2.CreateTemplateRequest(request_id=new_id(), template=template)
        template_id = templates.CreateTemplate(making, timeout=WAIT_SECONDS).template.id
        files = template_files_service_pb2_grpc.TemplateFilesServiceStub(channel)
        file = template_email_file_pb2.TemplateEmailFile(
            service_id=template.service_id,
            template_id=template_id,
            filename="guide.pdf",
            retention_weeks=1,
            created_by_id=template.created_by_id,
        )
        adding = template_files_service_pb2.CreateTemplateEmailFileRequest(
            request_id=new_id(), template_email_file=file
        )
        file = files.CreateTemplateEmailFile(adding, timeout=WAIT_SECONDS).template_email_file
        # as the admin web app does
        (objects,) = (one for one in house.stack.backing if isinstance(one, ObjectStore))
        bucket = BlobStore(
            objects.url, TEMPLATE_FILE_BUCKET, objects.access_key, objects.secret_key, region=objects.region
        )
        bucket.put(f"{file.service_id}/{file.id}", content)
        file.pending = False
        files.SetTemplateEmailFile(
            template_files_service_pb2.SetTemplateEmailFileRequest(template_email_file=file),
            timeout=WAIT_SECONDS,
        )
        sent = []

        def is_sent() -> bool:
            to = "amala@example.com"
            # a store of objects that is slow is no reason to wait for long: the client is told to ask again
            with contextlib.suppress(HTTP503Error):
                sent.append(service.client().send_email_notification(to, template_id, {"name": "Amala"}))
            return bool(sent)

        try:
            assert eventually(is_sent, WAIT_SECONDS)
        finally:
            archiving = templates_service_pb2.ArchiveTemplateRequest(
                service_id=file.service_id, template_id=template_id, archived_by_id=file.created_by_id
            )
            templates.ArchiveTemplate(archiving, timeout=WAIT_SECONDS)
    (email,) = sent
    (link,) = re.findall(r"http\S+/d/[\w-]+/[\w-]+\?key=[\w-]+", email["content"]["body"])
    assert requests.post(link, timeout=WAIT_SECONDS).content == content


def test_python_reads_templates_and_received_texts(service: ClientService) -> None:
    client, templates = service.client(), service.templates
    for channel, template in templates.items():
        found = client.get_template(template)
        assert (found["id"], found["type"], found["version"]) == (template, channel, 1)
        assert client.get_template_version(template, 1) == found
        assert client.get_all_templates(channel)["templates"] == [found]
    assert {one["id"] for one in client.get_all_templates()["templates"]} == set(templates.values())
    preview = client.post_template_preview(templates["email"], {**VALUES, "needs parking": "no"})
    assert (preview["id"], preview["subject"]) == (templates["email"], "Your appointment on 1 December")

    page = client.get_received_texts()["received_text_messages"]
    assert {one["content"] for one in page} == set(RECEIVED)
    assert {one["notify_number"] for one in page} == {service.number}
    older = client.get_received_texts(older_than=page[0]["id"])["received_text_messages"]
    assert older == page[1:]
    assert list(client.get_received_texts_iterator()) == page


def test_python_raises_what_its_callers_look_for(service: ClientService) -> None:
    client, unknown, sms = service.client(), str(uuid.uuid4()), service.templates["sms"]
    wrong = raised_by(lambda: client.send_sms_notification("x", sms, VALUES))
    assert error_of(wrong) == (400, "ValidationError")
    assert first_of(wrong)["message"] == "phone_number Must not contain letters or symbols"
    missing = raised_by(lambda: client.send_sms_notification("07400123456", sms))
    assert error_of(missing) == (400, "BadRequestError")
    assert first_of(missing)["message"] == "Missing personalisation: name, date"
    # The client sends null for them, which the contract refuses.
    assert error_of(raised_by(lambda: client.post_template_preview(sms, None))) == (400, "ValidationError")
    for call in (
        lambda: client.get_notification_by_id(unknown),
        lambda: client.get_pdf_for_letter(unknown),
        lambda: client.get_template(unknown),
        lambda: client.get_template_version(sms, 2),
    ):
        assert error_of(raised_by(call)) == (404, "NoResultFound")
    team, letter = service.client("team"), {**VALUES, **ADDRESS}
    forbidden = raised_by(lambda: team.send_letter_notification(service.templates["letter"], letter))
    assert error_of(forbidden) == (403, "BadRequestError")
    key = service.seeded.api_keys["normal"]
    stranger = NotificationsAPIClient(key[:-36] + unknown, base_url=service.base_url)
    assert error_of(raised_by(stranger.get_all_templates)) == (403, "AuthError")
    # A call that no API for services has; its answer is of the older shape.
    assert raised_by(lambda: client.get_all_template_versions(sms)).status_code in {401, 404}
    nobody = NotificationsAPIClient(key, base_url="http://127.0.0.1:1")
    with pytest.raises(HTTP503Error) as raised:
        nobody.get_all_templates()
    assert (raised.value.status_code, raised.value.message) == (503, "Request failed")


def without_node(reason: str) -> NoReturn:
    """Skip the tests of the Node client, or fail them if they are required."""
    message = f"{reason}, so the Node client is not tested"
    if os.environ.get("NOTIFY_REQUIRE_NODE") == "1":
        pytest.fail(message)
    pytest.skip(message)


def install_node_client(folder: Path, names: tuple[str, ...]) -> None:
    """Install what the lock file names into a new folder, by hashes alone."""
    folder.mkdir()
    for name in names:
        shutil.copy(NODE_FOLDER / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=NODE_SECONDS, check=False
    )
    if done.returncode and NO_NETWORK.search(done.stderr):
        without_node("npm reaches no registry")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def node_packages() -> Path:
    """Provide a folder with the Node client, installed once for each state of its lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        without_node("node and npm are not both here")
    names = ("package.json", "package-lock.json")
    state = hashlib.sha256(b"".join((NODE_FOLDER / name).read_bytes() for name in names)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "notify-tests" / f"node-client-{state}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as made:
            install_node_client(Path(made) / "packages", names)
            (Path(made) / "packages").rename(folder)
    return folder


@pytest.fixture(scope="module")
def node(service: ClientService, pdf_letter: str, node_packages: Path) -> dict[str, Any]:
    """Provide what every call of the Node client came to, by its name."""
    key = service.seeded.api_keys["normal"]
    given = {
        "base_url": service.base_url,
        "service_id": service.seeded.service_id,
        "api_key": key,
        "wrong_api_key": key[:-36] + str(uuid.uuid4()),
        "templates": service.templates,
        "sms_sender_id": service.sms_sender_id,
        "reference": uuid.uuid4().hex,
        "pdf": base64.b64encode(pdfs.letter()).decode(),
        "pdf_letter_id": pdf_letter,
        "unknown_id": str(uuid.uuid4()),
    }
    made = subprocess.run(
        ["node", str(NODE_FOLDER / "calls.js"), str(node_packages)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=NODE_SECONDS,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    said: dict[str, Any] = json.loads(made.stdout)
    return said


def test_node_sends_every_channel(node: dict[str, Any], service: ClientService) -> None:
    sends = ("sendSms", "sendEmail", "sendEmailWithFile", "sendLetter", "sendPrecompiledLetter")
    assert {name: node[name].get("status") for name in sends} == dict.fromkeys(sends, 201), node
    assert node["sendSms"]["data"]["content"]["from_number"] == f"44{service.number.removeprefix('0')}"
    assert set(node["sendEmail"]["data"]["sanitised_content"]) == {"name"}
    assert "/d/" in node["sendEmailWithFile"]["data"]["content"]["body"]
    assert node["sendLetter"]["data"]["scheduled_for"] is None
    assert set(node["sendPrecompiledLetter"]["data"]) == {"id", "postage", "reference"}


def test_node_reads(node: dict[str, Any], service: ClientService) -> None:
    def listed(name: str) -> list[str]:
        return [one["id"] for one in node[name]["data"]["notifications"]]

    sends = ("sendSms", "sendEmail", "sendEmailWithFile", "sendLetter", "sendPrecompiledLetter")
    sent = [node[name]["data"]["id"] for name in sends]
    assert node["getNotificationById"]["data"]["id"] == sent[0]
    assert listed("getNotifications") == sent[::-1]
    assert listed("getNotificationsOfOneType") == [sent[4], sent[3]]
    assert listed("getNotificationsOfOneStatus") == []
    assert listed("getNotificationsOlderThan") == [sent[0]]
    assert node["getPdfForLetterNotification"] == {"pdf": "%PDF"}
    for name in ("getTemplateById", "threeArguments", "setClient", "setProxy"):
        assert node[name]["data"]["id"] == service.templates["sms"], name
    assert node["getTemplateByIdAndVersion"]["data"]["version"] == 1
    every = node["getAllTemplates"]["data"]["templates"]
    assert {one["id"] for one in every} == set(service.templates.values())
    assert [one["type"] for one in node["getAllTemplatesOfOneType"]["data"]["templates"]] == ["letter"]
    assert "Hello Amala" in node["previewTemplateById"]["data"]["body"]
    texts = node["getReceivedTexts"]["data"]["received_text_messages"]
    assert {one["content"] for one in texts} == set(RECEIVED)
    assert node["getReceivedTextsOlderThan"]["data"]["received_text_messages"] == texts[1:]


def test_node_rejects_with_what_its_callers_look_for(node: dict[str, Any]) -> None:
    wanted = {
        "wrongKey": (403, "AuthError"),
        "wrongNumber": (400, "ValidationError"),
        "previewWithoutValues": (400, "BadRequestError"),
        "unknownNotification": (404, "NoResultFound"),
        "unknownTemplate": (404, "NoResultFound"),
        "getPdfOfUnknown": (404, "NoResultFound"),
    }
    for name, (status, kind) in wanted.items():
        error = node[name]["error"]
        assert (error["status"], error["data"]["errors"][0]["error"]) == (status, kind), name
        assert error["data"]["status_code"] == status
    assert "not recognised" in node["unknownOption"]["refused"]
