"""How long a database is not used whose connections fell silent: `make drill-silent-database`.

Starts the platform with every service reaching its database through a proxy, and sends RATE texts a second.
Then, one service after the other, the connections that there are go silent, as in a failover whose packets
are dropped: nothing comes back on them and nothing is refused, while new ones work. Meanwhile RATE calls a
second ask that service for what stands in its database. Prints what became of the texts and the calls, when
both were answered again without a break, and when the texts had arrived, for which the service's workers are
needed as well; fails where texts or calls took longer than BOUND_SECONDS, or a text did not arrive.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any, Final, NamedTuple

import grpc
import psycopg2
from notify.admin.v1 import services_service_pb2, services_service_pb2_grpc
from notify.common.v1.common_pb2 import KEY_TYPE_NORMAL
from notify.letters.v1 import print_runs_service_pb2, print_runs_service_pb2_grpc
from notify.notifications.v1 import notifications_service_pb2, notifications_service_pb2_grpc
from notify.providers.v1 import provider_settings_service_pb2, provider_settings_service_pb2_grpc
from notify_local.backing import wait_until
from notify_local.seed import Seeded, seed
from notify_local.stack import Stack
from notify_testing.proxy import SilentProxy
from stacks import running_stack
from texts import Sent, at_rate, send, summary

BOUND_SECONDS: Final = 5.0
RATE: Final = 10
AFTER_SECONDS: Final = 15
CALL_SECONDS: Final = 2.0
ARRIVE_SECONDS: Final = 120.0

PROCESSES: Final = {
    "notifications": ("notifications", "notifications-work"),
    "providers": ("providers", "providers-work"),
    "letters": ("letters", "letters-work", "letters-celery"),
    "admin": ("admin",),
}
"""Service -> its processes that use its database."""


class Answered(NamedTuple):
    """What became of one call."""

    at: float
    """Reading of the monotonic clock at which it had ended."""
    code: str


def main() -> int:
    """Return the exit status: 0 where the bound was kept of every service, and every text arrived."""
    with ExitStack() as exits:
        stack = exits.enter_context(running_stack())
        proxies = {}
        for context, names in PROCESSES.items():
            proxies[context] = exits.enter_context(SilentProxy(stack.app_urls[context]))
            for name in names:
                variable = f"NOTIFY_{context.upper()}_DATABASE_URL"
                stack.processes[name].environment[variable] = proxies[context].url
                stack.processes[name].stop()
        print("starting everything again, behind proxies", flush=True)
        stack.restart("admin")
        stack.restart(*(name for names in PROCESSES.values() for name in names if name != "admin"))
        service = seed(stack)
        wait_until(lambda: send(stack, service).status == 201, 60)
        kept = [_drill(stack, service, context, proxy) for context, proxy in proxies.items()]
    print(f"bound {BOUND_SECONDS:.0f} s: {'kept' if all(kept) else 'BROKEN'}")
    return 0 if all(kept) else 1


def _drill(stack: Stack, service: Seeded, context: str, proxy: SilentProxy) -> bool:
    """Silence the connections of one service; return whether the bound was kept."""
    count = AFTER_SECONDS * RATE
    with stack.operator_channel(stack.grpc_targets[context]) as channel, ThreadPoolExecutor(1) as beside:
        ask = _question(context, channel, service)
        if not wait_until(lambda: _answered(ask).code == "OK" and send(stack, service).status == 201, 60):
            raise SystemExit(f"{context} does not answer before its connections are silent")
        proxy.go_silent()
        silent_at = time.monotonic()
        calls = beside.submit(at_rate, count, RATE, lambda _: _answered(ask))
        texts = at_rate(count, RATE, lambda _: send(stack, service))
        answers = calls.result()
    codes = Counter(one.code for one in answers)
    print(f"{context}: texts {summary(texts)}")
    print(f"{context}: calls {', '.join(f'{number} x {code}' for code, number in sorted(codes.items()))}")
    texts_again = max((one.answered_at for one in texts if one.status != 201), default=silent_at) - silent_at
    calls_again = max((one.at for one in answers if one.code != "OK"), default=silent_at) - silent_at
    arrived = _arrive(stack, texts)
    there = f"the last text had arrived {time.monotonic() - silent_at:.1f} s after the silence began"
    print(
        f"{context}: texts without a break after {texts_again:.2f} s, calls after {calls_again:.2f} s; "
        f"{there if arrived else 'NOT ALL TEXTS ARRIVED'}",
        flush=True,
    )
    ended_well = texts[-1].status == 201 and answers[-1].code == "OK"
    return ended_well and arrived and max(texts_again, calls_again) <= BOUND_SECONDS


def _question(context: str, channel: grpc.Channel, service: Seeded) -> Callable[[], Any]:
    """Return a call that a service answers from its database."""
    id = service.service_id
    match context:
        case "admin":
            admin = services_service_pb2_grpc.ServicesServiceStub(channel)
            get = services_service_pb2.GetServiceRequest(service_id=id)
            return lambda: admin.GetService(get, timeout=CALL_SECONDS)
        case "letters":
            letters = print_runs_service_pb2_grpc.PrintRunsServiceStub(channel)
            runs = print_runs_service_pb2.ListPrintRunsRequest()
            return lambda: letters.ListPrintRuns(runs, timeout=CALL_SECONDS)
        case "providers":
            providers = provider_settings_service_pb2_grpc.ProviderSettingsServiceStub(channel)
            settings = provider_settings_service_pb2.ListProvidersRequest()
            return lambda: providers.ListProviders(settings, timeout=CALL_SECONDS)
        case _:
            notifications = notifications_service_pb2_grpc.NotificationsServiceStub(channel)
            newest = notifications_service_pb2.ListNotificationsRequest(
                service_id=id, key_type=KEY_TYPE_NORMAL, page_size=1
            )
            return lambda: notifications.ListNotifications(newest, timeout=CALL_SECONDS)


def _answered(ask: Callable[[], Any]) -> Answered:
    try:
        ask()
    except grpc.RpcError as error:
        return Answered(time.monotonic(), error.code().name)
    return Answered(time.monotonic(), "OK")


def _arrive(stack: Stack, texts: Sequence[Sent]) -> bool:
    """Wait until all texts that were accepted are delivered; return whether they are."""
    ids = [one.id for one in texts if one.id]

    def left() -> int:
        statement = "SELECT count(*) FROM notifications WHERE id = ANY(%s::uuid[]) AND state <> 'delivered'"
        with closing(psycopg2.connect(stack.app_urls["notifications"])) as made, made.cursor() as cursor:
            cursor.execute(statement, [ids])
            (row,) = cursor.fetchall()
        return int(row[0])

    return wait_until(lambda: left() == 0, ARRIVE_SECONDS, interval=0.2)


if __name__ == "__main__":
    sys.exit(main())
