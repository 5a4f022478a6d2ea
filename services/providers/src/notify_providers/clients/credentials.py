"""Rules by which a callback is known to be from its provider."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from notify_providers.clients.base import (
    Callback,
    CallbackAnswer,
    CallbackSettings,
    InboundSettings,
    Rejected,
    error_answer,
)

Network = IPv4Network | IPv6Network
Pair = tuple[str, str]
"""User and password."""


def require_sender(settings: CallbackSettings, callback: Callback, own: Pair | None = None) -> None:
    """Check a callback against whatever the settings ask for.

    Args:
        own: credentials that the provider was told to send.

    Raises:
        Rejected: it is not from the provider.
    """
    if settings.receipt_networks:
        require_address(callback, settings.receipt_networks)
    accepted = pairs_of(settings.receipt_credentials) + ([own] if own else [])
    if accepted:
        require_basic(callback, accepted)


def require_inbound_sender(settings: InboundSettings, callback: Callback) -> None:
    """Check that who brings a text has credentials; where the settings hold none, nobody has.

    Raises:
        Rejected: it is not from the provider.
    """
    require_basic(callback, pairs_of(settings.inbound_credentials))


def require_basic(callback: Callback, accepted: Iterable[Pair]) -> None:
    """Check the Basic credentials of a callback against pairs of user and password (public-api.md §9.4).

    Every pair is compared, in a time that says nothing about how much of one is right.

    Raises:
        Rejected: with 401 if there are no such credentials, with 403 if none of the pairs is meant.
    """
    scheme, _, encoded = callback.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or not encoded:
        raise Rejected(
            "no credentials",
            error_answer(
                401, "Unauthorized: authentication token must be provided", WWW_Authenticate="Bearer"
            ),
        )
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (ValueError, binascii.Error):
        given = b""
    right = [hmac.compare_digest(given, f"{user}:{password}".encode()) for user, password in accepted]
    if not any(right):
        raise Rejected("wrong credentials", forbidden())


def require_address(callback: Callback, networks: Iterable[Network]) -> None:
    """Check that a callback comes from one of some networks.

    Raises:
        Rejected: with 403, it does not, or nobody knows where it comes from.
    """
    try:
        address = ip_address(callback.client_address)
    except ValueError:
        raise Rejected("unknown address", forbidden()) from None
    if not any(address in network for network in networks):
        raise Rejected("address not allowed", forbidden())


def forbidden() -> CallbackAnswer:
    """Return the answer to wrong credentials."""
    return error_answer(403, "Forbidden: invalid authentication token provided")


def pairs_of(secret: SecretStr | None) -> list[Pair]:
    """Return the pairs `user:password` that a setting holds, separated by spaces."""
    words = secret.get_secret_value().split() if secret else []
    return [(user, password) for user, _, password in (word.partition(":") for word in words)]


def credentials_of(url: str) -> Pair | None:
    """Return user and password that stand in a URL, or None."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
