"""Asking letters what letters that are not sent would look like."""

import grpc
from notify.letters.v1 import previews_service_pb2 as pb
from notify.letters.v1.previews_service_pb2_grpc import PreviewsServiceStub

from notify_notifications.clients import personalisation
from notify_notifications.domain.personalisation import Pairs
from notify_notifications.domain.template import LetterWording


class PreviewsClient:
    """Calls PreviewsService."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = PreviewsServiceStub(channel)

    def count(self, service_id: str, wording: LetterWording, pairs: Pairs, seconds: float) -> tuple[int, int]:
        """Return how many pages and sheets a letter would have. Raises NotifyError as RenderPreview."""
        english, welsh = wording.english, wording.welsh
        ask = pb.RenderPreviewRequest(
            service_id=service_id,
            subject=english.subject.content,
            content=english.body.content,
            welsh_subject=welsh.subject.content if welsh else "",
            welsh_content=welsh.body.content if welsh else "",
            contact_block=english.contact_block.content,
            personalisation=personalisation.to_proto(pairs),
            format=pb.RenderPreviewRequest.FORMAT_COUNT,
            attachment_id=wording.attachment_id,
        )
        (answer,) = self._stub.RenderPreview(ask, timeout=seconds)
        return answer.metadata.page_count, answer.metadata.sheet_count
