"""Receipts that come through Amazon SNS over HTTPS: who sent them, and what they carry.

SNS signs what it sends with a key whose certificate it names. Nothing of a message is used before its
signature is checked, and a certificate is only fetched from SNS itself, in the region of a topic of ours.
"""

import base64
import io
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

import certifi
import pycurl
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from notify_common import clock
from notify_common.logging import get_logger
from notify_common.settings import ReadableFile
from pydantic import Field

from notify_providers.clients.base import (
    Callback,
    CallbackAnswer,
    ProviderSettings,
    Rejected,
    error_answer,
)
from notify_providers.clients.credentials import forbidden
from notify_providers.clients.json_object import members_of
from notify_providers.domain.budget import Budgets

NOTIFICATION: Final = "Notification"
CONFIRMATION: Final = "SubscriptionConfirmation"
END: Final = "UnsubscribeConfirmation"
_CONFIRMED_FIELDS: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: _CONFIRMED_FIELDS,
    END: _CONFIRMED_FIELDS,
}
"""What the signature of each type covers, in this order; a field that is absent is left out."""

_HASHES: Final[Mapping[str, HashAlgorithm]] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 # version 1 is SHA-1
_TOPIC: Final = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
_CERTIFICATE_PATH: Final = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
TAKEN: Final = CallbackAnswer(200)
"""The answer to what SNS need not send again."""
_LATER: Final = error_answer(503, "Try again later", Retry_After="30")
_BAD: Final = error_answer(400, "The body should be a message of SNS")

_FETCH_MS: Final = 3_000
_MAX_FETCHED_BYTES: Final = 65_536
_MAX_CERTIFICATES: Final = 16
_KEPT: Final = timedelta(days=1)
_FETCHES_A_SECOND: Final = 0.2
_FETCHES_AT_ONCE: Final = 10.0


class SnsSettings(ProviderSettings):
    """Settings of a provider whose receipts come through SNS."""

    receipt_topics: tuple[Annotated[str, Field(pattern=_TOPIC)], ...] = ()
    """The topics (ARNs) that receipts come from, as a JSON list; without any, none is believed."""
    sns_address: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]+$")] | None = None
    """`host:port` that connections to SNS go to in place of its public address, such as an interface
    endpoint. The certificate must be SNS's all the same."""
    sns_ca_file: ReadableFile | None = None
    """The authority (PEM) of that certificate; without it, those that are known everywhere."""


