"""Handing due messages to providers: the step of a dispatch worker (design.md §3.5 step 8, §3.10)."""

import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache
from queue import Empty, SimpleQueue

from notify_common import clock, current, tracing
from notify_common.db.unit_of_work import Tx, UnitOfWork
from notify_common.enums import Channel, KeyType
from notify_common.logging import describe_exception, get_logger
from notify_common.records import record
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge, Histogram

from notify_providers.clients.base import ProviderClient
from notify_providers.domain.dispatch import (
    EXPIRED,
    MAX_RETRIES,
    CallResult,
    EarlierAttempt,
    Next,
    Outcome,
    State,
    after_call,
    after_failed_try,
    last_is_unknown,
    may_be_repeat,
    may_have_it,
    turned_away_by,
    while_unknown,
)
from notify_providers.domain.message import Content, Message, SmsContent, content_from_json, recipient_of
from notify_providers.domain.receipts import Kind
from notify_providers.domain.routing import (
    Condition,
    Judgement,
    Provider,
    Route,
    Why,
    choose_provider,
    country_table,
    judge,
)
from notify_providers.domain.suppression import SUPPRESSED, AddressHash, hash_of
from notify_providers.store import countries, dispatches, health, suppressions
from notify_providers.store.dispatches import Change, Due, Event, Locked, Mark
from notify_providers.store.tables import LEASE_SECONDS
from notify_providers.usecases.health import CallWatch
from notify_providers.usecases.record_receipt import apply_matched, join_unmatched
from notify_providers.usecases.settings import settings_in_force

_CALLS = Counter("notify_provider_calls_total", "Provider calls that ended.", ["provider", "outcome"])
_SECONDS = Histogram("notify_provider_call_seconds", "Time from the mark to the answer.", ["provider"])
_IN_FLIGHT = Gauge("notify_provider_calls_in_flight", "Provider calls under way.", ["channel"])
_counter = cache(_CALLS.labels)  # finding what labels mean costs more than counting
_histogram = cache(_SECONDS.labels)
_HELD = Counter("notify_dispatches_held_total", "Dispatches that wait for a person.", ["channel"])

MAX_BATCH = 500
MAX_EMAILS = 32
"""Emails that are claimed at once: each may be almost 4 MiB, and all of them are in memory."""
_LOOK_EVERY_SECONDS = 0.025
_GATHER_SECONDS = 0.005
_RECORDING_SECONDS = 20.0


