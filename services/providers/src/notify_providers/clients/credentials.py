"""Rules by which a callback is known to be from its provider."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote, urlsplit

from notify_providers.clients.base import Callback, CallbackAnswer, Rejected, error_answer

Network = IPv4Network | IPv6Network


def require_basic(callback: Callback, accepted: Iterable[tuple[str, str]]) -> None:
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


def credentials_of(url: str) -> tuple[str, str] | None:
    """Return user and password that stand in a URL, or None."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
