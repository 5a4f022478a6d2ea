"""POST /v2/preview: what messages would come to, without sending them (docs/adr/0026)."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, request
from notify.common.v1.common_pb2 import Postage
from notify.notifications.v1 import batches_service_pb2 as pb
from notify_common.errors import NotifyError
from notify_common.rpc import enums

from notify_gateway.answers import InvalidRequest, json_response
from notify_gateway.auth import Authenticator
from notify_gateway.clients import PublicClients
from notify_gateway.public import body, v2
from notify_gateway.public.batches import (
    entries_of_error,
    entries_of_messages,
    entries_of_refusal,
    row_message,
)
from notify_gateway.public.sending import files_page

MOST_ROWS: Final = 50
_MICRO: Final = 1_000_000
_SECONDS: Final = 8.0
"""Longer than notifications takes to have pages of letters counted."""

Entry = dict[str, Any]


def blueprint(authenticator: Authenticator, clients: PublicClients, admin_base_url: str) -> Blueprint:
    """Return the route."""
    routes = v2.blueprint("preview", authenticator, clients)

    @routes.post("/v2/preview")
    def preview() -> Response:
        form = body.parse_json(body.read(request))
        forms = form if isinstance(form, list) else [form]
        if len(forms) > MOST_ROWS:
            raise NotifyError("BATCH_TOO_LONG", metadata={"limit": str(MOST_ROWS)})
        facts = files_page(admin_base_url, v2.caller().service.id)
        return json_response({"previews": _previews(clients, forms, facts)})

    return routes


def _previews(clients: PublicClients, forms: list[Any], facts: Mapping[str, str]) -> list[Entry]:
    shown: dict[int, Entry] = {}
    made: list[pb.BatchRow] = []
    kinds: dict[int, str] = {}
    for number, form in enumerate(forms, 1):
        kind = form.get("type") if isinstance(form, dict) else None
        try:
            kinds[number], message = row_message(number, form)
            made.append(message)
        except InvalidRequest as invalid:
            shown[number] = _shown(kind, pb.RowPreview(number=number), entries_of_messages(invalid.messages))
        except NotifyError as refusal:
            shown[number] = _shown(kind, pb.RowPreview(number=number), entries_of_error(refusal, str(kind)))
    if made:
        ask = pb.PreviewRowsRequest(caller=v2.caller_message(v2.caller()), rows=made)
        for found in clients.batches.PreviewRows(ask, timeout=_SECONDS).previews:
            kind = kinds[found.number]
            shown[found.number] = _shown(kind, found, entries_of_refusal(found.error, kind, facts))
    return [shown[number] for number in sorted(shown)]


def _shown(kind: Any, found: pb.RowPreview, errors: list[Entry]) -> Entry:
    is_sms, sms = found.HasField("sms"), found.sms
    limits = [entry for limit in found.limits for entry in entries_of_refusal(limit, str(kind), {})]
    return {
        "row": found.number,
        "type": kind,
        "would_be_accepted": not errors and not limits,
        "errors": errors,
        "limits": limits,
        "template_version": found.template_version or None,
        "subject": found.subject or None,
        "body": found.body if found.template_version else None,
        "html": found.html or None,
        "encoding": ("UCS-2" if sms.is_unicode else "GSM-7") if is_sms else None,
        "ucs2_characters": list(sms.unicode_characters),
        "replaced_characters": list(sms.unencodable_characters),
        "characters": sms.character_count if is_sms else None,
        "fragments": sms.fragment_count if is_sms else None,
        "postage": enums.to_text(Postage, found.postage) if found.postage else None,
        "pages": found.page_count or None,
        "sheets": found.sheet_count or None,
        "cost_in_pounds": found.cost_micropounds / _MICRO if found.HasField("cost_micropounds") else None,
    }
