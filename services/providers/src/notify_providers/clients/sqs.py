"""A queue of Amazon SQS to which a topic's messages go, for who does not let SNS call in over HTTPS.

What the queue holds is what SNS would post: the same envelope, with the same signature, which is checked all
the same. So a queue that others can write to makes nobody believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from notify_providers.clients.aws import AwsSettings
from notify_providers.clients.sns import SnsSettings

AT_ONCE: Final = 10
"""The most messages that SQS gives at once."""
_WAIT_SECONDS: Final = 5
"""How long SQS holds a request while it has nothing: below the time that a process has to stop."""
_TIMEOUT_SECONDS: Final = 5


class SqsSettings(AwsSettings, SnsSettings):
    """Settings of a service of AWS whose receipts come through SNS, or from there through SQS."""

    receipt_queue_url: (
        Annotated[str, Field(pattern=r"^https?://[^/?#]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}$")] | None
    ) = None
    """The SQS queue (URL) that is subscribed to the topics, without raw delivery; its messages are fetched by
    `work --queues receipts`. Without it SNS calls in over HTTPS."""

    @model_validator(mode="after")
    def _queue_has_a_region(self) -> Self:
        if self.receipt_queue_url and self.region is None:
            raise ValueError("receipt_queue_url needs region")
        return self


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that was received, and is hidden from others for the queue's visibility timeout.

    Attributes:
        handle: by which it is deleted.
    """

    handle: str
    body: bytes


class SqsQueue:
    """One queue. Use it from one thread."""

    def __init__(self, settings: SqsSettings, url: str) -> None:
        """Take the URL of the queue; region and keys are those of the provider's settings."""
        import boto3  # not by who has no queue
        from botocore.config import Config

        self._url = url
        key = settings.secret_access_key
        self._client: Any = boto3.session.Session().client(
            "sqs",
            region_name=settings.region,
            endpoint_url=url.rsplit("/", 2)[0],
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=key.get_secret_value() if key else None,
            config=Config(
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_WAIT_SECONDS + _TIMEOUT_SECONDS,
                retries={"max_attempts": 0},
            ),
        )

    def receive(self) -> list[QueuedMessage]:
        """Return up to AT_ONCE messages; wait up to 5 s for a first one.

        Raises:
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: SQS is away or says no.
        """
        answer = self._client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=_WAIT_SECONDS
        )
        return [
            QueuedMessage(message["ReceiptHandle"], message["Body"].encode())
            for message in answer.get("Messages", [])
        ]

    def delete(self, messages: Sequence[QueuedMessage]) -> None:
        """Delete messages that are done with; one that can't be deleted comes again.

        Raises as `receive` does.
        """
        if not messages:
            return
        entries = [{"Id": str(n), "ReceiptHandle": one.handle} for n, one in enumerate(messages)]
        self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
