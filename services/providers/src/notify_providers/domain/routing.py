"""Which provider gets a message, and why (pipeline.md §3.5).

A message is drawn among the providers that can take it, by their shares. Rules narrow the draw: an
operator's pins, the table of the recipient's country, how providers do, and, at the first retry, who has just
turned the message away. None of them leaves nobody, but that one: who fails gets nothing but probes, so that
messages wait where all fail. `judge` says what the rules make of each provider; a choice and its simulation
are both made of that. It depends on nothing but the route, so that messages of one route are judged together.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from notify_common.enums import Channel, KeyType
from notify_common.records import record

SANDBOX_BY_CHANNEL = {
    Channel.SMS: "sandbox-sms",
    Channel.EMAIL: "sandbox-email",
    Channel.LETTER: "sandbox-print",
}


class UnknownOutcomeRule(StrEnum):
    """What to do with a message that a provider may have, once no receipt has come in time."""

    RETRY = "retry"
    HOLD = "hold"


class Mode(StrEnum):
    """What an operator wants of a provider that is active."""

    SHARED = "shared"
    """It gets its share."""
    PINNED = "pinned"
    """It gets all that it can take; several pinned ones share that."""
    DRAINED = "drained"
    """It gets nothing but what it may have already."""


class Condition(StrEnum):
    """How a provider does, as its calls show."""

    HEALTHY = "healthy"
    SLOW = "slow"
    """Most calls take too long: it gets messages only where nobody healthy can take them."""
    FAILING = "failing"
    """Most calls fail: it gets one message now and then, which shows whether it works again."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's settings, and how it does.

    Attributes:
        priority: weight among the active providers of its channel, 0 to 100, at rest.
        unknown_outcome_rule: what follows a call of unknown outcome, once the wait is over.
        unknown_outcome_wait: seconds for which a receipt is waited for after such a call.
        share: weight in force in place of `priority`, since it did better or worse than others; None at rest.
    """

    name: str
    channel: Channel
    active: bool
    priority: int
    supports_international: bool
    unknown_outcome_rule: UnknownOutcomeRule
    unknown_outcome_wait: int
    version: int
    mode: Mode = Mode.SHARED
    share: float | None = None
    condition: Condition = Condition.HEALTHY

    @property
    def weight(self) -> float:
        """Its weight in the draw."""
        return float(self.priority) if self.share is None else self.share


@dataclass(frozen=True, slots=True)
class ProviderChange:
    """What a provider's settings became, and why. `changed_by` is a caller's name, or `routing`."""

    create_time: datetime
    changed_by: str
    reason: str
    active: bool
    mode: Mode
    priority: int
    share: float | None


class Why(StrEnum):
    """Why a message goes to a provider."""

    TEST_KEY = "test-key"
    """Messages of test keys go to the sandbox."""
    MAY_HAVE_IT = "may-have-it"
    """It may have the message already, so that nobody else gets it."""
    PROBE = "probe"
    """It shows whether the provider works again."""
    PINNED = "pinned"
    """An operator wants it so."""
    COUNTRY = "country"
    """Drawn by the table of the recipient's country."""
    OTHER_TURNED_AWAY = "other-turned-away"
    """Drawn among the others, after one has turned it away."""
    ONLY = "only"
    """Nobody else could take it."""
    SHARE = "share"
    """Drawn by share."""


class Unfit(StrEnum):
    """Why a provider is not in the draw for a message."""

    NOT_CONFIGURED = "not-configured"
    PAUSED = "paused"
    DRAINED = "drained"
    NOT_INTERNATIONAL = "not-international"
    TEST_ONLY = "test-key"
    """Messages of test keys go to the sandbox."""
    OTHER_PINNED = "other-pinned"
    COUNTRY = "country"
    """The table of the recipient's country names others."""
    FAILING = "failing"
    SLOW = "slow"
    TURNED_AWAY = "turned-away"
    """It has just turned the message away."""
    MAY_HAVE_IT = "may-have-it"
    """Another may have the message."""
    NO_SHARE = "no-share"
    """It weighs nothing, and others do."""


