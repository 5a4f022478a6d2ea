"""The edge of the service in tests: the real admin; providers and letters that keep what they are given."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from notify.letters.v1 import (
    letter_pb2,
    letters_service_pb2,
    letters_service_pb2_grpc,
    previews_service_pb2,
    previews_service_pb2_grpc,
)
from notify.providers.v1 import (
    dispatch_pb2,
    dispatch_service_pb2,
    dispatch_service_pb2_grpc,
    receipts_service_pb2,
    receipts_service_pb2_grpc,
)
from notify_common import clock
from notify_common.errors import NotifyError
from notify_testing.admin import AdminService


class Admin(AdminService):
    """The real admin service, and what a test wants to happen before it answers."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.before_snapshots: Callable[[], None] = lambda: None
        self.before_call = self._before_call

    def _before_call(self, method: str, request: Any) -> None:
        if method == "GetSnapshots":
            self.before_snapshots()


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
    texts: list[receipts_service_pb2.InboundSmsEvent] = field(default_factory=list)

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

    def ListInboundSmsEvents(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.away:
            raise NotifyError("UNAVAILABLE")
        start = int(request.cursor or 0)
        page = self.texts[start : start + (request.page_size or 50)]
        return receipts_service_pb2.ListInboundSmsEventsResponse(
            events=page, next_cursor=str(start + len(page)) if page else request.cursor
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
    cancelled: set[str] = field(default_factory=set)
    cancellation: str = "CANCELLED"
    """What becomes of cancelling a letter."""
    cancelling_fails_with: str = ""
    printed: set[str] = field(default_factory=set)
    """Letters that can't be cancelled any more."""

    def BatchCancelLetters(self, request: Any, context: grpc.ServicerContext) -> Any:
        if self.cancelling_fails_with:
            raise NotifyError(self.cancelling_fails_with)
        assert request.cancel_unknown
        for letter_id in request.letter_ids:
            if self.cancellation == "CANCELLED" and letter_id not in self.cancelled | self.printed:
                self.cancelled.add(letter_id)
                self.tell(letter_id, "cancelled")
        outcomes = dict.fromkeys(request.letter_ids, self.cancellation)
        outcomes |= dict.fromkeys(self.printed & outcomes.keys(), "NOT_CANCELLABLE")
        return letters_service_pb2.BatchCancelLettersResponse(
            cancellations=[{"letter_id": id, "outcome": f"OUTCOME_{told}"} for id, told in outcomes.items()]
        )

    def BatchCreateLetters(self, request: Any, context: grpc.ServicerContext) -> Any:
        known = self.letters.keys() | self.cancelled
        new = [letter for letter in request.letters if letter.id not in known]
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

    def tell(self, notification_id: str, kind: str, sheets: int = 0, postage: Any = 0) -> None:
        self.events.append(
            letters_service_pb2.LetterEvent(
                letter_id=notification_id,
                kind=f"KIND_{kind.upper()}",
                event_time=timestamp(),
                page_count=2 * sheets,
                sheet_count=sheets,
                postage=postage,
            )
        )


@dataclass
class FakePreviews(previews_service_pb2_grpc.PreviewsServiceServicer):
    """Says of letters how many pages they have, as a test wants it."""

    pages: int = 1
    fails_with: str = ""
    asked: list[previews_service_pb2.RenderPreviewRequest] = field(default_factory=list)

    def RenderPreview(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        if self.fails_with:
            raise NotifyError(self.fails_with)
        metadata = previews_service_pb2.PreviewMetadata(
            page_count=self.pages, sheet_count=(self.pages + 1) // 2
        )
        yield previews_service_pb2.RenderPreviewResponse(metadata=metadata)


def timestamp() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(clock.now())
    return moment


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same time; return what each returned or raised."""
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
