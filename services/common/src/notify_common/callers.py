"""Callers of services that several services name, by their certificates; what operators may call."""

from collections.abc import Mapping
from typing import Final

OPERATOR: Final = "operator"
"""Name in the certificate of the person who runs the platform."""
OBSERVER: Final = "observer"
"""Name in the certificate of whoever may look at its queues and change nothing."""
PUBLIC_GATEWAY: Final = "gateway-public"
"""Name in the certificate of the gateway that faces the internet (ADR 0027)."""
INTERNAL_GATEWAY: Final = "gateway-internal"
"""Name in the certificate of the gateway that the admin web app and operators' browsers reach."""

_OPS: Final = "notify.common.v1.OpsService"
_READS: Final = (
    "ListQueues",
    "ListWorkers",
    "ListParkedCauses",
    "ListParkedRows",
    "GetParkedRow",
    "ListActions",
)

OPS_CALLERS: Final[Mapping[str, list[str]]] = {
    _OPS: [OPERATOR],
    **{f"{_OPS}/{method}": [OPERATOR, OBSERVER] for method in _READS},
}
"""Who may call OpsService: the operator all, an observer what changes nothing. Part of `allowed_callers`."""
