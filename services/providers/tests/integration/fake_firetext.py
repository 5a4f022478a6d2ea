"""A stand-in for Firetext: a real HTTP server that takes forms and does wrong on demand."""

from typing import Any
from urllib.parse import parse_qsl

from notify_providers.clients.firetext import FiretextSettings

from .configured import provider_settings
from .fake_mmg import ERROR_INSIDE, OK, FakeMmg


class FakeFiretext(FakeMmg):
    """Takes messages of Firetext's form interface."""

    path = "/api/sendsms/json"
    number_field = "to"
    id_field = "reference"
    bodies = {  # noqa: RUF012 # declared a ClassVar in the base
        OK: b'{"code":0,"description":"SMS successfully queued","responseData":""}',
        ERROR_INSIDE: b'{"code":1,"description":"Authentication error","responseData":""}',
    }

    def read(self, body: bytes) -> dict[str, Any]:
        """See FakeMmg; a form with a field twice is none that Firetext takes."""
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        message = dict(pairs)
        assert len(message) == len(pairs)
        return message

    def with_settings(self, **values: object) -> dict[str, object]:
        """Return settings that make workers use it for texts, and nothing else; `values` are further ones."""
        firetext = FiretextSettings.model_validate({"url": self.url, "api_key": "key", **values})
        return {"providers": provider_settings(firetext=firetext), "sandbox_live_messages": False}
