"""The history of a service and its keys, as the audit log tells it (internal-api.md A7)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from notify.admin.v1.audit_service_pb2 import AuditRecord, ListAuditRecordsRequest

from notify_gateway.admin.routes import Answer, Call, Json, Routes, data
from notify_gateway.admin.shapes import z_time
from notify_gateway.clients import InternalClients

_OF_SERVICE: Final[Mapping[str, str]] = {
    "name": "name",
    "active": "active",
    "restricted": "restricted",
    "email_message_limit": "limits.email_per_day",
    "sms_message_limit": "limits.sms_per_day",
    "letter_message_limit": "limits.letter_per_day",
    "custom_email_sender_name": "custom_email_sender_name",
    "email_sender_local_part": "email_sender_local_part",
    "version": "version",
}


def routes(clients: InternalClients) -> Routes:
    """Return the route."""
    made = Routes("history", clients)

    def records(call: Call, resource: str) -> Iterable[AuditRecord]:
        of_keys = resource == "ApiKey"
        chain_id = call.id("service_id")
        return clients.all(ListAuditRecordsRequest(chain_id=chain_id, of_api_keys=of_keys, resource=resource))

    @made.get("/service/<uuid:service_id>/history")
    def get_history(call: Call) -> Answer:
        keys = _key_versions(records(call, "ApiKey"), call.id("service_id"))
        return data({"service_history": _versions(records(call, "Service")), "api_key_history": keys})

    return made


def _versions(records: Iterable[AuditRecord]) -> list[Json]:
    """Return the states of a service after each of its changes; one that nobody is known for is told as its
    creator's, as the original has it: the web app shows no page with nobody on it.
    """
    state: dict[str, Any] = {}
    found: list[Json] = []
    for record in records:
        state |= json.loads(record.after)
        created = record.action == "create"
        moment = z_time(record.create_time)
        found.append(
            {
                "id": record.resource_id,
                **{key: state.get(path) for key, path in _OF_SERVICE.items()},
                "custom_email_sender_name": state.get("custom_email_sender_name") or None,
                "created_at": moment if created or not found else found[0]["created_at"],
                "updated_at": None if created else moment,
                "created_by_id": (not created and record.actor_id) or state.get("created_by_id") or None,
            }
        )
    return found


def _key_versions(records: Iterable[AuditRecord], service_id: str) -> list[Json]:
    made: dict[str, Json] = {}
    found: list[Json] = []
    for record in records:
        moment = z_time(record.create_time)
        if record.action == "create":
            state = json.loads(record.after)
            made[record.resource_id] = {
                "id": record.resource_id,
                "name": state["name"],
                "service_id": service_id,
                "created_at": moment,
                "updated_at": None,
                "expiry_date": None,
                "created_by_id": state["created_by_id"],
            }
            found.append(made[record.resource_id])
        elif record.resource_id in made:
            revoked = {"updated_at": moment, "expiry_date": moment, "created_by_id": record.actor_id or None}
            found.append({**made[record.resource_id], **revoked})
    return found
