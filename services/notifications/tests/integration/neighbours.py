"""The edge of the service in tests: admin, providers and letters that keep what they were given."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.admin.v1 import (
    config_feed_service_pb2,
    config_feed_service_pb2_grpc,
    service_pb2,
    snapshot_pb2,
    template_pb2,
)
from notify.common.v1 import common_pb2
from notify.letters.v1 import letter_pb2, letters_service_pb2, letters_service_pb2_grpc
from notify.providers.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
    receipts_service_pb2,
    receipts_service_pb2_grpc,
)
from notify_common import clock, ids
from notify_common.errors import NotifyError

PERMISSIONS = ("email", "international_letters", "international_sms", "letter", "sms")


def new_id() -> str:
    return str(ids.uuid7())


@dataclass
class FakeAdmin(config_feed_service_pb2_grpc.ConfigFeedServiceServicer):
    """Holds services and templates; a change is told to whoever polls."""

    services: dict[str, snapshot_pb2.ServiceSnapshot] = field(default_factory=dict)
    templates: dict[tuple[str, str, int], template_pb2.Template] = field(default_factory=dict)
    changes: list[config_feed_service_pb2.ConfigChange] = field(default_factory=list)
    away: bool = False
    before_answer: Callable[[Any, Any], None] = lambda request, context: None

    def add_service(self, **fields: Any) -> str:
        service_id: str = fields.pop("id", None) or new_id()
        limits: dict[str, int] = {
            "rate_limit_per_minute": 3000,
            "sms_per_day": 1000,
            "email_per_day": 1000,
            "letter_per_day": 1000,
            "international_sms_per_day": 100,
        } | fields.pop("limits", {})
        snapshot = snapshot_pb2.ServiceSnapshot(
            sms_senders=[
                service_pb2.SmsSender(id=new_id(), service_id=service_id, sender="TESTGOV", is_default=True)
            ],
            member_email_addresses=["Member@example.gov.uk"],
            member_mobile_numbers=["07700 900123"],
        )
        values: dict[str, Any] = {"name": "Pigeons", "active": True, "permissions": PERMISSIONS} | fields
        snapshot.service.CopyFrom(
            service_pb2.Service(
                id=service_id,
                email_sender_local_part="pigeons",
                limits=service_pb2.ServiceLimits(**limits),
                **values,
            )
        )
        self.services[service_id] = snapshot
        return service_id

    def add_template(
        self, service_id: str, channel: str, content: str, subject: str = "", **fields: Any
    ) -> str:
        template_id = new_id()
        template = template_pb2.Template(
            id=template_id,
            service_id=service_id,
            channel=f"CHANNEL_{channel.upper()}",
            subject=subject,
            content=content,
            version=1,
            postage=common_pb2.POSTAGE_SECOND if channel == "letter" else common_pb2.POSTAGE_UNSPECIFIED,
            create_time=timestamp(),
            **fields,
        )
        self._keep(template)
        return template_id

    def change_template(self, service_id: str, template_id: str, **fields: Any) -> None:
        template = template_pb2.Template()
        template.CopyFrom(self.templates[service_id, template_id, 0])
        template.version += 1
        for name, value in fields.items():
            setattr(template, name, value)
        self._keep(template)
        self.changes.append(
            config_feed_service_pb2.ConfigChange(
                kind=config_feed_service_pb2.ConfigChange.KIND_TEMPLATE,
                service_id=service_id,
                template_id=template_id,
            )
        )

    def _keep(self, template: template_pb2.Template) -> None:
        key = (template.service_id, template.id)
        self.templates[*key, 0] = self.templates[*key, template.version] = template

    def GetSnapshots(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.away:
            raise NotifyError("UNAVAILABLE")
        self.before_answer(request, context)
        response = config_feed_service_pb2.GetSnapshotsResponse()
        for key in request.keys:
            snapshot = response.snapshots.add(key=key)
            if key.HasField("service_id") and key.service_id in self.services:
                snapshot.service.CopyFrom(self.services[key.service_id])
            version = key.template_version
            found = self.templates.get((version.service_id, version.template_id, version.version))
            if found is not None:
                snapshot.template.CopyFrom(found)
        return response

    def ListConfigChanges(self, request: Any, context: grpc.ServicerContext) -> Any:
        start = len(self.changes) if request.cursor == "latest" else int(request.cursor or 0)
        return config_feed_service_pb2.ListConfigChangesResponse(
            changes=self.changes[start:], next_cursor=str(len(self.changes))
        )


@dataclass
class FakeProviders(
    dispatch_service_pb2_grpc.DispatchServiceServicer, receipts_service_pb2_grpc.ReceiptsServiceServicer
):
    """Takes dispatches once per id, as the real one, and tells of events that a test put in."""

    dispatches: dict[str, dispatch_pb2.Dispatch] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    duplicates: int = 0
    fails_with: str = ""
    refuse: Callable[[dispatch_pb2.Dispatch], bool] = lambda dispatch: False
    away: bool = False
    after_commit: Callable[[], None] = lambda: None
    events: list[receipts_service_pb2.DeliveryEvent] = field(default_factory=list)

    def BatchDispatch(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls.append([dispatch.id for dispatch in request.dispatches])
        if self.away:
            raise NotifyError("UNAVAILABLE")
        if self.fails_with:
            raise NotifyError(self.fails_with)
        if any(map(self.refuse, request.dispatches)):
            raise NotifyError("INVALID_FIELD", "dispatches has a bad one")
        new = [dispatch for dispatch in request.dispatches if dispatch.id not in self.dispatches]
        self.dispatches |= {dispatch.id: dispatch for dispatch in new}
        self.duplicates += len(request.dispatches) - len(new)
        self.after_commit()
        return dispatch_service_pb2.BatchDispatchResponse(
            accepted_count=len(new), duplicate_count=len(request.dispatches) - len(new)
        )

    def ListDeliveryEvents(self, request: Any, context: grpc.ServicerContext) -> Any:
        start = int(request.cursor or 0)
        page = self.events[start : start + (request.page_size or 500)]
        return receipts_service_pb2.ListDeliveryEventsResponse(
            events=page, next_cursor=str(start + len(page)) if page else request.cursor
        )

    def tell(self, notification_id: str, *kinds: str, provider: str = "sandbox") -> None:
        for kind in kinds:
            self.events.append(
                receipts_service_pb2.DeliveryEvent(
                    dispatch_id=notification_id,
                    kind=f"KIND_{kind.upper()}",
                    provider=provider,
                    event_time=timestamp(),
                )
            )


@dataclass
class FakeLetters(letters_service_pb2_grpc.LettersServiceServicer):
    """Takes letters once per id and tells of events that a test put in."""

    letters: dict[str, letter_pb2.Letter] = field(default_factory=dict)
    events: list[letters_service_pb2.LetterEvent] = field(default_factory=list)

    def BatchCreateLetters(self, request: Any, context: grpc.ServicerContext) -> Any:
        new = [letter for letter in request.letters if letter.id not in self.letters]
        self.letters |= {letter.id: letter for letter in new}
        return letters_service_pb2.BatchCreateLettersResponse(
            created_count=len(new), duplicate_count=len(request.letters) - len(new)
        )

    def ListLetterEvents(self, request: Any, context: grpc.ServicerContext) -> Any:
        start = int(request.cursor or 0)
        page = self.events[start : start + (request.page_size or 500)]
        return letters_service_pb2.ListLetterEventsResponse(
            events=page, next_cursor=str(start + len(page)) if page else request.cursor
        )

    def tell(self, notification_id: str, kind: str, sheets: int = 0) -> None:
        self.events.append(
            letters_service_pb2.LetterEvent(
                letter_id=notification_id,
                kind=f"KIND_{kind.upper()}",
                event_time=timestamp(),
                page_count=2 * sheets,
                sheet_count=sheets,
            )
        )


def timestamp() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(clock.now())
    return moment


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same time; returns what each returned or raised."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        start.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
