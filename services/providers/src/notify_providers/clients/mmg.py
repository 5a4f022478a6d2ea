"""MMG, a provider of text messages (pipeline.md §3.1, public-api.md §9.2 and §9.4)."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from pydantic_settings import SettingsConfigDict

from notify_providers.clients.base import Rejected, error_answer
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, Verdict
from notify_providers.clients.text_api import Fields, TextApi, TextApiSettings
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.inbound import InboundSms, international, national
from notify_providers.domain.message import SmsContent
from notify_providers.domain.receipts import Kind, Receipt, london_time, utc_time, word

_KINDS: Final = {
    "2": Kind.PERMANENT_FAILURE,
    "3": Kind.DELIVERED,
    "4": Kind.TEMPORARY_FAILURE,
    "5": Kind.PERMANENT_FAILURE,
}
_DUPLICATE_ID: Final = ("5", "23")
_ESCAPE: Final = re.compile(r"""\\(?:[nrt\\'"]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})""")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


class MmgSettings(TextApiSettings):
    """What MMG needs: `NOTIFY_PROVIDERS_MMG_…`. Its key goes behind `Basic` as it is."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_MMG_")


class Mmg(TextApi[MmgSettings]):
    """MMG. It knows a "duplicate id" failure without saying when it is raised, so that a person decides."""

    name = "mmg"
    settings = MmgSettings
    receipt_names = ("status", "CID")
    receipt_failed = "MMG callback failed"
    inbound_names = ("MSISDN", "Number", "Message")
    inbound_failed = "MMG inbound text failed"

    def request(
        self, settings: MmgSettings, key: str, receipt_url: str, message_id: str, text: SmsContent
    ) -> tuple[Mapping[str, str], bytes]:
        """See TextApi: JSON with our id as its `cid`."""
        fields: dict[str, object] = {
            "reqType": "BULK",
            "MSISDN": text.phone_number,
            "msg": text.body,
            "sender": text.sender,
            "cid": message_id,
            "multi": True,
        }
        if receipt_url:
            fields["delurl"] = receipt_url
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {key}"}
        return headers, json.dumps(fields).encode()

    def judge(self, body: bytes) -> Verdict:
        """See TextApi: any JSON is a yes (pipeline.md §3.1), unless it names an error."""
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return NO_ANSWER
        if isinstance(said, dict) and said.get("Error"):
            return Verdict(Outcome.RETRYABLE, "provider_error")
        return ACCEPTED

    def fields_of(self, body: bytes) -> Fields:
        """See TextApi: JSON; any that is no object has no fields."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise Rejected("the body is not JSON", error_answer(400, "The body should be JSON")) from None
        return fields if isinstance(fields, dict) else {}

    def receipt(self, fields: Fields, status: str, dispatch_id: str) -> Receipt:
        """See TextApi; the fields are those of public-api.md §9.2."""
        detail = word(fields.get("substatus"))
        return Receipt(
            provider=self.name,
            dispatch_id=dispatch_id,
            reference=dispatch_id,
            status=status,
            detail=detail,
            kind=_KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=london_time(fields.get("deliverytime")),
            silent=(status, detail) == _DUPLICATE_ID,
        )

    def inbound(self, fields: Fields) -> InboundSms:
        """See TextApi; the fields are those of public-api.md §9.4."""
        received = fields.get("DateRecieved")
        return InboundSms(
            provider=self.name,
            reference=word(fields.get("ID")),
            source_number=international(fields["MSISDN"]),
            destination_number=national(fields["Number"]),
            content=_decoded(fields["Message"]),
            provider_time=utc_time(_decoded(received)) if isinstance(received, str) else None,
        )


def _decoded(text: str) -> str:
    """Return a text as it was written: percent-decoded, `+` for spaces, escapes such as `\\n` or `\\u00e9`
    resolved.

    An escape that means nothing stays as it is.
    """
    written = _ESCAPE.sub(_resolved, unquote_plus(text, errors="replace"))
    # halves of characters that were escaped one by one become one, others unreadable
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _resolved(escape: re.Match[str]) -> str:
    simple = _ESCAPES.get(escape[0][1])
    if simple is not None:
        return simple
    number = int(escape[0][2:], 16)
    return chr(number) if number <= sys.maxunicode else escape[0]
