"""A stand-in for Twilio: a real HTTP server that takes forms and signs status callbacks."""

import base64
import hashlib
import hmac
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from notify_providers.clients.twilio import TwilioSettings

from .configured import provider_settings
from .fake_mmg import BUSY, ERROR_INSIDE, OK, FakeMmg

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "twilio-token"
RECEIPT_URL = "https://notify.example.com/notifications/receipts/twilio"
INVALID = "invalid"


class FakeTwilio(FakeMmg):
    """Takes messages of Twilio's form interface."""

    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    number_field, id_field = "To", "id"
    statuses = {OK: 201, INVALID: 400, ERROR_INSIDE: 400, BUSY: 429}  # noqa: RUF012 # a ClassVar in the base
    bodies = {  # noqa: RUF012 # likewise
        OK: b'{"sid":"SM1","status":"queued","error_code":null}',
        INVALID: b'{"code":21211,"message":"Invalid \'To\' Phone Number","status":400}',
        ERROR_INSIDE: b'{"code":21612,"message":"not reachable","status":400}',
        BUSY: b'{"code":20429,"message":"Too Many Requests","status":429}',
    }

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    def read(self, body: bytes) -> dict[str, Any]:
        """See FakeMmg; a form with a field twice is none that we send."""
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        message: dict[str, Any] = dict(pairs)
        assert len(message) == len(pairs)
        query = dict(parse_qsl(urlsplit(message.get("StatusCallback", "")).query))
        return {**message, "id": query.get("notification_id")}

    def with_settings(self, **values: object) -> dict[str, object]:
        """Return settings that make workers use it for texts, and nothing else; `values` are further ones."""
        given = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "receipt_url": RECEIPT_URL,
            "url": self.url.removesuffix(self.path),
            **values,
        }
        settings = provider_settings(twilio=TwilioSettings.model_validate(given))
        return {"providers": settings, "sandbox_live_messages": False}

    def _serve(self, handler: BaseHTTPRequestHandler, message: dict[str, Any]) -> None:
        self.paths.append(handler.path)
        super()._serve(handler, message)


def signature(url: str, fields: dict[str, str], token: str = TOKEN) -> str:
    """Return the signature that Twilio gives a form."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
