"""The platform's own mail: which templates there are (internal-api.md §8)."""

from enum import StrEnum
from typing import Final

from notify_common.enums import Channel


class MailTemplate(StrEnum):
    """Templates of the platform's own service, by their fixed ids."""

    SIGN_IN_CODE = "36fb0730-6259-4da1-8a80-c8de22ad4246"
    SIGN_IN_LINK = "299726d2-dba6-42b8-8209-30e1d66ea164"
    EMAIL_VERIFICATION = "ece42649-22a8-4d06-b87f-d52d5d3f0a27"
    INVITATION = "4f46df42-f795-4cc4-83bb-65ca312f49cc"
    ORGANISATION_INVITATION = "203566f0-d835-47c5-aa06-932439c86573"
    PASSWORD_RESET = "474e9242-823b-4f99-813d-ed392e7f1201"  # noqa: S105 - a template's id
    ALREADY_REGISTERED = "0880fbb1-a0c6-46f0-9a8e-36c986381ceb"
    EMAIL_CHANGE = "eb4d9930-87ab-4aef-9bce-786762687884"
    EMAIL_CHANGED = "c73f1d71-4049-46d5-a647-d013bdeca3f0"
    MOBILE_NUMBER_CHANGED = "8a31520f-4751-4789-8ea1-fe54496725eb"
    REPLY_TO_CHECK = "a42f1d17-9404-46d5-a647-d013bdfca3e1"
    SERVICE_LIVE = "618185c6-3636-49cd-b7d2-6f6f5eb3bdde"
    AGREEMENT = "4fd2e43c-309b-4e50-8fb8-1955852d9d71"
    AGREEMENT_FOR_ANOTHER = "c20206d5-bf03-4002-9a90-37d5032d9e84"
    AGREEMENT_FOR_YOU = "522b6657-5ca5-4368-a294-6b527703bd0b"
    GO_LIVE_REQUEST = "5c7cfc0f-c3f4-4bd6-9a84-5a144aad5425"
    GO_LIVE_RECEIPT = "c7083bfe-1b9a-4ff9-bd5c-30508727df6e"
    GO_LIVE_NEXT_STEPS = "62f12a62-742b-4458-9336-741521b131c7"
    GO_LIVE_REFUSED = "507d0796-9e23-4ad7-b83b-5efbd9496866"
    JOIN_REQUEST = "77677459-f862-44ee-96d9-b8cb2323d407"
    JOIN_RECEIPT = "38bcd263-6ce8-431f-979d-8e637c1f0576"
    JOIN_APPROVED = "4d8ee728-100e-4f0e-8793-5638cfa4ffa4"
    LETTERS_OF_THE_DAY = "11fad854-fd38-4a7c-bd17-805fb13dfc12"
    SURVEY = "55bcb671-4924-46c5-a00d-1a9d48458008"

    @property
    def channel(self) -> Channel:
        """How it is sent."""
        return Channel.SMS if self in _TEXTS else Channel.EMAIL


_TEXTS: Final = frozenset({MailTemplate.SIGN_IN_CODE, MailTemplate.MOBILE_NUMBER_CHANGED})