class Sns:
    """Reads what SNS sends, and confirms subscriptions of our topics.

    Certificates are remembered for a day. A message that comes again has the same signature: who records what
    it carries must take it once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._certificates: OrderedDict[str, tuple[datetime, x509.Certificate]] = OrderedDict()
        self._fetches = Budgets(_FETCHES_A_SECOND, _FETCHES_AT_ONCE)

    def read(self, settings: SnsSettings, callback: Callback) -> dict[str, Any] | None:
        """Return the JSON object that a notification carries, or None if it is about a subscription.

        A subscription is confirmed by a request made here of the signed token, not at the address that the
        message names. Whatever is read is answered `TAKEN`; what is rejected, so that SNS tries again only
        where that may help (after 5xx and 429).

        Raises:
            Rejected: it is not SNS's, of none of our topics, or can't be read or checked now.
        """
        envelope = _envelope(callback.body)
        kind, topic = envelope["Type"], envelope["TopicArn"]
        if topic not in settings.receipt_topics:
            raise Rejected("topic not allowed", forbidden())
        self._check_signature(settings, envelope, topic)
        if kind == NOTIFICATION:
            # One that is SNS's, but not what our topics are for, would never be of use.
            return members_of(envelope["Message"])
        if kind == CONFIRMATION:
            query = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": envelope["Token"]}
            _get(settings, f"https://{_host(topic)}/?{urlencode(query)}")
        get_logger().warning("subscription changed", change=kind, topic=topic)
        return None

    def _check_signature(self, settings: SnsSettings, envelope: Mapping[str, str], topic: str) -> None:
        algorithm = _HASHES.get(envelope.get("SignatureVersion", ""))
        if algorithm is None:
            raise Rejected("unknown signature version", forbidden())
        try:
            signature = base64.b64decode(envelope.get("Signature", ""), validate=True)
        except ValueError:
            raise Rejected("signature can't be read", forbidden()) from None
        key = self._certificate(settings, envelope.get("SigningCertURL", ""), topic).public_key()
        if not isinstance(key, RSAPublicKey):
            raise Rejected("certificate has no RSA key", forbidden())
        try:
            key.verify(signature, signed_text(envelope), PKCS1v15(), algorithm)
        except InvalidSignature:
            raise Rejected("wrong signature", forbidden()) from None

    def _certificate(self, settings: SnsSettings, url: str, topic: str) -> x509.Certificate:
        if not is_certificate_url(url, topic):
            raise Rejected("certificate from elsewhere", forbidden())
        now = clock.now()
        with self._lock:
            fetched_at, certificate = self._certificates.get(url, (None, None))
        if certificate is None or fetched_at is None or not fetched_at <= now < fetched_at + _KEPT:
            if not self._fetches.take(topic, now.timestamp()):
                raise Rejected("too many certificates", _LATER)
            try:
                certificate = x509.load_pem_x509_certificate(_get(settings, url))
            except ValueError:
                raise Rejected("no certificate", _LATER) from None
            with self._lock:
                self._certificates[url] = now, certificate
                if len(self._certificates) > _MAX_CERTIFICATES:
                    self._certificates.popitem(last=False)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Rejected("certificate not valid now", forbidden())
        return certificate


def is_certificate_url(url: str, topic: str) -> bool:
    """Tell whether a URL is one where SNS keeps the certificates of the region of a topic."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (
        url.isascii()
        and url.isprintable()
        and (parts.scheme, parts.netloc) == ("https", _host(topic))
        and _CERTIFICATE_PATH.fullmatch(parts.path) is not None
        and url == f"https://{parts.netloc}{parts.path}"
    )


def signed_text(envelope: Mapping[str, str]) -> bytes:
    """Return what the signature of a message covers: each field's name and value on a line of its own."""
    names = (name for name in SIGNED_FIELDS[envelope["Type"]] if name in envelope)
    return "".join(f"{name}\n{envelope[name]}\n" for name in names).encode("utf-8", "replace")


def _host(topic: str) -> str:
    _, partition, _, region, *_ = topic.split(":")
    return f"sns.{region}.amazonaws.com" + (".cn" if partition == "aws-cn" else "")


def _envelope(body: bytes) -> dict[str, str]:
    """Return the fields of a message that are texts; those that its type needs are among them."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("the body is not JSON", _BAD) from None
    fields = {k: v for k, v in read.items() if isinstance(v, str)} if isinstance(read, dict) else {}
    needed = SIGNED_FIELDS.get(fields.get("Type", ""))
    if needed is None or any(name not in fields for name in needed if name != "Subject"):
        raise Rejected("no message of SNS", _BAD)
    return fields


def _get(settings: SnsSettings, url: str) -> bytes:
    """Fetch a small thing from SNS.

    Raises:
        Rejected: it can't be had now.
    """
    fetched = io.BytesIO()

    def write(data: bytes) -> int:
        return -1 if fetched.tell() + len(data) > _MAX_FETCHED_BYTES else fetched.write(data)

    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.CAINFO, str(settings.sns_ca_file or certifi.where()))
        curl.setopt(pycurl.TIMEOUT_MS, _FETCH_MS)
        curl.setopt(pycurl.WRITEFUNCTION, write)
        if settings.sns_address:
            curl.setopt(pycurl.CONNECT_TO, [f"::{settings.sns_address}"])
        curl.perform()
        status = curl.getinfo(pycurl.RESPONSE_CODE)
    except pycurl.error:
        raise Rejected("SNS can't be asked", _LATER) from None
    finally:
        curl.close()
    if status != 200:
        raise Rejected(f"SNS answers {status}", _LATER)
    return fetched.getvalue()
