"""Microseconds that the gateway itself spends on one accepted text, without the network and without the RPC.

    .venv/bin/python services/api-gateway/bench/profile_handler.py [requests] [--profile]

The application runs in this process; the channel to notifications answers at once. The same token is used for
all requests of a second, as official clients do; a line below says what a token costs that is new each time.
"""

import argparse
import cProfile
import io
import json
import platform
import pstats
import statistics
import time
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import jwt
from notify.common.v1.common_pb2 import KeyType
from notify.notifications.v1.notifications_service_pb2 import SendSmsRequest, SendSmsResponse
from notify_gateway import app as gateway
from notify_gateway.clients import PublicClients
from notify_gateway.settings import GatewaySettings
from notify_gateway.snapshots import ApiKey, ServiceFacts, Snapshots
from notify_testing.rpc import certificates

SERVICE_ID, KEY_ID, SECRET = (str(uuid4()) for _ in range(3))
TEXT = json.dumps(
    {
        "phone_number": "07400123456",
        "template_id": str(uuid4()),
        "personalisation": {"name": "Amala", "date": "1 January 2018", "time": "1:00PM"},
        "reference": "order 5",
    }
).encode()


class KnownService(Snapshots):
    """One service with three keys; the last one signs."""

    def service(self, service_id: str) -> ServiceFacts | None:
        return ServiceFacts(service_id, True, False, frozenset({"sms"}))

    def keys(self, service_id: str) -> tuple[ApiKey, ...]:
        return KEYS


class AnswersAtOnce(PublicClients):
    """Notifications in no time."""

    @property
    def notifications(self) -> Any:
        return SimpleNamespace(SendSms=answer)


KEYS = (
    *(ApiKey(str(uuid4()), KeyType.KEY_TYPE_TEST, str(uuid4()), False) for _ in range(2)),
    ApiKey(KEY_ID, KeyType.KEY_TYPE_NORMAL, SECRET, False),
)


def answer(request: SendSmsRequest) -> SendSmsResponse:
    request.SerializeToString()
    return SendSmsResponse(
        notification_id=request.request_id, body="Hello Amala", from_number="GOVUK", template_version=3
    )


def token(**claims: object) -> str:
    return jwt.encode({"iss": SERVICE_ID, "iat": int(time.time()), **claims}, SECRET, algorithm="HS256")


def environ(text: str, body: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v2/notifications/sms",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "6011",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:6011",
        "HTTP_AUTHORIZATION": f"Bearer {text}",
        "HTTP_USER_AGENT": "NOTIFY-API-PYTHON-CLIENT/13.0.0",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("requests", type=int, nargs="?", default=5000)
    arguments.add_argument("--profile", action="store_true", help="print where the time goes")
    options = arguments.parse_args()
    setattr(gateway, "Snapshots", KnownService)  # noqa: B010 - stands in for an import of that module
    setattr(gateway, "PublicClients", AnswersAtOnce)  # noqa: B010
    files = certificates()["gateway-public"]
    targets = dict.fromkeys(
        ("admin_target", "notifications_target", "letters_target", "providers_target"), "127.0.0.1:1"
    )
    app = gateway.create_app(
        GatewaySettings(
            tls_ca_file=files.ca,
            tls_cert_file=files.cert,
            tls_key_file=files.key,
            access_log_sample=1_000_000,
            **cast(Any, targets),
        )
    )

    def one(text: str, asked: bytes = TEXT) -> None:
        statuses: list[str] = []

        def start(status: str, headers: object, exc_info: object = None) -> Any:
            statuses.append(status)

        body = b"".join(app.wsgi_app(environ(text, asked), start))
        assert statuses[0].startswith("201"), body

    def measure(name: str, fresh: bool = False, body: bytes = TEXT) -> None:
        text = token()
        for _ in range(200):
            one(text)
        seconds = []
        for number in range(options.requests):
            if fresh:
                text = token(jti=str(number))
            elif number % 1000 == 0:
                text = token()
            start = time.perf_counter()
            one(text, body)
            seconds.append(time.perf_counter() - start)
        centiles = statistics.quantiles(seconds, n=100)
        row = {
            "what": name,
            "requests": options.requests,
            "p50_us": round(centiles[49] * 1e6),
            "p99_us": round(centiles[98] * 1e6),
            "machine": platform.machine(),
            "python": platform.python_version(),
        }
        print(json.dumps(row))

    measure("one token a second")
    measure("a new token each time", fresh=True)
    measure("a number reserved for drama", body=TEXT.replace(b"07400123456", b"07700900123"))
    if options.profile:
        profiler = cProfile.Profile()
        text = token()
        profiler.enable()
        for _ in range(options.requests):
            one(text)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
    app.extensions["close"]()


if __name__ == "__main__":
    main()
