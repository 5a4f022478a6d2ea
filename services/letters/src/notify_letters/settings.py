"""Settings of the letters processes, from `NOTIFY_LETTERS_…` (design.md §2.9)."""

import os
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Self

from notify_common.callers import INTERNAL_GATEWAY, OPS_CALLERS, PUBLIC_GATEWAY
from notify_common.clamd import ClamdAddress
from notify_common.settings import DatabaseSettings, ServiceAddress, url_of
from pydantic import DirectoryPath, Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

_LETTERS = "notify.letters.v1.LettersService"
_ALLOWED_CALLERS = {
    f"{_LETTERS}/UploadPdf": [PUBLIC_GATEWAY, "operator"],
    f"{_LETTERS}/TakeUploadedPdf": [INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/BatchCreateLetters": ["notifications", "operator"],
    f"{_LETTERS}/BatchCancelLetters": ["notifications", "operator"],
    f"{_LETTERS}/ListLetterEvents": ["notifications", "operator"],
    f"{_LETTERS}/GetLetter": [INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/DownloadPdf": [PUBLIC_GATEWAY, INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/GetPageImage": [INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/StreamLettersAwaitingPrint": [INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/BatchRecordReturnedLetters": [INTERNAL_GATEWAY, "operator"],
    f"{_LETTERS}/BatchRenderLetters": ["operator"],
    "notify.letters.v1.PreviewsService": [INTERNAL_GATEWAY, "operator"],
    "notify.letters.v1.PreviewsService/RenderPreview": ["notifications", INTERNAL_GATEWAY, "operator"],
    "notify.letters.v1.PrintRunsService": [INTERNAL_GATEWAY, "operator"],
    **OPS_CALLERS,
}

_BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "sqs", "filesystem")

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(DatabaseSettings):
    """Environment variables of all letters processes."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_LETTERS_")

    allowed_callers: dict[str, list[str]] = _ALLOWED_CALLERS
    app_role: str | None = None
    """`migrate`: the role that the service runs as, which gets its rights."""
    admin_target: ServiceAddress
    """gRPC target of admin, such as dns:///admin:6101."""
    providers_target: ServiceAddress
    """gRPC target of providers."""
    broker_url: Annotated[SecretStr, url_of(*_BROKERS)]
    """Celery's broker: redis://host:port/database, redis+socket:///path, amqp://user:password@host/vhost
    (RabbitMQ) or sqs:// (Amazon's, with the credentials of the machine)."""
    broker_options: dict[str, Any] = Field(default={})
    """JSON: what the broker's transport is told besides (Celery's `broker_transport_options`), such as
    {"region": "eu-west-2", "queue_name_prefix": "notify-", "wait_time_seconds": 20} for SQS."""
    blob_endpoint: str | None = None
    """URL of an S3-compatible store; without one it is Amazon's."""
    blob_region: str = "eu-west-2"
    """Its region."""
    blob_bucket: str = "notify-letters"
    """The bucket that holds the PDFs."""
    blob_access_key: str
    """Id of the credentials."""
    blob_secret_key: SecretStr
    """Secret of the credentials."""
    font_dirs: Annotated[tuple[DirectoryPath, ...], NoDecode] = ()
    """Directories of fonts for letters beside those that the platform brings, written `/one:/two`."""
    brand_name: Annotated[str, Field(max_length=60)] = ""
    """Name at the top of letters, left of the contact details, as the contract has none there."""
    brand_logo_file: FilePath | None = None
    """An SVG that stands before it, in the colours that the file has."""
    brand_colour: Annotated[str, Field(pattern=r"^(#[0-9A-Fa-f]{6})?$")] = ""
    """Colour of the name, such as `#1d70b8`; without one it is black."""
    clamd_address: ClamdAddress
    """Where clamd scans PDFs that come ready made for viruses, tcp://host:port or unix:///path; `off` takes
    them unscanned."""
    check_processes: Annotated[int, Field(ge=1, le=32)] = 2
    """PDFs that one process of the queue `checks` has scanned and checked at the same time."""
    check_cpu_seconds: Annotated[int, Field(ge=1, le=300)] = 20
    """Processor time that checking one PDF may take; on the clock three times as much."""
    check_memory_mib: Annotated[int, Field(ge=512, le=16_384)] = 1024
    """Address space of the process that checks one PDF."""
    preview_processes: Annotated[int, Field(ge=1, le=32)] = 2
    """Previews and PDFs of the admin web app that one server makes or checks at the same time, each in a
    process with the memory of a check and at most 8 s of processor time."""
    attachment_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts PDFs that are attached to templates;
    without one nothing is attached."""
    logo_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts logos; without one letters have the
    operator's head alone."""
    transient_upload_bucket: str | None = None
    """The bucket of the same store into which the admin web app puts letters that people upload; without one
    none is taken."""
    upload_keep_days: Annotated[float, Field(ge=1, le=365)] = 14.0
    """How long an upload waits for its letter: longer than the way from notifications may be interrupted."""
    lease_seconds: Seconds = 30
    """How long a task has a batch for itself without a sign of life; after it another task may take over."""
    letter_record_keep_days: Annotated[float, Field(ge=1, le=3650)] = 400.0
    """How long after a letter's PDF, values and address were removed, for its service's retention, it is
    still known that there was such a letter, in case the post brings it back."""
    event_keep_days: Annotated[float, Field(ge=1, le=365)] = 30.0
    """How long letter events are kept; a consumer that was away for longer has missed some."""
    resend_seconds: Seconds = 300
    """How long a task may wait in the broker before the relay sends it again, in case it was lost."""
    max_waiting_tasks: Annotated[int, Field(ge=1, le=100_000)] = 100
    """The relay lets at most this many tasks of a queue wait in the broker; the rest wait in the database."""
    worker_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes of one Celery worker."""
    worker_heartbeat_file: Path | None = None
    """A file that a Celery worker touches every 2 s while it is connected, and removes at its end."""
    print_deadline: time = time(17, 30)
    """London time of day, such as 17:30: letters accepted before it are in the day's print run."""
    print_start: time = time(17, 50)
    """London time of day at which the day's print run starts; not before the deadline."""
    manifest_signing_seed: Annotated[SecretStr, Field(min_length=32)] | None = None
    """Secret that the Ed25519 key of the manifests is made of; without one it is made of
    `page_token_secret`."""

    @field_validator("font_dirs", mode="before")
    @classmethod
    def _split_font_dirs(cls, written: object) -> object:
        return [one for one in written.split(os.pathsep) if one] if isinstance(written, str) else written

    @model_validator(mode="after")
    def _start_after_deadline(self) -> Self:
        if self.print_start < self.print_deadline:
            raise ValueError("print_start should not be before print_deadline")
        return self
