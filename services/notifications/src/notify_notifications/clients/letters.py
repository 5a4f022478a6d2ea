"""Handing letters to the letters context."""

from collections.abc import Sequence

import grpc
from notify.letters.v1 import letter_pb2, letters_service_pb2
from notify.letters.v1.letters_service_pb2_grpc import LettersServiceStub
from notify_common.rpc import enums

from notify_notifications.clients import personalisation
from notify_notifications.domain.record import Origin, Outgoing


class LettersClient:
    """Calls LettersService."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = LettersServiceStub(channel)

    def batch_create(self, letters: Sequence[letter_pb2.Letter]) -> None:
        """Hand over, all or none; those handed over before are ignored there. Raises NotifyError."""
        self._stub.BatchCreateLetters(letters_service_pb2.BatchCreateLettersRequest(letters=letters))

    def cancel(self, service_id: str, letter_id: str) -> bool:
        """Cancel a letter, handed over or not; return whether it is cancelled. Idempotent. Raises
        NotifyError.
        """
        return self.cancel_all(service_id, [letter_id]) == [letter_id]

    def cancel_all(self, service_id: str, letter_ids: Sequence[str]) -> list[str]:
        """Cancel up to 500 letters, handed over or not; return those that are cancelled. Idempotent. Raises
        NotifyError.
        """
        ask = letters_service_pb2.BatchCancelLettersRequest(
            service_id=service_id, letter_ids=letter_ids, cancel_unknown=True
        )
        cancelled = letters_service_pb2.Cancellation.OUTCOME_CANCELLED
        made = self._stub.BatchCancelLetters(ask).cancellations
        return [one.letter_id for one in made if one.outcome == cancelled]

    @staticmethod
    def letter(
        notification: Outgoing,
        origin: Origin,
        address_lines: Sequence[str],
        reference: str,
        precompiled: letter_pb2.PrecompiledPdf | None = None,
    ) -> letter_pb2.Letter:
        """Return a letter as LettersService takes it.

        Args:
            precompiled: how its PDF is to be taken, where that is there already; None for one of a template.
        """
        return letter_pb2.Letter(
            id=notification.id,
            service_id=notification.service_id,
            key_type=enums.to_proto(notification.key_type),
            template_id=notification.template_id,
            template_version=notification.template_version,
            personalisation=()
            if precompiled is not None
            else personalisation.to_proto(notification.personalisation),
            address_lines=address_lines,
            postage=enums.to_proto(notification.postage),
            reference=reference,
            origin_request_id=origin.request_id,
            traceparent=origin.traceparent,
            lane=enums.to_proto(origin.lane),
            create_time=notification.create_time,
            precompiled=precompiled,
        )
