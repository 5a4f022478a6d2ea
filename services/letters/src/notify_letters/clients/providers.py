"""Print batches to providers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from notify.providers.v1 import dispatch_service_pb2 as pb
from notify.providers.v1.dispatch_pb2 import Dispatch
from notify.providers.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from notify_common.rpc.enums import to_proto

from notify_letters.domain.letter import LetterToPrint, pdf_key

_MOST_DAYS: Final = 365


class ProvidersClient:
    """Hands letters to providers, which take each once per id.

    Args:
        stub: of providers.
        seconds: longest time for a batch, below the lease of whoever submits it.
    """

    def __init__(self, stub: DispatchServiceStub, seconds: float) -> None:
        self._stub = stub
        self._seconds = seconds

    def submit_print_batch(
        self, batch_id: str, letters: Sequence[LetterToPrint], days_kept: Mapping[str, int | None]
    ) -> int:
        """Stream a batch, a header and then its letters, and return how many providers have of it now.

        Providers take a batch as a whole or not at all, and count letters that they know already. PDFs stay
        in the blob store; only their keys travel.

        Args:
            batch_id: names the batch in both contexts' logs.
            letters: 1 to 500, which fit one chunk.
            days_kept: service -> days for which it keeps letters; without, providers keep to their default.

        Raises:
            NotifyError: providers can't be reached or refuse the batch.
        """

        def parts() -> Iterator[pb.SubmitPrintBatchRequest]:
            header = pb.PrintBatchHeader(print_batch_id=batch_id, letter_count=len(letters))
            yield pb.SubmitPrintBatchRequest(header=header)
            request = pb.SubmitPrintBatchRequest()
            for letter in letters:
                _write(letter, days_kept.get(letter.service_id), request.chunk.dispatches.add())
            yield request

        answer = self._stub.SubmitPrintBatch(parts(), timeout=self._seconds)
        return int(answer.accepted_count + answer.duplicate_count)


def _write(letter: LetterToPrint, days_kept: int | None, dispatch: Dispatch) -> None:
    """Write a letter into the message; field by field, as a message that is made apart is copied."""
    dispatch.id = letter.id
    dispatch.service_id = letter.service_id
    dispatch.key_type = to_proto(letter.key_type)
    dispatch.origin_request_id = letter.request_id
    dispatch.traceparent = letter.traceparent
    # the range that DispatchService takes
    dispatch.retention_days = 0 if days_kept is None else min(max(days_kept, 1), _MOST_DAYS)
    content = dispatch.print
    content.pdf_key = pdf_key(letter.id)
    content.address_lines.extend(letter.address_lines)
    content.postage = to_proto(letter.postage)
    content.reference = letter.reference
    content.sheet_count = letter.sheet_count
    content.pdf_sha256 = letter.pdf_sha256
