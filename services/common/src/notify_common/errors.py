"""The one error type of the platform (design.md §2.6).

Raise `NotifyError` with a reason of `notify_common.reasons`; let everything else reach the mask of the server
(`rpc.interceptors.errors`), which hides it from the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from notify_common.reasons import REASONS, Code


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that breaks a rule.

    `field` is the proto path (`sender.service_id`, `letters[3].postage`), `description` a sentence part that
    follows it (`is not a valid UUID`); neither repeats the value.
    """

    field: str
    description: str


class NotifyError(Exception):
    """An error that its receiver may see, told apart by `reason`.

    On a server it becomes a `google.rpc.Status`; on a client every failed call is one of these again, with
    the same reason, code, message, violations, metadata and retry time.
    """

    def __init__(
        self,
        reason: str,
        message: str = "",
        *,
        violations: tuple[FieldViolation, ...] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        code: Code | None = None,
    ) -> None:
        """Make an error of `reason`, whose gRPC code the table of reasons gives.

        `message` may be shown to people: no recipient, no personalisation, no key. `metadata` holds the facts
        that the gateway needs to word its answer. `retry_after` says when another try makes sense. `code` is
        for reasons that came over the wire from a newer service; without it an unknown reason raises
        ValueError.
        """
        if code is None:
            known = REASONS.get(reason)
            if known is None:
                raise ValueError(f"{reason} is not in notify_common.reasons")
            code = known.code
            message = message or known.doc
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.message = message
        self.violations = tuple(violations)
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"NotifyError({self.reason!r}, {self.message!r})"


def invalid_field(*violations: FieldViolation) -> NotifyError:
    """Return the INVALID_FIELD error that names `violations`; its message lists them."""
    message = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
    return NotifyError("INVALID_FIELD", message, violations=violations)