@record()
class Route:
    """What decides on the provider of a message, beside the providers themselves.

    Attributes:
        country: weights by provider of the table of the recipient's country; empty if there is none.
        may_have_it: the provider that may have the message already, if any.
        turned_away_by: the provider that has just turned it away, if any.
    """

    channel: Channel
    key_type: KeyType
    international: bool = False
    country: Mapping[str, int] = field(default_factory=dict, hash=False)
    may_have_it: str = ""
    turned_away_by: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the rules make of a provider for a message: its weight in the draw, or why it is not in it."""

    provider: Provider
    weight: float = 0.0
    unfit: Unfit | None = None


Judgement: TypeAlias = tuple[list[Candidate], Why]
"""What the rules make of each provider of a channel, and why one of those that fit is drawn."""


@record()
class Choice:
    """The provider for one try, and why."""

    provider: Provider
    why: Why


def judge(providers: Iterable[Provider], route: Route, available: AbstractSet[str]) -> Judgement:
    """Return what the rules make of each provider of a channel, and why one of those that fit is drawn.

    Args:
        available: names of the providers that take live messages in this process: those that are configured.
    """
    here = [p for p in providers if p.channel is route.channel]
    unfit: dict[str, Unfit] = {}
    if route.key_type is KeyType.TEST:
        sandbox = SANDBOX_BY_CHANNEL[route.channel]
        unfit = {p.name: Unfit.TEST_ONLY for p in here if p.name != sandbox}
        return _candidates(here, unfit, {sandbox: 1.0}), Why.TEST_KEY
    for p in here:
        out = _never(p, route, available)
        if out is not None:
            unfit[p.name] = out
    if route.may_have_it:
        unfit |= {p.name: Unfit.MAY_HAVE_IT for p in here if p.name != route.may_have_it}
        _leave_out_failing(here, unfit)
        return _candidates(here, unfit, {route.may_have_it: 1.0}), Why.MAY_HAVE_IT
    why, weights = Why.SHARE, {p.name: p.weight for p in here}
    country = route.country
    if _narrow(here, unfit, lambda p: p.mode is not Mode.PINNED, Unfit.OTHER_PINNED):
        why = Why.PINNED
    elif any(country.get(p.name) for p in _left(here, unfit)):
        _narrow(here, unfit, lambda p: not country.get(p.name), Unfit.COUNTRY)
        why, weights = Why.COUNTRY, {name: float(weight) for name, weight in country.items()}
    else:
        # Who weighs nothing takes over from nobody: neither does the sandbox where a real provider fails.
        _narrow(here, unfit, lambda p: not p.priority, Unfit.NO_SHARE)
    _leave_out_failing(here, unfit)
    _narrow(here, unfit, lambda p: p.condition is Condition.SLOW, Unfit.SLOW)
    turned = _narrow(here, unfit, lambda p: p.name == route.turned_away_by, Unfit.TURNED_AWAY)
    if why is Why.SHARE and turned:
        why = Why.OTHER_TURNED_AWAY
    elif why is Why.SHARE and len(_left(here, unfit)) == 1:
        why = Why.ONLY
    return _candidates(here, unfit, weights), why


def choose_provider(
    judgement: Judgement, draw: random.Random, probes: AbstractSet[str] = frozenset()
) -> Choice | None:
    """Return the provider for one try, or None when none can take the message now.

    Where all that fit weigh nothing, each gets the same share. A retry draws again.

    Args:
        judgement: what `judge` makes of the route of the message.
        draw: source of the weighted draw.
        probes: names of providers that do badly and of which one message shall show whether they still do.
    """
    candidates, why = judgement
    for candidate in candidates:
        if candidate.provider.name in probes and candidate.unfit in (Unfit.FAILING, Unfit.SLOW):
            return Choice(candidate.provider, Why.PROBE)
    fit = [candidate for candidate in candidates if candidate.unfit is None]
    if not fit:
        return None
    weights = [candidate.weight for candidate in fit]
    [drawn] = draw.choices(fit, weights if any(weights) else None)
    return Choice(drawn.provider, why)


def country_table(tables: Mapping[str, Mapping[str, int]], number: str) -> Mapping[str, int]:
    """Return the weights of the longest prefix that a number begins with; empty if there is none."""
    prefixes = (number[:length] for length in range(len(number), 0, -1))
    return next((tables[prefix] for prefix in prefixes if prefix in tables), {})


def _never(provider: Provider, route: Route, available: AbstractSet[str]) -> Unfit | None:
    """Return why a provider can't take a message whoever else can, or None."""
    if provider.name not in available:
        return Unfit.NOT_CONFIGURED
    if not provider.active:
        return Unfit.PAUSED
    if provider.mode is Mode.DRAINED and provider.name != route.may_have_it:
        return Unfit.DRAINED
    if route.international and not provider.supports_international:
        return Unfit.NOT_INTERNATIONAL
    return None


def _leave_out_failing(providers: Sequence[Provider], unfit: dict[str, Unfit]) -> None:
    """Take those that fail from the draw, though nobody be left: then messages wait, but for probes."""
    unfit |= {p.name: Unfit.FAILING for p in _left(providers, unfit) if p.condition is Condition.FAILING}


def _narrow(
    providers: Sequence[Provider],
    unfit: dict[str, Unfit],
    out: Callable[[Provider], bool],
    why: Unfit,
) -> bool:
    """Take those that are `out` from the draw, unless nobody would be left; return whether any was."""
    left = _left(providers, unfit)
    worse = [p for p in left if out(p)]
    if not worse or len(worse) == len(left):
        return False
    unfit |= {p.name: why for p in worse}
    return True


def _left(providers: Sequence[Provider], unfit: Mapping[str, Unfit]) -> list[Provider]:
    return [p for p in providers if p.name not in unfit]


def _candidates(
    providers: Sequence[Provider], unfit: Mapping[str, Unfit], weights: Mapping[str, float]
) -> list[Candidate]:
    return [
        Candidate(p, unfit=unfit[p.name])
        if p.name in unfit
        else Candidate(p, weight=weights.get(p.name, 0.0))
        for p in providers
    ]
