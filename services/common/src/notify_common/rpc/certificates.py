"""What is wrong with a process's own certificate, and when it ends (design.md §4.3).

It is told by the handshake that others will have with it, made with itself in memory, as both its ends.
"""

import ssl
import sys
from dataclasses import dataclass
from typing import Any, Final

from notify_common import clock
from notify_common.logging import get_logger
from notify_common.settings import ServiceSettings


class CertificateProblem(Exception):
    """Others won't accept the certificate. The message is a sentence without its subject: `tls_cert_file
    has expired`; `setting` names the setting that it is about."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


_REASONS: Final = {
    9: "is not yet valid; the clock here or where it was made may be wrong",
    10: "has expired; renew it",
    18: "is signed by itself, not by the authority in the CA file",
    19: "is not signed by the authority in the CA file",
    20: "is not signed by the authority in the CA file",
    21: "is not signed by the authority in the CA file",
    26: "may not be used by both a server and a client",
}
"""By OpenSSL's number of the reason (X509_V_ERR_…)."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that others will accept now."""

    not_after: float
    """When it ends, Unix time."""
    names: tuple[str, ...]
    """Its DNS names."""


def inspect(files: ServiceSettings) -> Certificate:
    """Return what the certificate says. Raises CertificateProblem, OSError."""
    try:
        server, client = _context(files, ssl.PROTOCOL_TLS_SERVER), _context(files, ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        said = _handshake(server, client)
    except ssl.SSLCertVerificationError as error:
        raise CertificateProblem(
            "tls_cert_file", _REASONS.get(error.verify_code, f"is refused: {error.verify_message}")
        ) from None
    except ssl.SSLError as error:
        raise CertificateProblem("tls_cert_file", f"can't be used ({error.reason})") from None
    names = tuple(str(name) for kind, name in said.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(ssl.cert_time_to_seconds(str(said["notAfter"])), names)


def _context(files: ServiceSettings, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    try:
        context.load_verify_locations(files.tls_ca_file)
    except ssl.SSLError:
        raise CertificateProblem("tls_ca_file", "should hold certificates (PEM)") from None
    try:
        context.load_cert_chain(files.tls_cert_file, files.tls_key_file, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateProblem("tls_key_file", "is not the key of the certificate") from None
        raise CertificateProblem(
            "tls_cert_file", "should hold a certificate (PEM), and tls_key_file its key without a password"
        ) from None
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    return ""  # OpenSSL would ask for it on the terminal


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """Let both ends show and check the certificate; return what it says."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(8):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            break
    said: Any = ends[1].getpeercert()
    return said or {}


def require_usable_certificate(settings: ServiceSettings) -> None:
    """End the process with status 2 and one sentence where others would not accept its certificate."""
    try:
        inspect(settings)
    except CertificateProblem as problem:
        prefix = str(settings.model_config.get("env_prefix", ""))
        sys.stderr.write(f"settings: {prefix}{problem.setting.upper()} {problem}\n")
        raise SystemExit(2) from None


class CertificateWatch:
    """A check of health: whether others accept the certificate, as the files are at the moment."""

    def __init__(self, files: ServiceSettings) -> None:
        self._files = files
        self._seen: tuple[int, ...] = ()
        self._certificate: Certificate | None = None

    def check(self) -> bool:
        """Return whether others accept it; what it says is read anew where its files were replaced."""
        stamps = tuple(
            path.stat().st_mtime_ns
            for path in (self._files.tls_ca_file, self._files.tls_cert_file, self._files.tls_key_file)
        )
        if stamps != self._seen:
            try:
                self._certificate = inspect(self._files)
            except CertificateProblem as problem:
                self._certificate = None
                get_logger().error("certificate refused", setting=problem.setting, problem=str(problem))
            self._seen = stamps
        return self._certificate is not None and clock.now().timestamp() < self._certificate.not_after
