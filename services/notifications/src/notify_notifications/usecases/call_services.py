"""Telling services over HTTP what happened: the step of a callback worker (design.md §3.8 step 6)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Final

from notify_common import clock
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import CallbackType
from notify_common.errors import NotifyError
from notify_common.http import HttpAnswer, HttpCaller, HttpRequest
from notify_common.leases.table import MAX_CLAIM
from notify_common.logging import describe_exception, get_logger
from prometheus_client import Counter, Gauge, Histogram

from notify_notifications.clients.callback_targets import CallbackTargets, Target, TargetKey
from notify_notifications.clients.snapshots import Person, Snapshots, TemplateKey
from notify_notifications.domain.callback import sender_of, with_names
from notify_notifications.domain.calls import (
    CallbackState,
    Endpoint,
    Verdict,
    bearer,
    judge,
    signed_headers,
    state_after,
)
from notify_notifications.domain.template import Template
from notify_notifications.store import callbacks
from notify_notifications.store.callbacks import Due, Ended

_CALLS = Counter("notify_callback_calls_total", "Calls of services that ended.", ["type", "verdict"])
_SECONDS = Histogram("notify_callback_call_seconds", "Time of one call.", ["type"])
_ENDED = Counter("notify_callbacks_ended_total", "Events that came to an end.", ["type", "state"])
_IN_FLIGHT = Gauge("notify_callback_calls_in_flight", "Calls under way.", ["type"])
_PAUSED = Gauge("notify_callback_endpoints_paused", "Endpoints that are left alone for a while.", ["type"])
_WAIT = Gauge(
    "notify_callback_wait_seconds",
    "How long the event that waited longest had been due when it was last begun to call; 0 if none was.",
    ["type"],
)

USER_AGENT: Final = "notify-callbacks"
NO_HEADER: Final = "token_not_sendable"
"""Failure of a call whose bearer token no header can hold."""

_LOOK_EVERY_SECONDS: Final = 0.025
_GATHER_SECONDS: Final = 0.005
_START_SECONDS: Final = 20.0
"""How long after its claim a call may begin; with its own length and the recording it is below the lease."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call under way."""

    due: Due
    endpoint: Endpoint
    started: float


