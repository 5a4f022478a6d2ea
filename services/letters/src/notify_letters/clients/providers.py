"""Print batches to providers."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from notify.common.v1.common_pb2 import KeyType, Postage
from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_pb2 import Dispatch, PrintContent
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common.rpc.enums import from_text
from sqlalchemy import Row

from notify_letters.domain.letter import pdf_key


class ProvidersClient:
    """Hands letters to providers, which take each once per id.

    Args:
        stub: of providers.
        seconds: longest time for a batch, below the lease of whoever submits it.
    """

    def __init__(self, stub: DispatchServiceStub, seconds: float) -> None:
        self._stub = stub
        self._seconds = seconds

    def submit_print_batch(self, batch_id: UUID, letters: Sequence[Row[Any]]) -> int:
        """Stream a batch, a header and then its letters, and return how many providers have of it now.

        Providers take a batch as a whole or not at all, and count letters that they know already. PDFs stay
        in the blob store; only their keys travel.

        Args:
            batch_id: names the batch in both contexts' logs.
            letters: 1 to 500 rows of `store.letters.to_submit`, which fit one chunk.

        Raises:
            NotifyError: providers can't be reached or refuse the batch.
        """

        def parts() -> Iterator[pb.SubmitPrintBatchRequest]:
            header = pb.PrintBatchHeader(print_batch_id=str(batch_id), letter_count=len(letters))
            yield pb.SubmitPrintBatchRequest(header=header)
            chunk = pb.PrintBatchChunk(dispatches=map(_dispatch, letters))
            yield pb.SubmitPrintBatchRequest(chunk=chunk)

        answer = self._stub.SubmitPrintBatch(parts(), timeout=self._seconds)
        return int(answer.accepted_count + answer.duplicate_count)


def _dispatch(letter: Row[Any]) -> Dispatch:
    return Dispatch(
        id=str(letter.id),
        service_id=str(letter.service_id),
        key_type=from_text(KeyType, letter.key_type),  # type: ignore[arg-type]
        print=PrintContent(
            pdf_key=pdf_key(letter.id),
            address_lines=letter.address_lines,
            postage=from_text(Postage, letter.postage),  # type: ignore[arg-type]
            reference=letter.reference,
            sheet_count=letter.sheet_count,
        ),
        origin_request_id=letter.request_id,
        traceparent=letter.traceparent,
    )
