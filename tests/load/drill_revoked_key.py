"""How long a revoked key goes on working: `make drill-revoked-key`.

Starts the platform and revokes a key that is used all the time, first with nothing else going on, then while
a writing transaction stays open in each other database of the server. Prints for how long the key worked;
fails where it was longer than BOUND_SECONDS.
"""

import sys
import threading
import time
from contextlib import ExitStack, closing
from typing import Final

import jwt
import psycopg2
import requests
from notify.admin.v1 import api_keys_service_pb2 as pb
from notify.admin.v1.api_keys_service_pb2_grpc import ApiKeysServiceStub
from notify_local.seed import Seeded, fixed_id, seed
from notify_local.stack import Stack
from stacks import running_stack

BOUND_SECONDS: Final = 2.0
GIVE_UP_SECONDS: Final = 90.0
OTHERS: Final = ("notifications", "letters", "providers")


def main() -> int:
    """Return the exit status: 0 where no revoked key worked for longer than the bound."""
    with ExitStack() as exits:
        stack = exits.enter_context(running_stack())
        taken = [_revoke(stack, "Undisturbed", "nothing else open")]
        for context in OTHERS:
            connection = exits.enter_context(closing(psycopg2.connect(stack.app_urls[context])))
            connection.cursor().execute("SELECT pg_current_xact_id()")
        what = f"a writing transaction open in each of {', '.join(OTHERS)}"
        taken.append(_revoke(stack, "Disturbed", what))
    kept = max(taken) <= BOUND_SECONDS
    print(f"bound {BOUND_SECONDS:.0f} s: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def _revoke(stack: Stack, name: str, what: str) -> float:
    """Seconds from the revocation of a new service's key to its first refusal."""
    service = seed(stack, name)
    if _status(stack, service) != 200:
        raise SystemExit("the key does not work")
    with stack.operator_channel(stack.grpc_targets["admin"]) as channel:
        key_id = fixed_id(f"api-key/{name}/normal")
        request = pb.RevokeApiKeyRequest(service_id=service.service_id, api_key_id=key_id)
        ApiKeysServiceStub(channel).RevokeApiKey(request, timeout=10)
    revoked = time.monotonic()
    pause = threading.Event()
    while _status(stack, service) == 200 and time.monotonic() < revoked + GIVE_UP_SECONDS:
        pause.wait(0.02)
    seconds = time.monotonic() - revoked
    print(f"{what}: refused after {seconds:.2f} s", flush=True)
    return seconds


def _status(stack: Stack, service: Seeded) -> int:
    key = service.api_keys["normal"]
    token = jwt.encode({"iss": service.service_id, "iat": int(time.time())}, key[-36:], "HS256")
    url = f"{stack.base_url}/v2/notifications"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code


if __name__ == "__main__":
    sys.exit(main())
