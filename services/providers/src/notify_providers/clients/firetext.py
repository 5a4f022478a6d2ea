"""Firetext, a provider of text messages (pipeline.md §3.2, public-api.md §9.3 and §9.5)."""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from notify_providers.clients import form
from notify_providers.clients.http_provider import ACCEPTED, NO_ANSWER, Verdict
from notify_providers.clients.text_api import Fields, TextApi, TextApiSettings
from notify_providers.domain.dispatch import Outcome
from notify_providers.domain.inbound import InboundSms, international, national
from notify_providers.domain.message import SmsContent
from notify_providers.domain.receipts import Kind, Receipt, london_time, utc_time, word

_KINDS: Final = {"0": Kind.DELIVERED, "1": Kind.PERMANENT_FAILURE, "2": Kind.PENDING}
_FAILED: Final = "1"
_CODES: Final = {
    **dict.fromkeys(("000", "102", "103", "104", "302", "900"), Kind.TEMPORARY_FAILURE),
    **dict.fromkeys(("101", "201", "301", "401"), Kind.PERMANENT_FAILURE),
}


class FiretextSettings(TextApiSettings):
    """What Firetext needs: `NOTIFY_PROVIDERS_FIRETEXT_…`."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_PROVIDERS_FIRETEXT_")

    international_api_key: SecretStr | None = None
    """The key for numbers of other countries; without it they go by the other one."""


class Firetext(TextApi[FiretextSettings]):
    """Firetext. What it does with a reference that it knows is not documented, so that a person decides."""

    name = "firetext"
    settings = FiretextSettings
    receipt_names = ("status", "reference")
    receipt_failed = "Firetext callback failed"
    inbound_names = ("source", "destination", "message", "time")
    inbound_failed = "Inbound text failed"

    def request(
        self, settings: FiretextSettings, key: str, receipt_url: str, message_id: str, text: SmsContent
    ) -> tuple[Mapping[str, str], bytes]:
        """See TextApi: a form with our id as its `reference`."""
        if text.international and settings.international_api_key:
            key = settings.international_api_key.get_secret_value()
        fields = {
            "apiKey": key,
            "from": text.sender,
            "to": text.phone_number,
            "message": text.body,
            "reference": message_id,
        }
        if receipt_url:
            fields["receipt"] = receipt_url
        return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()

    def judge(self, body: bytes) -> Verdict:
        """See TextApi: `code` 0 is a yes, any other number a no (pipeline.md §3.2)."""
        try:
            code = int(json.loads(body)["code"])
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
            return NO_ANSWER
        return Verdict(Outcome.RETRYABLE, f"code_{code}"[:32]) if code else ACCEPTED

    def fields_of(self, body: bytes) -> Fields:
        """See TextApi: a form; anything else has no fields."""
        return form.fields_of(body) or {}

    def receipt(self, fields: Fields, status: str, dispatch_id: str) -> Receipt:
        """See TextApi; the fields are those of public-api.md §9.3."""
        code = word(fields.get("code")) if status == _FAILED else ""
        return Receipt(
            provider=self.name,
            dispatch_id=dispatch_id,
            reference=dispatch_id,
            status=status,
            detail=code,
            kind=_CODES.get(code) or _KINDS.get(status, Kind.TECHNICAL_FAILURE),
            provider_time=london_time(fields.get("time")),
            kind_after_pending=(Kind.TEMPORARY_FAILURE if status == _FAILED and code not in _CODES else None),
        )

    def inbound(self, fields: Fields) -> InboundSms:
        """See TextApi; the fields are those of public-api.md §9.5."""
        return InboundSms(
            provider=self.name,
            reference="",
            source_number=international(fields["source"]),
            destination_number=national(fields["destination"]),
            content=fields["message"],
            provider_time=utc_time(fields["time"]),
        )
