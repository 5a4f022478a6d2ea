"""What schemathesis is told of the public API beyond its description; it imports this module."""

import json
import os
import time
from typing import Any

import jwt
import schemathesis

_KEY = os.environ["FUZZ_API_KEY"]


@schemathesis.auth(refresh_interval=10)
class ServiceToken:
    """A token as the official clients make it, which is good for half a minute."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        """Return a fresh one."""
        return jwt.encode({"iss": _KEY[-73:-37], "iat": int(time.time())}, _KEY[-36:], "HS256")

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        """Send it along."""
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return rows as lines."""
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
