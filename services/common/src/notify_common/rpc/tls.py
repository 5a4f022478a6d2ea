"""mTLS: both ends show a certificate of the platform's authority (design.md D12, §2.8)."""

from pathlib import Path

import grpc
from cryptography import x509
from prometheus_client import Gauge

from notify_common.logging import describe_exception, get_logger
from notify_common.settings import ServiceSettings

_EXPIRY = Gauge(
    "notify_certificate_expiry_timestamp_seconds",
    "When the certificate ends that this process shows, by its first name.",
    ["name"],
    multiprocess_mode="livemin",
)

_SAN = "x509_subject_alternative_name"


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials:
    """Return credentials that demand a client certificate, and follow the files when certificates are
    renewed.
    """
    files = _ServerFiles(settings)
    return grpc.dynamic_ssl_server_credentials(
        files.read(),
        files.read_if_changed,  # type: ignore[arg-type] # the stubs forget that None means no change
        require_client_authentication=True,
    )


def channel_credentials(settings: ServiceSettings) -> grpc.ChannelCredentials:
    """Return credentials of this service as a caller, as the files are now; they don't follow the files."""
    certificate = settings.tls_cert_file.read_bytes()
    _tell_expiry(certificate)
    return grpc.ssl_channel_credentials(
        root_certificates=settings.tls_ca_file.read_bytes(),
        private_key=settings.tls_key_file.read_bytes(),
        certificate_chain=certificate,
    )


def caller_names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """Return the subject alternative names of the caller's certificate; empty if it has none."""
    if context.peer_identity_key() != _SAN:
        return ()
    return tuple(name.decode("utf-8", "replace") for name in context.peer_identities() or ())


def caller_name(context: grpc.ServicerContext) -> str:
    """Return the first name in the caller's certificate; empty if it has none."""
    return next(iter(caller_names(context)), "")


def file_stamps(settings: ServiceSettings) -> tuple[int, ...]:
    """Return what is another when one of the certificate's files was replaced. Raises OSError if one is
    missing.
    """
    return tuple(path.stat().st_mtime_ns for path in _files(settings))


def _tell_expiry(certificate: bytes) -> None:
    try:
        shown = x509.load_pem_x509_certificate(certificate)
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        get_logger().warning("certificate can't be read")  # whoever uses it says more
        return
    name = next(iter(names.get_values_for_type(x509.DNSName)), "")
    _EXPIRY.labels(name).set(shown.not_valid_after_utc.timestamp())


def _files(settings: ServiceSettings) -> tuple[Path, ...]:
    return settings.tls_key_file, settings.tls_cert_file, settings.tls_ca_file


class _ServerFiles:
    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._seen: tuple[int, ...] = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        self._seen = file_stamps(self._settings)
        key, certificate, authority = (path.read_bytes() for path in _files(self._settings))
        _tell_expiry(certificate)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=authority)

    def read_if_changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Run at each handshake; None keeps the certificate in use, also while files are being replaced."""
        try:
            return self.read() if file_stamps(self._settings) != self._seen else None
        except OSError as error:
            get_logger().warning("certificate not reloaded", **describe_exception(error))
            return None
