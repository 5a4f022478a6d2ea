"""Pages of List calls: keyset positions in signed tokens, bound to their filters (design.md §2.7)."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message
from notify.common.v1 import page_token_pb2

from notify_common.errors import FieldViolation, NotifyError, invalid_field
from notify_common.rpc.options import LARGEST_CONTENT_BYTES

M = TypeVar("M", bound=Message)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 250

_SIGNATURE_BYTES = 16
_MAX_TOKEN_LENGTH = 2048


class InTime(Protocol):
    """A row of a list that is ordered by when its rows were made, then by id."""

    @property
    def create_time(self) -> datetime:
        """When it was made."""

    @property
    def id(self) -> str:
        """Its id."""


class Pager:
    """Makes and reads page tokens; all processes of a service share the secret."""

    def __init__(self, secret: bytes) -> None:
        """Take the `secret` that signs tokens. Raises ValueError below 32 bytes."""
        if len(secret) < 32:
            raise ValueError("the secret of page tokens needs at least 32 bytes")
        self._secret = secret

    def encode(self, position: tuple[str, ...], filters: Mapping[str, object]) -> str:
        """Return the token that says "go on behind `position`" for a list with these `filters`.

        `filters` holds everything that decides which rows are listed, the list's own name included; its
        values are compared as JSON, so lists must come in a fixed order.
        """
        token = page_token_pb2.PageToken(filters_hash=_hash(filters), position=position)
        payload = token.SerializeToString(deterministic=True)
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode().rstrip("=")

    def decode(self, token: str, filters: Mapping[str, object]) -> tuple[str, ...] | None:
        """Return the position of a token, None for the empty one, which asks for the first page.

        Raises NotifyError PAGE_TOKEN_INVALID for a token that was changed, signed by another secret, or made
        for other filters.
        """
        if not token:
            return None
        try:
            if len(token) > _MAX_TOKEN_LENGTH:
                raise ValueError("too long")
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._sign(payload)):
                raise ValueError("signature differs")
            content = page_token_pb2.PageToken.FromString(payload)
            # Base64 leaves spare bits in its last character: only the spelling that encode gives is a token.
            if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
                raise ValueError("not canonical")
        except (ValueError, binascii.Error, DecodeError):
            raise _invalid("is not a token that this list gave") from None
        if not hmac.compare_digest(content.filters_hash, _hash(filters)):
            raise _invalid("belongs to other filters")
        return tuple(content.position)

    def page_in_time(
        self, rows: Sequence[InTime], messages: Iterable[M], filters: Mapping[str, object]
    ) -> tuple[list[M], str]:
        """Return the messages of a page that fit into one answer, and the token of what comes behind them.

        Args:
            rows: what was found, in the order of the list; one more than the page holds if there is more.
            messages: of the rows of the page, in their order.
            filters: as in `encode`.
        """
        fitting = that_fit(messages)
        if len(fitting) == len(rows):
            return fitting, ""
        last = rows[len(fitting) - 1]
        return fitting, self.encode(position_in_time(last.create_time, last.id), filters)

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, "sha256")[:_SIGNATURE_BYTES]


def page_size(requested: int, default: int = DEFAULT_PAGE_SIZE, maximum: int = MAX_PAGE_SIZE) -> int:
    """Return how many rows to answer with: `default` for 0, at most `maximum`.

    Raises NotifyError INVALID_FIELD below 0.
    """
    if requested < 0:
        raise invalid_field(FieldViolation("page_size", "should not be negative"))
    return min(requested or default, maximum)


def position_in_time(moment: datetime, id: str) -> tuple[str, str]:
    """Return the position of a row, for a token, in a list that is ordered by a time, then by id."""
    return moment.isoformat(), id


def read_position_in_time(position: tuple[str, ...] | None) -> tuple[datetime, str] | None:
    """Read what `position_in_time` made; None stays None."""
    return None if position is None else (datetime.fromisoformat(position[0]), position[1])


def that_fit(messages: Iterable[M]) -> list[M]:
    """Return the first of `messages` that fit into one answer together, of any at least one."""
    fitting: list[M] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if fitting and size > LARGEST_CONTENT_BYTES:
            break
        fitting.append(message)
    return fitting


def _hash(filters: Mapping[str, object]) -> bytes:
    canonical = json.dumps(filters, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()[:16]


def _invalid(description: str) -> NotifyError:
    violation = FieldViolation("page_token", description)
    return NotifyError("PAGE_TOKEN_INVALID", f"page_token {description}", violations=(violation,))