class ServiceCaller:
    """Keeps up to `window` calls of one kind under way. One thread calls `step` again and again.

    A step records the calls that have ended, up to 500, in one transaction, and begins those that are due: it
    claims them, looks up whom to call, and notes an attempt of each, before any call is made. No endpoint has
    more calls under way than places are left, and one that fails is left alone for longer and longer, so that
    nobody waits for what somebody else's endpoint does.

    Idempotency key of a call: the event's id, which services get as `webhook-id`. A service is told at least
    once: if the process dies before, during or after a call, the lease runs out, and the event is told again
    under the same id, as another attempt.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        type: CallbackType,
        targets: CallbackTargets,
        templates: Snapshots,
        http: HttpCaller,
        *,
        window: int,
        retry_seconds: float,
        pause_seconds: float,
    ) -> None:
        """Args:
        templates: words of templates and names of members, for returned letters.
        http: whose calls are shorter than half a lease.
        window: most calls under way.
        retry_seconds: between two attempts.
        pause_seconds: for which an endpoint is left alone at first.
        """
        self._uow = uow
        self._type = type
        self._targets = targets
        self._templates = templates
        self._http = http
        self._window = window
        self._retry_after = timedelta(seconds=retry_seconds)
        self._pause_seconds = pause_seconds
        self._endpoints: dict[str, Endpoint] = {}
        self._under_way: dict[str, _Call] = {}
        for verdict in Verdict:
            _CALLS.labels(type, verdict)  # what is counted from 0 is not missed the first time
        self._reported: SimpleQueue[tuple[str, HttpAnswer, float]] = SimpleQueue()
        self._ended: list[Ended] = []

    def step(self) -> int:
        """Begin due calls and record ended ones; return how many of either there were.

        Returns 0 only when nothing may be called now and no call is under way; otherwise it waits for news.

        Raises:
            NotifyError: admin can't say whom to call; what was claimed is due again at once.
        """
        while True:
            handled = self._record_ended() + self._start_due()
            _IN_FLIGHT.labels(self._type).set(len(self._under_way))
            if handled or not self._under_way:
                return handled

    def drain(self, seconds: float) -> bool:
        """Record the calls under way and begin no more; return whether all ended in time."""
        deadline = clock.monotonic() + seconds
        while (self._under_way or self._ended) and clock.monotonic() < deadline:
            self._record_ended()
        return not self._under_way

    # --- claim, look up, note, call

    def _start_due(self) -> int:
        free = self._window - len(self._under_way)
        if free * 4 < self._window:
            return 0
        now = clock.monotonic()
        with self._uow.begin() as tx:
            # at most half of what is free, so that even what is all one service's leaves it places enough
            claimed = callbacks.claim(
                tx, self._type, min(max(1, free // 2), MAX_CLAIM), self._not_now(now, free)
            )
        # a lease that ran out under a call of our own: the new one gives that call time to be recorded
        due = [one for one in claimed if one.id not in self._under_way]
        waits = [(clock.now() - one.due_at).total_seconds() for one in due]
        _WAIT.labels(self._type).set(max(0.0, *waits) if waits else 0.0)
        if not due:
            return 0
        try:
            targets = self._targets.get_many(TargetKey(one.service_id, self._type) for one in due)
            templates = self._templates_of(due)
            people = self._people_of(due)
        except NotifyError:
            with self._uow.begin() as tx:
                callbacks.give_back(tx, due)
            raise
        begun, surplus, ended = self._sorted(due, targets, now, free)
        try:
            with self._uow.begin() as tx:
                callbacks.give_back(tx, surplus)
                callbacks.end(tx, ended)
                callbacks.begin_attempts(tx, [call.due for call, _ in begun])
        except Exception:
            for call, _ in begun:
                call.endpoint.calls -= 1
            raise
        for _, state in ended:
            _ENDED.labels(self._type, state).inc()
        for call, target in begun:
            self._begin(call, target, templates, people)
        return len(begun) + len(ended)

    def _not_now(self, now: float, free: int) -> list[str]:
        """Return the services whose endpoints are left alone, or have enough calls; forget those at rest."""
        self._endpoints = {id: each for id, each in self._endpoints.items() if not each.is_idle}
        _PAUSED.labels(self._type).set(sum(now < each.paused_until for each in self._endpoints.values()))
        rooms = ((id, each, each.room(now, free)) for id, each in self._endpoints.items())
        return [id for id, each, room in rooms if room == 0 or room < each.calls]

    def _sorted(
        self,
        due: Sequence[Due],
        targets: dict[TargetKey, Target | None],
        now: float,
        free: int,
    ) -> tuple[list[tuple[_Call, Target]], list[Due], list[tuple[Due, CallbackState]]]:
        """Return what is called, what is given back, and what has ended without a call.

        What is called is counted by its endpoint.
        """
        begun: list[tuple[_Call, Target]] = []
        surplus: list[Due] = []
        ended: list[tuple[Due, CallbackState]] = []
        for one in due:
            target = targets[TargetKey(one.service_id, self._type)]
            if target is None:
                ended.append((one, CallbackState.REMOVED))
            elif state_after(Verdict.RETRYABLE, one.attempts - 1) is CallbackState.FAILED:
                ended.append((one, CallbackState.FAILED))  # its last attempt died with its process
            elif (endpoint := self._endpoint(one.service_id, target)).room(now, free):
                endpoint.begin()
                free -= 1
                begun.append((_Call(one, endpoint, now), target))
            else:
                surplus.append(one)
        return begun, surplus, ended

    def _endpoint(self, service_id: str, target: Target) -> Endpoint:
        known = self._endpoints.get(service_id)
        if known is None or known.url != target.url:
            known = self._endpoints[service_id] = Endpoint(target.url)
        return known

    def _begin(
        self,
        call: _Call,
        target: Target,
        templates: dict[TemplateKey, Template | None],
        people: dict[str, Person],
    ) -> None:
        due, now = call.due, call.started
        self._under_way[due.id] = call
        authorization = bearer(target.bearer_token)
        if authorization is None:
            self._reported.put((due.id, HttpAnswer(0, b"", NO_HEADER, request_was_sent=False), now))
            return
        try:
            body = self._body(due, templates, people).encode()
            signed = signed_headers(due.id, int(clock.now().timestamp()), body, target.signing_secrets)
        except Exception as error:
            # it would fail every time; the others have nothing to do with it
            del self._under_way[due.id]
            call.endpoint.calls -= 1
            get_logger().error("callback parked", callback_id=due.id, **describe_exception(error))
            with self._uow.begin() as tx:
                callbacks.park(tx, [due], f"can't be made: {type(error).__name__}")
            return
        headers = {
            "Content-Type": "application/json",
            "Authorization": authorization,
            "User-Agent": USER_AGENT,
            **signed,
        }
        request = HttpRequest(target.url, headers, body, now + _START_SECONDS, wants_body=False)
        self._http.call(request, lambda answer: self._reported.put((due.id, answer, clock.monotonic())))

    def _body(
        self, due: Due, templates: dict[TemplateKey, Template | None], people: dict[str, Person]
    ) -> str:
        if self._type is not CallbackType.RETURNED_LETTER:
            return due.body
        template = templates.get(_template_key(due))
        person = people.get(sender_of(due.body) or "")
        return with_names(
            due.body,
            None if template is None or template.hidden else template.name,
            None if person is None else person.email_address,
        )

    def _templates_of(self, due: Iterable[Due]) -> dict[TemplateKey, Template | None]:
        if self._type is not CallbackType.RETURNED_LETTER:
            return {}
        return self._templates.template_versions({_template_key(one) for one in due})

    def _people_of(self, due: Iterable[Due]) -> dict[str, Person]:
        if self._type is not CallbackType.RETURNED_LETTER:
            return {}
        return self._templates.people(id for one in due if (id := sender_of(one.body)) is not None)

    # --- outcomes

    def _record_ended(self) -> int:
        if self._under_way and not self._ended:
            self._gather()
        batch = self._ended[:MAX_CLAIM]
        if not batch:
            return 0
        with self._uow.begin() as tx:
            callbacks.end_attempts(tx, batch, self._retry_after)
        # only now: what could not be recorded is tried again by the next step
        self._ended = self._ended[MAX_CLAIM:]
        for one in batch:
            del self._under_way[one.due.id]
            if one.state is not CallbackState.WAITING:
                _ENDED.labels(self._type, one.state).inc()
        return len(batch)

    def _gather(self) -> None:
        """Wait a moment for a first outcome, then a shorter one for more to record together."""
        wait = _LOOK_EVERY_SECONDS
        while len(self._ended) < MAX_CLAIM:
            try:
                id, answer, ended_at = self._reported.get(timeout=wait)
            except Empty:
                return
            wait = _GATHER_SECONDS
            call = self._under_way[id]
            verdict = Verdict.REFUSED if answer.failure == NO_HEADER else judge(answer.status)
            call.endpoint.end(verdict, call.started, ended_at, self._pause_seconds)
            _CALLS.labels(self._type, verdict).inc()
            _SECONDS.labels(self._type).observe(ended_at - call.started)
            state = state_after(verdict, call.due.attempts)
            self._ended.append(Ended(call.due, answer.status, answer.failure, state))
            if verdict is not Verdict.DELIVERED:
                get_logger().warning(
                    "callback not taken",
                    callback_id=id,
                    service_id=call.due.service_id,
                    attempt=call.due.number,
                    status=answer.status,
                    reason=answer.failure,
                    state=state,
                )


def _template_key(due: Due) -> TemplateKey:
    facts = json.loads(due.body)
    return TemplateKey(due.service_id, facts["template_id"], facts["template_version"])