@record()
class _Call:
    """A call under way, without what is sent. `end_span` ends its span, where spans are recorded."""

    lease_token: str
    provider: Provider
    started: float
    end_span: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with claimed dispatches.

    Attributes:
        providers: those of the channel by name.
        countries: weights by provider, by prefix of numbers.
        probes: providers of which one message shall show whether they still do badly.
        calls: the messages for each provider by its name.
        judgements: what the rules make of the providers, by the route of messages.
        reasons: why each message goes to its provider, by its id.
        hashes: of recipients, by the id of the message; letters have none.
        unsent: ids and tries of messages for which nobody is called, and why.
    """

    providers: Mapping[str, Provider]
    countries: Mapping[str, Mapping[str, int]]
    probes: set[str]
    judgements: dict[Route, Judgement] = field(default_factory=dict)
    calls: dict[str, list[Message]] = field(default_factory=dict)
    reasons: dict[str, Why] = field(default_factory=dict)
    hashes: dict[str, bytes] = field(default_factory=dict)
    unsent: list[tuple[str, int, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Dispatcher:
    """Keep up to `window` provider calls of one channel under way. One thread calls `step` again and again.

    A step has two transactions and no call inside of either. One records the outcomes that have come in, up
    to 500, and their delivery events. The other claims due dispatches, as many as the window has room for,
    and marks an attempt for each; once it has committed, all those calls begin at once, so that a mark
    without an outcome is a call that was under way or about to be. A slow call delays nobody but itself.

    Idempotency key of a call: the dispatch's id, which providers get as their reference. If the process dies,
    the lease runs out and the next claim closes the open attempt as unknown. Whatever made an outcome
    unknown, the dispatch waits for a receipt for a time of the provider's settings; without one, their rule
    says whether it is sent again or held in doubt. An outcome that comes after the lease was lost still
    counts if it is `accepted`.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        channel: Channel,
        clients: Mapping[str, ProviderClient],
        live: AbstractSet[str],
        hashed: AddressHash,
        *,
        window: int,
        call_seconds: float,
        retry_interval: float,
        least_calls: int,
        draw: random.Random | None = None,
    ) -> None:
        """Args:
        clients: by provider name.
        live: names of those that take messages of live and team keys here.
        hashed: the hash by which suppressed addresses are known.
        window: most calls under way, which is also the most that a process death leaves open.
        call_seconds: longest time that a call may take; below the lease by more than 20 s.
        retry_interval: seconds between tries.
        least_calls: calls of a provider in 30 seconds below which nothing is said of how it does.
        """
        self.channel = channel
        self._uow = uow
        self._clients = clients
        self._live = live
        self._hashed = hashed
        self._window = window
        self._most_at_once = MAX_EMAILS if channel is Channel.EMAIL else MAX_BATCH
        self._start_seconds = LEASE_SECONDS - call_seconds - _RECORDING_SECONDS
        if self._start_seconds <= 0:
            raise ValueError("calls may take longer than their lease lasts")
        self._interval = retry_interval
        self._draw = draw or random.Random()
        self._watch = CallWatch(least_calls)
        self._under_way: dict[str, _Call] = {}
        self._reported: SimpleQueue[tuple[CallResult, float]] = SimpleQueue()
        self._ended: list[CallResult] = []

    def step(self) -> int:
        """Start due calls and record ended ones; return how many of either there were.

        Returns 0 only when nothing is due and no call is under way; otherwise it waits for news.
        """
        while True:
            handled = self._record_ended() + self._start_due()
            calls = ((id, call.provider.name, call.started) for id, call in self._under_way.items())
            self._watch.tell(self._uow, calls)
            _IN_FLIGHT.labels(self.channel).set(len(self._under_way))
            if handled or not self._under_way:
                return handled

    def drain(self, seconds: float) -> bool:
        """Record the outcomes of calls under way and start no more; return whether all ended in time."""
        deadline = clock.monotonic() + seconds
        while self._under_way and clock.monotonic() < deadline:
            self._record_ended()
        return not self._under_way

    # --- claim, mark, call

    def _start_due(self) -> int:
        room = self._window - len(self._under_way)
        if room * 4 < self._window:
            return 0
        claimed_at = clock.monotonic()
        with self._uow.begin() as conn:
            claimed = dispatches.claim_due(conn, self.channel, min(room, self._most_at_once))
            # A lease that ran out under a call of our own: the new one gives that call time to be recorded.
            due = [one for one in claimed if one.id not in self._under_way]
            if not due:
                return 0
            plan = self._plan(conn, due, claimed_at)
            dispatches.change_states(conn, plan.changes)
            dispatches.append_events(conn, plan.events)
            dispatches.insert_unsent(conn, plan.unsent)
            dispatches.insert_attempts(
                conn,
                [
                    Mark(m.id, m.attempt, name, plan.reasons[m.id], plan.hashes.get(m.id))
                    for name, batch in plan.calls.items()
                    for m in batch
                ],
            )
        tokens = {one.id: one.lease_token for one in due}
        failure: Exception | None = None
        for name, messages in plan.calls.items():
            now = clock.monotonic()
            provider = plan.providers[name]
            self._under_way |= {
                m.id: _Call(tokens[m.id], provider, now, _begin_span(m, name)) for m in messages
            }
            try:
                self._clients[name].send(messages, self._report)
            except Exception as error:
                # Nobody will report on these: they come up again when their leases end. Other providers'
                # calls are marked as well, and are made.
                for message in messages:
                    self._under_way.pop(message.id, None)
                failure = error
        if failure is not None:
            raise failure
        return len(due)

    def _plan(self, conn: Tx, due: Sequence[Due], claimed_at: float) -> _Plan:
        again = [one for one in due if one.attempt > 1]
        history = self._history(conn, again) if again else {}
        proven = self._apply_early_receipts(conn, again, history) if history else set()
        plan = self._new_plan(conn, due)
        read: list[tuple[Due, Content]] = []
        for one in due:
            if one.id in proven:
                continue
            try:
                content = content_from_json(one.channel, one.content)
                address = hash_of(content, self._hashed)
                read.append((one, content))
                if address is not None:
                    plan.hashes[one.id] = address
            except Exception as error:
                self._park(conn, one, error)
        unwanted = suppressions.find(conn, self.channel, plan.hashes.values()) if plan.hashes else set()
        for one, content in read:
            try:
                suppressed = plan.hashes.get(one.id) in unwanted and one.key_type is not KeyType.TEST
                self._plan_one(plan, one, content, history.get(one.id, []), claimed_at, suppressed)
            except Exception as error:
                self._park(conn, one, error)
        return plan

    @staticmethod
    def _park(conn: Tx, due: Due, error: Exception) -> None:
        """Take a dispatch out that would fail every time, and all that are claimed with it."""
        dispatches.park(conn, due, f"can't be planned: {type(error).__name__}")
        get_logger().error(
            "dispatch parked",
            dispatch_id=due.id,
            request_id=due.request_id,
            **describe_exception(error),
        )

    def _new_plan(self, conn: Tx, due: Sequence[Due]) -> _Plan:
        providers = [p for p in settings_in_force(conn) if p.channel is self.channel]
        unwell = [p.name for p in providers if p.condition is not Condition.HEALTHY and p.name in self._live]
        abroad = any(one.content.get("international") for one in due)
        return _Plan(
            providers={p.name: p for p in providers},
            countries=countries.list_all(conn) if abroad else {},
            probes=health.claim_probes(conn, unwell) if unwell else set(),
        )

    def _plan_one(
        self,
        plan: _Plan,
        due: Due,
        content: Content,
        earlier: Sequence[EarlierAttempt],
        claimed_at: float,
        suppressed: bool,
    ) -> None:
        if last_is_unknown(earlier):
            last = earlier[-1]
            waiting = while_unknown(plan.providers.get(last.provider), last.age)
            if waiting is not None:
                self._follow(plan.changes, plan.events, due, waiting, last.provider)
                return
        if due.seconds_left is not None and due.seconds_left <= 0:
            if holder := may_have_it(earlier):
                # it may have been delivered in time: that is for a receipt or a person to say
                self._follow(plan.changes, plan.events, due, Next(State.IN_DOUBT), holder)
                return
            self._end_unsent(plan, due, EXPIRED, Kind.EXPIRED)
            return
        if suppressed:
            self._end_unsent(plan, due, SUPPRESSED, Kind.PERMANENT_FAILURE)
            return
        choice = None
        if due.attempt <= MAX_RETRIES + 1:
            abroad = isinstance(content, SmsContent) and content.international
            route = Route(
                channel=due.channel,
                key_type=due.key_type,
                international=abroad,
                country=country_table(plan.countries, recipient_of(content)) if abroad else {},
                may_have_it=may_have_it(earlier),
                turned_away_by=turned_away_by(earlier, due.attempt),
            )
            judgement = plan.judgements.get(route)
            if judgement is None:
                judgement = plan.judgements[route] = judge(plan.providers.values(), route, self._live)
            choice = choose_provider(judgement, self._draw, plan.probes)
        if choice is None or choice.provider.name not in self._clients:
            following = after_failed_try(due.channel, due.attempt, self._interval, self._draw)
            self._log_failure(due, "", "no_provider", following)
            self._follow(plan.changes, plan.events, due, following, earlier[-1].provider if earlier else "")
            return
        provider = choice.provider
        if choice.why is Why.PROBE:
            plan.probes.discard(provider.name)
        plan.reasons[due.id] = choice.why
        message = Message(
            id=due.id,
            service_id=due.service_id,
            key_type=due.key_type,
            content=content,
            attempt=due.attempt,
            repeat=may_be_repeat(earlier, provider.name),
            start_before=claimed_at + min(self._start_seconds, due.seconds_left or self._start_seconds),
            request_id=due.request_id,
            traceparent=due.traceparent,
        )
        plan.calls.setdefault(provider.name, []).append(message)

    @staticmethod
    def _end_unsent(plan: _Plan, due: Due, reason: str, kind: Kind) -> None:
        """End a dispatch for which no provider is called."""
        plan.unsent.append((due.id, due.attempt, reason))
        plan.changes.append(Change(due.id, State.FAILED, None, keeps_content=False))
        plan.events.append(Event(due.id, due.channel, kind, ""))

    def _history(self, conn: Tx, again: Sequence[Due]) -> dict[str, list[EarlierAttempt]]:
        ids = [one.id for one in again]
        dispatches.close_open_attempts(conn, ids)
        return dispatches.earlier_attempts(conn, ids)

    def _apply_early_receipts(
        self, conn: Tx, again: Sequence[Due], history: Mapping[str, Sequence[EarlierAttempt]]
    ) -> set[str]:
        """Count dispatches as sent whose process died but whose provider has reported on them."""
        locked = {
            one.id: Locked(one.id, one.channel, State.QUEUED, one.attempt, one.lease_token, one.request_id)
            for one in again
        }
        called = {(id, attempt.provider) for id, earlier in history.items() for attempt in earlier}
        early = join_unmatched(conn, locked, called)
        return {receipt.dispatch_id for receipt in apply_matched(conn, locked, early)} if early else set()

    # --- outcomes

    def _report(self, result: CallResult) -> None:
        self._reported.put((result, clock.monotonic()))

    def _record_ended(self) -> int:
        if self._under_way and not self._ended:
            self._gather()
        if not self._ended:
            return 0
        batch = self._ended[:MAX_BATCH]
        with self._uow.begin() as conn:
            self._record(conn, batch)
        # Only now: a batch that could not be recorded is tried again by the next step.
        self._ended = self._ended[MAX_BATCH:]
        for result in batch:
            del self._under_way[result.dispatch_id]
        return len(batch)

    def _gather(self) -> None:
        """Wait a moment for a first outcome, then a shorter one for more to record together."""
        until = None
        while len(self._ended) < min(len(self._under_way), MAX_BATCH):
            wait = _LOOK_EVERY_SECONDS if until is None else max(0.0, until - clock.monotonic())
            try:
                result, at = self._reported.get(timeout=wait)
            except Empty:
                return
            until = until or clock.monotonic() + _GATHER_SECONDS
            call = self._under_way.get(result.dispatch_id)
            if call is None:
                continue
            _counter(call.provider.name, result.outcome).inc()
            _histogram(call.provider.name).observe(at - call.started)
            self._watch.note(call.provider.name, result, at - call.started)
            call.end_span()
            self._ended.append(result)

    def _record(self, conn: Tx, results: Sequence[CallResult]) -> None:
        calls = {result.dispatch_id: self._under_way[result.dispatch_id] for result in results}
        locked = dispatches.lock(conn, list(calls))
        early = join_unmatched(conn, locked, [(id, call.provider.name) for id, call in calls.items()])
        proven = {receipt.dispatch_id for receipt in early}
        changes: list[Change] = []
        events: list[Event] = []
        for result in results:
            found = locked.get(result.dispatch_id)
            if found is None or found.state not in (State.QUEUED, State.IN_DOUBT):
                continue
            call = calls[found.id]
            if result.outcome is Outcome.ACCEPTED or found.id in proven:
                self._follow(changes, events, found, Next(State.SENT), call.provider.name)
            elif found.lease_token == call.lease_token:
                following = after_call(result, found.channel, call.provider, self._interval, self._draw)
                self._log_failure(found, call.provider.name, result.reason, following)
                self._follow(changes, events, found, following, call.provider.name)
        dispatches.change_states(conn, changes)
        dispatches.end_attempts(conn, results)
        dispatches.append_events(conn, events)
        if early:
            apply_matched(conn, dispatches.lock(conn, list(proven)), early)

    def _follow(
        self,
        changes: list[Change],
        events: list[Event],
        dispatch: Due | Locked,
        following: Next,
        provider: str,
    ) -> None:
        keeps = following.state in (State.QUEUED, State.IN_DOUBT)
        changes.append(Change(dispatch.id, following.state, following.delay, keeps))
        if following.state is State.SENT:
            events.append(Event(dispatch.id, dispatch.channel, Kind.SENT, provider))
        elif following.state is State.FAILED:
            events.append(Event(dispatch.id, dispatch.channel, Kind.TECHNICAL_FAILURE, provider))
        elif following.state is State.IN_DOUBT:
            _HELD.labels(self.channel).inc()
            get_logger().warning("dispatch in doubt", dispatch_id=dispatch.id, request_id=dispatch.request_id)

    def _log_failure(self, dispatch: Due | Locked, provider: str, reason: str, following: Next) -> None:
        get_logger().warning(
            "hand-over failed",
            dispatch_id=dispatch.id,
            request_id=dispatch.request_id,
            provider=provider,
            reason=reason,
            attempt=dispatch.attempt,
            state=following.state,
        )


def _begin_span(message: Message, provider: str) -> Callable[[], None]:
    """Begin the span of a call in the message's own trace; return what ends it."""
    if not tracing.is_recording():
        return _no_span
    own = copy_context()  # calls overlap, so each has a context of its own
    stack = ExitStack()

    def begin() -> None:
        stack.enter_context(current.bind(request_id=message.request_id, traceparent=message.traceparent))
        ids = {"dispatch_id": message.id, "provider": provider}
        stack.enter_context(tracing.span("provider call", SpanKind.CLIENT, **ids))

    own.run(begin)
    return lambda: own.run(stack.close)


def _no_span() -> None:
    return None
