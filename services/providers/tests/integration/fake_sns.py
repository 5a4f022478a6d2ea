"""A stand-in for SNS: signs messages, serves its certificate over HTTPS, and takes confirmations."""

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from notify_testing.serving import serve_in_thread

HOST = "sns.eu-west-2.amazonaws.com"
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_OTHERS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class FakeSns:
    """SNS as a subscriber sees it. `paths` are those that were asked for.

    Its `topic` is its own: how often a certificate is fetched is limited by topic.
    """

    def __init__(self, *, host: str = HOST, valid_days: int = 1) -> None:
        self.paths: list[str] = []
        self.status = 200
        self.topic = f"arn:aws:sns:eu-west-2:123456789012:receipts-{uuid4().hex}"
        self.certificate_url = f"https://{HOST}/SimpleNotificationService-{uuid4().hex}.pem"
        self._key, self._certificate = _signing_certificate(valid_days)
        self._folder = TemporaryDirectory()
        authority = trustme.CA()
        self.ca_file = Path(self._folder.name) / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.paths.append(self.path)
                body = fake._certificate if self.path.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        serve_in_thread(self._server)

    @property
    def settings(self) -> dict[str, object]:
        """Settings of a provider whose receipts come from here."""
        address = f"127.0.0.1:{self._server.server_port}"
        return {"receipt_topics": [self.topic], "sns_address": address, "sns_ca_file": self.ca_file}

    @property
    def confirmed(self) -> list[dict[str, str]]:
        """What confirmations asked for."""
        return [dict(parse_qsl(urlsplit(path).query)) for path in self.paths if ".pem" not in path]

    def notification(self, carried: object, *, version: str = "1", **changed: Any) -> bytes:
        """Return a signed notification; what is `changed` is changed before it is signed."""
        return self.signed(
            {"Type": "Notification", "Message": json.dumps(carried), **changed}, _NOTIFICATION, version
        )

    def confirmation(self, kind: str = "SubscriptionConfirmation", **changed: Any) -> bytes:
        """Return the message by which a subscription begins or ends."""
        fields = {
            "Type": kind,
            "Message": "You have chosen to subscribe",
            "Token": "token&1",
            "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={self.topic}&Token=token%261",
            **changed,
        }
        return self.signed(fields, _OTHERS, "2")

    def signed(self, fields: dict[str, Any], names: tuple[str, ...], version: str) -> bytes:
        """Return a message with the signature that SNS gives it."""
        whole = {
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": self.topic,
            "Timestamp": "2026-11-24T10:00:00.000Z",
            "SigningCertURL": self.certificate_url,
            "SignatureVersion": version,
            **fields,
        }
        text = "".join(f"{name}\n{whole[name]}\n" for name in names if name in whole)
        algorithm = SHA1() if version == "1" else SHA256()  # version 1 is SHA-1
        signature = self._key.sign(text.encode(), PKCS1v15(), algorithm)
        whole["Signature"] = base64.b64encode(signature).decode()
        return json.dumps(whole).encode()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()


def _signing_certificate(valid_days: int) -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=valid_days))
        .sign(key, SHA256())
    )
    return key, certificate.public_bytes(Encoding.PEM)
