"""Tokens of services and of internal clients, verified in memory (public-api.md §1.2, §1.3, appendix D)."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn

import jwt
from notify.common.v1.common_pb2 import KeyType
from notify_common import clock
from notify_common.errors import NotifyError
from notify_common.ids import canonical_uuid

from notify_gateway.snapshots import ApiKey, ServiceFacts, Snapshots

LEEWAY_SECONDS: Final = 30
"""How far a token's times may be from ours, both ways, inclusive."""

ADMIN_CLIENT: Final = "notify-admin"
"""Issuer of the admin web app's tokens."""

_ALGORITHM: Final = "HS256"
_SCHEME: Final = "Bearer "
_CACHED_TOKENS: Final = 1024
_LONGEST_CACHED_TOKEN: Final = 2048
_MALFORMED: Final = "malformed"
_CLOCK: Final = "clock"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, in the name of a verified token."""

    service: ServiceFacts
    api_key_id: str
    """UUID, lower case."""
    key_type: KeyType


@dataclass(slots=True)
class _Token:
    algorithm: object
    claims: dict[str, Any]
    signed: bytes
    """What the signature is of."""
    signature: bytes
    signer: bytes | None = None
    """A secret that the signature was found to be made with."""


class Authenticator:
    """Turns an Authorization header into a caller."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def authenticate(self, header: str | None) -> Caller:
        """Return the caller whose token the Authorization header holds.

        Raises NotifyError TOKEN_MISSING, TOKEN_INVALID or KEY_REVOKED, checked in the contract's order
        (public-api.md §1.3); UNAVAILABLE and the like where the service is not cached and admin can't be
        asked.
        """
        text = _bearer_text(header)
        token = _parse(text) if len(text) <= _LONGEST_CACHED_TOKEN else _parse.__wrapped__(text)
        service = self._snapshots.service(_service_id(token.claims))
        if service is None:
            _refuse("service-unknown")
        keys = self._snapshots.keys(service.id)
        if not keys:
            _refuse("service-without-keys")
        if not service.active:
            _refuse("service-archived")
        if token.algorithm != _ALGORITHM:
            _refuse("algorithm")
        key = _signing_key(token, keys)
        if key is None or "iat" not in token.claims:
            _refuse("key-unknown")
        _check_claims(token.claims, int(clock.now().timestamp()))
        if key.revoked:
            raise NotifyError("KEY_REVOKED")
        return Caller(service, key.id, key.key_type)


class ClientAuthenticator:
    """Checks tokens of one internal client (internal-api.md §1.2)."""

    def __init__(self, issuer: str, secrets: Sequence[str]) -> None:
        """Take the `secrets` that are in force, several while one is changed."""
        self._issuer = issuer
        self._secrets = [secret.encode() for secret in secrets]

    def authenticate(self, header: str | None) -> None:
        """Raise NotifyError TOKEN_MISSING or TOKEN_INVALID unless the header holds the client's token."""
        text = _bearer_text(header)
        token = _parse(text) if len(text) <= _LONGEST_CACHED_TOKEN else _parse.__wrapped__(text)
        if "iss" not in token.claims:
            _refuse("issuer-missing")
        if token.claims["iss"] != self._issuer:
            _refuse("issuer-other")
        if token.algorithm != _ALGORITHM:
            _refuse("algorithm")
        if "iat" not in token.claims or not any(_signed_with(secret, token) for secret in self._secrets):
            _refuse("key-unknown")
        _check_claims(token.claims, int(clock.now().timestamp()))


class TokenAuthenticator:
    """Checks tokens that are a shared secret as it is: `Authorization: Token …` (internal-api.md §6)."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Take the `tokens` that are in force, several while one is changed."""
        self._tokens = [token.encode() for token in tokens]

    def authenticate(self, header: str | None) -> None:
        """Raise NotifyError TOKEN_MISSING or TOKEN_INVALID unless the header holds one of the tokens."""
        scheme, _, shown = (header or "").strip().partition(" ")
        if not scheme:
            raise NotifyError("TOKEN_MISSING")
        if scheme.lower() != "token":
            _refuse("scheme")
        if not any(hmac.compare_digest(shown.strip().encode(), token) for token in self._tokens):
            _refuse("key-unknown")


def _bearer_text(header: str | None) -> str:
    # Servers differ in whether they strip a header's value; the answer must not.
    value = (header or "").strip()
    if not value:
        raise NotifyError("TOKEN_MISSING")
    if value[: len(_SCHEME)].title() != _SCHEME:
        _refuse("scheme")
    return value[len(_SCHEME) :]


# Official clients make the same token all through a second. Reading one, and whether a secret signed it,
# depends on its text alone; everything else, such as whether that is a key's secret still, on the moment.
@lru_cache(maxsize=_CACHED_TOKENS)
def _parse(text: str) -> _Token:
    try:
        decoded = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        _refuse(_MALFORMED)
    signed = text.rpartition(".")[0].encode()
    return _Token(decoded["header"].get("alg"), decoded["payload"], signed, decoded["signature"])


def _signing_key(token: _Token, keys: tuple[ApiKey, ...]) -> ApiKey | None:
    return next((key for key in keys if _signed_with(key.secret.encode(), token)), None)


def _signed_with(secret: bytes, token: _Token) -> bool:
    if token.signer == secret:
        return True
    if not hmac.compare_digest(hmac.digest(secret, token.signed, "sha256"), token.signature):
        return False
    token.signer = secret
    return True


def _service_id(claims: dict[str, Any]) -> str:
    if "iss" not in claims:
        _refuse("issuer-missing")
    try:
        return canonical_uuid(claims["iss"])
    except (ValueError, TypeError, AttributeError):
        _refuse("issuer-invalid")


def _check_claims(claims: dict[str, Any], now: int) -> None:
    """Raise NotifyError TOKEN_INVALID unless every registered claim is acceptable (§1.3 rows 11, 12)."""
    issued = _whole_seconds(claims["iat"], _CLOCK)
    if not now - LEEWAY_SECONDS <= issued <= now + LEEWAY_SECONDS:
        _refuse(_CLOCK)
    if "nbf" in claims and _whole_seconds(claims["nbf"], _MALFORMED) > now + LEEWAY_SECONDS:
        _refuse(_CLOCK)
    if "exp" in claims and _whole_seconds(claims["exp"], _MALFORMED) <= now - LEEWAY_SECONDS:
        _refuse(_MALFORMED)
    if claims.get("aud"):
        _refuse(_MALFORMED)
    if not all(isinstance(claims.get(name, ""), str) for name in ("sub", "jti")):
        _refuse(_MALFORMED)


def _whole_seconds(value: Any, otherwise: str) -> int:
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        _refuse(otherwise)


def _refuse(problem: str) -> NoReturn:
    raise NotifyError("TOKEN_INVALID", metadata={"problem": problem})
